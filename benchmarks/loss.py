r"""Time and memory of the contrastive loss, forward and backward, beside other people's.

    python benchmarks/loss.py
    python benchmarks/loss.py --rows 4096,8192 --backends torch

Ours is LACLN, on each backend; the others are SupCon, which has less to compute:
pytorch-metric-learning's `SupConLoss` and SupContrast's loss (written anew from its mathematics),
both on torch, and a plain one on Keras as people write it. Every candidate lives in a process of
its own and they take turns. Memory is what the process grew by, at its peak. The others keep tables
of all pairs, so they stop at `--largest_table` rows. Needs
`pip install -r requirements-test.txt`.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics

import numpy as np
from absl import app, flags
from workers import Worker, serve

from keras_clce.report import format_table

BACKENDS = ("tensorflow", "jax", "torch")
PEERS = {"pml": "torch", "supcontrast": "torch"}
DIM, IMAGES_PER_CLASS, TEMPERATURE = 128, 32, 0.1

flags.DEFINE_list("rows", [str(2**power) for power in range(8, 17)], "Rows of a batch.")
flags.DEFINE_multi_enum("backends", BACKENDS, BACKENDS, "Backends of ours and of the plain one.")
flags.DEFINE_integer("largest_table", 16384, "Rows that tables of all pairs are tried for.")
flags.DEFINE_integer("rounds", 3, "Rounds.", 1)
flags.DEFINE_string("candidate", None, "Used by the benchmark itself, for its processes.")
FLAGS = flags.FLAGS


def main(_) -> None:
    """Start the candidates, let them take turns at each size, print a table and exponents."""
    if FLAGS.candidate:
        serve({str(rows): step(FLAGS.candidate, rows) for rows in map(int, FLAGS.rows)})
        return
    candidates = {f"{kind}, {b}": b for b in FLAGS.backends for kind in ("ours", "plain")}
    candidates |= PEERS
    rows = [f"--rows={','.join(FLAGS.rows)}"]
    workers = {
        name: Worker([f"--candidate={name.split(',')[0]}", *rows], {"KERAS_BACKEND": backend})
        for name, backend in candidates.items()
    }
    seconds = {name: {} for name in workers}
    memory = {name: {} for name in workers}
    for size in sorted(map(int, FLAGS.rows)):
        taking_part = [n for n in workers if n.startswith("ours") or size <= FLAGS.largest_table]
        for name in taking_part:
            workers[name].ask(str(size))
        rounds = [
            {name: workers[name].ask(str(size)) for name in taking_part}
            for _ in range(FLAGS.rounds)
        ]
        table = []
        for name in taking_part:
            seconds[name][size] = statistics.median(times[name] for times in rounds)
            memory[name][size] = workers[name].ask("growth")
            to_pml = "-"
            if "pml" in taking_part:
                to_pml = f"{statistics.median(t[name] / t['pml'] for t in rounds):.2f}"
            table.append([name, f"{seconds[name][size]:.3f}", to_pml, f"{memory[name][size]:.2f}"])
        print(f"\n{size} rows of {DIM}")
        print(format_table(["candidate", "seconds", "/pml", "peak GiB"], table), flush=True)
    print("\nGrowth with the rows N, from 4,096 on: time ~ N^a, memory ~ N^b")
    table = [[name, exponent(seconds[name]), exponent(memory[name])] for name in workers]
    print(format_table(["candidate", "a", "b"], table))
    for worker in workers.values():
        worker.stop()


def exponent(values: dict[int, float]) -> str:
    """Slope of the logarithms, of sizes at which constants do not matter any more."""
    sizes = [size for size in values if size >= 4096 and values[size] > 0]
    if len(sizes) < 2:
        return "-"
    slope, _ = np.polyfit(np.log(sizes), np.log([values[size] for size in sizes]), 1)
    return f"{slope:.2f}"


def step(candidate: str, rows: int):
    """A function of no argument: the loss of a batch and its gradient by the embeddings."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, DIM)).astype("float32")
    labels = rng.integers(0, max(2, rows // IMAGES_PER_CLASS), rows).astype("int32")
    if candidate in PEERS:
        return torch_step({"pml": pml, "supcontrast": supcontrast}[candidate](), labels, x)
    import keras

    from keras_clce import LACLNLoss

    loss = LACLNLoss(TEMPERATURE) if candidate == "ours" else plain
    build = {"tensorflow": tensorflow_step, "jax": jax_step, "torch": torch_step}
    return build[keras.backend.backend()](loss, labels, x)


# === The losses of others, `loss(labels, embeddings)` ===


def pml():
    """pytorch-metric-learning's."""
    from pytorch_metric_learning.losses import SupConLoss

    loss = SupConLoss(TEMPERATURE)
    return lambda labels, x: loss(x, labels)


def supcontrast():
    """The formula of SupContrast, with its temperature ratio of 1, one view a row."""
    import torch

    def loss(labels, x):
        x = torch.nn.functional.normalize(x)
        logits = x @ x.T / TEMPERATURE
        logits = logits - logits.max(dim=1, keepdim=True).values.detach()
        others = 1 - torch.eye(len(x))
        positives = (labels[:, None] == labels[None, :]).float() * others
        log_probabilities = logits - (logits.exp() * others).sum(1, keepdim=True).log()
        count = positives.sum(1).clamp(min=1)
        return -((positives * log_probabilities).sum(1) / count).mean()

    return loss


def plain(labels, x):
    """The same on Keras, as it is usually written."""
    from keras import ops

    x = ops.normalize(x)
    logits = ops.matmul(x, ops.transpose(x)) / TEMPERATURE
    others = 1.0 - ops.eye(x.shape[0])
    same = ops.cast(ops.expand_dims(labels, 1) == ops.expand_dims(labels, 0), "float32")
    positives = same * others
    log_probabilities = logits - ops.logsumexp(logits - 1e9 * (1.0 - others), axis=1, keepdims=True)
    count = ops.maximum(ops.sum(positives, axis=1), 1.0)
    return -ops.mean(ops.sum(positives * log_probabilities, axis=1) / count)


# === Steps of each backend, compiled as Keras compiles training ===


def torch_step(loss, labels, x):
    """Eager, as Keras and everybody on torch trains."""
    import torch

    labels, x = torch.from_numpy(labels), torch.from_numpy(x).requires_grad_()

    def step():
        x.grad = None
        loss(labels, x).backward()

    return step


def tensorflow_step(loss, labels, x):
    """A tf.function."""
    import tensorflow as tf

    @tf.function
    def gradient(labels, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(labels, x)
        return tape.gradient(value, x)

    return lambda: gradient(tf.constant(labels), tf.constant(x)).numpy()


def jax_step(loss, labels, x):
    """Under jax.jit."""
    import jax

    gradient = jax.jit(jax.grad(lambda x, labels: loss(labels, x)))
    return lambda: gradient(x, labels).block_until_ready()


if __name__ == "__main__":
    app.run(main)
