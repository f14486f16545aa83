r"""A trained model in each format that the backend writes, beside Keras, and with 8-bit numbers.

    KERAS_BACKEND=tensorflow python benchmarks/export.py --model RUN/model.keras --images FOLDER
    KERAS_BACKEND=torch python benchmarks/export.py --model RUN/model.keras --images FOLDER

`--images` are photographs in folders of classes that training has not seen. For each file are
printed the largest difference to Keras, accuracy, the share of photographs with the class that
Keras gives, the least time of one photograph alone, as a share of that of Keras's
`predict_on_batch` in the same process, and the size. Photographs that ranges of 8-bit numbers were
found on are not measured on. `--json FILE` keeps the figures.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import keras_clce
from keras_clce.backend import backend_name, backends_that_export
from keras_clce.files import write_json
from keras_clce.inference import export_model, preprocessing_of
from keras_clce.inference.export import find_format
from keras_clce.report import format_table

FILES = {
    "saved_model": "model",
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "litert": "model.tflite",
    "torch": "model.pt2",
}
INT8 = ("onnx", "litert")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--limit", type=int, default=500, help="most photographs to measure on")
    parser.add_argument("--json", type=Path, help="file that the figures go to")
    asked = parser.parse_args()
    model = keras_clce.load_model(asked.model)
    alone = keras_milliseconds(model)
    rows, figures = [], {"keras": alone}
    for name, file in FILES.items():
        if backend_name() not in backends_that_export(find_format(name).keras_name):
            continue
        int8 = {"quantize": "int8", "images": asked.images} if name in INT8 else {}
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            done = export_model(model, Path(folder, file), name, limit=asked.limit, **int8)
            seconds = time.perf_counter() - start
            megabytes = done.megabytes
        figures[name] = {
            "largest_difference": done.difference,
            "seconds": seconds,
            **{
                kind: dataclasses.asdict(getattr(done, kind))
                for kind in ("before", "after")
                if int8
            },
        }
        difference = f"{done.difference:.0e}"
        if not int8:
            rows.append([name, difference, *"---", f"{megabytes:.3g} MB"])
            continue
        rows += [
            row_of(name, difference, done.before, alone),
            row_of(f"{name}, int8", "", done.after, alone),
        ]
    size = preprocessing_of(model).image_size
    print(f"{backend_name()}, Keras {keras.__version__}, {size} px, Keras alone {alone:.1f} ms")
    head = ["format", "difference", "accuracy", "as Keras", "time", "size"]
    print(format_table(head, rows))
    if asked.json:
        write_json(asked.json, figures)


def row_of(name, difference, measured, alone):
    """A line of the table."""
    accuracy = "-" if measured.accuracy is None else f"{100 * measured.accuracy:.1f} %"
    shares = [f"{100 * measured.agreement:.1f} %", f"{measured.milliseconds / alone:.2f}"]
    return [name, difference, accuracy, *shares, f"{measured.megabytes:.3g} MB"]


def keras_milliseconds(model) -> float:
    """Least time that Keras takes for one image."""
    size = preprocessing_of(model).image_size
    image = np.zeros((1, size, size, 3), "float32")
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        outputs = model.predict_on_batch(image)
        # JAX computes on while Python goes on.
        keras.tree.map_structure(np.asarray, outputs)
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


if __name__ == "__main__":
    main()
