"""Few-shot learning: trained on base classes, tested on tasks of novel ones."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from keras_clce.data import FewShotDataset, ImageSplit, load_few_shot
from keras_clce.evaluate import (
    TASK_CLASSIFIERS,
    FewShotCallback,
    check_tasks,
    classify_tasks,
    draw_tasks,
    few_shot_accuracy,
)
from keras_clce.experiments.protocols.base import Evaluation, Protocol, loading_options
from keras_clce.experiments.protocols.few_shot_features import (
    BaseImages,
    encoder_of,
    features_for,
    images_at,
    images_of,
    mean_features,
    needs_base,
)
from keras_clce.experiments.protocols.few_shot_finetuning import finetuned
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import Run
from keras_clce.report import (
    CLASSIFIERS_NOTE,
    FEW_SHOT_NOTE,
    classifier_tables,
    drawing,
    few_shot_answer,
    few_shot_tables,
    finetuned_table,
    has_several_classifiers,
    plot_few_shot,
    plot_task,
    validation_line,
    validation_table,
    wrapped,
)
from keras_clce.runs import Record
from keras_clce.train import CLCEModel
from keras_clce.train.callbacks import RunCheckpoint

MONITOR = "val_few_shot"
TRANSFORMS = ("l2", "cl2")
VALIDATION_TASKS = 500
QUICK_TASKS = 20
# What the accuracies of fine-tuned encoders have in their names.
WHOLE_ENCODER = "whole encoder"


class FewShot(Protocol):
    """Accuracy on tasks of the validation classes picks the epoch; novel classes are read once."""

    name = "few_shot"
    has_frozen = True

    def load(self, settings: Settings) -> FewShotDataset:
        """Load the data."""
        return load_few_shot(settings.dataset, **loading_options(settings))

    def check_data(self, settings: Settings, dataset: FewShotDataset) -> None:
        """Refuse classes and images that are too few for a task."""
        for part in ("validation", "test") if settings.test else ("validation",):
            labels, names = getattr(dataset, part).labels, dataset.class_names[part]
            for shots in settings.shots:
                try:
                    check_tasks(
                        labels,
                        **_size(settings, shots),
                        tasks=num_tasks(settings),
                        class_names=names,
                        query_distribution=settings.query_distribution,
                    )
                except ValueError as error:
                    raise ValueError(f"{error} (the {part} classes of {dataset.name})") from None

    def plan_in_words(self, settings: Settings) -> str:
        """The tasks."""
        shots = " and ".join(map(str, settings.shots))
        balance = "" if settings.query_distribution == "balanced" else "unbalanced "
        return (
            f"; {num_tasks(settings)} {balance}tasks, {settings.ways}-way, {shots}-shot, "
            f"{', '.join(settings.classifier)}"
        )

    def monitor(self, settings: Settings) -> str:
        """Accuracy on tasks of the validation classes."""
        return MONITOR

    def callbacks(
        self, settings: Settings, dataset: FewShotDataset
    ) -> list[keras.callbacks.Callback]:
        """What logs it, by the first classifier."""
        first = settings.classifier[0]
        base: dict[str, Any] = {}
        if TASK_CLASSIFIERS[first].base_features:
            images = BaseImages.of(dataset.train, settings)
            base = {"base_images": images.images, "base_labels": images.labels}
        return [
            FewShotCallback(
                images_of(dataset.validation, settings),
                dataset.validation.labels,
                output=features_for(settings, first)[0],
                encoder=functools.partial(encoder_of, settings=settings),
                name=MONITOR,
                averages=settings.ema_momentum is not None,
                **base,
                **_size(settings, settings.shots[0]),
                tasks=min(VALIDATION_TASKS, num_tasks(settings)),
                classifier=first,
                query_distribution=settings.query_distribution,
            )
        ]

    def evaluate(
        self, model: CLCEModel, run: Run, dataset: FewShotDataset, checkpoint: RunCheckpoint | None
    ) -> Evaluation:
        """Accuracy on the novel classes, of each classifier with the features that it takes."""
        settings = run.settings
        validated: dict[str, Any] = {}
        if checkpoint is not None:
            validated["validation"] = {
                "few_shot": checkpoint.history[checkpoint.best_epoch][MONITOR],
                "best_epoch": checkpoint.best_epoch + 1,
            }
        if not settings.test:
            return Evaluation(validated)
        encoder = encoder_of(model, settings)
        novel = encoder.predict(images_of(dataset.test, settings), verbose=0)
        base = _Base.of(encoder, dataset.train, settings)
        results: dict[str, dict[str, Any]] = {}
        accuracies: dict[str, np.ndarray] = {}
        for shots in settings.shots:
            for classifier, output, transform in kinds(settings):
                result = few_shot_accuracy(
                    novel[output],
                    dataset.test.labels,
                    **_size(settings, shots),
                    tasks=num_tasks(settings),
                    classifier=classifier,
                    transform=transform,
                    query_distribution=settings.query_distribution,
                    **base.options(classifier, output, transform),
                )
                name = _result_name(settings, shots, classifier, output, transform)
                accuracies[name] = result.accuracies
                results[name] = {"features": output, **result.as_dict()}
        of_encoder: dict[str, Any] = {}
        if settings.finetune_encoder:
            first: dict[tuple[str, int], np.ndarray] = {}
            for name, one in results.items():
                first.setdefault((one["classifier"], one["shots"]), accuracies[name])
            finetuned_results, found = finetuned(encoder, dataset.test, settings, first)
            accuracies |= {f"{name} {WHOLE_ENCODER}": of for name, of in found.items()}
            of_encoder = {"finetuned_encoder": finetuned_results}
        run.folder.write_accuracies(accuracies)
        metrics = {
            "few_shot": results,
            **of_encoder,
            "accuracies": f"{run.folder.path.name}/{run.folder.few_shot.name}",
            **base.described(),
            **validated,
        }

        def draw():
            with drawing(run.folder.task):
                _draw_first_task(novel, base, dataset.test, dataset.class_names["test"], run)

        return Evaluation(metrics, draw)

    def line(self, record: Record) -> str:
        """Accuracy of each kind of result."""
        if not record.is_tested:
            return validation_line(record)
        results = record.metrics["few_shot"]
        lines: dict[str, list[str]] = {}
        several = len({result["classifier"] for result in results.values()}) > 1
        for name, result in results.items():
            classifier = result["classifier"]
            figure = f"{result['mean']:.4f} ± {result['ci95']:.4f}"
            # A line for all classifiers of the same tasks and features.
            kind = name.removesuffix(f" {classifier}")
            lines.setdefault(kind, []).append(f"{classifier} {figure}" if several else figure)
        return "\n".join(
            f"test {name}: {', '.join(figures)} over the tasks" for name, figures in lines.items()
        )

    def tables(self, records: Sequence[Record]) -> str:
        """The answer, and one table per kind of result that differs."""
        if not all(record.is_tested for record in records):
            return validation_table(records)
        data = wrapped(f"Accuracy on the novel classes in %, {records[0].data}")
        if has_several_classifiers(records):
            tables = [classifier_tables(records), CLASSIFIERS_NOTE]
        else:
            tables = [few_shot_tables(records), FEW_SHOT_NOTE]
        of_encoder = finetuned_table(records)
        if of_encoder:
            tables.insert(1, of_encoder)
        return "\n\n".join([few_shot_answer(records), data, *tables])

    def draw(self, records: Sequence[Record], home: Path, suffix: str) -> Path:
        """Draw the intervals of all losses."""
        path = home / f"few_shot{suffix}.png"
        if not all(record.is_tested for record in records):
            return path
        with drawing(path):
            plot_few_shot(records, path)
        return path


def num_tasks(settings: Settings) -> int:
    """Number of test tasks.

    Args:
        settings: Settings of a run.

    Returns:
        The number, which is small in a quick run.
    """
    return QUICK_TASKS if settings.quick else settings.tasks


def _size(settings: Settings, shots: int) -> dict[str, Any]:
    """Size of a task, as `draw_tasks` takes it."""
    return {"ways": settings.ways, "shots": shots, "queries": settings.queries}


def kinds(settings: Settings) -> list[tuple[str, str, str]]:
    """What is classified by what, the first of which picks the epoch.

    Args:
        settings: Settings of a run.

    Returns:
        Classifiers, each with the name of its features and their transform.

    Example:
    ```python
    kinds(Settings(features=("pooled",)))
    # [("logistic", "pooled", "l2"), ("logistic", "pooled", "cl2")]
    ```
    """
    return [
        (classifier, output, transform)
        for classifier in settings.classifier
        for output in features_for(settings, classifier)
        # Those of tokens have no use for the mean of all places.
        for transform in (TRANSFORMS[:1] if output == "tokens" else TRANSFORMS)
    ]


def _result_name(settings, shots, classifier, output, transform):
    """Name of a kind of result: 5w1s, and what differs from the first features and classifier."""
    name = f"{settings.ways}w{shots}s"
    if (output, transform) != (features_for(settings, classifier)[0], TRANSFORMS[0]):
        name += f" {output} {transform}"
    return name if classifier == settings.classifier[0] else f"{name} {classifier}"


@dataclasses.dataclass(frozen=True)
class _Base:
    """What evaluation takes from the base classes.

    Args:
        center: Mean of each of the features.
        features: Features of images by name; `None` where no classifier takes them.
        labels: Their classes.
    """

    center: Mapping[str, np.ndarray]
    features: Mapping[str, np.ndarray] | None = None
    labels: np.ndarray | None = None

    @classmethod
    def of(cls, encoder: keras.Model, split: ImageSplit, settings: Settings) -> "_Base":
        if not needs_base(settings):
            return cls(mean_features(encoder, split, settings))
        base = BaseImages.of(split, settings)
        features = encoder.predict(base.images, verbose=0)
        if base.are_all:
            center = {name: values.mean(axis=0) for name, values in features.items()}
        else:
            center = mean_features(encoder, split, settings)
        return cls(center, features, base.labels)

    def options(self, classifier: str, output: str, transform: str) -> dict[str, Any]:
        """Arguments of `few_shot_accuracy` and `classify_tasks`."""
        options = {"center": self.center[output] if transform == "cl2" else None}
        if TASK_CLASSIFIERS[classifier].base_features:
            features = cast(Mapping[str, np.ndarray], self.features)
            options |= {"base_features": features[output], "base_labels": self.labels}
        return options

    def described(self) -> dict[str, Any]:
        """What the record says of it."""
        return {} if self.labels is None else {"base_images": len(self.labels)}


def _draw_first_task(
    novel: Mapping[str, np.ndarray],
    base: _Base,
    split: ImageSplit,
    class_names: Sequence[str],
    run: Run,
) -> None:
    """Draw the first of a split's tasks, as the first classifier solves it."""
    settings, shots = run.settings, run.settings.shots[0]
    balance = settings.query_distribution
    size = _size(settings, shots)
    drawn = next(draw_tasks(split.labels, **size, tasks=1, query_distribution=balance))
    first = classifier, output, transform = kinds(settings)[0]
    options = base.options(*first)
    (predicted,) = classify_tasks(novel[output], [drawn], classifier, transform, **options)
    kind = _result_name(settings, shots, *first)
    # Classes of an unbalanced task have different numbers of queries.
    queries, predicted = drawn.queries[0].ravel(), predicted.ravel()
    of = cast(np.ndarray, drawn.query_classes)
    images = images_at(split, queries, settings)
    by_class = [of.ravel() == place for place in range(settings.ways)]
    plot_task(
        images_at(split, drawn.support[0], settings),
        [images[those] for those in by_class],
        [predicted[those] for those in by_class],
        [class_names[label] for label in drawn.classes[0]],
        f"{run.folder.path.name}, {kind}{', quick run' if settings.quick else ''}",
        run.folder.task,
    )
