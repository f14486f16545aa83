"""Pairs of views per second: the tf.data pipeline, and the same policies written with Pillow.

    python benchmarks/pipeline.py --data_dir ../shared/data

Both read the same uint8 images out of memory. The Pillow side is a torch DataLoader with worker
processes, the usual way to do this in PyTorch. With `--step` the script also times a CLCE training
step of efficientnet_lite0 at the same size, and says how many times over each policy feeds it;
the pipeline and the step share the cores when they run together, so that three times is asked for.
"""

import time

import numpy as np
import torch
from absl import app, flags, logging
from PIL import Image
from pillow_views import pillow_view

from keras_clce.data import VIEW_POLICIES, ImageSplit, load_dataset

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "oxford_flowers102", "Data set of `python -m keras_clce.data`.")
flags.DEFINE_string("data_dir", None, "Folder of the data set.")
flags.DEFINE_integer("image_size", 112, "Side of the views, in pixels.")
flags.DEFINE_integer("batch_size", 64, "Pairs a batch.")
flags.DEFINE_integer("workers", 2, "Worker processes of the Pillow side.")
flags.DEFINE_float("seconds", 6.0, "Seconds measured for each policy and each side.")
flags.DEFINE_integer("rounds", 2, "Times that the two sides take turns; the best round counts.")
flags.DEFINE_list("policies", list(VIEW_POLICIES), "Policies to measure.")
flags.DEFINE_bool("step", False, "Also time a training step of efficientnet_lite0.")

# TFDS warns of its own deprecations.
logging.set_verbosity(logging.ERROR)


class PillowPairs(torch.utils.data.Dataset):
    """Pairs of views out of stored images, one at a time."""

    def __init__(self, images, labels, policy, image_size):
        self.images, self.labels = images, labels
        self.policy, self.image_size = policy, image_size

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index])
        views = [pillow_view(image, self.policy, self.image_size) for _ in range(2)]
        # float32, as the model takes it and as the other side gives it.
        return *(np.asarray(view, np.float32) for view in views), self.labels[index]


def forever(loader):
    while True:
        yield from loader


def pairs_per_second(batches, seconds, batch_size):
    for _ in range(3):
        next(batches)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        next(batches)
        count += batch_size
    return count / elapsed


def measure_ours(split: ImageSplit, policy: str) -> float:
    pairs = split.view_pairs(FLAGS.batch_size, policy=policy)
    return pairs_per_second(iter(pairs), FLAGS.seconds, FLAGS.batch_size)


def measure_pillow(images, labels, policy: str) -> float:
    loader = torch.utils.data.DataLoader(
        PillowPairs(images, labels, policy, FLAGS.image_size),
        FLAGS.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=FLAGS.workers,
        persistent_workers=True,
        # TensorFlow's threads do not survive a fork.
        multiprocessing_context="spawn",
    )
    return pairs_per_second(forever(loader), FLAGS.seconds, FLAGS.batch_size)


def measure_step(num_classes: int) -> float:
    """Pairs a second that a CLCE training step takes in, with views ready in memory."""
    from keras_clce import CLCEModel

    model = CLCEModel.from_backbone(
        "efficientnet_lite0", num_classes, image_size=FLAGS.image_size, weights=None
    )
    model.compile("adamw")
    rng = np.random.default_rng(0)
    shape = (FLAGS.batch_size, FLAGS.image_size, FLAGS.image_size, 3)
    views = tuple(rng.uniform(0, 255, shape).astype("float32") for _ in range(2))
    labels = rng.integers(0, num_classes, FLAGS.batch_size)
    for _ in range(2):
        model.train_on_batch(views, labels)
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < 2 * FLAGS.seconds or steps < 3:
        model.train_on_batch(views, labels)
        steps += 1
    return steps * FLAGS.batch_size / elapsed


def main(argv):
    del argv
    data = load_dataset(FLAGS.dataset, image_size=FLAGS.image_size, data_dir=FLAGS.data_dir)
    print(data.split_note)
    stored = [batch for batch, *_ in data.train.stored_batches(256).as_numpy_iterator()]
    images, labels = np.concatenate(stored), data.train.arrays()[1]
    step = measure_step(data.num_classes) if FLAGS.step else None
    if step:
        print(f"training step of efficientnet_lite0: {step:.1f} pairs/s")
    header = f"{'policy':12}  {'tf.data pairs/s':>15}  {'Pillow pairs/s':>14}  {'ratio':>5}"
    print(header + ("  times the step" if step else ""))
    for policy in FLAGS.policies:
        ours, pillow = [], []
        # The sides take turns, so that a busy machine is busy for both.
        for _ in range(FLAGS.rounds):
            ours.append(measure_ours(data.train, policy))
            pillow.append(measure_pillow(images, labels, policy))
        ours, pillow = max(ours), max(pillow)
        line = f"{policy:12}  {ours:15.0f}  {pillow:14.0f}  {ours / pillow:5.2f}"
        print(line + (f"  {ours / step:14.1f}" if step else ""), flush=True)


if __name__ == "__main__":
    app.run(main)
