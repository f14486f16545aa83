"""Folders of TensorFlow's SavedModel: written by Keras, with metadata in `assets.extra`."""

from collections.abc import Mapping
from pathlib import Path

import keras

from keras_clce.data.installed import tensorflow
from keras_clce.inference.export.base import Runner
from keras_clce.inference.export.serving import OUTPUTS

# TensorFlow's own name of a folder for what goes along with a model.
FOLDER = "assets.extra"

CODE = """
import pathlib

import tensorflow as tf

model = tf.saved_model.load(FILE)
known = {path.name: path.read_text() for path in pathlib.Path(FILE, "assets.extra").iterdir()}
---
outputs = model.serve(pixels)
probabilities, embedding = outputs["probabilities"].numpy(), outputs["embedding"].numpy()
"""


def write(model: keras.Model, path: Path) -> None:
    """Write the folder."""
    model.export(path, format="tf_saved_model", verbose=False)


def describe(path: Path, metadata: Mapping[str, str]) -> None:
    """Write each text into a file of its own."""
    (path / FOLDER).mkdir()
    for name, value in metadata.items():
        (path / FOLDER / name).write_text(value, encoding="utf-8")


def open_file(path: Path) -> Runner:
    """Open the folder in TensorFlow."""
    loaded = tensorflow("Running a SavedModel").saved_model.load(str(path))

    def run(images):
        outputs = loaded.serve(images)
        return {name: outputs[name].numpy() for name in OUTPUTS}

    return run
