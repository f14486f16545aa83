"""Writes the tables of README.md whose figures come from the runs beside it.

    python results/tables.py

A table stands between `<!-- table NAME -->` and `<!-- end of table -->`; `TABLES` of the modules in
`result_tables/` say which runs are in which row, and the makers there how a table is made of them.
"""

import re
from pathlib import Path

from result_tables import heads, tasks, training

PAGE = Path(__file__).resolve().parent / "README.md"
PLACE = re.compile(
    r"(?P<begin><!-- table (?P<name>[\w-]+) -->\n\n).*?(?P<end>\n\n<!-- end of table -->)",
    re.DOTALL,
)
TABLES = {**heads.TABLES, **tasks.TABLES, **training.TABLES}


def with_tables(text: str) -> str:
    """The page with its tables anew."""
    return PLACE.sub(lambda found: found["begin"] + TABLES[found["name"]]() + found["end"], text)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
