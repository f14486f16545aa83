"""Time and memory of `isotropy_score` beside the plain formula, which keeps a table of all rows.

    python benchmarks/isotropy.py
    python benchmarks/isotropy.py --rows 1000000 --dim 768

Each has a process of its own. Rows are random, on the unit sphere, in float32. Memory is what the
process grew by beside the embeddings themselves, at its peak. The plain formula stops at
`--largest_table` rows.
"""

import numpy as np
from absl import app, flags
from workers import Worker, serve

from keras_clce.evaluate import isotropy_score
from keras_clce.report import format_table

flags.DEFINE_list("rows", ["10000", "100000", "1000000"], "Rows.")
flags.DEFINE_integer("dim", 768, "Dimension.")
flags.DEFINE_integer("largest_table", 100_000, "Rows that the plain formula is tried for.")
flags.DEFINE_string("candidate", None, "Used by the benchmark itself, for its processes.")
FLAGS = flags.FLAGS


def main(_) -> None:
    """Start a process for each candidate and size, one after another, and print a table."""
    if FLAGS.candidate:
        name, rows = FLAGS.candidate.split(",")
        embeddings = unit_rows(int(rows), FLAGS.dim)
        score = {"ours": isotropy_score, "plain": plain}[name]
        serve({"score": lambda: score(embeddings)})
        return
    table = []
    for rows in FLAGS.rows:
        for name in ("ours", "plain"):
            if name == "plain" and int(rows) > FLAGS.largest_table:
                continue
            worker = Worker([f"--candidate={name},{rows}", f"--dim={FLAGS.dim}"])
            seconds = worker.ask("score")
            table.append([rows, name, f"{seconds:.1f}", f"{worker.ask('growth'):.2f}"])
            worker.stop()
            print(format_table(["rows", "candidate", "seconds", "peak GiB"], table), flush=True)


def plain(embeddings: np.ndarray) -> float:
    """The formula as it stands."""
    embeddings = embeddings.astype("float64")
    _, directions = np.linalg.eigh(embeddings.T @ embeddings)
    partition = np.exp(embeddings @ np.concatenate([directions, -directions], axis=1)).sum(axis=0)
    return float(partition.min() / partition.max())


def unit_rows(rows: int, dim: int) -> np.ndarray:
    """Random directions around one, a few at a time."""
    rng, embeddings = np.random.default_rng(0), np.empty((rows, dim), np.float32)
    for start in range(0, rows, 10_000):
        part = embeddings[start : start + 10_000]
        part[:] = rng.standard_normal(part.shape, np.float32) + 0.1
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return embeddings


if __name__ == "__main__":
    app.run(main)
