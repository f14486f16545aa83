"""The losses by their names: one row per loss."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from keras_clce.losses.clce import CLCELoss
from keras_clce.losses.core_tuning import CoreTuningLoss
from keras_clce.losses.hscl import HSCLLoss
from keras_clce.losses.lacln import LACLNLoss
from keras_clce.losses.supcon import SupConLoss

# The contrastive part and its weight; None is a weight that the caller may choose.
_PARTS = {
    "ce": (LACLNLoss, 0.0),
    "ce_supcon": (SupConLoss, None),
    "hscl": (HSCLLoss, None),
    "clce": (LACLNLoss, None),
    "supcon": (SupConLoss, 1.0),
    # Cross-entropy + 0.1 of the contrastive part, in these proportions.
    "core_tuning": (CoreTuningLoss, 0.1 / 1.1),
}
LOSSES = tuple(_PARTS)
OF_CROSS_ENTROPY = ("label_smoothing", "logit_adjustment", "class_prior")
# Arguments of `CLCELoss` that every name takes.
_OF_WHOLE = (*OF_CROSS_ENTROPY, "ignore_unlabelled")


def get(identifier: str | Mapping[str, Any] | CLCELoss, **arguments: Any) -> CLCELoss:
    """A loss from its name, as `keras.losses.get` gives Keras's own.

    Args:
        identifier: A name in `LOSSES`: `"ce"` (cross-entropy alone), `"ce_supcon"`, `"hscl"` and
            `"clce"` (cross-entropy with SupCon, H-SCL or LACLN), `"supcon"` (SupCon alone) or
            `"core_tuning"` (cross-entropy + 0.1 `CoreTuningLoss`, over 1.1). Or a `CLCELoss`, which
            is returned, or its config as `keras.losses.serialize` gives it.
        **arguments: With a name, any of `arguments_of(name)`; the defaults are those of
            `CLCELoss` and of its contrastive part. A part of weight 0 takes its arguments too: it
            is not trained on, but `CLCEModel` logs it.

    Returns:
        A `CLCELoss`.

    Raises:
        ValueError: If the identifier is none of these, the loss has no such argument, or an
            argument is out of its range.

    Example:
    ```python
    get("clce", contrastive_weight=0.5, temperature=0.1).contrastive_weight  # 0.5
    ```
    """
    if isinstance(identifier, str) and identifier in _PARTS:
        return _loss_of_name(identifier, arguments)
    loss = identifier
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        try:
            loss = keras.losses.deserialize(dict(identifier))
        except (KeyError, TypeError) as error:
            raise ValueError(_wrong_identifier(identifier)) from error
    if not isinstance(loss, CLCELoss):
        raise ValueError(_wrong_identifier(identifier))
    if arguments:
        raise ValueError(
            "Arguments go with the name of a loss; a loss or its config has its own. "
            f"Received: {_joined(arguments)} with identifier={identifier!r}"
        )
    return loss


def arguments_of(name: str) -> tuple[str, ...]:
    """Names of the arguments that `get` takes with the name of a loss.

    Args:
        name: One of `LOSSES`.

    Returns:
        A tuple; `contrastive_weight` is not in it where the name fixes the weight.

    Raises:
        ValueError: If there is no such loss.

    Example:
    ```python
    arguments_of("supcon")[:2]  # ("temperature", "positive_sum")
    ```
    """
    if name not in LOSSES:
        raise ValueError(f"`name` must be one of {LOSSES}. Received: name={name!r}")
    part, weight = _PARTS[name]
    of_any_loss = inspect.signature(keras.losses.Loss).parameters
    of_part = [each for each in inspect.signature(part).parameters if each not in of_any_loss]
    return (*(["contrastive_weight"] if weight is None else []), *of_part, *_OF_WHOLE)


def _loss_of_name(name, arguments):
    part, weight = _PARTS[name]
    known = arguments_of(name)
    others = {key: value for key, value in arguments.items() if key not in known}
    if others:
        fixed = weight is not None and "contrastive_weight" in others
        why = f" Its weight is fixed, {weight:.4}." if fixed else ""
        raise ValueError(
            f"{', '.join(f'`{key}`' for key in others)}: the loss {name!r} has no such argument, "
            f"but {', '.join(known)}.{why} Received: {_joined(others)}"
        )
    of_whole = {"contrastive_weight": weight} if weight is not None else {}
    of_part = dict(arguments)
    for key in ("contrastive_weight", *_OF_WHOLE):
        if key in of_part:
            of_whole[key] = of_part.pop(key)
    if "multi_label" in of_part:
        of_whole["multi_label"] = of_part["multi_label"]
    return CLCELoss(contrastive=part(**of_part), **of_whole)


def _wrong_identifier(identifier):
    return (
        f"`identifier` must be one of {LOSSES}, a CLCELoss, or its config as "
        f"keras.losses.serialize gives it. Received: identifier={identifier!r}"
    )


def _joined(arguments):
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items())
