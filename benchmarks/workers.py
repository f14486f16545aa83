"""Processes that take turns: every candidate of a benchmark has one, and its own peak memory."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


class Worker:
    """A process that does what it is asked for and answers with a number.

    Args:
        arguments: Arguments of the benchmark's own script that make it call `serve`.
        environment: What to change in the environment, such as `KERAS_BACKEND`.
    """

    def __init__(self, arguments: list[str], environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, sys.argv[0], *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def ask(self, what: str) -> float:
        """Have the process do something and wait for its number: seconds, or GiB of memory."""
        print(what, file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("answer "):
                return float(line.split()[1])
        raise RuntimeError("a candidate's process ended early; its error stands above")

    def stop(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def serve(actions: Mapping[str, Callable[[], object]]) -> None:
    """Answer requests from standard input until it closes.

    Args:
        actions: What each request does. Beside them, `memory` is the process's peak since it began
            to serve and `growth` by how much that is more than it had then.
    """
    before = new_peak()
    for line in sys.stdin:
        if line.strip() in ("memory", "growth"):
            answer = peak() - (before if line.strip() == "growth" else 0)
        else:
            started = time.perf_counter()
            actions[line.strip()]()
            answer = time.perf_counter() - started
        print(f"answer {answer}", flush=True)


def new_peak() -> float:
    """Forget the peak so far, which loading libraries has of its own; GiB in use now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """Largest resident memory, GiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 2**20
