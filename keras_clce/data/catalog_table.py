"""The catalog as a table for people to read."""

import textwrap

from keras_clce.data.catalog import list_datasets


def format_table(width: int = 120) -> str:
    """Format the catalog as a plain table.

    Args:
        width: The longest line, in characters; long cells go on in the next line.

    Returns:
        The table, without a final line break.

    Example:
    ```python
    format_table().split()[0]  # "name"
    ```
    """
    header = ("name", "classes", "train/val/test", "task", "paper", "licence", "download", "note")
    rows = [
        (
            spec.name,
            str(spec.num_classes or "any"),
            spec.splits.sizes,
            spec.task,
            spec.paper_row or "-",
            spec.licence,
            spec.download_size,
            spec.note,
        )
        for spec in list_datasets()
    ]
    widths = (23, 7, 17, 8, 12, 12, 8)
    limits = (*widths, width - sum(widths) - 2 * len(widths))
    lines = _table_row(header, limits)
    lines.append("  ".join("-" * limit for limit in limits))
    for row in rows:
        lines += _table_row(row, limits)
    return "\n".join(lines)


def _table_row(cells: tuple[str, ...], limits: tuple[int, ...]) -> list[str]:
    wrapped = [textwrap.wrap(cell, limit) for cell, limit in zip(cells, limits, strict=True)]
    height = max(len(lines) for lines in wrapped)
    padded = [lines + [""] * (height - len(lines)) for lines in wrapped]
    return [
        "  ".join(part.ljust(limit) for part, limit in zip(parts, limits, strict=True)).rstrip()
        for parts in zip(*padded, strict=True)
    ]
