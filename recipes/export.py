r"""Export a saved model to a file that runs without Keras and this package.

    python recipes/export.py --model RUN/model.keras --format onnx --output flowers.onnx
    python recipes/export.py --model RUN/model.keras --format litert --output flowers.tflite \
        --quantize int8 --images my_photographs

| `--format` | file | written with `KERAS_BACKEND=` | run by |
|---|---|---|---|
| `saved_model` | a folder | `tensorflow`, `jax` | TensorFlow |
| `onnx` | `.onnx` | `tensorflow`, `torch` | ONNX Runtime and many others |
| `openvino` | `.xml` and `.bin` | `tensorflow`, `torch` | OpenVINO |
| `litert` | `.tflite` | `tensorflow` | LiteRT, on phones too |
| `torch` | `.pt2` | `torch` | `torch.export` |

A saved model is the same on all backends. The file takes uint8 RGB images of the model's size,
`images` (batch, size, size, 3), scales them itself, and gives `embedding`, `logits` and
`probabilities`. It holds the names of the classes and the preprocessing; `OUTPUT.json` beside it
has them too. The file is run where its runtime is installed (`pip install "keras-clce[export]"`),
and is not kept if its outputs differ from Keras's by more than 0.001. What is printed at the end is
a program that classifies a photograph with the file alone.

`--quantize int8` finds ranges on some of `--images` and prints accuracy, time and size before and
after, on others. It is for onnx and litert, and for transformers in saved_model and torch.
"""

import dataclasses
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_clce.experiments import load_named_model, photographs_flag, tool_command, tool_flag

if TYPE_CHECKING:
    from keras_clce.inference import ExportedModel

MODEL, FILE, INT8 = "Model and photographs", "The exported file", "8-bit numbers"
FORMATS = ("saved_model", "onnx", "openvino", "litert", "torch")


def is_file(path: str) -> bool:
    """Whether a path is that of a file."""
    return os.path.isfile(os.path.expanduser(path))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """What is exported, and where to."""

    model: str = tool_flag(
        None,
        "The model, a .keras file.",
        MODEL,
        checks=((is_file, "must be a saved model, a .keras file"),),
    )
    image_size: int | None = tool_flag(
        None, "Pixels per side, for a model that takes images of any size.", MODEL, least=8
    )
    class_names: str | None = tool_flag(
        None,
        "Names of the classes: a file with one a line, or JSON. The model's own if not given.",
        MODEL,
        checks=((is_file, "must be a file"),),
    )
    format: str = tool_flag(
        None, f"What is written, one of: {', '.join(FORMATS)}.", FILE, choices=FORMATS
    )
    output: str = tool_flag(None, "The file to write, or the folder of a saved_model.", FILE)
    quantize: str | None = tool_flag(
        None, "int8 for 8-bit numbers; float32 if not given.", INT8, choices=("int8",)
    )
    images: str | None = photographs_flag(
        "With --quantize: photographs for ranges and for accuracy, in folders of classes."
    )
    limit: int = tool_flag(500, "Most photographs to measure on.", INT8, least=1)


def export(asked: ExportFlags) -> None:
    """Export, check, and print what was measured and how the file is used."""
    from keras_clce.inference import check_export, export_model, read_class_names

    check_export(asked.output, asked.format, asked.quantize, asked.images)
    names = read_class_names(os.path.expanduser(asked.class_names)) if asked.class_names else None
    model = load_named_model(asked.model)
    known = "" if names or model.class_names else ", without names: see --class_names"
    print(f"Model:    {asked.model}, {model.num_classes} classes{known}")
    start = time.perf_counter()
    exported = export_model(
        model,
        asked.output,
        asked.format,
        asked.image_size,
        names,
        asked.quantize,
        asked.images,
        asked.limit,
    )
    tell(exported, time.perf_counter() - start)
    print(f"\nTo use it without this package (python FILE.py PHOTOGRAPH):\n\n{exported.code}")


def tell(exported: "ExportedModel", seconds: float) -> None:
    """Print what was written, how it was checked, and what 8-bit numbers changed."""
    if exported.difference is None:
        print('Checked:  no, what runs it is not installed: pip install "keras-clce[export]"')
    else:
        what = " before quantisation" if exported.after else ""
        print(f"Checked:  outputs differ from Keras's by {exported.difference:.1e} at most{what}")
    if exported.after:
        tell_of_int8(exported)
    print(f"Written:  {exported.path}, {exported.megabytes:.3g} MB, in {seconds:.1f} s")
    print(f"          {exported.path}.json")


def tell_of_int8(exported: "ExportedModel") -> None:
    """Print both files side by side."""
    from keras_clce.report import format_table

    before, after = exported.before, exported.after
    ranges, measured, unreadable = exported.photographs
    skipped = f", {unreadable} could not be read" if unreadable else ""
    print(f"Images:   ranges from {ranges}, measured on {measured} others{skipped}\n")
    rows = [
        [
            name,
            "-" if each.accuracy is None else f"{100 * each.accuracy:.1f} %",
            f"{100 * each.agreement:.1f} %",
            f"{each.milliseconds:.2f} ms",
            f"{each.megabytes:.3g} MB",
        ]
        for name, each in (("float32", before), ("int8", after))
    ]
    print(format_table(["", "accuracy", "same class as Keras", "a photograph", "size"], rows))
    times = before.milliseconds / after.milliseconds
    speed = f"{times:.2g} times as fast" if times >= 1 else f"{1 / times:.2g} times slower"
    print(f"\nint8 is {speed} here, alone with one photograph at a time.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Export a model as flags say."""
    tool_command(__doc__, ExportFlags, export, arguments)


if __name__ == "__main__":
    main()
