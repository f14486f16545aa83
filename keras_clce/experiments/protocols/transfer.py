"""Fine-tuning on the classes that are tested: validation and test accuracy of one data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from keras_clce.data import ImageDataset, ImageSplit, load_dataset
from keras_clce.evaluate import linear_probe, nearest_neighbor_accuracy, top_k_accuracy
from keras_clce.experiments.class_balance import balance_metrics, training_counts
from keras_clce.experiments.multi_label import test_of_labels, validation_of_labels
from keras_clce.experiments.protocols.base import Evaluation, Protocol, loading_options
from keras_clce.experiments.resolved import build_loss, contrastive_schedule
from keras_clce.experiments.retrieval_figures import retrieval_of_test
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import Run, batches, num_evaluated
from keras_clce.report import (
    balance_table,
    curves_by_name,
    drawing,
    plot_curves,
    run_title,
    summary_table,
    transfer_answer,
    validation_line,
    validation_table,
    wrapped,
)
from keras_clce.runs import Predictions, Record
from keras_clce.train import CLCEModel
from keras_clce.train.callbacks import RunCheckpoint

# Searching every training image for each test image takes memory in proportion to both.
NEAREST_NEIGHBOR_LIMIT = 60_000
# (labels, outputs of the model) of a split.
Outputs = tuple[np.ndarray, dict[str, np.ndarray]]


class Transfer(Protocol):
    """The validation split picks the epoch; the test split is read once, at the end."""

    name = "transfer"

    def load(self, settings: Settings) -> ImageDataset:
        """Load the data."""
        return load_dataset(settings.dataset, **loading_options(settings))

    def check_data(self, settings: Settings, dataset: ImageDataset) -> None:
        """Nothing more is asked of the data than loading asks."""

    def monitor(self, settings: Settings) -> str | None:
        """The validation loss, or the last epoch where no classifier learns.

        Where the weights of its parts move, cross-entropy: the loss itself, at the weights that
        training begins or ends with, would pick an epoch for its other end.
        """
        if contrastive_schedule(settings) != "constant":
            return "val_cross_entropy"
        # On a few hundred images accuracy moves by chance from epoch to epoch, the loss does less.
        # The classifier learns nothing from a contrastive loss alone, which the last epoch stands
        # for.
        return "val_loss" if build_loss(settings).trains_classifier else None

    def validation_split(self, dataset: ImageDataset) -> ImageSplit:
        """The validation split."""
        return dataset.validation

    def evaluate(
        self, model: CLCEModel, run: Run, dataset: ImageDataset, checkpoint: RunCheckpoint | None
    ) -> Evaluation:
        """Accuracies on the validation and the test split."""
        settings = run.settings
        # There is none of an encoder that was not trained, which `has_frozen` refuses.
        trained = cast(RunCheckpoint, checkpoint)
        if settings.multi_label:
            return _evaluate_labels(model, settings, dataset, trained)
        probed = not build_loss(settings).trains_classifier
        top1 = trained.history[trained.best_epoch]["val_accuracy"]
        train, probe = None, None
        searched = settings.test and dataset.train.num_examples <= NEAREST_NEIGHBOR_LIMIT
        if probed or searched:
            train = _predict(model, dataset.train, settings)
        if probed:
            # The model's own classifier has learned nothing from a contrastive loss alone.
            probe, top1 = _fit_probe(model, dataset, cast(Outputs, train), settings)
            run.folder.write_probe(probe)
        metrics: dict[str, Any] = {
            "validation": {
                "top1": top1,
                "best_epoch": trained.best_epoch + 1,
                "examples": num_evaluated(dataset.validation, settings),
            }
        }
        if not settings.test:
            return Evaluation(metrics)
        labels, outputs = _predict(model, dataset.test, settings)
        metrics["test"], predictions = _test(labels, outputs, train, probe)
        metrics["test"]["retrieval"], plot = retrieval_of_test(outputs["embedding"], labels)
        metrics["test"] |= balance_metrics(
            labels, predictions.classes, training_counts(settings, dataset), dataset.class_names
        )
        predictions.write(run.folder.predictions)

        def draw():
            quick = ", quick run" if settings.quick else ""
            title = f"Worst queries of {run.folder.path.name}{quick}, and their neighbours"
            plot(dataset.test, dataset.class_names, run.folder.retrieval, title)

        return Evaluation(metrics, draw)

    def line(self, record: Record) -> str:
        """Test accuracies, and the epoch that they are of."""
        if not record.is_tested:
            return validation_line(record)
        test, validation = record.metrics["test"], record.metrics["validation"]
        probed = ", by a linear probe" if (record.folder / "probe.npz").is_file() else ""
        if record.is_multi_label:
            return (
                f"test: mAP {test['map']:.4f}  F1 micro {test['f1_micro']:.4f}  "
                f"F1 macro {test['f1_macro']:.4f}  on {test['examples']} images, epoch "
                f"{validation['best_epoch']}"
            )
        retrieval = test.get("retrieval")
        mean = f"MAP@R {retrieval['map@r']:.4f}  " if retrieval else ""
        balanced = test.get("balanced_accuracy")
        of_classes = "" if balanced is None else f"balanced {balanced:.4f}  "
        return (
            f"test: top-1 {test['top1']:.4f}  {of_classes}top-5 {test['top5']:.4f}  {mean}on "
            f"{test['examples']} images, epoch {validation['best_epoch']}{probed}"
        )

    def tables(self, records: Sequence[Record]) -> str:
        """The answer, and one table with the accuracies of each loss."""
        if not all(record.is_tested for record in records):
            return validation_table(records)
        what = "mAP and F1" if records[0].is_multi_label else "accuracy"
        data = wrapped(f"Test {what} in %, {records[0].data}")
        parts = [transfer_answer(records), f"{data}\n{summary_table(records)}"]
        return "\n\n".join(filter(None, [*parts, balance_table(records)]))

    def draw(self, records: Sequence[Record], home: Path, suffix: str) -> Path:
        """Draw the curves of all runs."""
        path = home / f"curves{suffix}.png"
        with drawing(path):
            plot_curves(curves_by_name(records), path, run_title(records[0]))
        return path


def _evaluate_labels(
    model: CLCEModel, settings: Settings, dataset: ImageDataset, checkpoint: RunCheckpoint
) -> Evaluation:
    """Mean average precision and F1 on the validation and the test split."""
    metrics = {
        "validation": {
            **validation_of_labels(checkpoint.history[checkpoint.best_epoch]),
            "best_epoch": checkpoint.best_epoch + 1,
            "examples": num_evaluated(dataset.validation, settings),
        }
    }
    if settings.test:
        labels, outputs = _predict(model, dataset.test, settings)
        metrics["test"] = test_of_labels(labels, outputs["probabilities"], dataset.class_names)
    return Evaluation(metrics)


def _fit_probe(
    model: CLCEModel, dataset: ImageDataset, train: Outputs, settings: Settings
) -> tuple[Any, float]:
    """A linear classifier of the embeddings, and its validation accuracy."""
    train_labels, outputs = train
    labels, validation = _predict(model, dataset.validation, settings)
    probe = linear_probe(outputs["embedding"], train_labels, validation["embedding"], labels)
    return probe, float(probe.score(validation["embedding"], labels))


def _test(
    labels: np.ndarray, outputs: dict[str, np.ndarray], train: Outputs | None, probe: Any
) -> tuple[dict[str, Any], Predictions]:
    """Accuracy on the test split of the classifier, or of a linear probe, and of 1-NN."""
    scores = outputs["probabilities"]
    nearest = None
    if train is not None and len(train[0]) <= NEAREST_NEIGHBOR_LIMIT:
        train_labels, train_outputs = train
        nearest = nearest_neighbor_accuracy(
            train_outputs["embedding"], train_labels, outputs["embedding"], labels
        )
    if probe is not None:
        scores = np.zeros_like(scores)
        scores[:, probe.classes_] = probe.predict_proba(outputs["embedding"])
    accuracies = {
        "top1": top_k_accuracy(labels, scores),
        "top5": top_k_accuracy(labels, scores, k=5),
        "nearest_neighbor": nearest,
        "examples": len(labels),
    }
    return accuracies, Predictions.of(labels, scores)


def _predict(model: CLCEModel, split: ImageSplit, settings: Settings) -> Outputs:
    """Labels and outputs of a split's images."""
    data = batches(split, settings)
    labels = np.concatenate([np.asarray(batch) for _, batch in data])
    return labels, model.predict(data.map(lambda images, _: images), verbose=0)
