r"""CPU time of a training step per kind of layer: Keras's operations against this package's.

    KERAS_BACKEND=jax python benchmarks/fast_operations.py

Each row is a small model of three such layers, once as Keras computes it and once with
`fast_operations`. Both take turns, and the medians are compared, in seconds of all cores, which
other work on the machine hardly changes. Where the ratio is 1, the function behind the row can be
deleted on that backend. `loop` is the same convolution within `gradient_cache_size`, where JAX
loops over chunks.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import time
from unittest import mock

import keras
import numpy as np
from absl import app, flags

from keras_clce import CLCEModel
from keras_clce.backend import backend_name
from keras_clce.models import fast_operations

flags.DEFINE_integer("batch_size", 16, "Images per step.", 4)
flags.DEFINE_integer("image_size", 28, "Pixels a side.", 8)
flags.DEFINE_integer("channels", 64, "Channels.", 1)
flags.DEFINE_integer("steps", 3, "Steps per round.", 1)
flags.DEFINE_integer("rounds", 5, "Rounds.", 1)
FLAGS = flags.FLAGS

LAYERS = {
    "3x3 convolution": lambda: keras.layers.Conv2D(FLAGS.channels, 3, padding="same"),
    "1x1 convolution": lambda: keras.layers.Conv2D(FLAGS.channels, 1),
    "depthwise convolution": lambda: keras.layers.DepthwiseConv2D(3, padding="same"),
    "max pooling": lambda: keras.layers.MaxPooling2D(3, strides=1, padding="same"),
    "average pooling": lambda: keras.layers.AveragePooling2D(3, strides=1, padding="same"),
    "batch normalization": keras.layers.BatchNormalization,
    "layer normalization": keras.layers.LayerNormalization,
}


def trained_step(make_layer, images, labels, chunked):
    """A compiled model and the function that runs some steps of it."""
    inputs = keras.Input(images.shape[1:])
    # Before what is measured, for gradients to go through it.
    x = keras.layers.Dense(FLAGS.channels)(inputs)
    for _ in range(3):
        x = make_layer()(x)
    model = CLCEModel(keras.Model(inputs, x), 10)
    size = FLAGS.batch_size // 4 if chunked else None
    model.compile("sgd", "ce", gradient_cache_size=size)

    def steps():
        for _ in range(FLAGS.steps):
            model.train_on_batch(images, labels)

    return steps


def main(_) -> None:
    """Time both and print a table."""
    rng = np.random.default_rng(0)
    shape = (FLAGS.batch_size, FLAGS.image_size, FLAGS.image_size, 3)
    images = rng.normal(size=shape).astype("float32")
    labels = rng.integers(0, 10, FLAGS.batch_size)
    print(f"{backend_name()}, {FLAGS.batch_size} images of {FLAGS.image_size} px")
    print(f"{'layer':<24}{'Keras, s':>10}{'ours, s':>10}{'Keras / ours':>14}")
    for name in [*LAYERS, "3x3 convolution, loop", "1x1 convolution, loop"]:
        make_layer = LAYERS[name.removesuffix(", loop")]
        ours = trained_step(make_layer, images, labels, name.endswith("loop"))
        theirs = trained_step(make_layer, images, labels, name.endswith("loop"))
        seconds = {"ours": [], "theirs": []}
        for number in range(FLAGS.rounds + 1):
            began = time.process_time()
            ours()
            between = time.process_time()
            with mock.patch.dict(fast_operations._WAYS, clear=True):
                theirs()
            if number:  # the first round compiles
                seconds["ours"].append((between - began) / FLAGS.steps)
                seconds["theirs"].append((time.process_time() - between) / FLAGS.steps)
        keras_s, ours_s = (statistics.median(seconds[who]) for who in ("theirs", "ours"))
        ratio = keras_s / ours_s
        print(f"{name:<24}{keras_s:>10.3f}{ours_s:>10.3f}{ratio:>14.2f}", flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    app.run(main)
