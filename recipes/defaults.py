"""Defaults that fit the other flags, a run that goes on, and the data; what was given stays."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from flag_checks import is_given, trainable

FLAGS = flags.FLAGS


def fit_losses() -> None:
    """Leave out losses that find nothing to train in a frozen encoder."""
    if not is_given("losses"):
        _set("losses", trainable(FLAGS["losses"].default))


def take_over(begun: Sequence[Mapping[str, Any]]) -> None:
    """Take batch size, warm-up and the heads' normalization from the runs that go on.

    Args:
        begun: Settings of these runs.
    """
    # Runs from before there was a choice of normalization have none.
    begun = [{"feature_normalization": None, **settings} for settings in begun]
    for name in ("batch_size", "warmup_epochs", "feature_normalization"):
        found = [settings[name] for settings in begun if name in settings]
        if found and not is_given(name):
            # What the flag could not be is refused where settings are compared.
            with contextlib.suppress(ValueError, TypeError):
                _set(name, FLAGS[name].parser.parse(found[0]))


def fit_warmup() -> None:
    """Warm up in a tenth of the epochs, where that is less than the default."""
    if not is_given("warmup_epochs") and not FLAGS.quick:
        _set("warmup_epochs", min(FLAGS["warmup_epochs"].default, FLAGS.epochs / 10))


def fit_batch_size(images: int, classes: int) -> None:
    """Make a batch of at most a fourth of the images that all devices can share.

    Args:
        images: Number of training images.
        classes: Number of training classes, which limit batches with `--images_per_class`.
    """
    if is_given("batch_size"):
        return
    step = math.lcm(_devices(), FLAGS.images_per_class or 1)
    most = min(
        FLAGS["batch_size"].default, images // 4, classes * (FLAGS.images_per_class or images)
    )
    # Of a single class there would be nothing to compare.
    least = math.lcm(step, 2 * FLAGS.images_per_class) if FLAGS.images_per_class else max(step, 2)
    _set("batch_size", max(most // step * step, least))


def in_words(images: int) -> str:
    """What took the place of defaults, for the plan; nothing where all fitted.

    Args:
        images: Number of training images.

    Returns:
        The flags with their values, and what each is for.
    """
    batches = f"{images:,} training images"
    if FLAGS.images_per_class:
        batches += f", {FLAGS.images_per_class} of each class in a batch"
    if _devices() > 1:
        batches += f", {_devices()} devices"
    reasons = {
        "losses": "a frozen encoder",
        "warmup_epochs": f"{FLAGS.epochs} epochs",
        "batch_size": batches,
    }
    return "; ".join(
        f"--{name}={FLAGS[name].serialize().partition('=')[2]} for {reason}"
        for name, reason in reasons.items()
        if not FLAGS[name].present and FLAGS[name].value != FLAGS[name].default
    )


def _devices():
    return FLAGS.num_devices * FLAGS.num_processes


def _set(name, value):
    # Not through FLAGS, whose validators look at all flags while some are not fitted yet.
    FLAGS[name].value, FLAGS[name].using_default_value = value, False
