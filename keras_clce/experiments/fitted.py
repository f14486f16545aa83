"""Settings that follow others, the data and a run that goes on; what was given stays."""

import contextlib
import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from keras_clce.experiments.resolved import unread_settings
from keras_clce.experiments.rules import can_train
from keras_clce.experiments.setting import check_value
from keras_clce.experiments.settings import Settings, fields
from keras_clce.experiments.settings_json import unchecked
from keras_clce.runs.run_folder import completed_settings

LOSSES = ("ce", "clce")
BATCH_SIZE, WARMUP_EPOCHS, PROJECTION = 64, 3.0, 128
_TAKEN_OVER = (
    "batch_size",
    "warmup_epochs",
    "feature_normalization",
    "contrastive_weight",
    "temperature",
    "classifier_head",
)


def fit_losses(settings: Settings) -> tuple[str, ...]:
    """The losses to compare where none are named: those that find something to train.

    Args:
        settings: The settings.

    Returns:
        Names of losses.

    Example:
    ```python
    fit_losses(Settings(freeze_backbone=True))  # ("ce",)
    ```
    """
    return tuple(loss for loss in LOSSES if can_train(dataclasses.replace(settings, loss=loss)))


def take_over(
    settings: Settings, begun: Sequence[Mapping[str, Any]], given: Collection[str]
) -> Settings:
    """Take what has had other defaults, or followed the data, from the runs that go on.

    Args:
        settings: The settings.
        begun: Settings of these runs, from their `config.json`.
        given: Names of settings that must stay as they are.

    Returns:
        The settings.

    Example:
    ```python
    take_over(Settings(), [{"batch_size": 32}], given=()).batch_size  # 32
    ```
    """
    begun = [completed_settings(values) for values in begun]
    for name in _TAKEN_OVER:
        found = [values[name] for values in begun if name in values]
        if found and name not in given:
            settings = _with_value(settings, name, found[0])
    return settings


def _with_value(settings: Settings, name: str, value: Any) -> Settings:
    """Settings with a value of a run; what it could not be is refused where they are compared."""
    field = fields()[name]
    with contextlib.suppress(ValueError):
        check_value(name, value, field.kind, field.about)
        return unchecked({**vars(settings), name: value})
    return settings


def fit_projection(
    settings: Settings, begun: Sequence[Mapping[str, Any]], given: Collection[str]
) -> Settings:
    """Put the default contrastive part behind a projection, for tasks of new classes.

    There the features before it are classified, and the part at their side costs accuracy.

    Args:
        settings: The settings of a few-shot run.
        begun: Settings of runs of the same loss that go on, from their `config.json`.
        given: Names of settings that must stay as they are.

    Returns:
        The settings; without a projection where the weight of the part was chosen, or the loss has
        none.

    Example:
    ```python
    fit_projection(Settings(loss="clce"), begun=[], given=()).embedding_dim  # 128
    ```
    """
    if "embedding_dim" in given:
        return settings
    if begun:
        return _with_value(settings, "embedding_dim", begun[0].get("embedding_dim"))
    if "contrastive_weight" in {*given, *unread_settings(settings.loss)}:
        return settings
    # Of a run that is made again, data may be of a name that is no more.
    return unchecked({**vars(settings), "embedding_dim": PROJECTION})


def fit_warmup(settings: Settings) -> Settings:
    """Warm up in a tenth of the epochs, where that is less than the default.

    Args:
        settings: The settings.

    Returns:
        The settings.

    Example:
    ```python
    fit_warmup(Settings(epochs=2)).warmup_epochs  # 0.2
    ```
    """
    if settings.warmup_epochs is not None:
        return settings
    most = math.inf if settings.quick else settings.epochs / 10
    return dataclasses.replace(settings, warmup_epochs=min(WARMUP_EPOCHS, most))


def fit_batch_size(settings: Settings, images: int, classes: int) -> Settings:
    """Make a batch of at most a fourth of the images that all devices can share.

    Args:
        settings: The settings.
        images: Number of training images.
        classes: Number of training classes, which limit batches with `images_per_class`.

    Returns:
        The settings.

    Example:
    ```python
    fit_batch_size(Settings(), images=40, classes=2).batch_size  # 10
    ```
    """
    if settings.batch_size is not None:
        return settings
    each = settings.images_per_class
    step = math.lcm(settings.total_devices, each or 1)
    most = min(BATCH_SIZE, images // 4, classes * (each or images))
    # Of a single class there would be nothing to compare.
    least = math.lcm(step, 2 * each) if each else max(step, 2)
    return dataclasses.replace(settings, batch_size=max(most // step * step, least))


def batch_size_of(settings: Settings) -> int:
    """The batch size of settings that `fit_batch_size` gave, which have one.

    Args:
        settings: The settings.

    Returns:
        Images a batch.

    Example:
    ```python
    batch_size_of(fit_batch_size(Settings(), images=40, classes=2))  # 10
    ```
    """
    return cast(int, settings.batch_size)


def warmup_epochs_of(settings: Settings) -> float:
    """The warm-up of settings that `fit_warmup` gave, which have one.

    Args:
        settings: The settings.

    Returns:
        Epochs.

    Example:
    ```python
    warmup_epochs_of(fit_warmup(Settings(epochs=2)))  # 0.2
    ```
    """
    return cast(float, settings.warmup_epochs)


def fits_in_words(
    asked: Settings, fitted: Settings, losses: Sequence[str] | None, images: int
) -> str:
    """What took the place of defaults, for the plan; nothing where all fitted.

    Args:
        asked: The settings as they were given.
        fitted: The settings that are used.
        losses: The losses, where they followed the settings; else `None`.
        images: Number of training images.

    Returns:
        The flags with their values, and what each is for.

    Example:
    ```python
    fits_in_words(Settings(epochs=2), fit_warmup(Settings(epochs=2)), None, images=1259)
    # "--warmup_epochs=0.2 for 2 epochs"
    ```
    """
    batches = f"{images:,} training images"
    if fitted.images_per_class:
        batches += f", {fitted.images_per_class} of each class in a batch"
    if fitted.total_devices > 1:
        batches += f", {fitted.total_devices} devices"
    parts = []
    if losses is not None and tuple(losses) != LOSSES:
        parts.append(f"--losses={','.join(losses)} for a frozen encoder")
    if asked.warmup_epochs is None and fitted.warmup_epochs not in (None, WARMUP_EPOCHS):
        parts.append(f"--warmup_epochs={fitted.warmup_epochs:g} for {fitted.epochs} epochs")
    if asked.batch_size is None and fitted.batch_size not in (None, BATCH_SIZE):
        parts.append(f"--batch_size={fitted.batch_size} for {batches}")
    return "; ".join(parts)
