"""Run the scripts beside this file, and write notebooks with outputs and pictures.

    pip install jupytext nbclient ipykernel
    python notebooks/build.py              # all
    python notebooks/build.py 03 07        # those whose names begin so
    python notebooks/build.py --words      # words or layout have changed: outputs stay

A script is the source, in Jupytext's percent format or that of keras.io's examples.
"""

import ast
import base64
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from PIL import Image

FOLDER = Path(__file__).resolve().parent
SCRIPTS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HEADER = (
    "Title",
    "Author",
    "Date created",
    "Last modified",
    "Description",
    "Accelerator",
)
# Pictures of this many dots an inch keep a notebook small.
FIRST_CELL = "%config InlineBackend.rc = {'figure.dpi': 72, 'font.size': 9}"


def read_script(path: Path) -> nbformat.NotebookNode:
    """The notebook of a script, without outputs."""
    text = path.read_text(encoding="utf-8")
    is_keras_io = text.startswith('"""\nTitle: ')
    read = jupytext.reads(text, fmt="py:sphinx" if is_keras_io else "py:percent")
    # Jupytext adds a magic to what Sphinx shows.
    sources = [
        cell for cell in read.cells if cell.source.strip() != "%matplotlib inline"
    ]
    cells = []
    for number, cell in enumerate(sources):
        make = nbformat.v4.new_code_cell
        if cell.cell_type == "markdown":
            make = nbformat.v4.new_markdown_cell
        source = cell.source.strip("\n")
        if is_keras_io and number == 0:
            source = header_cell(source)
        cells.append(make(source, id=f"cell-{number}"))
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def header_cell(header: str) -> str:
    """The first cell that keras.io makes of an example's header."""
    fields = dict(line.split(": ", 1) for line in header.splitlines())
    lines = [f"**{name}:** {fields[name]}" for name in HEADER[1:] if name in fields]
    return f"# {fields['Title']}\n\n" + "<br>\n".join(lines)


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run the cells in a folder that is thrown away."""
    from nbclient import NotebookClient

    before = nbformat.v4.new_code_cell(FIRST_CELL)
    whole = nbformat.v4.new_notebook(
        cells=[before, *notebook.cells], metadata=notebook.metadata
    )
    paths = [str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            whole, timeout=None, kernel_name="python3", resources=resources
        ).execute()
    notebook.cells, notebook.metadata = whole.cells[1:], {"kernelspec": KERNEL}
    number = 0
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            number += 1
            cell.execution_count = number
            cell.outputs = merged(cell.outputs, number)


def merged(outputs: list, number: int) -> list:
    """Outputs as a reader wants them: a stream in one piece, without greetings."""
    kept = []
    for output in outputs:
        if output.output_type == "stream" and output.name == "stderr":
            # Frameworks greet here, in other words on each machine.
            print(f"Left out of cell {number}: {output.text}", file=sys.stderr)
            continue
        if output.output_type == "execute_result":
            output.execution_count = number
        if output.output_type == "stream" and kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            # What a terminal shows of a line that was written over.
            output.text = re.sub(r"[^\n]*\r(?=[^\n])", "", output.text).replace(
                "\r", ""
            )
        data = output.get("data", {})
        if "image/png" in data:
            data["image/png"] = smaller(data["image/png"])
    # A frame shows a page that has gone.
    return [
        output
        for output in kept
        if output.get("text", "shown").strip()
        and "<iframe" not in output.get("data", {}).get("text/html", "")
    ]


def smaller(picture: str) -> str:
    """A picture of 256 colours, rare ones among them, which takes half of the bytes."""
    whole = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    buffer = io.BytesIO()
    few = whole.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def take_outputs(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Take the outputs of the notebook that is there, whose code has to be the same."""
    old = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    new = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [tree_of(cell) for cell in old] != [tree_of(cell) for cell in new]:
        raise SystemExit(f"{path.name}: code has changed too. Run it without --words.")
    for before, now in zip(old, new, strict=True):
        now.outputs, now.execution_count = before.outputs, before.execution_count


def tree_of(cell: nbformat.NotebookNode) -> str:
    """The code of a cell without its layout and comments."""
    return ast.dump(ast.parse(cell.source))


def main(arguments: list[str]) -> None:
    """Write the notebooks that the arguments name."""
    words_alone = "--words" in arguments
    names = [argument for argument in arguments if argument != "--words"]
    chosen = [
        path for path in SCRIPTS if not names or path.name.startswith(tuple(names))
    ]
    if not chosen:
        raise SystemExit(f"No script begins with {' or '.join(names)}.")
    for script in chosen:
        path = script.with_suffix(".ipynb")
        notebook = read_script(script)
        if words_alone:
            take_outputs(notebook, path)
        else:
            execute(notebook)
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
