r"""How many flipped labels are among the images that recipes/suspects.py suspects most.

    python benchmarks/label_flips.py --data_dir DIR --work_dir WORK --output label_flips.json

5 % of the training labels of Oxford-Flowers (890 photographs) and of CIFAR-100 (10,000 images, 100
a class) are replaced by that of another class, all alike; models are trained on what came out,
wrong labels and all. Of the 5 % most suspect images, which are as many as were flipped, so that
precision is recall, the share is told whose label was flipped: by neighbours alone, by the
classifier alone, and by both. What is there in `WORK` is not made again.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import app, flags
from class_folders import a_class, encoded_images, write_class_folders, write_flipped
from sklearn.metrics import average_precision_score

from keras_clce.evaluate import wilson_interval
from keras_clce.experiments import find_suspects, load_source
from keras_clce.files import write_json
from keras_clce.report import format_table

ROOT = Path(__file__).resolve().parent.parent
SHARE = 0.05
# The flags of each arm beside those that all share.
SMALL = ("--contrastive_weight", 0.2, "--temperature", 0.1)
PAPER = ("--contrastive_weight", 0.9, "--temperature", 0.5, "--embedding_dim", "none")
ARMS = {
    "ce": ("ce", ("--embedding_dim", "none")),
    "small": ("clce", (*SMALL, "--embedding_dim", 128)),
    "smallnp": ("clce", (*SMALL, "--embedding_dim", "none")),
    "paper": ("clce", PAPER),
}
TRAINING = {
    "flowers": (
        *("--backbone", "efficientnet_lite0", "--weights", "imagenet", "--image_size", 96),
        *("--epochs", 8, "--learning_rate", 2e-3),
    ),
    "cifar100": (
        *("--backbone", "small_resnet", "--image_size", 32, "--epochs", 10),
        *("--learning_rate", 1e-2),
    ),
}

flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.", required=True)
flags.DEFINE_string("work_dir", None, "Folder of images and runs.", required=True)
flags.DEFINE_string("output", None, "A .json file for the figures.")
flags.DEFINE_list("datasets", [*TRAINING], "Which data.")
flags.DEFINE_list("arms", ["ce", "small"], "Which arms.")
FLAGS = flags.FLAGS


def main(_) -> None:
    """Write, train, look for suspects."""
    work, found, rows = Path(FLAGS.work_dir), [], []
    for dataset in FLAGS.datasets:
        home = work / "data" / f"flipped_{dataset}"
        write_images(dataset, home)
        for arm in FLAGS.arms:
            found.append({"dataset": dataset, "arm": arm, **measured(work, home, dataset, arm)})
            one = found[-1]
            for by in ("neighbours", "classifier", "both"):
                low, high = wilson_interval(one[by]["found"], one["flipped"])
                share = f"{one[by]['found']} of {one['flipped']}"
                percent = f"{100 * one[by]['found'] / one['flipped']:.1f}"
                interval = f"{100 * low:.1f} to {100 * high:.1f}"
                average = f"{100 * one[by]['average_precision']:.1f}"
                rows.append([dataset, arm, by, share, percent, interval, average])
    if FLAGS.output:
        write_json(Path(FLAGS.output), found)
    head = ["data", "arm", "by", "found", "precision = recall in %", "95 %", "average precision"]
    print("\n" + format_table(head, rows))


def write_images(dataset: str, home: Path) -> None:
    """Write images with flipped labels to train on; validation and test stay as they are."""
    if home.is_dir():
        return
    name = {"flowers": "oxford_flowers102"}.get(dataset, dataset)
    train = encoded_images(name, FLAGS.data_dir, "train")
    test = encoded_images(name, FLAGS.data_dir, "test")
    if dataset == "flowers":
        validation = a_class(encoded_images(name, FLAGS.data_dir, "validation"), 0, 3)
        test = a_class(test, 0, 5)
    else:
        validation, train, test = (
            a_class(train, 100, 110),
            a_class(train, 0, 100),
            a_class(test, 0, 20),
        )
    write_flipped(train, home / "train", SHARE, seed=0)
    write_class_folders(validation, home / "val")
    write_class_folders(test, home / "test")


def measured(work: Path, home: Path, dataset: str, arm: str) -> dict:
    """Train an arm, and count the flipped labels among the most suspect images."""
    loss, own = ARMS[arm]
    runs = work / "runs" / home.name
    data = ("--dataset", "image_folder", "--data_dir", home, "--batch_size", 64)
    place = ("--output_dir", runs, "--label", arm, "--seeds", 0, "--resume")
    more = (*TRAINING[dataset], "--warmup_epochs", 1, "--losses", loss, *own)
    if not any(runs.rglob(f"{loss}-{arm}-seed0/metrics.json")):
        line = [sys.executable, ROOT / "recipes" / "transfer.py", *data, *more, *place]
        subprocess.run([*map(str, line)], check=True)
    (model,) = runs.rglob(f"{loss}-{arm}-seed0/model.keras")
    suspects = find_suspects(load_source(str(model)), images=home / "train")
    places = np.arange(len(suspects.labels))
    flipped = json.loads((home / "flipped.json").read_text())
    is_flipped = np.isin(suspects.names(places), [*flipped])
    found, count = suspects.found, int(is_flipped.sum())
    top1 = json.loads(model.with_name("metrics.json").read_text())["test"]["top1"]
    figures = {"images": len(places), "flipped": count, "test_top1": top1}
    # Of equal ones the order is by chance, not by name.
    shuffled = np.random.default_rng(0).permutation(len(places))
    for by, suspicion in (
        ("neighbours", 1 - found.neighbor_share),
        ("classifier", 1 - found.confidence),
        ("both", 1 - (found.neighbor_share + found.confidence) / 2),
    ):
        order = shuffled[np.argsort(-suspicion[shuffled], kind="stable")]
        figures[by] = {
            "found": int(is_flipped[order[:count]].sum()),
            "average_precision": float(average_precision_score(is_flipped, suspicion)),
        }
    return figures


if __name__ == "__main__":
    app.run(main)
