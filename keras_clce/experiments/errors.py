"""Errors that say what to do, which a command ends with in one line."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def told(*kinds: type[Exception]) -> Iterator[None]:
    """Mark errors whose message says what to do; all others keep their traceback in a command.

    Args:
        *kinds: The errors that are meant.

    Example:
    ```python
    with told(ValueError):
        load_dataset("digits", image_size=4)
    ```
    """
    try:
        yield
    except kinds as error:
        error.is_told = True  # type: ignore[attr-defined]  # a mark of our own
        raise


@contextlib.contextmanager
def in_one_line(*kinds: type[Exception]) -> Iterator[None]:
    """End the program with the message alone, in one line, where it says what to do.

    Args:
        *kinds: Errors that are meant beside those that `told` has marked.

    Example:
    ```python
    with in_one_line(OSError):
        notes = Path("notes.txt").read_text()
    ```
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, kinds) or getattr(error, "is_told", False):
            sys.exit(f"Error: {' '.join(str(error).split())}")
        raise
