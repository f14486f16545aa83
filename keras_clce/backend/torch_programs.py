"""Files of `torch.export`, which torch alone reads, whichever backend runs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from keras_clce.checks import import_module

# What `open_torch_program` does, as users read it: to open a file, and to run it on `pixels`.
TORCH_PROGRAM_CODE = """
import torch

known = {"class_names": "", "preprocessing": ""}
model = torch.export.load(FILE, extra_files=known).module()
---
with torch.no_grad():
    outputs = model(torch.from_numpy(pixels))
probabilities, embedding = outputs["probabilities"].numpy(), outputs["embedding"].numpy()
"""


def describe_torch_program(path: Path, metadata: Mapping[str, str]) -> None:
    """Write metadata into a program, and leave out what nobody needs.

    Keras's variables get into a program as constants and once more as parameters that nothing
    reads, which doubles the file; and each operation has the paths of the code that it comes from.

    Args:
        path: A file of `keras.Model.export(format="torch")`, which is written anew.
        metadata: Texts by name, which `torch.export.load` gives back as `extra_files`.

    Raises:
        ImportError: If torch is not installed.

    Reference:
        - [PyTorch issue 163303](https://github.com/pytorch/pytorch/issues/163303); what empties the
          parameters can be deleted when it is closed

    Example:
    ```python
    import torch

    program = torch.export.export(torch.nn.Identity(), (torch.zeros(2, 3),))
    torch.export.save(program, "model.pt2")
    describe_torch_program(Path("model.pt2"), {"class_names": '["daisy", "rose"]'})
    known = {"class_names": ""}
    torch.export.load("model.pt2", extra_files=known)
    known["class_names"]  # '["daisy", "rose"]'
    ```
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


def open_torch_program(
    path: Path, outputs: Sequence[str]
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Open a program for images in NumPy's arrays.

    Args:
        path: A file of `keras.Model.export(format="torch")`.
        outputs: Names of the outputs to give back.

    Returns:
        A function from uint8 images `(batch, size, size, 3)` to the outputs by name.

    Raises:
        ImportError: If torch is not installed.

    Example:
    ```python
    import torch

    class Mean(torch.nn.Module):
        def forward(self, images):
            return {"embedding": images.float().mean((1, 2))}

    example = torch.zeros((2, 32, 32, 3), dtype=torch.uint8)
    torch.export.save(torch.export.export(Mean(), (example,)), "model.pt2")
    run = open_torch_program(Path("model.pt2"), ["embedding"])
    run(np.zeros((2, 32, 32, 3), "uint8"))["embedding"].shape  # (2, 3)
    ```
    """
    torch = _torch()
    program = torch.export.load(path).module()

    def run(images):
        with torch.no_grad():
            found = program(torch.from_numpy(images))
        return {name: found[name].numpy() for name in outputs}

    return run


def _torch() -> ModuleType:
    return import_module("torch", "Running a program of torch", '"keras-clce[torch]"')
