"""Programs of `torch.export`: written by Keras, with metadata as torch's extra files."""

from pathlib import Path

import keras

from keras_clce import backend
from keras_clce.inference.export.base import Runner
from keras_clce.inference.export.serving import OUTPUTS

CODE = backend.TORCH_PROGRAM_CODE
describe = backend.describe_torch_program


def write(model: keras.Model, path: Path) -> None:
    """Write the file, with a free batch size."""
    options = backend.free_batch_options("torch")
    model.export(path, format="torch", verbose=False, **options)


def open_file(path: Path) -> Runner:
    """Open the file in torch."""
    return backend.open_torch_program(path, OUTPUTS)
