"""Checks of the training flags, before any data is read."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from keras_clce import losses
from keras_clce.data.catalog import get_spec
from keras_clce.losses import LOSSES, arguments_of
from keras_clce.models.backbones import backbone_spec, check_options, check_weights

FLAGS = flags.FLAGS


def trainable(names: Sequence[str]) -> list[str]:
    """Those of some losses that find something to train: not the embedding of a frozen encoder.

    Args:
        names: Names in `LOSSES`.

    Returns:
        The same names in their order, without those that would train nothing.
    """
    if not FLAGS.freeze_backbone or FLAGS.embedding_dim:
        return list(names)
    weights = {
        name: {"contrastive_weight": FLAGS.contrastive_weight}
        for name in names
        if "contrastive_weight" in arguments_of(name)
    }
    # Not `build_loss`, since a validator asks, maybe beside flags that other validators refuse.
    return [
        name for name in names if not losses.get(name, **weights.get(name, {})).trains_embedding
    ]


def is_given(name: str) -> bool:
    """Whether the value of a flag was given, so that it is no default that may follow others."""
    return not FLAGS[name].using_default_value


def learning_rates(items: Sequence[str]) -> dict[str | None, float] | None:
    """Learning rate of each loss, under `None` that of all others; `None` for what is none."""
    rates = {}
    try:
        for item in items:
            name, separator, value = item.rpartition("=")
            if separator and name not in LOSSES:
                return None
            rates[name if separator else None] = float(value)
    except ValueError:
        return None
    valid = rates and len(rates) == len(items) and all(0 < rate < 1e3 for rate in rates.values())
    return rates if valid else None


def covers(items: Sequence[str] | None, names: Sequence[str]) -> bool:
    """Whether learning rates have one for each loss."""
    rates = learning_rates(items or ["1"]) or {None: 1.0}
    return None in rates or set(names) <= set(rates)


def known_dataset(name: str) -> bool:
    """Whether there is such a data set; what is wrong is said in the error."""
    with _as_flag_errors():
        get_spec(name)
    return True


def known_backbone(name: str) -> bool:
    """Whether there is such an encoder; what is wrong is said in the error."""
    with _as_flag_errors():
        backbone_spec(name)
    return True


def fitting_options(values: Mapping[str, Any]) -> bool:
    """Whether the encoder takes these options."""
    with _as_flag_errors():
        check_options(values["backbone"], values["stochastic_depth"], values["remat"])
        if values["layer_decay"] != 1 and not values["backbone"].endswith(".keras"):
            check_options(values["backbone"], layer_decay=True)
    return True


def fitting_devices(values: Mapping[str, Any]) -> bool:
    """Whether processes are all there and a batch that was given divides by the devices."""
    count, process = values["num_processes"], values["process_id"]
    if process >= count or (count > 1) != (values["coordinator_address"] is not None):
        raise flags.ValidationError(
            "several processes need --coordinator_address, the same --num_processes and each its "
            f"own --process_id below it. Received: num_processes={count}, process_id={process}, "
            f"coordinator_address={values['coordinator_address']}"
        )
    devices = values["num_devices"] * count
    if is_given("batch_size") and values["batch_size"] % devices:
        raise flags.ValidationError(
            f"--batch_size must divide by the number of devices of all processes, {devices}. "
            f"Received: batch_size={values['batch_size']}"
        )
    return True


def fitting_weights(values: Mapping[str, Any]) -> bool:
    """Whether the encoder takes these weights."""
    with _as_flag_errors():
        check_weights(values["backbone"], values["weights"])
    return True


@contextlib.contextmanager
def _as_flag_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        raise flags.ValidationError(str(error)) from None
