r"""Fine-tune an encoder with CLCE and compare it with cross-entropy.

    python recipes/transfer.py
    python recipes/transfer.py --dataset oxford_flowers102 --backbone resnet101 --weights imagenet

Without flags: scikit-learn's digits, a small ResNet, `ce` and `clce`, two to four minutes on two
CPU cores and no download. Each loss sees the same images in the same views. The validation split
picks the epoch; the test split is read once, at the end. Everything that a run leaves behind
stands in `runs/transfer/<dataset>/<backbone>/<loss>-seed<seed>/`.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Table 2.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import time
from collections import defaultdict
from typing import Any

import numpy as np
import recipe_flags
import training
from absl import app, flags

from keras_clce import CLCEModel
from keras_clce.data import ImageDataset, load_dataset
from keras_clce.evaluate import linear_probe, nearest_neighbor_accuracy, top_k_accuracy
from keras_clce.files import write_json
from keras_clce.report import (
    Curves,
    RunFolder,
    drawing,
    plot_curves,
    run_name,
    run_title,
    summary_table,
)

FLAGS = flags.FLAGS
# Searching every training image for each test image takes memory in proportion to both.
NEAREST_NEIGHBOR_LIMIT = 60_000
# (labels, outputs of the model) of a split.
Predictions = tuple[np.ndarray, dict[str, np.ndarray]]


def main(argv: list[str]) -> None:
    """Run every loss with every seed, then compare them."""
    started = time.perf_counter()
    home, runs = training.begin(argv, "transfer")
    with recipe_flags.errors_in_one_line(ValueError, OSError):
        dataset = training.load(load_dataset, runs, recipe_flags.settings)
    training.announce(home, dataset)

    metrics = []
    for (_, _, folder), done in training.each(runs, run, dataset):
        metrics.append(done)
        test = done["test"]
        probed = ", by a linear probe" if folder.probe.is_file() else ""
        print(
            f"test: top-1 {test['top1']:.4f}  top-5 {test['top5']:.4f}  on {test['examples']} "
            f"images, epoch {done['validation']['best_epoch']}{probed}"
        )
    print(f"\nTest accuracy in %, {dataset.split_note}")
    print(f"{summary_table(metrics)}\n")
    picture = home / f"curves{training.suffix()}.png"
    with drawing(picture):
        histories = defaultdict(list)
        for (loss, seed, folder), done in zip(runs, metrics, strict=True):
            curves = Curves.of(folder.read_history(), recipe_flags.settings(loss, seed), done)
            histories[run_name(done)].append(curves)
        plot_curves(histories, picture, run_title(metrics[0]))
        print(f"Curves:   {picture}")
    print(f"Runs:     {home}   ({time.perf_counter() - started:.0f} s in all)")


def run(loss: str, seed: int, folder: RunFolder, dataset: ImageDataset) -> dict:
    """Train one loss with one seed, test it, and write its folder."""
    # On a few hundred images accuracy moves by chance from epoch to epoch, the loss does less. The
    # classifier learns nothing from a contrastive loss alone, which the last epoch stands for.
    probed = not recipe_flags.build_loss(loss).trains_classifier
    monitor = None if probed else "val_loss"
    settings = recipe_flags.settings(loss, seed)
    model, checkpoint = training.train(
        loss, seed, folder, dataset, monitor, settings, validation=dataset.validation
    )
    top1 = checkpoint.history[checkpoint.best_epoch]["val_accuracy"]
    train, probe = None, None
    if probed or dataset.train.num_examples <= NEAREST_NEIGHBOR_LIMIT:
        train = predict(model, dataset.train)
    if probed:
        probe, top1 = fit_probe(model, dataset, train, folder)
    metrics = {
        "seed": seed,
        "loss": loss,
        "label": FLAGS.label,
        "dataset": FLAGS.dataset,
        "backbone": FLAGS.backbone,
        "data": dataset.split_note,
        "quick": FLAGS.quick,
        "validation": {
            "top1": top1,
            "best_epoch": checkpoint.best_epoch + 1,
            "examples": training.examples(dataset.validation),
        },
        "test": test_accuracy(model, dataset, train, probe),
        "epochs": training.epochs(),
        "seconds": round(sum(row["seconds"] for row in checkpoint.history), 1),
    }
    write_json(folder.metrics, metrics)
    training.draw_curves(folder, settings, metrics, checkpoint)
    return metrics


def fit_probe(
    model: CLCEModel, dataset: ImageDataset, train: Predictions, folder: RunFolder
) -> tuple[Any, float]:
    """A linear classifier of the embeddings, saved beside the model, and its validation accuracy.

    The model's own classifier has learned nothing from a contrastive loss alone.
    """
    train_labels, outputs = train
    labels, validation = predict(model, dataset.validation)
    probe = linear_probe(outputs["embedding"], train_labels, validation["embedding"], labels)
    folder.write_probe(probe)
    return probe, float(probe.score(validation["embedding"], labels))


def test_accuracy(
    model: CLCEModel, dataset: ImageDataset, train: Predictions | None, probe: Any
) -> dict:
    """Accuracy on the test split of the classifier, or of a linear probe, and of 1-NN."""
    labels, outputs = predict(model, dataset.test)
    scores = outputs["probabilities"]
    nearest = None
    if dataset.train.num_examples <= NEAREST_NEIGHBOR_LIMIT:
        train_labels, train_outputs = train
        nearest = nearest_neighbor_accuracy(
            train_outputs["embedding"], train_labels, outputs["embedding"], labels
        )
    if probe is not None:
        scores = np.zeros_like(scores)
        scores[:, probe.classes_] = probe.predict_proba(outputs["embedding"])
    return {
        "top1": top_k_accuracy(labels, scores),
        "top5": top_k_accuracy(labels, scores, k=5),
        "nearest_neighbor": nearest,
        "examples": len(labels),
    }


def predict(model: CLCEModel, split) -> Predictions:
    """Labels and outputs of a split's images."""
    data = training.batches(split)
    labels = np.concatenate([np.asarray(batch) for _, batch in data])
    return labels, model.predict(data.map(lambda images, _: images), verbose=0)


if __name__ == "__main__":
    recipe_flags.define_training_flags()
    flags.adopt_module_key_flags(recipe_flags)
    app.run(main)
