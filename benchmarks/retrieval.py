r"""Seconds and memory of `retrieval_metrics`, beside pytorch-metric-learning with faiss-cpu.

    python benchmarks/retrieval.py
    python benchmarks/retrieval.py --rows 10000 --classes 100

Embeddings are drawn around random class centres; the usual number of rows, classes and numbers are
those of Stanford Online Products' test set. pytorch-metric-learning looks at as many neighbours as
the largest class has, since with all of them the table of neighbours alone would take 60,502² × 12
bytes: it gives precision@1, R-precision and MAP@R, and we give MAP and MRR of whole rankings too.
Each runs in a process of its own, with as many threads as it likes; seconds of the processor are
compared, which others' work on the same machine changes less. Needs
`pip install -r requirements-test.txt`.
"""

import json
import subprocess
import sys
import time

import numpy as np
from absl import app, flags
from workers import new_peak, peak

from keras_clce.report import format_table

flags.DEFINE_integer("rows", 60_502, "Embeddings.")
flags.DEFINE_integer("classes", 11_316, "Classes.")
flags.DEFINE_integer("dim", 512, "Numbers an embedding.")
flags.DEFINE_integer("rounds", 1, "Rounds; the fastest of each counts.")
flags.DEFINE_enum("side", None, ["ours", "peer"], "What this process measures; both if not given.")
FLAGS = flags.FLAGS


def data() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and their classes."""
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, FLAGS.classes, FLAGS.rows))
    centres = rng.normal(size=(FLAGS.classes, FLAGS.dim)).astype("float32")
    noise = rng.normal(size=(FLAGS.rows, FLAGS.dim)).astype("float32")
    rows = centres[labels] + 3 * noise
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def ours(rows: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Metrics of this library."""
    from keras_clce.evaluate import retrieval_metrics

    return dict(retrieval_metrics(rows, labels))


def peer(rows: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Metrics of pytorch-metric-learning, under our names."""
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    names = {
        "precision_at_1": "precision@1",
        "r_precision": "r_precision",
        "mean_average_precision_at_r": "map@r",
    }
    calculator = AccuracyCalculator(
        include=tuple(names), k="max_bin_count", device=torch.device("cpu")
    )
    found = calculator.get_accuracy(torch.from_numpy(rows), torch.from_numpy(labels))
    return {names[name]: value for name, value in found.items()}


def main(_) -> None:
    """Measure one side, or both in processes of their own and print a table."""
    if FLAGS.side:
        arrays, measure = data(), {"ours": ours, "peer": peer}[FLAGS.side]
        measure(arrays[0][:200], arrays[1][:200])
        before = new_peak()
        start, used = time.perf_counter(), time.process_time()
        found = measure(*arrays)
        used = time.process_time() - used
        print(json.dumps([used, time.perf_counter() - start, peak() - before, found]))
        return
    best = {}
    for _ in range(FLAGS.rounds):
        for side in ("peer", "ours"):
            command = [sys.executable, *sys.argv, f"--side={side}"]
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            best[side] = min(json.loads(lines.splitlines()[-1]), best.get(side, [np.inf]))
    keys = [*best["ours"][-1]]
    table = [
        [name, f"{used:.1f}", f"{used / best['peer'][0]:.2f}", f"{seconds:.1f}", f"{memory:.2f}"]
        + [f"{found[key]:.4f}" if key in found else "-" for key in keys]
        for name, (used, seconds, memory, found) in best.items()
    ]
    print(f"{FLAGS.rows} rows of {FLAGS.dim} numbers, {FLAGS.classes} classes")
    print(format_table(["", "CPU s", "of the peer's", "s", "GiB more", *keys], table))


if __name__ == "__main__":
    app.run(main)
