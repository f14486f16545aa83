"""The formats that models are exported to, a row each."""

import dataclasses
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

from keras_clce import backend
from keras_clce.data.installed import tensorflow
from keras_clce.inference.export import (
    litert_file,
    onnx_file,
    openvino_file,
    saved_model,
    torch_program,
)
from keras_clce.inference.export.base import EXTRA, Calibration, Runner


@dataclasses.dataclass(frozen=True)
class ExportFormat:
    """A format of exported files.

    Args:
        name: Its name.
        keras_name: What `keras.Model.export` calls it.
        suffix: Of the file; `""` of a folder.
        write: Function from the model and a path that writes the file.
        describe: Function from a path and texts by name that adds the texts to the file.
        open_file: Function from a path to what runs the file.
        runtime: The package that runs it.
        writers: Packages that writing takes, by backend. Defaults to none.
        code: Code that opens a file, then `---`, then code that runs it on `pixels`.
        int8: How it gets 8-bit numbers: `"file"` where `quantize` makes them from the written file,
            `"write"` where `write` takes a `Calibration`, `"layers"` where Keras quantises dense
            layers before, `None` where it cannot. Defaults to `None`.
        quantize: Function from a file, a path and a `Calibration`. Defaults to `None`.
        named: Whether outputs are written as a dict. Defaults to `True`.

    Example:
    ```python
    FORMATS["onnx"].suffix  # ".onnx"
    ```
    """

    name: str
    keras_name: str
    suffix: str
    write: Callable[..., None]
    describe: Callable[[Path, Mapping[str, str]], None]
    open_file: Callable[[Path], Runner]
    runtime: str
    code: str
    writers: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    int8: str | None = None
    quantize: Callable[[Path, Path, Calibration], None] | None = None
    named: bool = True

    def check_backend(self) -> None:
        """Refuse the format where the backend that runs cannot write it.

        Raises:
            ValueError: With the backends that can.
            ImportError: If a package is not installed, with the command that installs it.

        Example:
        ```python
        FORMATS["onnx"].check_backend()
        ```
        """
        able = backend.backends_that_export(self.keras_name)
        running = backend.backend_name()
        if running not in able:
            raise ValueError(
                f"`format` {self.name} needs KERAS_BACKEND={' or KERAS_BACKEND='.join(able)}; "
                "saved models are the same on all backends. Received: "
                f"format={self.name!r} with KERAS_BACKEND={running}"
            )
        if self.keras_name in ("tf_saved_model", "litert"):
            tensorflow(f"Exporting to {self.name}")
        for package in self.writers.get(running, ()):
            if importlib.util.find_spec(package) is None:
                raise ImportError(
                    f"Exporting to {self.name} with KERAS_BACKEND={running} needs {package}, which "
                    f"is not installed. Install it with: pip install {EXTRA}",
                    name=package,
                )

    def has_runtime(self) -> bool:
        """Whether the package that runs its files is installed.

        Example:
        ```python
        FORMATS["onnx"].has_runtime()  # True
        ```
        """
        return importlib.util.find_spec(self.runtime) is not None


def _rows() -> tuple[ExportFormat, ...]:
    def parts(module):
        return {
            "write": module.write,
            "describe": module.describe,
            "open_file": module.open_file,
            "code": module.CODE,
        }

    return (
        ExportFormat(
            "saved_model",
            "tf_saved_model",
            "",
            runtime="tensorflow",
            int8="layers",
            **parts(saved_model),
        ),
        ExportFormat(
            "onnx",
            "onnx",
            ".onnx",
            runtime="onnxruntime",
            writers={"tensorflow": ("onnx", "tf2onnx"), "torch": ("onnx",)},
            int8="file",
            quantize=onnx_file.quantize,
            **parts(onnx_file),
        ),
        ExportFormat(
            "openvino",
            "openvino",
            ".xml",
            runtime="openvino",
            named=False,
            writers={"tensorflow": ("openvino",), "torch": ("openvino",)},
            **parts(openvino_file),
        ),
        ExportFormat(
            "litert",
            "litert",
            ".tflite",
            runtime="ai_edge_litert",
            int8="write",
            **parts(litert_file),
        ),
        ExportFormat(
            "torch", "torch", ".pt2", runtime="torch", int8="layers", **parts(torch_program)
        ),
    )


FORMATS = {row.name: row for row in _rows()}


def find_format(name: str) -> ExportFormat:
    """The row of a format.

    Args:
        name: Its name.

    Returns:
        The row.

    Raises:
        ValueError: If there is none of that name.

    Example:
    ```python
    find_format("torch").suffix  # ".pt2"
    ```
    """
    if name not in FORMATS:
        raise ValueError(
            f"`format` must be one of: {', '.join(FORMATS)}. Received: format={name!r}"
        )
    return FORMATS[name]
