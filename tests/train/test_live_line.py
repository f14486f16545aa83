"""A line that is written over, on a terminal and in a notebook."""

import io
import sys
import warnings

import pytest
from terminals import Terminal, as_standard_output, screen

from keras_clce.train.live_line import LiveLine, can_be_overwritten, columns, live_line

pytestmark = pytest.mark.any_backend


def terminal_of(monkeypatch):
    """As standard output and error, from within a test: between its phases pytest changes them."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    return sys.stdout


def test_a_shorter_text_leaves_nothing_of_a_longer_one(monkeypatch):
    terminal = terminal_of(monkeypatch)
    line = LiveLine(terminal)
    line.show("epoch 1/30  validating")
    line.show("epoch 2/30")
    assert screen(terminal.getvalue()) == ["epoch 2/30"]
    # Where the cursor stands.
    assert screen(terminal.getvalue() + "^C") == ["epoch 2/30^C"]
    line.end("30 epochs")
    assert screen(terminal.getvalue()) == ["30 epochs", ""]
    line.end()
    assert screen(terminal.getvalue()) == ["30 epochs", ""]


def test_a_text_is_cut_before_the_last_column(monkeypatch):
    terminal = terminal_of(monkeypatch)
    assert columns() == 39
    LiveLine(terminal).show("x" * 60)
    assert screen(terminal.getvalue()) == ["x" * 39]


def test_columns_are_at_most_100_and_100_where_there_is_no_terminal(monkeypatch):
    terminal_of(monkeypatch)
    monkeypatch.setenv("COLUMNS", "300")
    assert columns() == columns(io.StringIO()) == 100
    monkeypatch.setenv("COLUMNS", "20")
    assert columns(io.StringIO()) == 100


@pytest.mark.parametrize(("said", "least", "most"), [(50, 49, 49), (0, 1, 100)])
def test_columns_are_those_of_the_terminal_that_is_written_to(said, least, most):
    with as_standard_output(said):
        assert least <= columns() <= most


def test_what_else_is_printed_goes_above(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with live_line() as line:
        line.show("epoch 1/2  a long line")
        print("a note")
        line.show("epoch 2/2")
        # As warnings come, which pytest takes down before they are printed.
        sys.stderr.write(warnings.formatwarning("careful", UserWarning, "file.py", 3, "warn()"))
        line.show("epoch 2/2")
    first, second, third, last, end = screen(terminal.getvalue())
    assert (first, last, end) == ("a note", "epoch 2/2", "")
    assert (second, third) == ("file.py:3: UserWarning: careful", "  warn()")
    assert sys.stdout is terminal and sys.stderr is terminal


def test_ctrl_c_leaves_the_line_and_goes_to_the_next(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with pytest.raises(KeyboardInterrupt), live_line() as line:
        line.show("epoch 1/2")
        raise KeyboardInterrupt
    print("Stopped.")
    assert screen(terminal.getvalue()) == ["epoch 1/2", "Stopped.", ""]


def test_there_is_none_where_nothing_can_be_written_over(monkeypatch):
    terminal_of(monkeypatch)
    assert can_be_overwritten()
    monkeypatch.setenv("TERM", "dumb")
    with live_line() as line:
        assert line is None
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setenv("TERM", "xterm")
    with live_line() as line:
        assert line is None
    # Where there is no console at all, as below pythonw.
    monkeypatch.setattr(sys, "stdout", None)
    assert not can_be_overwritten() and columns() == 100


def test_a_notebook_takes_one():
    # As the kernel's stream, which says that it is no terminal.
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    assert can_be_overwritten(stream)
    assert columns(stream) == 100
