"""Export of a model to a file that other programs run, checked against Keras and described."""

import dataclasses
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from keras_clce import backend
from keras_clce.checks import as_array, check_whole_number
from keras_clce.files import write_json
from keras_clce.inference.descriptions import names_of_classes, preprocessing_of
from keras_clce.inference.export.base import Calibration, Runner
from keras_clce.inference.export.formats import FORMATS, ExportFormat, find_format
from keras_clce.inference.export.int8 import Measured, measure, read_photographs, size_of
from keras_clce.inference.export.serving import (
    OUTPUTS,
    copied,
    in_float32,
    is_convolutional,
    served,
)
from keras_clce.inference.export.usage import usage_code
from keras_clce.train import CLCEModel

# A file that differs more from Keras is not kept. Those that tests run differ by some 1e-6.
MOST_DIFFERENCE = 1e-3


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """A file that `export_model` wrote.

    Args:
        path: The file or folder.
        format: Its format.
        metadata: What it says of itself, JSON by name: `"class_names"`, a list, and
            `"preprocessing"`, a dict of `image_size`, `crop_fraction` and `interpolation`.
        difference: Largest difference of an output to Keras's, of logits relative to their size;
            of an int8 file before it became one. `None` where its runtime is not installed.
        before: With int8, what the file in float32 did with photographs. Defaults to `None`.
        after: What the int8 file does with them. Defaults to `None`.
        photographs: With int8, how many ranges were found on, how many both files were measured on,
            and how many could not be read. Defaults to `None`.

    Example:
    ```python
    exported = export_model(model, "model.onnx", "onnx")
    exported.difference < 1e-4  # True
    print(exported.code)  # a program without this package
    ```
    """

    path: Path
    format: str
    metadata: dict[str, str]
    difference: float | None
    before: Measured | None = None
    after: Measured | None = None
    photographs: tuple[int, int, int] | None = None

    @property
    def megabytes(self) -> float:
        """Size of the file, with the weights beside it, or of the folder."""
        return size_of(self.path) / 1e6

    @property
    def code(self) -> str:
        """A program that classifies a photograph with the file, without this package."""
        return usage_code(FORMATS[self.format], self.path)


def check_export(
    output: str | Path, format: str, quantize: str | None = None, images: Any = None
) -> None:
    """Refuse what cannot be exported, before a model is loaded.

    Args:
        output: As in `export_model`, and so are the others.
        format: The format.
        quantize: `"int8"` or `None`. Defaults to `None`.
        images: Photographs. Defaults to `None`.

    Raises:
        ValueError: If an argument is wrong, or the backend that runs cannot write the format.
        ImportError: If a package is not installed; the message has the command.

    Example:
    ```python
    check_export("model.onnx", "onnx")
    ```
    """
    row = find_format(format)
    if quantize not in (None, "int8"):
        raise ValueError(f"`quantize` must be None or int8. Received: quantize={quantize!r}")
    row.check_backend()
    path = Path(output).expanduser()
    if path.suffix != row.suffix and row.suffix:
        raise ValueError(
            f"`output` must end in {row.suffix} for format {format}. Received: output={path}"
        )
    if not path.parent.is_dir():
        raise ValueError(f"`output` must lie in a folder that is there. Received: output={path}")
    if row.suffix and path.is_dir():
        raise ValueError(f"`output` must be a file. Received: output={path}, a folder")
    replaced = (path / "saved_model.pb").is_file()
    if (
        not row.suffix
        and path.exists()
        and not replaced
        and (path.is_file() or any(path.iterdir()))
    ):
        raise ValueError(
            "`output` must be a new folder, or one with a SavedModel, which is replaced. Received: "
            f"output={path}"
        )
    if quantize is None and images is not None:
        raise ValueError("`images` is for quantize='int8' alone. Received: quantize=None")
    if quantize is None:
        return
    if row.int8 is None:
        raise ValueError(
            "`quantize` int8 of OpenVINO would need a package of its own (NNCF); OpenVINO reads "
            f"int8 ONNX files as they are: format onnx. Received: format={format!r}"
        )
    if images is None:
        raise ValueError(
            "`images` must be given with quantize='int8': photographs on which ranges are found "
            "and accuracy is measured. Received: images=None"
        )
    if not row.has_runtime():
        row.open_file(path)


def export_model(
    model: CLCEModel,
    output: str | Path,
    format: str,
    image_size: int | None = None,
    class_names: Sequence[str] | None = None,
    quantize: str | None = None,
    images: Any = None,
    limit: int = 500,
) -> ExportedModel:
    """Export a model to a file that runs without Keras and this package, and check the file.

    The exported graph takes uint8 RGB images `(batch, size, size, 3)`, named `images`, with any
    batch size, and gives `embedding`, `logits` and `probabilities`. Names of the classes and
    preprocessing stand in the file, as JSON: ONNX's metadata, OpenVINO's `model_info`, an archive
    at the end of a LiteRT file, files in a SavedModel's `assets.extra`, torch's extra files. A JSON
    file beside it, `OUTPUT.json`, has them too, and what was measured. Where the format's own
    runtime is installed the file is run in it, and is not kept if it gives something else than
    Keras. Models in half precision are exported in float32.

    Args:
        model: A `CLCEModel`.
        output: The file, which ends in `.onnx`, `.xml` (OpenVINO, with a `.bin` beside it),
            `.tflite` or `.pt2`, or the folder of a SavedModel. What was there is replaced.
        format: `"saved_model"`, `"onnx"`, `"openvino"`, `"litert"` or `"torch"`. Each is written by
            some backends; a saved model is the same on all.
        image_size: Pixels per side, for a model that takes any. Defaults to `None`.
        class_names: Names of the classes, in the order of the labels. Defaults to `None`, the
            model's own; numbers where it has none.
        quantize: `"int8"` for 8-bit numbers, of ONNX and LiteRT: of convolutional models weights
            and activations, of transformers the weights of matrices, while activations get ranges
            as they come. Of SavedModel and torch: dense layers, by Keras's own `quantize`, of
            transformers alone. Defaults to `None`.
        images: With `quantize`, photographs as in `predict_images`; in folders that bear names of
            classes, if accuracy shall be measured. Up to 100, half of them at most, serve to find
            ranges; others are measured on. Defaults to `None`.
        limit: Most photographs to measure on. Defaults to 500.

    Returns:
        An `ExportedModel`.

    Raises:
        ValueError: If an argument is wrong, the backend that runs cannot write the format, the
            model cannot be converted, or the file gives something else than Keras.
        ImportError: If a package is not installed; the message has the command.

    Example:
    ```python
    exported = export_model(model, "model.onnx", "onnx")
    Path("model.onnx.json").is_file()  # True
    ```
    """
    check_export(output, format, quantize, images)
    limit = check_whole_number("limit", limit)
    preprocessing = preprocessing_of(model, image_size)
    names = names_of_classes(model, class_names)
    row, path = find_format(format), Path(output).expanduser()
    static = is_convolutional(model)
    if quantize and row.int8 == "layers" and static:
        raise ValueError(
            f"`quantize` int8 of {format} quantises dense layers, where this convolutional model "
            "has few of its weights; format onnx or litert quantises convolutions. Received: "
            f"format={format!r}"
        )
    shown = read_photographs(images, preprocessing, names, limit) if quantize else None
    model = in_float32(model)
    if model.lora is not None:
        model = copied(model)
        model.merge_lora()
    metadata = {
        "class_names": json.dumps(names, ensure_ascii=False),
        "preprocessing": json.dumps(preprocessing.get_config()),
    }
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        written = Path(folder, path.name)
        _write(model, row, written, preprocessing.image_size)
        run = row.open_file(written) if row.has_runtime() else None
        difference = None if run is None else _difference(model, run, preprocessing.image_size)
        result = ExportedModel(path, format, metadata, difference)
        if shown is not None:
            expected = _classes(model, shown.views)
            # `check_export` has asked for the runtime.
            before = measure(cast(Runner, run), written, shown, expected)
            written = Path(folder, "int8", path.name)
            written.parent.mkdir()
            calibration = Calibration(shown.calibration, static)
            _write(
                model, row, written, preprocessing.image_size, calibration, Path(folder, path.name)
            )
            after = measure(row.open_file(written), written, shown, expected)
            counts = (len(shown.calibration), len(shown.views), shown.unreadable)
            result = dataclasses.replace(result, before=before, after=after, photographs=counts)
        del run  # which may read from the file
        row.describe(written, metadata)
        _move(written, path)
    write_json(path.with_name(f"{path.name}.json"), _as_json(result))
    return result


def _write(
    model: CLCEModel,
    row: ExportFormat,
    path: Path,
    image_size: int,
    calibration: Calibration | None = None,
    in_float: Path | None = None,
) -> None:
    """Write the file of a model, of 8-bit numbers where there is a calibration."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of converters, about their own code
            if calibration and in_float and row.quantize is not None:
                row.quantize(in_float, path, calibration)
                return
            options = {}
            if calibration and row.int8 == "layers":
                model = copied(model)
                model.quantize("int8")
            elif calibration:
                options = {"calibration": calibration}
            row.write(served(model, image_size, row.named), path, **options)
    except Exception as error:  # each converter raises its own kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"`model` could not be written as {row.name} with "
            f"KERAS_BACKEND={backend.backend_name()} ({reason[:500]}). Received: a model with the "
            f"encoder {model.backbone.name!r}"
        ) from error


def _difference(model: CLCEModel, run: Runner, image_size: int) -> float:
    """Largest difference between a file and Keras, on batches of one image and of three."""
    rng = np.random.default_rng(0)
    # Areas and noise, as photographs have both.
    areas = rng.integers(0, 256, (3, 4, 4, 3)).repeat(-(-image_size // 4), 1)
    areas = areas.repeat(-(-image_size // 4), 2)[:, :image_size, :image_size]
    images = np.clip(areas + rng.normal(0, 20, areas.shape), 0, 255).astype(np.uint8)
    expected = _outputs(model, images)
    differences = []
    for count in (1, 3):
        outputs = run(images[:count])
        for name in OUTPUTS:
            size = max(1.0, np.abs(expected[name]).max())
            differences.append(np.abs(outputs[name] - expected[name][:count]).max() / size)
    difference = float(np.max(differences))
    if not difference <= MOST_DIFFERENCE:
        raise ValueError(
            f"The exported file must give what Keras gives, to {MOST_DIFFERENCE}; it was not kept. "
            f"Received: a largest difference of {difference:.2g}"
        )
    return difference


def _outputs(model: CLCEModel, images: np.ndarray) -> dict[str, np.ndarray]:
    outputs = model.predict_on_batch(images.astype("float32"))
    return {name: as_array(outputs[name]) for name in OUTPUTS}


def _classes(model: CLCEModel, views: np.ndarray) -> np.ndarray:
    batches = np.array_split(views, range(64, len(views), 64))
    return np.concatenate([_outputs(model, b)["probabilities"].argmax(-1) for b in batches])


def _move(written: Path, path: Path) -> None:
    """Give a file, with its neighbour, or a folder its place."""
    if written.suffix == ".xml":
        os.replace(written.with_suffix(".bin"), path.with_suffix(".bin"))
    if path.is_dir():
        shutil.rmtree(path)
    os.replace(written, path)


def _as_json(result: ExportedModel) -> dict[str, Any]:
    described = {name: json.loads(value) for name, value in result.metadata.items()}
    about = {
        "format": result.format,
        "backend": backend.backend_name(),
        "keras": keras.__version__,
        **described,
        "largest_difference_to_keras": result.difference,
    }
    if result.before and result.after and result.photographs:
        names = ("found_ranges_on", "measured_on", "unreadable")
        about["int8"] = {
            "photographs": dict(zip(names, result.photographs, strict=True)),
            "float32": dataclasses.asdict(result.before),
            "int8": dataclasses.asdict(result.after),
        }
    return about
