r"""Seconds from 60 photographs in six folders to a file that runs without Keras.

    python benchmarks/newcomer_path.py
    python benchmarks/newcomer_path.py --most_seconds 360

Pictures of six kinds of coloured patterns are drawn, so that it needs no data. Each command runs in
a process of its own, as people type it: train, predict, embed, search, confusions, export to ONNX,
which is run and compared with Keras. It ends with an error where a command fails, where the model
is no better than chance, or where all together take longer than `--most_seconds`.
"""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image

from keras_clce.report import format_table

ROOT = Path(__file__).resolve().parent.parent
CLASSES, PHOTOGRAPHS = ("red", "green", "blue", "stripes", "spots", "grey"), 10

flags.DEFINE_string("backbone", "efficientnet_lite0", "Encoder.")
flags.DEFINE_string("weights", "imagenet", "Its weights.")
flags.DEFINE_integer("image_size", 64, "Pixels per side.")
flags.DEFINE_integer("epochs", 12, "Epochs of three steps.")
flags.DEFINE_integer("most_seconds", 360, "How long all may take.", lower_bound=1)
FLAGS = flags.FLAGS


def draw(folder: Path) -> None:
    """Draw ten pictures of each class."""
    rng = np.random.default_rng(0)
    across = np.arange(320)[None, :, None]
    down = np.arange(240)[:, None, None]
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for picture in range(PHOTOGRAPHS):
            light = rng.uniform(100, 160, (1, 1, 1)) + np.zeros((240, 320, 3))
            width = rng.uniform(20, 40)
            if number < 3:
                light[..., number] += 80
            elif name == "stripes":
                light += 70 * np.sign(np.sin(across / width * 3))
            elif name == "spots":
                light += 70 * np.sign(np.sin(across / width * 3) * np.sin(down / width * 3))
            light += rng.normal(0, 15, light.shape)
            image = Image.fromarray(np.clip(light, 0, 255).astype("uint8"))
            image.save(folder / name / f"{picture}.jpg")


def main(_) -> None:
    """Run the commands one after another and print how long each took."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        photographs = home / "photographs"
        draw(photographs)
        run = home / "runs/transfer/image_folder-photographs" / FLAGS.backbone / "clce-seed0"
        model, index = run / "model.keras", home / "index.npz"
        encoder = ("--backbone", FLAGS.backbone, "--weights", FLAGS.weights)
        size = ("--image_size", FLAGS.image_size, "--epochs", FLAGS.epochs)
        data = ("--dataset", "image_folder", "--data_dir", photographs)
        use, images = ("--model", model), ("--images", photographs)
        commands = [
            ("transfer", *data, *encoder, *size, "--losses", "clce"),
            ("predict", *use, *images, "--output_dir", home / "predictions"),
            ("embed", *use, *images, "--output", index),
            ("search", *use, "--index", index, "--query", photographs / "red" / "0.jpg"),
            ("confusions", *use, *images),
            ("export", *use, "--format", "onnx", "--output", home / "model.onnx"),
        ]
        rows, start = [], time.perf_counter()
        for recipe, *arguments in commands:
            begun = time.perf_counter()
            line = [sys.executable, ROOT / "recipes" / f"{recipe}.py", *arguments]
            done = subprocess.run([*map(str, line)], cwd=home, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{recipe} failed:\n{done.stdout}\n{done.stderr}")
            rows.append([recipe, f"{time.perf_counter() - begun:.0f}"])
        total = time.perf_counter() - start
        print(format_table(["command", "seconds"], [*rows, ["all", f"{total:.0f}"]]))
        with open(home / "predictions/predictions.csv", newline="") as file:
            right = [row["class_1"] == Path(row["file"]).parts[-2] for row in csv.DictReader(file)]
    print(f"right: {sum(right)} of {len(right)} photographs")
    if sum(right) < len(right) / 2:
        sys.exit("the model is hardly better than chance")
    if total > FLAGS.most_seconds:
        sys.exit(f"it may take {FLAGS.most_seconds} seconds")


if __name__ == "__main__":
    app.run(main)
