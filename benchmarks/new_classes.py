r"""Flowers that a model was not trained on: enrolled by five photographs, or unknown.

    python benchmarks/new_classes.py --data_dir DIR --work_dir WORK --output new_classes.json

A model of each arm is trained on 45 of the 89 classes. Then, in `--draws` seeded draws,

    trained   the 45 classes are enrolled by five validation photographs each that were not used in
              training; of the 44 others, which no model has seen, a half is what the threshold is
              chosen on, and the other half is unknown in the test
    new       22 of the 44 others are enrolled by five photographs each, 11 are what the threshold
              is chosen on, and 11 are unknown in the test

All test photographs of the enrolled and of the unknown classes are asked. What is there in `WORK`
is not made again.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import app, flags
from class_folders import a_class, encoded_images, write_class_folders
from sklearn.metrics import roc_auc_score

from keras_clce.files import write_json
from keras_clce.inference import ENROLL_CLASSIFIERS, EmbeddingIndex, Enrolled
from keras_clce.report import format_table

ROOT = Path(__file__).resolve().parent.parent
SHOTS, RATE = 5, 0.05
# The flags of each arm beside those that all share.
SMALL = ("--contrastive_weight", 0.2, "--temperature", 0.1)
PAPER = ("--contrastive_weight", 0.9, "--temperature", 0.5, "--embedding_dim", "none")
ARMS = {
    "ce": ("ce", ("--embedding_dim", "none")),
    "small": ("clce", (*SMALL, "--embedding_dim", 128)),
    "smallnp": ("clce", (*SMALL, "--embedding_dim", "none")),
    "paper": ("clce", PAPER),
}
TRAINING = (
    *("--batch_size", 64, "--backbone", "efficientnet_lite0", "--weights", "imagenet"),
    *("--image_size", 96, "--epochs", 8, "--warmup_epochs", 1, "--learning_rate", 2e-3),
)

flags.DEFINE_string("data_dir", None, "Folder of TFDS's oxford_flowers102.", required=True)
flags.DEFINE_string("work_dir", None, "Folder of photographs, runs, embeddings.", required=True)
flags.DEFINE_string("output", None, "A .json file for the figures of each draw.")
flags.DEFINE_integer("draws", 20, "Draws of classes and photographs.", 1)
flags.DEFINE_list("arms", [*ARMS], "Which arms.")
FLAGS = flags.FLAGS


def main(_) -> None:
    """Write, train, embed, measure."""
    work = Path(FLAGS.work_dir)
    write_photographs(work / "data")
    found = {arm: measured(embedded(work, arm), work) for arm in FLAGS.arms}
    if FLAGS.output:
        write_json(Path(FLAGS.output), {"shots": SHOTS, "false_accept_rate": RATE, "arms": found})
    for setting in ("trained", "new"):
        rows = []
        for arm in FLAGS.arms:
            for classifier in ENROLL_CLASSIFIERS:
                rows.append([arm, classifier, *cells(found[arm][setting][classifier])])
        head = ["arm", "classifier", "top-1", "AUROC", "threshold on", "false accepts", "right"]
        print(f"\n{setting}\n" + format_table(head, [line for row in rows for line in twice(row)]))


def write_photographs(home: Path) -> None:
    """Write all photographs, and what the models are trained on."""
    if (home / "half").is_dir():
        return
    splits = {
        split: encoded_images("oxford_flowers102", FLAGS.data_dir, split)
        for split in ("train", "validation", "test")
    }
    names = sorted({name for _, name, _ in splits["train"]})
    order = [names[place] for place in np.random.default_rng(0).permutation(len(names))]
    half = {
        split: [image for image in images if image[1] in order[:45]]
        for split, images in splits.items()
    }
    for split, images in splits.items():
        write_class_folders(images, home / "flowers" / split)
    write_class_folders(half["train"], home / "half" / "train")
    write_class_folders(a_class(half["validation"], 0, 4), home / "half" / "val")
    write_class_folders(a_class(half["test"], 0, 10), home / "half" / "test")


def embedded(work: Path, arm: str) -> EmbeddingIndex:
    """Train the model of an arm, and embed all photographs."""
    loss, own = ARMS[arm]
    data = ("--dataset", "image_folder", "--data_dir", work / "data" / "half")
    place = ("--output_dir", work / "runs" / "half", "--label", arm, "--seeds", 0, "--resume")
    index = work / f"half_{arm}.npz"
    if not index.is_file():
        call("transfer", *data, *TRAINING, "--losses", loss, *own, *place)
        (model,) = (work / "runs" / "half").rglob(f"{loss}-{arm}-seed0/model.keras")
        photographs = work / "data" / "flowers"
        call("embed", "--model", model, "--images", photographs, "--output", index)
    return EmbeddingIndex.load(index)


def call(recipe: str, *arguments) -> None:
    """Run a recipe in a process of its own."""
    line = [sys.executable, ROOT / "recipes" / f"{recipe}.py", *arguments]
    subprocess.run([*map(str, line)], check=True)


def measured(index: EmbeddingIndex, work: Path) -> dict:
    """Figures of every draw, by setting and classifier."""
    parts = [Path(file).parts for file in index.files]
    splits = np.array([part[0] for part in parts])
    names = np.array([part[1] for part in parts])
    base = sorted(path.name for path in (work / "data" / "half" / "train").iterdir())
    in_training = {path.name for path in (work / "data" / "half" / "val").rglob("*.jpg")}
    is_free = np.array([Path(file).name not in in_training for file in index.files])
    others = sorted({*names} - {*base})

    def rows(classes, *of):
        return np.flatnonzero(np.isin(names, classes) & np.isin(splits, of) & is_free)

    found = {setting: {name: [] for name in ENROLL_CLASSIFIERS} for setting in ("trained", "new")}
    for draw in range(FLAGS.draws):
        rng = np.random.default_rng(draw)
        shuffled = rng.permutation(others)
        cuts = {"trained": (0, 22), "new": (22, 33)}
        for setting, (first, second) in cuts.items():
            known = base if setting == "trained" else [*shuffled[:first]]
            held_out, unknown = shuffled[first:second], shuffled[second:]
            free = "validation" if setting == "trained" else "train"
            support = [rng.choice(rows([name], free), SHOTS, False) for name in known]
            asked = {
                "support": np.concatenate(support),
                "held_out": rows(held_out, "train", "validation"),
                "known": rows(known, "test"),
                "unknown": rows(unknown, "test"),
            }
            for classifier in ENROLL_CLASSIFIERS:
                figures = figures_of(index.embeddings, names, known, asked, classifier)
                found[setting][classifier].append(figures)
    return found


def figures_of(embeddings, names, known, asked, classifier) -> dict:
    """What becomes of known and unknown photographs in one draw."""
    numbers = {name: number for number, name in enumerate(known)}

    def labels(part):
        return np.array([numbers[name] for name in names[asked[part]]])

    enrolled = Enrolled(
        embeddings[asked["support"]],
        labels("support"),
        tuple(map(str, known)),
        classifier,
        false_accept_rate=RATE,
        unknown=embeddings[asked["held_out"]],
    )
    scores = {part: enrolled.scores(embeddings[asked[part]]) for part in ("known", "unknown")}
    best = {part: of_part.max(axis=1) for part, of_part in scores.items()}
    is_right = scores["known"].argmax(axis=1) == labels("known")
    truth = np.repeat([1, 0], [len(best["known"]), len(best["unknown"])])
    figures = {
        "known": len(best["known"]),
        "unknown": len(best["unknown"]),
        "top1": float(is_right.mean()),
        "auroc": float(roc_auc_score(truth, np.concatenate([best["known"], best["unknown"]]))),
    }
    without = Enrolled(
        enrolled.embeddings, enrolled.labels, enrolled.class_names, classifier, None, RATE
    )
    for name, one in (("held_out", enrolled), ("left_out", without)):
        threshold = one.with_threshold().threshold
        figures[name] = {
            "false_accepts": float(np.mean(best["unknown"] >= threshold)),
            "right": float(np.mean(is_right & (best["known"] >= threshold))),
        }
    return figures


def cells(draws: list[dict]) -> list[str]:
    """Means and standard deviations over draws, in %."""

    def shown(values):
        return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}"

    found = [shown([draw[key] for draw in draws]) for key in ("top1", "auroc")]
    for source in ("held_out", "left_out"):
        for key in ("false_accepts", "right"):
            found.append(shown([draw[source][key] for draw in draws]))
    return found


def twice(row: list[str]) -> list[list[str]]:
    """A line for each way to choose the threshold."""
    return [
        [*row[:4], "unknown photographs", *row[4:6]],
        ["", "", "", "", "left-out classes", *row[6:8]],
    ]


if __name__ == "__main__":
    app.run(main)
