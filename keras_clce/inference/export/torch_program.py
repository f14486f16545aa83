"""Programs of `torch.export`: written by Keras, with metadata as torch's extra files."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import keras

from keras_clce import backend
from keras_clce.checks import import_module
from keras_clce.inference.export.base import Runner
from keras_clce.inference.export.serving import OUTPUTS

CODE = """
import torch

known = {"class_names": "", "preprocessing": ""}
model = torch.export.load(FILE, extra_files=known).module()
---
with torch.no_grad():
    outputs = model(torch.from_numpy(pixels))
probabilities, embedding = outputs["probabilities"].numpy(), outputs["embedding"].numpy()
"""


def write(model: keras.Model, path: Path) -> None:
    """Write the file, with a free batch size."""
    options = backend.free_batch_options("torch")
    model.export(path, format="torch", verbose=False, **options)


def describe(path: Path, metadata: Mapping[str, str]) -> None:
    """Write metadata into the file, and leave out what nobody needs.

    Keras's variables get into a program as constants and once more as parameters that nothing
    reads, which doubles the file; and each operation has the paths of the code that it comes from.

    Reference:
        - [PyTorch issue 163303](https://github.com/pytorch/pytorch/issues/163303); what empties the
          parameters can be deleted when it is closed
    """
    torch = _torch()
    program = torch.export.load(path)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    read = {node.name for node in program.graph.nodes if node.users}
    for name, parameter in program.graph_signature.inputs_to_parameters.items():
        if name not in read:
            program.state_dict[parameter] = torch.nn.Parameter(torch.empty(0))
    torch.export.save(program, path, extra_files=dict(metadata))


def open_file(path: Path) -> Runner:
    """Open the file in torch."""
    torch = _torch()
    program = torch.export.load(path).module()

    def run(images):
        with torch.no_grad():
            outputs = program(torch.from_numpy(images))
        return {name: outputs[name].numpy() for name in OUTPUTS}

    return run


def _torch() -> ModuleType:
    return import_module("torch", "Running a program of torch", '"keras-clce[torch]"')
