"""Calibrate a model: find the temperature that makes its probabilities mean what they say."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_clce.checks import as_array, check_whole_number, import_module
from keras_clce.evaluate import Reliability, fit_temperature, reliability
from keras_clce.inference.descriptions import (
    check_one_label,
    names_of_classes,
    preprocessing_of,
)
from keras_clce.inference.model_outputs import model_outputs
from keras_clce.inference.photographs import Photograph, find_photographs
from keras_clce.train import CLCEModel


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A temperature, and what it does to the images that it was fitted on.

    Args:
        temperature: The temperature.
        examples: Number of images that it was fitted on.
        before: Reliability of the probabilities that the model gave before.
        after: Reliability with the temperature.

    Example:
    ```python
    before, after = (reliability([0, 1], [[p, 1 - p]] * 2) for p in (0.9, 0.5))
    Calibration(9.0, 2, before, after).after.ece  # 0.0
    ```
    """

    temperature: float
    examples: int
    before: Reliability
    after: Reliability


def calibrate(
    model: CLCEModel,
    images: Any,
    labels: Sequence[int] | None = None,
    batch_size: int = 64,
    class_names: Sequence[str] | None = None,
    image_size: int | None = None,
    bins: int = 15,
    verbose: str | int = "auto",
) -> Calibration:
    """Fit a temperature to images that the model was not trained on, and give it to the model.

    From then on `model.predict`, `predict_images` and exports divide logits by it before the
    softmax, and `model.save` keeps it; predicted classes, logits and embeddings stay. Training does
    not change it, so that a model that was trained further is calibrated anew.
    `model.softmax_temperature = None` takes it away.

    Args:
        model: A `CLCEModel`, whose `softmax_temperature` is set.
        images: As in `predict_images`; without `labels` a folder whose folders bear names of
            classes. Images in other folders are passed over.
        labels: Integer classes `(images,)`. Defaults to `None`: names of folders tell them.
        batch_size: Images a step. Defaults to 64.
        class_names: Names of the classes, in the order of the labels. Defaults to `None`, the
            model's own.
        image_size: As in `predict_images`. Defaults to `None`.
        bins: As in `reliability`. Defaults to 15.
        verbose: As in `predict_images`. Defaults to `"auto"`.

    Returns:
        A `Calibration`; it is measured on the images that the temperature is fitted to, so that
        others are needed to tell how good it is.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an argument is wrong, no image is in a folder of a class, or every image is
            classified rightly, so that there is no best temperature.

    Reference:
        - [On Calibration of Modern Neural Networks](https://arxiv.org/abs/1706.04599)

    Example:
    ```python
    labels = model.predict(images)["logits"].argmax(axis=1)
    labels[::4] = (labels[::4] + 1) % 10
    found = calibrate(model, images, labels)
    model.softmax_temperature == found.temperature  # True
    model.save("calibrated.keras")
    ```
    """
    batch_size = check_whole_number("batch_size", batch_size)
    preprocessing = preprocessing_of(model, image_size)
    check_one_label(model, "calibration")
    names = names_of_classes(model, class_names)
    photographs = find_photographs(images)
    if labels is None:
        photographs, classes = _in_folders_of_classes(photographs, names, images)
    else:
        classes = as_array(labels)
        if classes.shape != (len(photographs),):
            raise ValueError(
                f"`labels` must be a class for each of {len(photographs)} images. Received: labels "
                f"of shape {classes.shape}"
            )
    outputs = model_outputs(model, photographs, preprocessing, batch_size, verbose)
    classes = classes[outputs.rows]
    temperature = fit_temperature(classes, outputs.logits)
    before, after = (
        reliability(classes, probabilities_of(outputs.logits, divisor), bins)
        for divisor in (model.softmax_temperature, temperature)
    )
    model.softmax_temperature = temperature
    return Calibration(temperature, len(classes), before, after)


def probabilities_of(logits: np.ndarray, temperature: float | None = None) -> np.ndarray:
    """The softmax of logits at a temperature, in double precision.

    Args:
        logits: Array `(images, classes)`.
        temperature: What they are divided by. Defaults to `None`, 1.

    Returns:
        Array `(images, classes)`.

    Example:
    ```python
    probabilities_of(np.array([[2.0, 0.0]]), temperature=2.0)  # [[0.73, 0.27]]
    ```
    """
    special = import_module("scipy.special", "Calibration", "scipy")
    return special.softmax(logits.astype("float64") / (temperature or 1.0), axis=1)


def _in_folders_of_classes(
    photographs: Sequence[Photograph], names: Sequence[str], images: Any
) -> tuple[list[Photograph], np.ndarray]:
    """Photographs in folders that bear names of classes, and the numbers of these."""
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    folders = [one.class_folder for one in photographs]
    found = [place for place, folder in enumerate(folders) if folder in numbers]
    if not found:
        raise ValueError(
            "`images` must lie in folders that bear names of the model's classes, such as "
            f"{', '.join(names[:3])}, or `labels` must be given. Received: images={images!r:.80}"
        )
    labels = np.array([numbers[folders[place]] for place in found])
    return [photographs[place] for place in found], labels
