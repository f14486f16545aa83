"""Few-shot learning: trained on base classes, tested on tasks of novel ones."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_clce.data import FewShotDataset, ImageSplit, load_few_shot
from keras_clce.evaluate import (
    FewShotCallback,
    check_tasks,
    classify_tasks,
    draw_tasks,
    few_shot_accuracy,
)
from keras_clce.experiments.protocols.base import Evaluation, Protocol, loading_options
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import Run, batches
from keras_clce.report import (
    FEW_SHOT_NOTE,
    drawing,
    few_shot_answer,
    few_shot_tables,
    plot_few_shot,
    plot_task,
    validation_line,
    validation_table,
    wrapped,
)
from keras_clce.train import CLCEModel

MONITOR = "val_few_shot"
TRANSFORMS = ("l2", "cl2")
VALIDATION_TASKS = 500
QUICK_TASKS = 20


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
                    )
                except ValueError as error:
                    raise ValueError(f"{error} (the {part} classes of {dataset.name})") from None

    def plan_in_words(self, settings: Settings) -> str:
        """The tasks."""
        shots = " and ".join(map(str, settings.shots))
        return (
            f"; {num_tasks(settings)} tasks, {settings.ways}-way, {shots}-shot, "
            f"{settings.classifier}"
        )

    def monitor(self, settings: Settings) -> str:
        """Accuracy on tasks of the validation classes."""
        return MONITOR

    def callbacks(self, settings, dataset) -> list[keras.callbacks.Callback]:
        """What logs it."""
        return [
            FewShotCallback(
                _images(dataset.validation, settings),
                dataset.validation.labels,
                output=settings.features[0],
                encoder=_pooled_and_embedding,
                name=MONITOR,
                averages=settings.ema_momentum is not None,
                **_size(settings, settings.shots[0]),
                tasks=min(VALIDATION_TASKS, num_tasks(settings)),
                classifier=settings.classifier,
            )
        ]

    def evaluate(self, model, run, dataset, checkpoint) -> Evaluation:
        """Accuracy on the novel classes, of the pooled features and of the embedding."""
        settings = run.settings
        validated = {}
        if checkpoint is not None:
            validated["validation"] = {
                "few_shot": checkpoint.history[checkpoint.best_epoch][MONITOR],
                "best_epoch": checkpoint.best_epoch + 1,
            }
        if not settings.test:
            return Evaluation(validated)
        encoder = _pooled_and_embedding(model)
        novel = encoder.predict(_images(dataset.test, settings), verbose=0)
        center = _mean_features(encoder, dataset.train, settings)
        results, accuracies = {}, {}
        for shots in settings.shots:
            for output in settings.features:
                for transform in TRANSFORMS:
                    result = few_shot_accuracy(
                        novel[output],
                        dataset.test.labels,
                        **_size(settings, shots),
                        tasks=num_tasks(settings),
                        classifier=settings.classifier,
                        transform=transform,
                        center=center[output] if transform == "cl2" else None,
                    )
                    name = _result_name(settings, shots, output, transform)
                    accuracies[name] = result.accuracies
                    results[name] = {"features": output, **result.as_dict()}
        run.folder.write_accuracies(accuracies)
        metrics = {
            "few_shot": results,
            "accuracies": f"{run.folder.path.name}/{run.folder.few_shot.name}",
            **validated,
        }

        def draw():
            with drawing(run.folder.task):
                features = novel[settings.features[0]]
                _draw_first_task(features, dataset.test, dataset.class_names["test"], run)

        return Evaluation(metrics, draw)

    def line(self, record) -> str:
        """Accuracy of each kind of result."""
        if not record.is_tested:
            return validation_line(record)
        return "\n".join(
            f"test {name}: {result['mean']:.4f} ± {result['ci95']:.4f} over the tasks"
            for name, result in record.metrics["few_shot"].items()
        )

    def tables(self, records) -> str:
        """The answer, and one table per kind of result that differs."""
        if not all(record.is_tested for record in records):
            return validation_table(records)
        data = wrapped(f"Accuracy on the novel classes in %, {records[0].data}")
        return "\n\n".join(
            [few_shot_answer(records), data, few_shot_tables(records), FEW_SHOT_NOTE]
        )

    def draw(self, records, home, suffix):
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


def _size(settings, shots) -> dict[str, int]:
    """Size of a task, as `draw_tasks` takes it."""
    return {"ways": settings.ways, "shots": shots, "queries": settings.queries}


def _result_name(settings, shots, output, transform):
    """Name of a kind of result: 5w1s, and what differs from the first features and `l2`."""
    name = f"{settings.ways}w{shots}s"
    first = (output, transform) == (settings.features[0], TRANSFORMS[0])
    return name if first else f"{name} {output} {transform}"


def _pooled_and_embedding(model: CLCEModel) -> keras.Model:
    """The encoder with what few-shot tasks can be classified by."""
    maps = model.backbone.output
    # Pooled at once, since the maps of all images together may not fit in memory.
    pooled = model.heads.pool(maps) if len(maps.shape) == 4 else maps
    outputs = {"pooled": pooled, "embedding": model.heads(maps)["embedding"]}
    # One input, and no list of one, with which Keras would warn of each array.
    return keras.Model(model.backbone.input, outputs)


def _mean_features(
    encoder: keras.Model, split: ImageSplit, settings: Settings
) -> dict[str, np.ndarray]:
    """Mean over a split's images of each output; only a batch at a time is in memory."""
    sums, examples = {}, 0
    for batch, _ in batches(split, settings).as_numpy_iterator():
        examples += len(batch)
        for name, values in encoder.predict_on_batch(batch).items():
            sums[name] = sums.get(name, 0.0) + np.sum(values, axis=0, dtype=np.float64)
    return {name: total / examples for name, total in sums.items()}


def _draw_first_task(
    features: np.ndarray, split: ImageSplit, class_names: Sequence[str], run: Run
) -> None:
    """Draw the first of a split's tasks, as it is classified by these features."""
    settings, shots = run.settings, run.settings.shots[0]
    drawn = next(draw_tasks(split.labels, **_size(settings, shots), tasks=1))
    (predicted,) = classify_tasks(features, [drawn], settings.classifier, TRANSFORMS[0])
    kind = _result_name(settings, shots, settings.features[0], TRANSFORMS[0])
    plot_task(
        _images_at(split, drawn.support[0], settings),
        _images_at(split, drawn.queries[0], settings),
        predicted[0],
        [class_names[label] for label in drawn.classes[0]],
        f"{run.folder.path.name}, {kind}{', quick run' if settings.quick else ''}",
        run.folder.task,
    )


def _images(split: ImageSplit, settings: Settings) -> Any:
    """Batches of a split's images, without labels."""
    return split.batches(settings.batch_size).map(lambda images, _: images)


def _images_at(split: ImageSplit, rows: np.ndarray, settings: Settings) -> np.ndarray:
    """Images of a split at these rows, in the rows' shape; a split that streams is passed once."""
    wanted = np.unique(rows)
    found, start = [], 0
    for batch in _images(split, settings).as_numpy_iterator():
        found.append(batch[wanted[(wanted >= start) & (wanted < start + len(batch))] - start])
        start += len(batch)
    return np.concatenate(found)[np.searchsorted(wanted, rows)]
