"""OpenVINO files, `.xml` with the `.bin` of the same name: written by Keras, run by OpenVINO."""

from collections.abc import Mapping
from pathlib import Path

import keras

from keras_clce.inference.export.base import Runner, extra
from keras_clce.inference.export.serving import INPUT, OUTPUTS

CODE = """
import openvino

network = openvino.Core().read_model(FILE)
known = network.get_rt_info("model_info")
# Without the hint processors that have half precision use it.
network = openvino.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
---
outputs = network(pixels)
probabilities, embedding = outputs["probabilities"], outputs["embedding"]
"""

# Where OpenVINO's own tools keep labels and the like.
GROUP = "model_info"


def write(model: keras.Model, path: Path) -> None:
    """Write both files, with a free batch size and named outputs; outputs have to be a list."""
    openvino = extra("openvino")
    raw = path.with_name(f"raw-{path.name}")
    model.export(str(raw), format="openvino", verbose=False)
    network = openvino.Core().read_model(raw)
    network.inputs[0].tensor.set_names({INPUT})
    # From torch all sides are free.
    network.reshape([-1, *model.input_shape[1:]])
    for output, name in zip(network.outputs, OUTPUTS, strict=True):
        output.tensor.set_names({name})
    openvino.save_model(network, path, compress_to_fp16=False)
    # The network maps its weights from the file.
    del network
    raw.unlink()
    raw.with_suffix(".bin").unlink()


def describe(path: Path, metadata: Mapping[str, str]) -> None:
    """Write metadata into the `.xml` file."""
    openvino = extra("openvino")
    network = openvino.Core().read_model(path)
    for name, value in metadata.items():
        network.set_rt_info(value, [GROUP, name])
    described = path.with_name(f"described-{path.name}")
    openvino.save_model(network, described, compress_to_fp16=False)
    del network
    for suffix in (".xml", ".bin"):
        described.with_suffix(suffix).replace(path.with_suffix(suffix))


def open_file(path: Path) -> Runner:
    """Open the files in OpenVINO."""
    openvino = extra("openvino")
    # Some processors would compute in half precision unless told.
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    network = openvino.Core().compile_model(path, "CPU", options)

    def run(images):
        outputs = network(images)
        return {name: outputs[name] for name in OUTPUTS}

    return run
