r"""Peak memory of predicting few and many photographs, and images a second beside `model.predict`.

    KERAS_BACKEND=jax python benchmarks/predict.py --data_dir ../shared/data
    KERAS_BACKEND=torch python benchmarks/predict.py --data_dir ../shared/data --side 600

The photographs are the JPEG files of Oxford-Flowers, or these enlarged to `--side` pixels of the
shorter side. Memory is the peak of a process of its own that goes through them with
`iterate_predictions`; the bar is that ten times as many photographs need at most a tenth more. The
rate is that of files, decoded and cut, against `model.predict` on arrays that are in memory and
have the model's size; both take turns.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import io
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

flags.DEFINE_string("data_dir", None, "Folder of TFDS's oxford_flowers102.", required=True)
flags.DEFINE_list("counts", ["500", "5000"], "Photographs whose memory is measured.")
flags.DEFINE_string("backbone", "efficientnet_lite0", "Encoder.")
flags.DEFINE_integer("image_size", 96, "Pixels a side of the model's images.", 8)
flags.DEFINE_integer("side", None, "Pixels of the shorter side of the files.", 16)
flags.DEFINE_integer("batch_size", 64, "Photographs a step.", 1)
flags.DEFINE_integer("rounds", 3, "Rounds of both, after one that compiles.", 1)
flags.DEFINE_string("files", None, "Used by the benchmark itself, for its processes.")
flags.DEFINE_integer("count", None, "Used by the benchmark itself, for its processes.")
FLAGS = flags.FLAGS
RATE_COUNT = 512


def main(_) -> None:
    """Write the files, measure both, print what came out."""
    if FLAGS.files:
        print(peak_memory(FLAGS.files, FLAGS.count))
        return
    counts = [int(count) for count in FLAGS.counts]
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder), max(counts))
        peaks = [measured_alone(folder, count) for count in counts]
        for count, peak in zip(counts, peaks, strict=True):
            print(
                f"{count:>6} photographs: peak {peak:.0f} MiB, {peak / peaks[0]:.3f} of the first"
            )
        print_rates(folder)


def write_photographs(folder: Path, count: int) -> None:
    """Lay JPEG files into a folder, over and over where there are too few."""
    import tensorflow_datasets as tfds
    from PIL import Image

    builder = tfds.builder("oxford_flowers102", data_dir=FLAGS.data_dir)
    data = builder.as_dataset(
        split="train+validation+test", decoders={"image": tfds.decode.SkipDecoding()}
    )
    for number, example in enumerate(data.repeat().take(count).as_numpy_iterator()):
        content = example["image"]
        if FLAGS.side:
            image = Image.open(io.BytesIO(content))
            scale = FLAGS.side / min(image.size)
            sides = [round(scale * side) for side in image.size]
            image.resize(sides).save(folder / f"{number:06}.jpg", quality=90)
        else:
            (folder / f"{number:06}.jpg").write_bytes(content)


def measured_alone(folder: str, count: int) -> float:
    """Peak memory in MiB of a process that predicts that many photographs."""
    names = ("data_dir", "backbone", "image_size", "batch_size")
    same = [f"--{name}={FLAGS[name].value}" for name in names]
    command = [sys.executable, __file__, *same, f"--files={folder}", f"--count={count}"]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()[-1])


def build():
    """The model, untrained."""
    from keras_clce import CLCEModel
    from keras_clce.views import Preprocessing

    size = FLAGS.image_size
    return CLCEModel.from_backbone(
        FLAGS.backbone, num_classes=102, image_size=size, preprocessing=Preprocessing(size)
    )


def peak_memory(folder: str, count: int) -> float:
    """Peak memory in MiB of this process after so many photographs."""
    from keras_clce.inference import iterate_predictions

    rows = iterate_predictions(build(), folder, batch_size=FLAGS.batch_size, limit=count, verbose=0)
    assert sum(row.error is None for row in rows) == count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_rates(folder: str) -> None:
    """Print images a second from files and from arrays."""
    import keras

    from keras_clce.inference import find_photographs, iterate_predictions

    model = build()
    files = [photograph.source for photograph in find_photographs(folder, RATE_COUNT)]
    views = np.stack(
        [model.preprocessing(p.pixels()) for p in find_photographs(folder, RATE_COUNT)]
    )
    ways = {
        "decode alone": lambda: [model.preprocessing(p.pixels()) for p in find_photographs(files)],
        "files": lambda: list(
            iterate_predictions(model, files, batch_size=FLAGS.batch_size, verbose=0)
        ),
        "arrays": lambda: model.predict(views, batch_size=FLAGS.batch_size, verbose=0),
    }
    seconds = {name: [] for name in ways}
    for number in range(FLAGS.rounds + 1):
        for name, predict in ways.items():
            start = time.perf_counter()
            predict()
            if number:
                seconds[name].append(time.perf_counter() - start)
    print(
        f"{keras.backend.backend()}, {FLAGS.backbone}, {FLAGS.image_size} px, {len(views)} images"
    )
    for name, times in seconds.items():
        print(f"{name:>13}: {len(views) / statistics.median(times):.0f} images a second")
    ratios = [b / a for a, b in zip(seconds["files"], seconds["arrays"], strict=True)]
    print(f"files at {statistics.median(ratios):.2f} of the rate of arrays")


if __name__ == "__main__":
    app.run(main)
