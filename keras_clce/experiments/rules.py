"""What settings must be together, checked before any data is read."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from keras_clce import backend
from keras_clce.data.catalog import get_spec
from keras_clce.evaluate import ENCODER_CLASSIFIERS, TASK_CLASSIFIERS
from keras_clce.evaluate.tasks import DRAWN_TOGETHER
from keras_clce.experiments.loggers import LOGGERS
from keras_clce.experiments.resolved import (
    build_loss,
    contrastive_schedule,
    is_mixed,
    unread_settings,
)
from keras_clce.experiments.settings import Settings, fields
from keras_clce.losses import LOSSES
from keras_clce.models.backbones import backbone_spec, check_options, check_weights
from keras_clce.models.registry import find_depth_groups, is_external
from keras_clce.models.sources.saved import saved_names


class RuleError(ValueError):
    """Settings do not fit together, or a name is not known.

    Args:
        text: What is wrong.
        name: Name of the setting that alone is wrong. Defaults to `None`.
        value: Its value.
    """

    def __init__(self, text: str, name: str | None = None, value: str | None = None) -> None:
        super().__init__(text)
        self.name, self.value = name, value


def _weights(settings):
    check_weights(settings.backbone, settings.weights)


def _options(settings):
    check_options(settings.backbone, settings.stochastic_depth, settings.remat)
    if settings.remat and settings.gradient_cache_size and not backend.remat_can_nest():
        raise ValueError(
            "--gradient_cache_size excludes --remat on TensorFlow; a smaller size saves memory as "
            f"well. Received: gradient_cache_size={settings.gradient_cache_size}, remat=True"
        )


def _layer_decay(settings):
    name = settings.backbone
    if settings.layer_decay == 1:
        return
    if settings.freeze_backbone:
        raise ValueError(
            "--layer_decay is for blocks that are trained and excludes --freeze_backbone. "
            f"Received: layer_decay={settings.layer_decay}"
        )
    if not name.endswith(".keras"):
        check_options(name, layer_decay=True)
    elif not find_depth_groups(saved_names(Path(name))):
        raise ValueError(
            "--layer_decay is for a Vision Transformer with blocks. Received: "
            f"layer_decay={settings.layer_decay}, backbone={name}, which has none"
        )


def _frozen_layers(settings):
    if settings.freeze_backbone and settings.unfreeze_last:
        raise ValueError("--freeze_backbone and --unfreeze_last exclude each other")


def _adapters(settings):
    if settings.lora_rank is None:
        return
    if settings.freeze_backbone or settings.unfreeze_last:
        other = "--freeze_backbone" if settings.freeze_backbone else "--unfreeze_last"
        raise ValueError(
            f"--lora_rank freezes the encoder but for its adapters and excludes {other}. "
            f"Received: lora_rank={settings.lora_rank}"
        )
    if not is_external(settings.backbone):
        check_options(settings.backbone, lora_rank=settings.lora_rank)


def _class_weights(settings):
    if settings.class_weight and settings.ignore_unlabelled:
        raise ValueError(
            "--class_weight needs a class of every image and excludes --ignore_unlabelled. "
            f"Received: class_weight={settings.class_weight}"
        )


def _several_labels(settings):
    if not settings.multi_label:
        return
    if get_spec(settings.dataset).name != "image_folder":
        raise ValueError(
            "--multi_label is for --dataset=image_folder, whose --data_dir has a labels.csv. "
            f"Received: dataset={settings.dataset}"
        )
    for name, why in (
        ("limit_per_class", "an image counts for several classes"),
        ("images_per_class", "an image is of several classes"),
        ("memory_size", "the memory keeps one class of each row"),
        ("class_weight", "an image is of several classes"),
        ("logit_adjustment", "sigmoids have no prior over classes"),
        ("negatives", "a row has no one class"),
        ("mixup_alpha", "what is mixed is no set of labels"),
        ("cutmix_alpha", "what is mixed is no set of labels"),
        ("ignore_unlabelled", "an image may have no label"),
    ):
        if getattr(settings, name) != fields()[name].default:
            raise ValueError(
                f"--{name} is not for --multi_label: {why}. Received: "
                f"{name}={getattr(settings, name)}"
            )


def _loss_of_several_labels(settings):
    if not settings.multi_label:
        return
    loss = build_loss(settings)
    if not loss.multi_label:
        raise ValueError(
            "--multi_label is not for a loss that takes one class an image. Received: "
            f"loss={settings.loss}"
        )
    if not loss.trains_classifier:
        raise ValueError(
            "--multi_label needs a loss with cross-entropy: a contrastive loss alone trains no "
            f"sigmoid. Received: loss={settings.loss}, "
            f"contrastive_weight={loss.contrastive_weight}"
        )


def _something_to_mix(settings):
    if settings.mix != "cross_entropy" and not is_mixed(settings):
        raise ValueError(
            "--mix says what --mixup_alpha and --cutmix_alpha mix for, of which one must be above "
            f"0. Received: mix={settings.mix}, mixup_alpha=0, cutmix_alpha=0"
        )


def _projection(settings):
    if settings.embedding_layers > 1 and settings.embedding_dim is None:
        raise ValueError(
            "--embedding_layers is for a projection, whose size is --embedding_dim. Received: "
            f"embedding_layers={settings.embedding_layers}, embedding_dim=None"
        )


def _losses_of_rates(settings):
    rates = settings.learning_rate
    if isinstance(rates, Mapping) and not set(rates) <= set(LOSSES):
        raise ValueError(
            "--learning_rate must be a number above 0, or one for each loss, such as "
            f"ce=1e-3,clce=2e-3. Received: learning_rate={dict(rates)}"
        )


def _warmup(settings):
    warmup = settings.warmup_epochs
    if warmup is not None and not settings.quick and warmup >= settings.epochs:
        raise ValueError(
            "--warmup_epochs must be below --epochs. Received: "
            f"warmup_epochs={warmup}, epochs={settings.epochs}"
        )


def _devices(settings):
    count, process = settings.num_processes, settings.process_id
    if process >= count or (count > 1) != (settings.coordinator_address is not None):
        raise ValueError(
            "several processes need --coordinator_address, the same --num_processes and each its "
            f"own --process_id below it. Received: num_processes={count}, process_id={process}, "
            f"coordinator_address={settings.coordinator_address}"
        )
    devices = settings.total_devices
    if settings.batch_size is not None and settings.batch_size % devices:
        raise ValueError(
            f"--batch_size must divide by the number of devices of all processes, {devices}. "
            f"Received: batch_size={settings.batch_size}"
        )


def _features_of_tasks(settings):
    named, given = settings.classifier, settings.features
    takes_tokens = {name: TASK_CLASSIFIERS[name].tokens for name in named}
    for tokens, which in ((True, "tokens"), (False, "pooled or embedding")):
        takers = [name for name in named if takes_tokens[name] is tokens]
        found = [name for name in given if (name == "tokens") is tokens]
        if takers and not found:
            raise ValueError(
                f"--classifier={takers[0]} needs --features to have {which}. Received: "
                f"features={','.join(given)}"
            )
        if found and not takers:
            known = [name for name, kind in TASK_CLASSIFIERS.items() if kind.tokens is tokens]
            raise ValueError(
                f"--features={found[0]} is for --classifier of: {', '.join(known)}. Received: "
                f"classifier={','.join(named)}"
            )


def _finetuned_encoder(settings):
    tasks = settings.finetune_encoder
    if tasks is None:
        return
    if not {*settings.classifier} & {*ENCODER_CLASSIFIERS}:
        raise ValueError(
            f"--finetune_encoder needs --classifier to have {' or '.join(ENCODER_CLASSIFIERS)}. "
            f"Received: classifier={','.join(settings.classifier)}"
        )
    frozen = [
        f"--{name}"
        for name in ("freeze_backbone", "unfreeze_last", "lora_rank")
        if getattr(settings, name)
    ]
    if frozen:
        raise ValueError(
            "--finetune_encoder moves the whole encoder, which "
            f"{frozen[0]} freezes. Received: finetune_encoder={tasks}"
        )
    if tasks > min(settings.tasks, DRAWN_TOGETHER):
        raise ValueError(
            f"--finetune_encoder must be at most --tasks and {DRAWN_TOGETHER}. Received: "
            f"finetune_encoder={tasks}, tasks={settings.tasks}"
        )


def _something_to_train(settings):
    if not can_train(settings):
        raise ValueError(
            "--freeze_backbone leaves a contrastive loss nothing to train: take --losses=ce, or "
            "give the embedding a projection with --embedding_dim"
        )


def _rate_of_the_loss(settings):
    rates = settings.learning_rate
    if isinstance(rates, Mapping) and settings.loss not in rates:
        raise ValueError(
            "--learning_rate names some losses but not all of --losses. Received: "
            f"learning_rate={dict(rates)}, loss={settings.loss}"
        )


def _two_parts_to_weigh(settings):
    weight = settings.contrastive_weight
    if contrastive_schedule(settings) != "constant" and not 0 < weight < 1:
        raise ValueError(
            "--contrastive_schedule moves the weight between 0 and --contrastive_weight, which "
            "must be above 0 and below 1 for it. Received: "
            f"contrastive_schedule={settings.contrastive_schedule}, contrastive_weight={weight}"
        )


def _arguments_of_the_loss(settings):
    build_loss(settings)


def _part_to_mix_for(settings):
    if not is_mixed(settings):
        return
    loss, received = build_loss(settings), f"Received: mix={settings.mix}, loss={settings.loss}"
    if not loss.trains_embedding:
        return
    if settings.mix == "cross_entropy":
        if not loss.trains_classifier:
            raise ValueError(
                "--mix=cross_entropy mixes images for the cross-entropy, which this loss does not "
                f"have: take --mix=contrastive. {received}"
            )
        per_class = settings.images_per_class
        if per_class is not None and per_class < 4:
            raise ValueError(
                "--images_per_class must be at least 4 with --mix=cross_entropy, which leaves the "
                f"contrastive part half of them. {received}, images_per_class={per_class}"
            )
        return
    if not loss.contrastive.takes_soft_labels:
        raise ValueError(
            "--mix=contrastive makes soft labels, which this contrastive part does not take: "
            f"take --mix=cross_entropy. {received}, negatives={settings.negatives}"
        )
    if settings.memory_size is not None and "memory_size" not in unread_settings(settings.loss):
        raise ValueError(
            "--mix=contrastive makes soft labels, and --memory_size keeps one class of each row: "
            f"take --mix=cross_entropy. {received}, memory_size={settings.memory_size}"
        )


def _loggers(settings):
    for name in settings.log:
        LOGGERS[name].check()


_OF_SETTINGS = (
    _weights,
    _options,
    _layer_decay,
    _frozen_layers,
    _adapters,
    _class_weights,
    _several_labels,
    _something_to_mix,
    _projection,
    _losses_of_rates,
    _warmup,
    _devices,
    _features_of_tasks,
    _finetuned_encoder,
)
_OF_RUNS = (
    _arguments_of_the_loss,
    _loss_of_several_labels,
    _something_to_train,
    _rate_of_the_loss,
    _two_parts_to_weigh,
    _part_to_mix_for,
    _loggers,
)


def can_train(settings: Settings) -> bool:
    """Whether the loss finds something to train: not the embedding of a frozen encoder.

    Args:
        settings: Settings with a loss.

    Returns:
        A bool.

    Example:
    ```python
    can_train(Settings(freeze_backbone=True, loss="clce"))  # False
    ```
    """
    if not settings.freeze_backbone or settings.embedding_dim:
        return True
    return not build_loss(settings).trains_embedding


def check_settings(settings: Settings) -> None:
    """Refuse settings that do not fit together, whatever the loss.

    Args:
        settings: The settings.

    Raises:
        RuleError: If they do not.

    Example:
    ```python
    check_settings(Settings(epochs=10, warmup_epochs=1))
    ```
    """
    for name, find in (("dataset", get_spec), ("backbone", backbone_spec)):
        value = getattr(settings, name)
        with _as_rule_errors(name, value):
            find(value)
    _check(_OF_SETTINGS, settings)


def check_run(settings: Settings) -> None:
    """Refuse settings that cannot become a run with their loss.

    Args:
        settings: The settings.

    Raises:
        RuleError: If they cannot.

    Example:
    ```python
    check_run(Settings(loss="ce", freeze_backbone=True))
    ```
    """
    _check(_OF_RUNS, settings)


def _check(rules: tuple[Callable[[Settings], None], ...], settings: Settings) -> None:
    for rule in rules:
        with _as_rule_errors():
            rule(settings)


@contextlib.contextmanager
def _as_rule_errors(name: str | None = None, value: str | None = None) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        raise RuleError(str(error), name, value) from None
