"""Terminals: a real one of some columns, and what a screen shows of what was written to it."""

import contextlib
import fcntl
import io
import itertools
import os
import struct
import sys
import termios
import threading
from collections.abc import Iterator


def screen(written):
    """Lines that a terminal shows, where "\\r" goes back to the begin of its line."""
    lines = [[]]
    column = 0
    for character in written.replace("\r\n", "\n"):
        if character == "\n":
            lines.append([])
            column = 0
        elif character == "\r":
            column = 0
        else:
            line = lines[-1]
            line.extend(" " * (column + 1 - len(line)))
            line[column] = character
            column += 1
    return ["".join(line).rstrip() for line in lines]


def frames(written):
    """All that was shown in the last line of a terminal, one after the other."""
    texts = [text.rstrip() for text in written.replace("\r\n", "\n").split("\r")[1:]]
    return [text for text, _ in itertools.groupby(texts)]


class Terminal(io.StringIO):
    """A terminal in memory, whose columns are those of the variable `COLUMNS`."""

    def isatty(self):
        return True


@contextlib.contextmanager
def as_standard_output(columns: int) -> Iterator[list[str]]:
    """A real terminal as standard output; what was written to it is in the list in the end."""
    above, below = os.openpty()
    fcntl.ioctl(below, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    written, parts = [], []

    def read():
        with contextlib.suppress(OSError):
            while part := os.read(above, 65536):
                parts.append(part)

    # Whoever writes waits where nobody reads.
    reader = threading.Thread(target=read)
    reader.start()
    before = sys.stdout
    try:
        with open(below, "w", encoding="utf-8") as sys.stdout:
            yield written
    finally:
        sys.stdout = before
        reader.join()
        os.close(above)
        written.append(b"".join(parts).decode())
