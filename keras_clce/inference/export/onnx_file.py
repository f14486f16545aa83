"""ONNX files: written by Keras, named by onnx, quantised and run by ONNX Runtime."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from keras_clce.inference.export.base import Calibration, Runner, extra
from keras_clce.inference.export.serving import INPUT, OUTPUTS

# What most of the time goes into; the heads' few sums and norms stay in float32. Without the
# activations a convolution's range would be that before its ReLU: on photographs of flowers an
# EfficientNet-Lite0 then lost 6 points of accuracy in place of 1.
_QUANTIZED = (
    *("Conv", "Relu", "Clip", "Gemm", "MatMul"),
    *("Add", "AveragePool", "MaxPool", "GlobalAveragePool"),
)

CODE = """
import onnxruntime

session = onnxruntime.InferenceSession(FILE, providers=["CPUExecutionProvider"])
known = session.get_modelmeta().custom_metadata_map
---
embedding, logits, probabilities = session.run(None, {"images": pixels})
"""


def write(model: keras.Model, path: Path) -> None:
    """Write the file, with a free batch size and named outputs."""
    onnx = _onnx()
    # Without it Keras wants the model to have been called.
    signature = [keras.InputSpec(shape=model.input_shape, dtype="uint8", name=INPUT)]
    model.export(path, format="onnx", verbose=False, input_signature=signature)
    graph = (file := onnx.load(path)).graph
    # Of torch's exporter outputs have numbers, in the order of Keras's: by name.
    renamed = dict(zip([output.name for output in graph.output], OUTPUTS, strict=True))
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    for value in graph.output:
        value.name = renamed[value.name]
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    # Shapes of what lies between bear the old names, and runtimes infer them.
    del graph.value_info[:]
    onnx.save(file, path)


def describe(path: Path, metadata: Mapping[str, str]) -> None:
    """Write metadata into the file."""
    onnx = _onnx()
    onnx.helper.set_model_props(file := onnx.load(path), dict(metadata))
    onnx.save(file, path)


def open_file(path: Path) -> Runner:
    """Open the file in ONNX Runtime."""
    session = extra("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: dict(zip(OUTPUTS, session.run([*OUTPUTS], {INPUT: images}), strict=True))


def quantize(source: Path, path: Path, calibration: Calibration) -> None:
    """Write a copy of a file whose convolutions or products of matrices are of 8-bit numbers.

    Of convolutional models activations have fixed ranges, found on photographs; of transformers,
    whose activations vary more, each batch has its own. That is what ONNX Runtime advises.

    Args:
        source: The file in float32.
        path: The file to write.
        calibration: The photographs.

    Reference:
        - [ONNX Runtime](https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html)
    """
    quantization = extra("onnxruntime.quantization")
    prepared = path.with_name(f"prepared-{path.name}")
    # Folds normalizations into convolutions and infers shapes.
    quantization.shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
    int8 = quantization.QuantType.QInt8
    if calibration.static:
        quantization.quantize_static(
            prepared,
            path,
            _reader(quantization, calibration.views),
            op_types_to_quantize=[*_QUANTIZED],
            activation_type=quantization.QuantType.QUInt8,
            weight_type=int8,
            per_channel=True,
        )
    else:
        quantization.quantize_dynamic(
            prepared, path, ["MatMul", "Gemm"], per_channel=True, weight_type=int8
        )
    prepared.unlink()


def _reader(quantization: ModuleType, views: np.ndarray) -> Any:
    """The photographs one after another, as ONNX Runtime wants them."""

    # Of a module that is imported when it is needed.
    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def __init__(self) -> None:
            self.batches = iter(views[:, None])

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: batch}

    return Reader()


def _onnx() -> ModuleType:
    return extra("onnx")
