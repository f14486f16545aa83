r"""Kill a training run again and again, and compare its end with that of a run left alone.

    KERAS_BACKEND=tensorflow python benchmarks/kill_and_resume.py
    KERAS_BACKEND=jax python benchmarks/kill_and_resume.py --kills 5 --seed 1

`recipes/transfer.py` on digits is sent SIGKILL at random moments, every second time as soon as a
file is being written, and goes on with `--resume` each time until it ends. Its `metrics.json` and
`history.csv` (without seconds) must be those of a run that nothing interrupted.
"""

import contextlib
import csv
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS
ROOT = Path(__file__).resolve().parent.parent


def start(output: Path, *arguments: str) -> subprocess.Popen:
    """Start the recipe with its output in a pipe."""
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "recipes" / "transfer.py"),
            "--losses=clce",
            f"--output_dir={output}",
            *arguments,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def after(seconds: float) -> Callable[[subprocess.Popen, Path], None]:
    """Wait that long."""

    def wait(process: subprocess.Popen, output: Path) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)

    return wait


def in_a_write_after(epochs: int) -> Callable[[subprocess.Popen, Path], None]:
    """Wait until so many epochs are saved and a file is on its way, or one more epoch is saved."""

    def wait(process: subprocess.Popen, output: Path) -> None:
        # A kill before this one may have left such a file.
        before = being_written(output)
        while process.poll() is None:
            done = saved(output)
            if done > epochs or (done == epochs and being_written(output) - before):
                break
            time.sleep(0.001)  # else it takes a core from the run

    return wait


def being_written(output: Path) -> set[tuple[Path, int]]:
    """Files that are not whole yet, each with the time of its last change."""
    found = set()
    for path in output.rglob(".writing-*"):
        with contextlib.suppress(FileNotFoundError):  # whole by now
            found.add((path, path.stat().st_mtime_ns))
    return found


def saved(output: Path) -> int:
    """Epochs that were saved."""
    return max((int(path.stem[6:]) + 1 for path in output.rglob("epoch-*.sha256")), default=0)


def kill(
    output: Path, arguments: Sequence[str], wait: Callable[[subprocess.Popen, Path], None]
) -> dict:
    """Start or resume a run, and kill it some time after its first sign of training.

    Args:
        output: Where the run goes.
        arguments: Flags of the recipe.
        wait: Called with the process and `output` when training begins; returns at the moment.

    Returns:
        Whether the run `"ended"` by itself, the number of epochs `"saved"`, whether a file was
        `"half"` written, and what the run `"printed"`.
    """
    before = being_written(output)
    resume = ["--resume"] if list(output.rglob("config.json")) else []
    process = start(output, *arguments, *resume)
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("[1/1]"):
            break
    wait(process, output)
    process.send_signal(signal.SIGKILL)
    printed.append(process.communicate()[0])
    return {
        "ended": process.returncode != -signal.SIGKILL,
        "saved": saved(output),
        "half": bool(being_written(output) - before),
        "printed": "".join(printed),
    }


def result(output: Path) -> tuple[dict, list[dict]]:
    """Metrics and history of a finished run, without seconds."""
    (metrics,) = output.rglob("metrics.json")
    (history,) = output.rglob("history.csv")
    metrics = json.loads(metrics.read_text())
    del metrics["seconds"]
    with open(history, newline="") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return metrics, rows


def finish(output: Path, arguments: Sequence[str]) -> None:
    """Run the recipe to its end."""
    process = start(output, *arguments)
    printed = process.communicate()[0]
    if process.returncode:
        sys.exit(f"Error: the recipe returned {process.returncode}:\n{printed}")


def main(_) -> None:
    """Run, kill, resume, compare."""
    rng = random.Random(FLAGS.seed)
    epochs = 3 * FLAGS.kills
    arguments = [
        f"--epochs={epochs}",
        f"--limit_examples={FLAGS.limit_examples}",
        f"--embedding_dim={FLAGS.embedding_dim}",
        "--batch_size=32",
    ]
    with tempfile.TemporaryDirectory() as folder:
        alone, killed = Path(folder, "alone"), Path(folder, "killed")
        finish(alone, arguments)
        (file,) = alone.rglob("history.csv")
        with open(file, newline="") as lines:
            seconds = [float(row["seconds"]) for row in csv.DictReader(lines)]
        # The first epoch compiles, in every life anew.
        longest = seconds[0] + 4 * statistics.median(seconds)
        print(f"uninterrupted: {epochs} epochs, {sum(seconds):.0f} s", flush=True)
        kills, half = 0, 0
        for number in range(FLAGS.kills):
            wait = after(rng.uniform(0, longest))
            if number % 2:
                wait = in_a_write_after(saved(killed) + rng.randrange(3))
            seen = kill(killed, arguments, wait)
            if seen["ended"]:
                print(seen["printed"])
                break
            kills += 1
            half += seen["half"]
            print(
                f"kill {kills}: {'in a write' if number % 2 else 'at random'}, {seen['saved']} "
                f"epochs saved{', a file half written' if seen['half'] else ''}",
                flush=True,
            )
        finish(killed, [*arguments, "--resume"])
        (metrics, history), (other, other_history) = result(alone), result(killed)
    print(f"{kills} kills, {half} of them with a file half written")
    print(f"metrics.json equal: {metrics == other}; history.csv equal: {history == other_history}")
    if metrics != other:
        sys.exit(f"Error: {metrics} without kills, {other} with")


if __name__ == "__main__":
    flags.DEFINE_integer("kills", 20, "Number of kills.", 1)
    flags.DEFINE_integer("seed", 0, "Seed of the moments.", 0)
    flags.DEFINE_integer("limit_examples", 256, "Training images.", 64)
    flags.DEFINE_integer(
        "embedding_dim", 2000, "Size of the projection; a large file takes longer.", 1
    )
    app.run(main)
