"use strict";

// Rows without a value stay last, whichever way the others go.
function compare(a, b, direction) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const difference =
    typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  return direction * difference;
}

function value(cell) {
  if (!("sort" in cell.dataset)) return cell.textContent.trim();
  return cell.dataset.sort === "" ? "" : Number(cell.dataset.sort);
}

function sort(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows];
  const direction = ascending ? 1 : -1;
  rows.sort((a, b) => compare(value(a.cells[column]), value(b.cells[column]), direction));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(table, column));
    head.replaceChildren(button);
  });
}

// What is folded is printed too.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((details) => (details.open = true));
});
addEventListener("afterprint", () => folded.forEach((details) => (details.open = false)));
