"""`labels.csv`, the labels of images that lie in no class folders: read and checked."""

import csv
import os
import pathlib
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_clce.data.folder_layout import SPLIT_NAMES
from keras_clce.data.image_folder import FolderImages, files_below, which_are_readable
from keras_clce.data.installed import pillow
from keras_clce.data.splitting import named
from keras_clce.files import printable_text

LABELS_FILE = "labels.csv"
_COLUMNS = ("file", "label", "split")


class LabelledFile(NamedTuple):
    """A row of `labels.csv`.

    Attributes:
        path: The image.
        labels: Its labels, each once, in their order.
        split: `"train"`, `"validation"` or `"test"`; `None` where the file has no such column.
        line: Number of the line, from 1.
    """

    path: pathlib.Path
    labels: tuple[str, ...]
    split: str | None
    line: int


def has_labels_csv(folder: pathlib.Path) -> bool:
    """Say whether a folder has a `labels.csv`, which then says what its images are."""
    return (folder / LABELS_FILE).is_file()


def read_labels_csv(folder: pathlib.Path, multi_label: bool = False) -> list[LabelledFile]:
    """Read `labels.csv` of a folder, and check each of its rows.

    The header is `file,label` or `file,label,split`; the file is UTF-8. Files are relative to the
    folder, several labels of an image are separated by `;`, and splits have the names that folders
    of splits have, in any case. Images in the folder that it does not name are warned of.

    Args:
        folder: The folder.
        multi_label: Whether an image may have several labels, or none.

    Returns:
        The rows, in their order.

    Raises:
        ValueError: If a row is not as described, or two are of the same file; the message has the
            line.

    Example:
    ```python
    read_labels_csv(Path("csv"), multi_label=True)[1].labels  # ("bee", "ant")
    ```
    """
    shown = printable_text(folder / LABELS_FILE)
    rows: list[LabelledFile] = []
    lines_of: dict[str, int] = {}
    missing = []
    for line, cells in _rows(folder / LABELS_FILE, shown):
        where = f"Received: {shown}, line {line}"
        relative = os.path.normpath(cells["file"]) if cells["file"] else ""
        if not relative:
            raise ValueError(f"Every row must name a file. {where}, with none")
        if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir:
            raise ValueError(
                f"Every file must lie in the folder of {LABELS_FILE}, and be named relative to it. "
                f"{where}, file {cells['file']}"
            )
        if relative in lines_of:
            raise ValueError(
                f"Every file must have one row; several labels of an image are separated by a "
                f"semicolon. {where}, file {cells['file']}, which line {lines_of[relative]} has too"
            )
        lines_of[relative] = line
        label = unicodedata.normalize("NFC", cells["label"])
        labels = tuple(dict.fromkeys(filter(None, map(str.strip, label.split(";")))))
        if not labels and not multi_label:
            raise ValueError(
                "Every row must have a label; leave out the row of an image that has none. "
                f"{where}, file {cells['file']}, with none"
            )
        if len(labels) > 1 and not multi_label:
            raise ValueError(
                "Every row must have one label; multi_label=True (--multi_label) trains on several "
                f"labels an image. {where}, file {cells['file']}, with {', '.join(labels)}"
            )
        path = _in_either_form(folder, relative)
        if not path.is_file():
            missing.append(f"line {line} {cells['file']}")
        rows.append(LabelledFile(path, labels, _split(cells, where), line))
    if missing:
        raise ValueError(
            f"Every file of {LABELS_FILE} must be there. Received: {shown}, with {len(missing)} "
            f"that {'is' if len(missing) == 1 else 'are'} not: {named(missing)}"
        )
    if not rows:
        raise ValueError(f"{LABELS_FILE} must name at least one image. Received: {shown}, empty")
    _warn_of_others(folder, {os.path.normpath(row.path) for row in rows})
    return rows


def images_of(
    rows: Sequence[LabelledFile], names: Sequence[str], strict: bool, multi_label: bool
) -> FolderImages:
    """The readable images of some rows.

    Args:
        rows: The rows.
        names: Names of the classes.
        strict: Whether a file that is no readable image is an error.
        multi_label: Whether labels become rows of 0 and 1, in place of class numbers.

    Returns:
        The images, in the order of the rows.

    Raises:
        ValueError: If `strict` and a file cannot be read.
    """
    places = {name: place for place, name in enumerate(names)}
    if multi_label:
        labels = np.zeros((len(rows), len(places)), np.int64)
        for number, row in enumerate(rows):
            labels[number, [places[label] for label in row.labels]] = 1
    else:
        labels = np.array([places[row.labels[0]] for row in rows], np.int64)
    readable = which_are_readable([row.path for row in rows], strict)
    paths = np.array([str(row.path) for row in rows])
    return FolderImages(paths[readable], labels[readable], tuple(names))


def _in_either_form(folder: pathlib.Path, relative: str) -> pathlib.Path:
    """The file by its name, or by its name with accents composed or apart, as archives of macOS."""
    forms = (relative, *(unicodedata.normalize(form, relative) for form in ("NFC", "NFD")))
    paths = [folder / form for form in forms]
    return next((path for path in paths if path.is_file()), paths[0])


def _rows(path: pathlib.Path, shown: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row that is not blank."""
    try:
        # With or without the mark that spreadsheets put first.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{LABELS_FILE} must be UTF-8. Received: {shown}, line {line}, with other bytes"
        ) from None
    reader = csv.reader(text.splitlines(keepends=True), strict=True, skipinitialspace=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = _checked_header(cells, shown, reader.line_num)
                continue
            if len(cells) > len(header):
                raise ValueError(
                    "Every row must have as many cells as the header; a name with a comma stands "
                    f"in quotes. Received: {shown}, line {reader.line_num}, with {len(cells)} "
                    f"cells for {','.join(header)}"
                )
            cells += [""] * (len(header) - len(cells))
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(
            f"{LABELS_FILE} must be comma-separated. Received: {shown}, line {reader.line_num}: "
            f"{error}"
        ) from None
    if header is None:
        raise ValueError(
            f"{LABELS_FILE} must begin with the header file,label or file,label,split. "
            f"Received: {shown}, empty"
        )


def _checked_header(cells: list[str], shown: str, line: int) -> list[str]:
    header = [cell.casefold() for cell in cells]
    if not {"file", "label"} <= {*header} or len({*header}) < len(header):
        raise ValueError(
            f"{LABELS_FILE} must begin with the header file,label or file,label,split, separated "
            f"by commas. Received: {shown}, line {line}: {printable_text(','.join(cells))[:100]}"
        )
    others = [cell for cell, name in zip(cells, header, strict=True) if name not in _COLUMNS]
    if others:
        warnings.warn(
            f"Not used, columns of {shown} beside file, label and split: {named(others)}",
            stacklevel=2,
        )
    return header


def _split(cells: dict[str, str], where: str) -> str | None:
    if "split" not in cells:
        return None
    given = cells["split"].casefold()
    for split, names in SPLIT_NAMES.items():
        if given in names:
            return split
    known = ", ".join(name for names in SPLIT_NAMES.values() for name in names)
    raise ValueError(
        f"Every split must be one of {known}. {where}, split {cells['split'] or 'missing'}"
    )


def _warn_of_others(folder: pathlib.Path, listed: set[str]) -> None:
    suffixes = pillow().registered_extensions()
    files, _ = files_below(folder, folder)
    others = [
        printable_text(path.relative_to(folder))
        for path in files
        if path.suffix.lower() in suffixes and os.path.normpath(path) not in listed
    ]
    if others:
        count = f"{len(others)} image{'s' * (len(others) > 1)}"
        warnings.warn(
            f"Not used, since {printable_text(folder / LABELS_FILE)} does not name them: {count}, "
            f"{named(others)}",
            stacklevel=3,
        )
