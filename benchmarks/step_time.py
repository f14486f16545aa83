r"""Seconds a training step: plain Keras against `CLCEModel`, same encoder and images.

    KERAS_BACKEND=tensorflow python benchmarks/step_time.py
    KERAS_BACKEND=jax python benchmarks/step_time.py --backbone small_resnet --image_size 32 \
        --steps 40

(a) `keras.Model.fit`, cross-entropy on a batch of 2B images; (b) `CLCEModel` with cross-entropy
alone on B pairs of views; (c) `CLCEModel` with CLCE. The three take turns, several rounds, and the
medians are compared, so that a drift of the machine's speed reaches all three alike.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import time

import keras
import numpy as np
from absl import app, flags

from keras_clce import CLCELoss, CLCEModel
from keras_clce.backend import backend_name
from keras_clce.models.backbones import build_backbone
from keras_clce.report import format_table

flags.DEFINE_string("backbone", "efficientnet_lite0", "Encoder.")
flags.DEFINE_integer("image_size", 96, "Pixels a side.")
flags.DEFINE_integer("batch_size", 64, "Images B; a step takes 2B.", 2)
flags.DEFINE_integer("num_classes", 102, "Classes.", 2)
flags.DEFINE_integer("steps", 4, "Steps a round, one epoch.", 1)
flags.DEFINE_integer("rounds", 5, "Rounds.", 1)
FLAGS = flags.FLAGS


def main(_) -> None:
    """Time the three and print a table."""
    size, batch = FLAGS.image_size, FLAGS.batch_size
    rng = np.random.default_rng(0)
    shape = (batch * FLAGS.steps, size, size, 3)
    views = [rng.uniform(0, 255, shape).astype("float32") for _ in range(2)]
    labels = rng.integers(0, FLAGS.num_classes, len(views[0]))
    stacked = np.concatenate(views), np.concatenate([labels, labels])

    backbone = build_backbone(FLAGS.backbone, image_size=size)
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    logits = keras.layers.Dense(FLAGS.num_classes)(pooled)
    plain = keras.Model(backbone.input, logits)
    plain.compile(
        keras.optimizers.AdamW(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    candidates = {"(a) Keras, cross-entropy on 2B": (plain, stacked, 2 * batch)}
    for name, weight in (("(b) CLCEModel, ce", 0.0), ("(c) CLCEModel, clce", 0.9)):
        model = CLCEModel.from_backbone(FLAGS.backbone, FLAGS.num_classes, image_size=size)
        model.compile(keras.optimizers.AdamW(1e-3), CLCELoss(weight), metrics=["accuracy"])
        candidates[name] = (model, (tuple(views), labels), batch)

    seconds = {name: [] for name in candidates}
    for round_number in range(FLAGS.rounds + 1):
        for name, (model, (x, y), rows) in candidates.items():
            started = time.perf_counter()
            model.fit(x, y, batch_size=rows, shuffle=False, verbose=0)
            # The first round compiles.
            if round_number:
                seconds[name].append((time.perf_counter() - started) / FLAGS.steps)
    base = seconds[next(iter(seconds))]
    rows = []
    for name, values in seconds.items():
        ratios = [value / other for value, other in zip(values, base, strict=True)]
        rows.append(
            [
                name,
                f"{statistics.median(values):.3f}",
                f"{min(values):.3f}-{max(values):.3f}",
                f"{statistics.median(ratios):.3f}",
            ]
        )
    print(f"{backend_name()}: {FLAGS.backbone}, {size} px, {2 * batch} images a step")
    print(format_table(["step", "median s", "range s", "median ratio to (a)"], rows))


if __name__ == "__main__":
    app.run(main)
