"""A family of encoders in one file, as `keras_clce/models/families` has them."""

import keras

from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout
from keras_clce.models.from_checkpoint import build_from_checkpoint
from keras_clce.models.pixels import SIGNED
from keras_clce.models.spec import DepthGroups, make_row
from keras_clce.models.weights import TENSOR_FILES, Weights

LAYOUT = Layout(
    title="the toy's authors",
    marks=("root.weight",),
    parts={r"root": r"root", r"unit(\d)_dense": r"units.\1"},
    leaves=TORCH_LEAVES,
    dropped=r"head\..*",
)


def build(row, image_size, weights, *, units):
    return build_from_checkpoint(row, image_size, weights, graph, {"units": units})


def graph(images, units):
    x = keras.layers.GlobalAveragePooling2D(name="pool")(images)
    x = keras.layers.Dense(4, name="root")(x)
    for unit in range(units):
        x = keras.layers.Dense(4, activation="relu", name=f"unit{unit}_dense")(x)
    return x


ROWS = (
    make_row(
        "toy",
        "a few dense layers",
        build,
        32,
        0.0001,
        sizes={"units": 2},
        pixels=SIGNED,
        weights=Weights(files=TENSOR_FILES),
        layouts=(LAYOUT,),
        depth_groups=DepthGroups(stem="root", block=r"unit(\d)_"),
    ),
)
