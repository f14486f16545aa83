r"""Memory and time of a training step in chunks, beside the step that takes the batch at once.

    KERAS_BACKEND=tensorflow python benchmarks/gradient_cache.py
    KERAS_BACKEND=torch python benchmarks/gradient_cache.py --backbone efficientnet_lite0 \
        --image_size 64 --batches 64,256,1024

Both are `CLCEModel` with CLCE and SGD, one process for each and for each batch, and they take
turns, several rounds. Memory is what the process grew by at its peak, compiling included, without
a copy of the images. The step that takes all at once stops at `--largest_batch`, where its memory
ends.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics

import numpy as np
from absl import app, flags
from workers import Worker, serve

from keras_clce.report import format_table

flags.DEFINE_string("backbone", "small_resnet", "Encoder.")
flags.DEFINE_integer("image_size", 32, "Pixels a side.")
flags.DEFINE_list("batches", ["64", "256", "1024", "4096"], "Images a step.")
flags.DEFINE_integer("largest_batch", 1024, "Images of a step without chunks, at most.")
flags.DEFINE_integer("chunk", 64, "Images a chunk.", 1)
flags.DEFINE_integer("rounds", 3, "Rounds.", 1)
flags.DEFINE_string("candidate", None, "Used by the benchmark itself, for its processes.")
FLAGS = flags.FLAGS
CLASSES = 100


def main(_) -> None:
    """Start both, let them take turns at each batch, print a table."""
    sizes = sorted(map(int, FLAGS.batches))
    if FLAGS.candidate:
        serve(steps(sizes))
        return
    same = [f"--{flag}={FLAGS[flag].value}" for flag in ("backbone", "image_size", "chunk")]
    rows = []
    for size in sizes:
        names = ["chunks"] + ["at once"] * (size <= FLAGS.largest_batch)
        workers = {
            name: Worker([f"--candidate={name}", f"--batches={size}", *same]) for name in names
        }
        for name in names:
            workers[name].ask(str(size))
        rounds = [
            {name: workers[name].ask(str(size)) for name in names} for _ in range(FLAGS.rounds)
        ]
        images = size * FLAGS.image_size**2 * 3 * 4 / 2**30
        for name in names:
            seconds = statistics.median(times[name] for times in rounds)
            ratio = "-"
            if len(names) == 2:
                ratio = f"{statistics.median(t[name] / t['at once'] for t in rounds):.2f}"
            memory = workers[name].ask("growth") - images
            rows.append([str(size), name, f"{1000 * seconds / size:.2f}", ratio, f"{memory:.2f}"])
        for worker in workers.values():
            worker.stop()
        print(f"{size} images done", flush=True)
    print(
        f"{os.environ.get('KERAS_BACKEND', 'tensorflow')}: {FLAGS.backbone} at "
        f"{FLAGS.image_size} px, chunks of {FLAGS.chunk}, {FLAGS.rounds} rounds"
    )
    print(format_table(["images", "step", "ms an image", "/at once", "peak GiB"], rows))


def steps(sizes):
    """Functions of no argument that train one step on a batch of each size."""
    import keras

    from keras_clce import CLCEModel

    model = CLCEModel.from_backbone(FLAGS.backbone, CLASSES, image_size=FLAGS.image_size)
    model.compile(
        keras.optimizers.SGD(1e-3),
        gradient_cache_size=FLAGS.chunk if FLAGS.candidate == "chunks" else None,
    )

    def step(size):
        rng = np.random.default_rng(0)
        images = rng.random((size, FLAGS.image_size, FLAGS.image_size, 3), dtype="float32")
        images *= 255
        labels = rng.integers(0, CLASSES, size)
        return lambda: model.train_on_batch(images, labels)

    return {str(size): step(size) for size in sizes}


if __name__ == "__main__":
    app.run(main)
