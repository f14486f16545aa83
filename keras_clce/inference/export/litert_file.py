"""LiteRT files: written by Keras, and metadata after them, as an archive in the same file."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_clce.data.installed import tensorflow
from keras_clce.inference.export.base import Calibration, Runner, extra
from keras_clce.inference.export.serving import INPUT, OUTPUTS

CODE = """
import zipfile

from ai_edge_litert.interpreter import Interpreter

run = Interpreter(FILE).get_signature_runner()
with zipfile.ZipFile(FILE) as archive:  # metadata stand behind the model, as an archive
    known = {name: archive.read(name) for name in archive.namelist()}
---
outputs = run(images=pixels)
probabilities, embedding = outputs["probabilities"], outputs["embedding"]
"""


def write(model: keras.Model, path: Path, calibration: Calibration | None = None) -> None:
    """Write the file, of 8-bit numbers where there are photographs to find their ranges on."""
    tf = tensorflow("Exporting to LiteRT")
    # Operations of TensorFlow's own would need more than LiteRT to run.
    options: dict[str, Any] = {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}
    if calibration is not None:
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
        if calibration.static:
            options["representative_dataset"] = lambda: (
                {INPUT: view} for view in calibration.views[:, None]
            )
    model.export(path, format="litert", verbose=False, **options)


def describe(path: Path, metadata: Mapping[str, str]) -> None:
    """Write each text into the archive at the end of the file, where LiteRT passes over it."""
    with zipfile.ZipFile(path, "a") as archive:
        for name, value in metadata.items():
            archive.writestr(name, value)


def open_file(path: Path) -> Runner:
    """Open the file in LiteRT."""
    run = extra("ai_edge_litert.interpreter").Interpreter(str(path)).get_signature_runner()

    def outputs(images):
        found = run(**{INPUT: images})
        return {name: found[name] for name in OUTPUTS}

    return outputs
