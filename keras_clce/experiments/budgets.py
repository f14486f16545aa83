"""Training of equal length: how many images there are, and the epochs that make so many steps."""

from typing import Any

import numpy as np

from keras_clce.data import class_counts
from keras_clce.data.catalog import get_spec
from keras_clce.experiments import fitted
from keras_clce.experiments.errors import told
from keras_clce.experiments.settings import Settings


def training_images(settings: Settings) -> np.ndarray:
    """Count the training images of each class, without decoding them.

    Args:
        settings: The settings, whose data are meant.

    Returns:
        Their numbers (classes,).

    Raises:
        ValueError: If the data do not fit the settings.
        OSError: If they cannot be read.

    Example:
    ```python
    training_images(Settings(dataset="digits", limit_per_class=20)).sum()  # 200
    ```
    """
    with told(ValueError, OSError):
        return class_counts(
            settings.dataset,
            few_shot=get_spec(settings.dataset).task == "few-shot",
            data_dir=settings.data_dir,
            split_seed=settings.split_seed,
            limit_examples=settings.limit_examples,
            strict=settings.strict,
            drop_small_classes=settings.drop_small_classes,
            limit_per_class=settings.limit_per_class,
            multi_label=settings.multi_label,
        )


def training_steps(settings: Settings, images: np.ndarray) -> int:
    """How many steps a training has.

    Args:
        settings: Its settings; a batch size that is not given follows the images.
        images: Training images of each class (classes,).

    Returns:
        The steps of all epochs.

    Example:
    ```python
    training_steps(Settings(epochs=30), np.full(10, 100))  # 450
    ```
    """
    return settings.epochs * _steps_per_epoch(settings, images)


def epochs_of_steps(settings: Settings, images: np.ndarray, steps: int) -> dict[str, Any]:
    """The settings with which a training comes nearest to a number of steps.

    Args:
        settings: Its settings; a batch size that is not given follows the images.
        images: Training images of each class (classes,).
        steps: The steps.

    Returns:
        `epochs`, and the `warmup_epochs` that are the same share of them as before; nothing where
        the settings have these epochs already.

    Example:
    ```python
    settings = Settings(epochs=30, batch_size=128)
    epochs_of_steps(settings, np.full(10, 128), 600)  # {"epochs": 60, "warmup_epochs": 6.0}
    ```
    """
    epochs = max(1, round(steps / _steps_per_epoch(settings, images)))
    if epochs == settings.epochs:
        return {}
    share = fitted.warmup_epochs_of(fitted.fit_warmup(settings)) / settings.epochs
    # Where warm-up is not shorter than an epoch or two, as in quick runs, there is none to keep.
    return {"epochs": epochs, "warmup_epochs": round(min(share, 0.9) * epochs, 6)}


def _steps_per_epoch(settings: Settings, images: np.ndarray) -> int:
    total = int(np.sum(images))
    batch_size = fitted.batch_size_of(fitted.fit_batch_size(settings, total, len(images)))
    return max(1, total // batch_size)
