"""What settings that follow others come to."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_clce import losses
from keras_clce.backend import backend_name
from keras_clce.data.catalog import get_spec
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.settings_json import settings_as_json
from keras_clce.losses import LOSSES, CLCELoss, arguments_of
from keras_clce.losses.registry import OF_CROSS_ENTROPY
from keras_clce.models.backbones import backbone_spec
from keras_clce.models.registry import brings_weights, is_external
from keras_clce.train import ImageMixing
from keras_clce.views.preprocessing import Preprocessing

PRETRAINED_RATE, RANDOM_RATE = 1e-3, 3e-3


def build_loss(settings: Settings, class_counts: Sequence[int] | None = None) -> CLCELoss:
    """The loss of some settings, with its weight and temperatures.

    Args:
        settings: The settings.
        class_counts: Training images of each class, which adjust logits where the settings ask for
            that; a class without any counts as one with one. Defaults to `None`: they are not
            known, and nothing is adjusted.

    Returns:
        A `CLCELoss`.

    Example:
    ```python
    build_loss(Settings(loss="clce", temperature=0.1)).contrastive.temperature  # 0.1
    ```
    """
    names = [name for name in arguments_of(settings.loss) if hasattr(settings, name)]
    arguments = {name: getattr(settings, name) for name in names}
    if arguments.pop("logit_adjustment") and class_counts is not None:
        arguments["logit_adjustment"] = settings.logit_adjustment
        arguments["class_prior"] = np.maximum(class_counts, 1)
    return losses.get(settings.loss, **arguments)


def is_mixed(settings: Settings) -> bool:
    """Say whether training images are mixed, without a layer, which would start the backend.

    Args:
        settings: The settings.

    Returns:
        A bool.

    Example:
    ```python
    is_mixed(Settings(mixup_alpha=0.2))  # True
    ```
    """
    return settings.mixup_alpha > 0 or settings.cutmix_alpha > 0


def build_mixing(settings: Settings) -> ImageMixing | None:
    """What mixes the training images.

    Args:
        settings: The settings.

    Returns:
        A layer for `CLCEModel.compile`, or `None` where images stay as they are.

    Example:
    ```python
    build_mixing(Settings(mixup_alpha=0.2)).part  # "cross_entropy"
    ```
    """
    if not is_mixed(settings):
        return None
    return ImageMixing(
        settings.mixup_alpha, settings.cutmix_alpha, part=settings.mix, seed=settings.seed
    )


def mixing_in_words(settings: Settings) -> str:
    """How training images are mixed, for the plan.

    Args:
        settings: The settings.

    Returns:
        A sentence; nothing where they stay as they are.

    Example:
    ```python
    mixing_in_words(Settings(cutmix_alpha=1.0, mix="contrastive"))
    # "cutmix (1), of all images; training accuracy is of the class with the largest share"
    ```
    """
    ways = {"mixup": settings.mixup_alpha, "cutmix": settings.cutmix_alpha}
    named = " or ".join(f"{name} ({alpha:g})" for name, alpha in ways.items() if alpha)
    if not named:
        return ""
    which = "all images"
    if settings.mix == "cross_entropy":
        which = "every second image, for the cross-entropy alone (of all, where a loss has no more)"
    return f"{named}, of {which}; training accuracy is of the class with the largest share"


def unread_settings(loss: str) -> frozenset[str]:
    """Settings of losses that change nothing in what one of them trains.

    Args:
        loss: Name of the loss.

    Returns:
        Names of settings: of a part whose weight is 0, of a weight that does not move, and of a
        memory that the loss does not take.

    Raises:
        ValueError: If there is no such loss.

    Example:
    ```python
    sorted(unread_settings("supcon") & {"contrastive_schedule", "hardness", "temperature"})
    # ["contrastive_schedule", "hardness"]
    ```
    """
    of_losses = {
        "contrastive_schedule",
        "memory_size",
        "mix",
        *(n for name in LOSSES for n in arguments_of(name)),
    }
    read = {*arguments_of(loss)}
    if "contrastive_weight" in read:
        read |= {"contrastive_schedule", "memory_size", "mix"}
    else:
        trained = losses.get(loss)
        of_entropy, of_both = {*OF_CROSS_ENTROPY}, {"ignore_unlabelled"}
        if not trained.trains_embedding:
            read &= of_entropy | of_both
        elif not trained.trains_classifier:
            read -= of_entropy
        if trained.trains_embedding:
            read.add("mix")
        if trained.trains_embedding and trained.contrastive.takes_memory:
            read.add("memory_size")
    # It says what labels are, whatever is made of them.
    return frozenset(of_losses - read - {"multi_label"})


def contrastive_schedule(settings: Settings) -> str:
    """How the weight of the contrastive part moves: constant where the loss has one part.

    Args:
        settings: The settings.

    Returns:
        A name in `keras_clce.train.contrastive_schedule.SCHEDULES`.

    Example:
    ```python
    contrastive_schedule(Settings(loss="ce", contrastive_schedule="falling"))  # "constant"
    ```
    """
    unread = "contrastive_schedule" in unread_settings(settings.loss)
    return "constant" if unread else settings.contrastive_schedule


def learning_rate(settings: Settings) -> float:
    """The highest learning rate of the loss of some settings.

    Args:
        settings: The settings.

    Returns:
        The rate.

    Example:
    ```python
    learning_rate(Settings(loss="ce", learning_rate={"ce": 1e-3, "clce": 2e-3}))  # 1e-3
    ```
    """
    rates = settings.learning_rate
    if rates is None:
        return RANDOM_RATE if weights_in_words(settings) == "random" else PRETRAINED_RATE
    return rates if isinstance(rates, (int, float)) else rates[settings.loss]


def classifier_head(settings: Settings, is_few_shot: bool = False) -> str:
    """The kind of classifier on the encoder.

    Args:
        settings: The settings.
        is_few_shot: Whether the model is tested on tasks of new classes. Defaults to `False`.

    Returns:
        A name in `keras_clce.models.heads.CLASSIFIERS`.

    Example:
    ```python
    classifier_head(Settings(backbone="efficientnet_lite0", weights="imagenet"))  # "cosine"
    classifier_head(Settings(backbone="small_resnet"))  # "linear"
    ```
    """
    if settings.classifier_head is not None:
        return settings.classifier_head
    # From random weights it is below a linear one; the other two are not measured.
    begins_at_random = weights_in_words(settings) == "random"
    return "linear" if begins_at_random or settings.multi_label or is_few_shot else "cosine"


def weights_in_words(settings: Settings) -> str:
    """What the encoder starts from, `"random"` if from nothing.

    Args:
        settings: The settings.

    Returns:
        A few words.

    Example:
    ```python
    weights_in_words(Settings(backbone="small_resnet"))  # "random"
    ```
    """
    own = is_external(settings.backbone) and brings_weights(settings.backbone)
    return settings.weights or ("its own" if own else "random")


def preprocessing(settings: Settings) -> Preprocessing:
    """How images come to the encoder where they are not augmented.

    The size is the setting, or the data set's, or the encoder's usual one; what is resized is
    resized as the weights were trained.

    Args:
        settings: The settings.

    Returns:
        A `Preprocessing`.

    Example:
    ```python
    preprocessing(Settings(dataset="digits", image_size=16)).image_size  # 16
    ```
    """
    spec = get_spec(settings.dataset)
    encoder = backbone_spec(settings.backbone, settings.weights)
    return Preprocessing(
        settings.image_size or spec.image_size or encoder.image_size,
        crop_fraction=spec.crop_fraction,
        interpolation=encoder.interpolation,
    )


def run_settings(settings: Settings, protocol: str) -> dict[str, Any]:
    """All that decides the result of one run, as JSON values, for `config.json`.

    Args:
        settings: The settings.
        protocol: Name of the protocol.

    Returns:
        A dict.

    Example:
    ```python
    run_settings(Settings(loss="ce"), "transfer")["learning_rate"]  # 3e-3
    ```
    """
    return settings_as_json(
        settings,
        protocol,
        learning_rate=learning_rate(settings),
        classifier_head=classifier_head(settings, protocol == "few_shot"),
        image_size=preprocessing(settings).image_size,
        backend=backend_name(),
    )
