"""A line of a terminal or notebook that is written over until it is done."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_COLUMNS = 100


def columns(stream: TextIO | None = None) -> int:
    """How many columns a text may take: those of a terminal, at most 100.

    Args:
        stream: Where it is written. Defaults to `None`, standard output.

    Returns:
        The number.

    Example:
    ```python
    import io
    columns(io.StringIO())  # 100
    ```
    """
    stream = sys.stdout if stream is None else stream
    if not _is_terminal(stream):
        return _COLUMNS
    # One column stays free: a full line would move the cursor to the next.
    return min(_COLUMNS, _width(stream) - 1)


def can_be_overwritten(stream: TextIO | None = None) -> bool:
    """Whether a line can be written over: on a terminal, and in a notebook.

    Args:
        stream: Where it is written. Defaults to `None`, standard output.

    Returns:
        A bool.

    Example:
    ```python
    import io
    can_be_overwritten(io.StringIO())  # False
    ```
    """
    stream = sys.stdout if stream is None else stream
    is_notebook = type(stream).__module__.partition(".")[0] == "ipykernel"
    return is_notebook or (_is_terminal(stream) and os.environ.get("TERM") != "dumb")


class LiveLine:
    """A line that is written over.

    Args:
        stream: A terminal, or the output of a notebook.

    Example:
    ```python
    line = LiveLine(sys.stdout)
    line.show("epoch 1/30")
    line.end("30 epochs in 12 min")
    ```
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._shown = ""

    def show(self, text: str) -> None:
        """Write a text over the one before.

        Args:
            text: The text, which is cut where the terminal ends.
        """
        text = text[: columns(self.stream)]
        rest = " " * (len(self._shown) - len(text))
        # Twice, so that what a terminal itself writes, as ^C, stands at its end.
        self._write(f"\r{text}{rest}\r{text}" if rest else f"\r{text}")
        self._shown = text

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self._shown:
            self._write(f"\r{' ' * len(self._shown)}\r")
            self._shown = ""

    def end(self, text: str | None = None) -> None:
        """Let the line stand, and go to the next.

        Args:
            text: What to show last. Defaults to `None`, what is shown.
        """
        if text is not None:
            self.show(text)
        if self._shown:
            self._write("\n")
            self._shown = ""

    def _write(self, text: str) -> None:
        # What has been printed before may wait in a buffer of its own.
        self.stream.write(text)
        self.stream.flush()


@contextlib.contextmanager
def live_line() -> Iterator[LiveLine | None]:
    """A line of standard output for as long as something runs; warnings and others go above it.

    Yields:
        The line, or `None` where nothing can be written over.

    Example:
    ```python
    with live_line() as line:
        if line is not None:
            line.show("epoch 1/30")
    ```
    """
    if not can_be_overwritten():
        yield None
        return
    line = LiveLine(sys.stdout)
    above = contextlib.ExitStack()
    above.enter_context(contextlib.redirect_stdout(_Above(sys.stdout, line)))
    above.enter_context(contextlib.redirect_stderr(_Above(sys.stderr, line)))
    try:
        with above:
            yield line
    finally:
        # Ctrl-C leaves the line as it was, and what follows on lines of its own.
        line.end()


class _Above:
    """A stream that takes the line away before anything else is written."""

    def __init__(self, stream: TextIO, line: LiveLine) -> None:
        self._stream, self._line = stream, line

    def write(self, text: str) -> int:
        self._line.clear()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_terminal(stream):
    return bool(getattr(stream, "isatty", lambda: False)())


def _width(stream):
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (AttributeError, OSError, ValueError):
        width = 0
    # Terminals that do not know theirs say 0.
    return width or shutil.get_terminal_size((_COLUMNS + 1, 24)).columns
