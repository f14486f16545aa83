"""The figures of the CLCE paper, and which of them stand beside a run."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any


def paper_rows(**wanted: Any) -> list[Mapping[str, Any]]:
    """Rows of the paper's Tables 1 to 5 that have some values.

    Args:
        **wanted: Values by the names of a row's entries: `table` (1 to 5), `dataset`, `encoder`
            (`None` for systems that Table 1 quotes), `method` (a loss, or such a system), `shots`
            (1 or 5, in Table 1), `batch_size` (in Table 3). Defaults to nothing, which gives all.

    Returns:
        The rows in the paper's order. Each has `accuracy` in %, with the half width `ci95` of its
        95 % interval in Table 1, or, in Table 5, `isotropy`.

    Reference:
        CLCE (https://arxiv.org/abs/2402.14551), Tables 1 to 5.

    Example:
    ```python
    [row["accuracy"] for row in paper_rows(table=2, encoder="beit3_base", dataset="cub200")]
    # [98.0, 95.7, 98.06, 98.93]
    ```
    """
    return [
        row
        for row in _content()["rows"]
        if all(name in row and row[name] == value for name, value in wanted.items())
    ]


def paper_source() -> str:
    """Where the figures are from, and what they are of.

    Example:
    ```python
    paper_source()  # "CLCE, arXiv 2402.14551, Tables 1 to 5; …"
    ```
    """
    return _content()["source"]


@functools.cache
def _content() -> Mapping[str, Any]:
    content = json.loads(Path(__file__).with_name("paper_results.json").read_text("utf-8"))
    # All callers share the rows, so that none may change them.
    return {**content, "rows": tuple(MappingProxyType(row) for row in content["rows"])}
