r"""What a GPU does in eight minutes: loss, training step, gradient cache, LoRA, few-shot tasks.

    KERAS_BACKEND=torch python benchmarks/gpu.py --output gpu.json
    KERAS_BACKEND=jax python benchmarks/gpu.py --parts loss,gradient_cache
    KERAS_BACKEND=torch python benchmarks/gpu.py --quick          # small sizes, on a CPU too

It needs torch or JAX, Keras and this package; timm and pytorch-metric-learning (on torch) are the
peers, and what is not installed is said and left out. Every candidate lives in a process of its
own, so that its peak memory is its own. Each part has its own seconds, after which its processes
are ended. Every figure is written to `--output` as soon as it is there.

The goals: a training step at most 1.05 times timm's with pytorch-metric-learning, 4,096 images in
chunks at most 1.35 times as long an image as in one piece and in the memory of 512.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

from absl import app, flags

# Seconds of each part, 470 in all, and its candidates in their order.
PARTS = {
    "loss": (90, ("products", "ours", "pml")),
    "step": (120, ("ours", "timm+pml")),
    "gradient_cache": (120, ("at once", "chunks")),
    "lora": (80, ("full", "lora")),
    "few_shot": (60, ("ours",)),
}

flags.DEFINE_list("parts", list(PARTS), f"What to measure, of: {', '.join(PARTS)}.")
flags.DEFINE_string("output", "gpu.json", "Where the figures go.")
flags.DEFINE_boolean("quick", False, "Small sizes, to see that all works.")
flags.DEFINE_float("scale", 1.0, "Seconds of all parts, times this.", 0)
flags.DEFINE_string("candidate", None, "Used by the benchmark itself, for its processes.")
FLAGS = flags.FLAGS


def main(_) -> None:
    """Measure part by part, write each figure at once, print a table and the goals."""
    if FLAGS.candidate:
        import gpu_parts

        part, name = FLAGS.candidate.split("/")
        for row in gpu_parts.measure(part, name, FLAGS.quick):
            print("row " + json.dumps(row), flush=True)
        return
    unknown = [part for part in FLAGS.parts if part not in PARTS]
    if unknown:
        raise app.UsageError(
            f"--parts must be of: {', '.join(PARTS)}. Received: parts={','.join(FLAGS.parts)}"
        )
    report = {"backend": os.environ["KERAS_BACKEND"], "quick": FLAGS.quick, "rows": []}
    write(report)
    for part in FLAGS.parts:
        seconds, candidates = PARTS[part]
        ends = time.monotonic() + seconds * FLAGS.scale
        for name in candidates:
            for row in rows_of(part, name, ends - time.monotonic()):
                if "device" in row:
                    report.update(row)
                else:
                    report["rows"].append({"part": part, "candidate": name, **row})
                    show(report["rows"][-1])
                write(report)
    report["goals"] = goals(report["rows"])
    write(report)
    print(f"\n{report.get('device', 'no device')}; figures in {FLAGS.output}")
    for name, (value, goal) in report["goals"].items():
        print(f"{name}: {value:.2f} (goal: at most {goal})")


def rows_of(part, name, seconds):
    """What a process measures, as it comes, until its time is over."""
    if seconds <= 0:
        yield {"skipped": "the part's time was over"}
        return
    arguments = [sys.executable, __file__, f"--candidate={part}/{name}"]
    process = subprocess.Popen(
        [*arguments, *(["--quick"] if FLAGS.quick else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    late = threading.Event()
    timer = threading.Timer(seconds, lambda: (late.set(), process.kill()))
    timer.start()
    errors = []
    # Read beside, lest a full pipe stop the process.
    reader = threading.Thread(target=lambda: errors.extend(process.stderr.readlines()))
    reader.start()
    for line in process.stdout:
        if line.startswith("row "):
            yield json.loads(line[4:])
    process.wait()
    timer.cancel()
    reader.join()
    if late.is_set():
        yield {"skipped": "ended, since the part's time was over"}
    elif process.returncode:
        said = [line.strip() for line in errors if line.strip()] or ["no message"]
        yield {"skipped": f"failed: {said[-1]}"}


def write(report):
    """Replace the file by a whole one."""
    path = Path(FLAGS.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(new, path)


def show(row):
    """One line of a figure."""
    what = {key: value for key, value in row.items() if key not in ("part", "candidate")}
    figures = [
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in what.items()
    ]
    print(f"{row['part']:15} {row['candidate']:9} {', '.join(figures)}", flush=True)


def goals(rows):
    """What the figures come to, beside the goals; what was not measured is left out."""

    def found(part, candidate, key, **wanted):
        wanted |= {"part": part, "candidate": candidate}
        values = [
            row[key]
            for row in rows
            if key in row and all(row.get(name) == value for name, value in wanted.items())
        ]
        return values[-1] if values else None

    def ratio(one, other):
        return one / other if one and other else None

    of_cache = [row for row in rows if row["part"] == "gradient_cache"]
    times = {
        name: found("gradient_cache", name, "seconds_an_image") for name in ("chunks", "at once")
    }
    # From few images to many.
    memory = [
        row["peak_gib"] for row in of_cache if row["candidate"] == "chunks" if "images" in row
    ]
    full, lora = (found("lora", name, "peak_gib") for name in ("full", "lora"))
    checked = {
        "training step / timm and pytorch-metric-learning": (
            ratio(found("step", "ours", "seconds"), found("step", "timm+pml", "seconds")),
            1.05,
        ),
        "an image in chunks / at once": (ratio(times["chunks"], times["at once"]), 1.35),
        "memory in chunks, most images / fewest": (
            ratio(memory[-1], memory[0]) if len(memory) > 1 else None,
            1.2,
        ),
        "memory of LoRA / full fine-tuning": (ratio(lora, full), 0.6),
    }
    return {name: (value, goal) for name, (value, goal) in checked.items() if value is not None}


if __name__ == "__main__":
    app.run(main)
