"""Files that are either whole or absent, and their names in print; open to every package."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_clce import backend


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under a temporary name beside it and rename it when it is whole.

    Where writing fails, as on a full disk, the temporary file goes and the file before it stays. Of
    several processes that train together, the first alone writes.

    Args:
        path: Where the file shall be. Its suffix stays the last of the temporary name, since
            Keras reads the format from it.
        write: Function that writes to the path that it is given.

    Example:
    ```python
    write_atomically(Path("notes.txt"), lambda path: path.write_text("done"))
    ```
    """
    if backend.process_id():
        return
    temporary = path.with_name(f".writing-{path.name}")
    try:
        with backend.without_distribution():
            write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically.

    Args:
        path: Where the file shall be.
        value: Anything that `json.dumps` takes.

    Example:
    ```python
    write_json(Path("metrics.json"), {"top1": 0.9})
    ```
    """
    write_atomically(path, lambda to: to.write_text(json.dumps(value, indent=2) + "\n"))


def checksums(paths: Sequence[Path]) -> str:
    """Checksums of files, as `sha256sum --check` reads them.

    Args:
        paths: The files.

    Returns:
        One line a file: its SHA-256 and its name, without the folder.

    Raises:
        OSError: If a file cannot be read.

    Example:
    ```python
    Path("notes.sha256").write_text(checksums([Path("notes.txt")]))
    ```
    """
    lines = []
    for path in paths:
        with open(path, "rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)


def made_folder(path: str | Path) -> Path:
    """Make the folder that results go to.

    Args:
        path: The folder.

    Returns:
        Its path.

    Raises:
        ValueError: If it is no folder that can be written.

    Example:
    ```python
    made_folder("report").is_dir()  # True
    ```
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"`output_dir` must be a folder that can be written. Received: {error}"
        ) from None
    return path


def printable_text(name: str | Path) -> str:
    r"""Write a name so that any terminal, file and font takes it.

    Args:
        name: Any text or path; names of files may hold bytes that are no characters.

    Returns:
        The text, with `\xNN` for such a byte.

    Example:
    ```python
    printable_text(os.fsdecode(b"caf\xe9"))  # the last letter in four characters
    ```
    """
    try:
        return str(name).encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:
        # Half a pair of UTF-16, which stands for no byte.
        return str(name).encode(errors="backslashreplace").decode()
