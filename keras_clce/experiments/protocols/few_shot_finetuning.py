"""Few-shot tasks by fine-tuning the whole encoder on each, for the first few of them."""

import time
from collections.abc import Mapping
from typing import Any, cast

import keras
import numpy as np

from keras_clce.data import ImageSplit
from keras_clce.evaluate import (
    ENCODER_CLASSIFIERS,
    Tasks,
    confidence_interval,
    draw_tasks,
    finetune_tasks,
)
from keras_clce.experiments.protocols.few_shot_features import features_for, images_at
from keras_clce.experiments.settings import Settings
from keras_clce.train.live_line import live_line

# Images of tasks that are kept at a time.
_BYTES = 2**28
QUICK_TASKS = 2


def finetuned(
    encoder: keras.Model,
    split: ImageSplit,
    settings: Settings,
    accuracies: Mapping[tuple[str, int], np.ndarray],
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Accuracy on the first tasks of an encoder that is fine-tuned on each.

    Args:
        encoder: What `encoder_of` gave.
        split: Images of novel classes.
        settings: Settings of a run.
        accuracies: Accuracies `(tasks,)` of each classifier, by number of shots, with the encoder
            as it is.

    Returns:
        Results by size of tasks and classifier, and the accuracies `(tasks,)` of each.
    """
    wanted = cast(int, settings.finetune_encoder)
    wanted = min(wanted, QUICK_TASKS) if settings.quick else wanted
    chosen = [name for name in settings.classifier if name in ENCODER_CLASSIFIERS]
    results, found = {}, {}
    for shots in settings.shots:
        drawn = next(
            draw_tasks(
                split.labels,
                settings.ways,
                shots,
                settings.queries,
                wanted,
                query_distribution=settings.query_distribution,
            )
        )
        for classifier in chosen:
            output = features_for(settings, classifier)[0]
            one = keras.Model(encoder.input, encoder.output[output])
            name = f"{settings.ways}w{shots}s {classifier}"
            began = time.perf_counter()
            found[name] = _accuracies(one, split, settings, drawn, classifier, name)
            seconds = time.perf_counter() - began
            results[name] = {
                "mean": float(found[name].mean()),
                "ci95": confidence_interval(found[name]),
                "of_features": float(accuracies[classifier, shots][: len(found[name])].mean()),
                "tasks": len(found[name]),
                "seconds_a_task": round(seconds / len(found[name]), 2),
                "classifier": classifier,
                "features": output,
            }
    return results, found


def _accuracies(
    encoder: keras.Model,
    split: ImageSplit,
    settings: Settings,
    drawn: Tasks,
    classifier: str,
    name: str,
) -> np.ndarray:
    count, query_classes = len(drawn.support), cast(np.ndarray, drawn.query_classes)
    side = split.image_size
    of_task = (drawn.support[0].size + drawn.queries[0].size) * side**2 * 3 * 4
    together = max(1, _BYTES // of_task)
    found = []
    with live_line() as line:
        for start in range(0, count, together):
            if line is not None:
                line.show(f"fine-tuning the encoder on task {start + 1}/{count}, {name}")
            rows = slice(start, start + together)
            support = images_at(split, drawn.support[rows], settings)
            queries = images_at(split, drawn.queries[rows].reshape(len(support), -1), settings)
            predicted = cast(np.ndarray, finetune_tasks(encoder, support, queries, classifier))
            right = predicted == query_classes[rows].reshape(predicted.shape)
            found.append(right.mean(axis=1))
    return np.concatenate(found)
