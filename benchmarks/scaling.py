r"""A CLCE training step on several devices of JAX: time, and bytes that the devices exchange.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --backbone efficientnet_lite0 --image_size 96 --steps 2

The devices are virtual ones that share this machine's processor. Their times show how XLA's threads
get along on its cores, never what real devices would gain. The bytes are real: they are the shapes
of the collective operations in the step that XLA compiled. The last table works out from them, for
256 devices, how much the rows of the loss send around beside the gradients of the weights.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import collections
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags, logging

FLAGS = flags.FLAGS
flags.DEFINE_string("backbone", "small_resnet", "Encoder.")
flags.DEFINE_integer("image_size", 32, "Pixels a side.")
flags.DEFINE_integer(
    "batch_size", 64, "Images of all devices; twice as many rows, a number that no weight has.", 8
)
flags.DEFINE_integer("num_classes", 102, "Classes.", 2)
flags.DEFINE_integer("steps", 4, "Steps a round.", 1)
flags.DEFINE_integer("rounds", 5, "Rounds, in which the numbers of devices take turns.", 1)
flags.DEFINE_integer("child_devices", None, "Internal: time this many on request.")

DEVICES = (1, 2, 4, 8)
REAL_DEVICES = 256
# Trainable parameters without the head, and numbers of an embedding, as these encoders have them.
ENCODERS = {
    "efficientnet_lite0": (3_371_008, 1280),
    "resnet101": (42_500_160, 2048),
    "vit_base": (85_798_656, 768),
}
BYTES = {"pred": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "f64": 8}
OPERATION = re.compile(
    r" = (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)
SHAPE = re.compile(r"([a-z]+\d*)\[([\d,]*)\]")


def main(_) -> None:
    """Time the numbers of devices in turns, read their programs, print three tables."""
    logging.set_verbosity(logging.WARNING)
    if FLAGS.child_devices:
        serve()
        return
    with tempfile.TemporaryDirectory() as folder:
        children = {count: start(count, Path(folder, str(count))) for count in DEVICES}
        seconds = collections.defaultdict(list)
        # The first round compiles.
        for number in range(FLAGS.rounds + 1):
            for count, child in children.items():
                print("go", file=child.stdin, flush=True)
                answer = child.stdout.readline()
                while answer and not answer.startswith("{"):
                    answer = child.stdout.readline()
                if not answer:
                    sys.exit(f"The process with {count} devices ended early")
                if number:
                    seconds[count].append(json.loads(answer)["seconds"])
        for child in children.values():
            child.communicate("end\n")
        programs = {count: read_program(Path(folder, str(count))) for count in DEVICES}
    report(seconds, programs)


def start(count: int, folder: Path) -> subprocess.Popen:
    """A process with that many virtual devices, which writes its compiled step to the folder."""
    options = (
        f"--xla_force_host_platform_device_count={count}",
        # Devices that share a core may come late to a meeting.
        "--xla_cpu_collective_call_terminate_timeout_seconds=600",
        f"--xla_dump_to={folder}",
        "--xla_dump_hlo_as_text",
        "--xla_dump_hlo_module_re=.*train_step.*",
    )
    return subprocess.Popen(
        [sys.executable, *sys.argv, f"--child_devices={count}"],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": " ".join(options)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def serve() -> None:
    """Train some steps for every line of the input that says go, and print their time."""
    import keras
    import numpy as np

    from keras_clce import CLCEModel

    if FLAGS.child_devices > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    rng = np.random.default_rng(0)
    shape = (FLAGS.batch_size * FLAGS.steps, FLAGS.image_size, FLAGS.image_size, 3)
    views = [rng.uniform(0, 255, shape).astype("float32") for _ in range(2)]
    labels = rng.integers(0, FLAGS.num_classes, len(views[0]))
    model = CLCEModel.from_backbone(FLAGS.backbone, FLAGS.num_classes, image_size=FLAGS.image_size)
    model.compile(keras.optimizers.AdamW(1e-3), metrics=["accuracy"])
    while sys.stdin.readline() == "go\n":
        began = time.perf_counter()
        model.fit(tuple(views), labels, batch_size=FLAGS.batch_size, shuffle=False, verbose=0)
        print(json.dumps({"seconds": (time.perf_counter() - began) / FLAGS.steps}), flush=True)


def read_program(folder: Path) -> dict[tuple[str, bool], int]:
    """Bytes that each kind of collective yields on a device, those of the loss's rows apart."""
    (path,) = folder.glob("*train_step.*after_optimizations.txt")
    found = collections.Counter()
    for shapes, kind in OPERATION.findall(path.read_text()):
        for dtype, shape in SHAPE.findall(shapes):
            sizes = [int(size) for size in shape.split(",") if size]
            found[kind, 2 * FLAGS.batch_size in sizes] += BYTES[dtype] * math.prod(sizes)
    return found


def report(seconds: dict[int, list[float]], programs: dict[int, collections.Counter]) -> None:
    """Print what was measured and what follows from it."""
    from keras_clce.report import format_table

    rows = []
    for count in DEVICES:
        ratios = [a / b for a, b in zip(seconds[count], seconds[1], strict=True)]
        program = programs[count]
        of_rows = {kind: size for (kind, is_rows), size in program.items() if is_rows}
        rows.append(
            [
                str(count),
                f"{statistics.median(seconds[count]):.3f}",
                f"{statistics.median(ratios):.2f}",
                megabytes(sum(program.values()) - sum(of_rows.values())),
                megabytes(of_rows.get("all-gather", 0)),
                megabytes(sum(of_rows.values()) - of_rows.get("all-gather", 0)),
            ]
        )
    print(
        f"{FLAGS.backbone}, {FLAGS.image_size} px, {2 * FLAGS.batch_size} rows a step in all. All "
        f"devices share {os.cpu_count()} cores:\ntheir times tell how threads get along, not what "
        "real devices would gain."
    )
    header = ["devices", "median s", "ratio to 1"]
    header += ["weights, MB", "rows gathered, MB", "rows summed, MB"]
    print(format_table(header, rows))
    print(
        "\nMB that collectives give to each device in a step. Weights: sums of gradients, of "
        "BatchNorm's\nstatistics and of metrics. Rows: embeddings and labels are gathered, the "
        "gradients of the\nembeddings summed. Images and similarities stay where they are."
    )
    print(
        f"\nOn paper, {REAL_DEVICES} devices in a ring. Each sends 2 x 4 W bytes to sum the "
        "gradients of W weights,\n4 N D to gather N embeddings of D numbers and 2 x 4 N D to sum "
        "their gradients; N is two views of\nevery image. The last columns are 12 N D / 8 W, for "
        "so many images a device."
    )
    print(format_table(*estimate()))
    print("\nBoth are equal at N = 2 W / (3 D); --embedding_dim of the recipes makes D smaller.")


def estimate() -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table for real devices."""
    batches = (8, 32, 128)
    header = ["encoder, D", "weights, MB", "N where equal", *map(str, batches)]
    rows = []
    for name, (weights, features) in ENCODERS.items():
        for dim in (features, 128):
            ratios = [3 * 2 * batch * REAL_DEVICES * dim / (2 * weights) for batch in batches]
            rows.append(
                [
                    f"{name}, {dim}",
                    megabytes(2 * 4 * weights),
                    f"{2 * weights / (3 * dim):,.0f}",
                    *(f"{ratio:.2f}" for ratio in ratios),
                ]
            )
    return header, rows


def megabytes(size: float) -> str:
    """A size in millions of bytes."""
    return f"{size / 1e6:.3f}"


if __name__ == "__main__":
    app.run(main)
