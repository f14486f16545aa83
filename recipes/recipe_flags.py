"""Flags that all training recipes share, with checks that run before any data is read."""

import contextlib
import functools
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

from absl import flags
from flag_checks import (
    covers,
    fitting_devices,
    fitting_options,
    fitting_weights,
    is_given,
    known_backbone,
    known_dataset,
    learning_rates,
    trainable,
)

from keras_clce import losses
from keras_clce.backend import backend_name
from keras_clce.data import VIEW_POLICIES, list_datasets
from keras_clce.data.catalog import get_spec
from keras_clce.losses import LOSSES, POSITIVE_SUMS, CLCELoss, arguments_of
from keras_clce.models.backbones import backbone_spec
from keras_clce.models.heads import FEATURE_NORMALIZATIONS
from keras_clce.models.registry import brings_weights, is_external
from keras_clce.train.optimization import OPTIMIZERS

PRETRAINED_RATE, RANDOM_RATE = 1e-3, 3e-3
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")

# What may change between a run and its --resume without changing the result.
DEVICE_FLAGS = ("num_devices", "coordinator_address", "num_processes", "process_id")
NOT_SETTINGS = (
    *("losses", "seeds", "label", "output_dir", "resume", "show_views", "data_dir"),
    *DEVICE_FLAGS,
)

FLAGS = flags.FLAGS


class _NoneOrString(flags.ArgumentParser):
    """Takes the word none for None, so that a flag file's value can be unset."""

    def parse(self, argument: str | None) -> str | None:
        return None if str(argument).lower() == "none" else argument


class _EnumOrNone(flags.EnumParser):
    """Takes one of some words, or the word none for None."""

    def parse(self, argument: str | None) -> str | None:
        return None if argument in (None, "none") else super().parse(argument)


@functools.cache
def define_training_flags() -> None:
    """Define the flags of a training recipe, once however often it is called."""
    datasets = ", ".join(spec.name for spec in list_datasets())
    flags.DEFINE_string("dataset", "digits", f"Data set: {datasets}; or its name in TFDS.")
    flags.DEFINE_string("data_dir", None, "Folder of the prepared data, or of your own images.")
    flags.DEFINE_string(
        "backbone", "small_resnet", "Encoder: a name, app:NAME, hub:PRESET, zero:NAME or file."
    )
    flags.DEFINE(
        _NoneOrString(),
        "weights",
        None,
        "Encoder's weights: imagenet, a path, hf://… or kaggle://…, or none (random).",
    )
    flags.DEFINE_integer(
        "image_size",
        None,
        "Pixels a side; the data set's if it prescribes one, else the encoder's, if not given.",
    )
    flags.DEFINE_list(
        "losses",
        ["ce", "clce"],
        f"Losses to compare, of {', '.join(LOSSES)}. If not given, those that a frozen encoder "
        "leaves something to train.",
    )
    flags.DEFINE_float("contrastive_weight", 0.9, "Weight of the contrastive part (λ).", 0, 1)
    flags.DEFINE_float("temperature", 0.5, "Temperature of the contrastive part (τ).")
    flags.DEFINE_float("hardness", 1.0, "Concentration on hard negatives (β).", 0)
    flags.DEFINE_enum(
        "positive_sum",
        "outside",
        POSITIVE_SUMS,
        "Where the mean over positives stands, outside the logarithm or inside it; not for hscl.",
    )
    flags.DEFINE_integer(
        "batch_size",
        64,
        "Images a step, each in two views. If not given, at most a fourth of the training images.",
        2,
    )
    flags.DEFINE_integer(
        "images_per_class", None, "Images of each class in a batch; shuffled if not given.", 2
    )
    flags.DEFINE_integer("epochs", 30, "Passes over the training images.", 1)
    flags.DEFINE_enum("optimizer", "adamw", OPTIMIZERS, "Optimizer.")
    flags.DEFINE_list(
        "learning_rate",
        None,
        "Highest learning rate, or one a loss: ce=1e-3,clce=2e-3. If not given 1e-3 for "
        "pretrained weights, 3e-3 for random ones.",
    )
    flags.DEFINE_float("weight_decay", 0.01, "Decoupled weight decay, off biases and norms.", 0)
    flags.DEFINE_float(
        "warmup_epochs",
        3.0,
        "Epochs of linear warm-up before cosine decay. If not given, at most a tenth of --epochs.",
        0,
    )
    flags.DEFINE_enum("augmentation", "light", VIEW_POLICIES, "Policy that makes the two views.")
    flags.DEFINE_enum(
        "mixed_precision",
        "float32",
        PRECISIONS,
        "Keras dtype policy; a .keras encoder keeps its own.",
    )
    flags.DEFINE_list("seeds", ["0"], "Seeds, each one run a loss.")
    flags.DEFINE_integer(
        "embedding_dim",
        None,
        "Size of a linear projection before the embedding, if any.",
        1,
    )
    flags.DEFINE(
        _EnumOrNone(FEATURE_NORMALIZATIONS),
        "feature_normalization",
        "layer",
        "What is done to the pooled features before both heads read them: "
        f"{', '.join(FEATURE_NORMALIZATIONS)} or none.",
    )
    flags.DEFINE_float("label_smoothing", 0.0, "Share of a label spread over all classes.", 0, 1)
    flags.DEFINE_float(
        "layer_decay", 1.0, "Factor of the learning rate from block to block, for transformers."
    )
    flags.DEFINE_float("clip_norm", None, "Largest norm of all gradients together.", 0)
    flags.DEFINE_float(
        "ema_momentum", None, "Momentum of a moving average of the weights, as 0.999.", 0, 1
    )
    flags.DEFINE_float(
        "stochastic_depth", 0.0, "Share of skipped residual branches, at the last block."
    )
    flags.DEFINE_bool("remat", False, "Save memory by computing blocks twice, for transformers.")
    flags.DEFINE_integer(
        "gradient_cache_size",
        None,
        "Views that go through the encoder at a time on each device, to save memory.",
        1,
    )
    flags.DEFINE_bool("freeze_backbone", False, "Train the heads alone.")
    flags.DEFINE_integer(
        "unfreeze_last", None, "Train the heads and that many last blocks or layers alone.", 1
    )
    flags.DEFINE_string(
        "label", None, "Name of these settings, after the loss in folders and tables."
    )
    flags.DEFINE_string("output_dir", "runs", "Where run folders go.")
    flags.DEFINE_bool("resume", False, "Go on with runs that were interrupted, keep finished ones.")
    flags.DEFINE_bool("quick", False, "One epoch on a few batches, to see that all works.")
    flags.DEFINE_integer("limit_examples", None, "Use that many training images, balanced.", 1)
    flags.DEFINE_integer(
        "drop_small_classes", None, "Leave out classes with fewer images than that.", 1
    )
    flags.DEFINE_integer("split_seed", 0, "Seed of splits that the data set does not bring.", 0)
    flags.DEFINE_bool("strict", False, "Stop at an unreadable image instead of skipping it.")
    flags.DEFINE_integer("show_views", 0, "Draw that many images with their views.", 0)
    flags.DEFINE_integer("num_devices", 1, "Devices of each process, which share a batch.", 1)
    flags.DEFINE_string(
        "coordinator_address", None, "host:port of process 0, for several processes (JAX)."
    )
    flags.DEFINE_integer("num_processes", 1, "Processes that share a batch (JAX).", 1)
    flags.DEFINE_integer("process_id", 0, "Number of this process, from 0.", 0)

    flags.register_validator(
        "losses",
        lambda names: names and set(names) <= set(LOSSES) and len(set(names)) == len(names),
        f"must be different names of: {', '.join(LOSSES)}",
    )
    flags.register_validator(
        "seeds",
        lambda seeds: seeds and all(s.isdecimal() for s in seeds) and len(set(seeds)) == len(seeds),
        "must be different whole numbers of at least 0, such as 0,1,2",
    )
    for name in (
        *("contrastive_weight", "temperature", "hardness", "weight_decay", "warmup_epochs"),
        *("label_smoothing", "layer_decay", "clip_norm", "ema_momentum", "stochastic_depth"),
    ):
        # absl's bounds let NaN through.
        flags.register_validator(
            name, lambda value: value is None or math.isfinite(value), "must be a finite number"
        )
    flags.register_validator("label_smoothing", lambda value: value < 1, "must be below 1")
    flags.register_validator(
        "label",
        lambda label: label is None or re.fullmatch(r"[\w.+=-]+", label),
        "must be of letters, digits and _ . + = -, without spaces",
    )
    flags.register_validator("temperature", lambda value: value > 0, "must be above 0")
    flags.register_validator(
        "learning_rate",
        lambda items: items is None or learning_rates(items) is not None,
        "must be a number above 0, or one for each loss, such as ce=1e-3,clce=2e-3",
    )
    flags.register_validator(
        "image_size", lambda value: value is None or value >= 8, "must be at least 8"
    )
    flags.register_validator("dataset", known_dataset, "is not a known data set")
    flags.register_validator("backbone", known_backbone, "is not a known encoder")
    flags.register_multi_flags_validator(["backbone", "weights"], fitting_weights)
    flags.register_multi_flags_validator(
        ["backbone", "stochastic_depth", "remat", "layer_decay"], fitting_options
    )
    flags.register_validator("layer_decay", lambda value: 0 < value <= 1, "must be within (0, 1]")
    flags.register_validator(
        "clip_norm", lambda value: value is None or value > 0, "must be above 0"
    )
    flags.register_validator(
        "ema_momentum", lambda value: value is None or value < 1, "must be below 1"
    )
    flags.register_multi_flags_validator(
        ["freeze_backbone", "unfreeze_last"],
        lambda values: not (values["freeze_backbone"] and values["unfreeze_last"]),
        "--freeze_backbone and --unfreeze_last exclude each other",
    )
    flags.register_multi_flags_validator(
        ["freeze_backbone", "losses", "embedding_dim", "contrastive_weight"],
        lambda values: not is_given("losses") or trainable(values["losses"]) == values["losses"],
        "--freeze_backbone leaves a contrastive loss nothing to train: take --losses=ce, or give "
        "the embedding a projection with --embedding_dim",
    )
    flags.register_multi_flags_validator(
        ["losses", "learning_rate", "freeze_backbone", "embedding_dim", "contrastive_weight"],
        lambda values: covers(
            values["learning_rate"],
            values["losses"] if is_given("losses") else trainable(values["losses"]),
        ),
        "--learning_rate names some losses but not all of --losses",
    )
    flags.register_multi_flags_validator(
        ["epochs", "warmup_epochs", "quick"],
        lambda values: (
            values["quick"]
            or not is_given("warmup_epochs")
            or values["warmup_epochs"] < values["epochs"]
        ),
        "--warmup_epochs must be below --epochs",
    )
    flags.register_multi_flags_validator(["batch_size", *DEVICE_FLAGS], fitting_devices)


def build_loss(name: str) -> CLCELoss:
    """The loss of a name in `LOSSES`, with the weights and temperatures of the flags.

    Args:
        name: One of `LOSSES`.

    Returns:
        A `CLCELoss`.
    """
    values = given()
    return losses.get(name, **{key: values[key] for key in arguments_of(name) if key in values})


def learning_rate(loss: str) -> float:
    """The learning rate of a loss.

    Args:
        loss: One of `LOSSES`.

    Returns:
        The highest learning rate of its schedule.
    """
    if FLAGS.learning_rate is None:
        return RANDOM_RATE if weights_in_words() == "random" else PRETRAINED_RATE
    rates = learning_rates(FLAGS.learning_rate)
    return rates[loss] if loss in rates else rates[None]


def weights_in_words() -> str:
    """What the encoder starts from, `"random"` if from nothing."""
    own = is_external(FLAGS.backbone) and brings_weights(FLAGS.backbone)
    return FLAGS.weights or ("its own" if own else "random")


def image_size() -> int:
    """Side of the images in pixels: the flag, or the data set's, or the encoder's usual size."""
    prescribed = get_spec(FLAGS.dataset).image_size
    return FLAGS.image_size or prescribed or backbone_spec(FLAGS.backbone).image_size


def settings(loss: str, seed: int) -> dict[str, Any]:
    """All that decides the result of one run, as JSON values.

    Args:
        loss: One of `LOSSES`.
        seed: Seed of the run.

    Returns:
        A dict of the flags of the recipe, with what stands for those that were not given, and of
        the run's own loss, seed and learning rate.
    """
    values = {name: value for name, value in given().items() if name not in NOT_SETTINGS}
    return {
        **values,
        "loss": loss,
        "seed": seed,
        "learning_rate": learning_rate(loss),
        "image_size": image_size(),
        "backend": backend_name(),
    }


def given() -> dict[str, Any]:
    """All flags of the recipe with their values."""
    return {flag.name: flag.value for flag in FLAGS.flags_by_module_dict()[__name__]}


@contextlib.contextmanager
def errors_in_one_line(*kinds: type[Exception]) -> Iterator[None]:
    """End the program with the message alone, in one line, where it says what to do.

    Args:
        *kinds: The errors that are meant; all others keep their traceback.
    """
    try:
        yield
    except kinds as error:
        sys.exit(f"Error: {' '.join(str(error).split())}")


@contextlib.contextmanager
def as_value_errors() -> Iterator[None]:
    """Turn an error of flags that do not fit together into a `ValueError`."""
    try:
        yield
    except flags.Error as error:
        raise ValueError(str(error)) from None
