"""The arguments that several losses share: their checks and their descriptions."""

import inspect
import math
import re
from collections.abc import Callable
from numbers import Real
from typing import TypeVar

POSITIVE_SUMS = ("outside", "inside")
POSITIVES = ("class", "view")
DENOMINATORS = ("all", "negatives")
NEGATIVES = ("all", "class_mean")

_DESCRIPTIONS = {
    "temperature": """\
Softmax temperature τ, above 0. Defaults to 0.5.""",
    "positive_sum": """\
Where the mean over positives stands, `"outside"` the logarithm (L_out) or
        `"inside"` it (L_in). Defaults to `"outside"`.""",
    "detach_weights": """\
Whether the weights of the negatives pass no gradient; the value is the
        same. Defaults to `False`.""",
    "positives": """\
`"class"`, all other rows of the anchor's class, or `"view"`, of these the
        other view of its image alone: of the rows 2k and 2k + 1, which `CLCEModel` makes the two
        views of an image, the other; evaluation, which has one view of each, takes `"class"`. Rows
        of its class are no negatives either way. Defaults to `"class"`.""",
    "negatives": """\
`"all"`, where each row counts, or `"class_mean"`, where each class does, however
        many rows it has: in the sums over an anchor's positives and negatives a row weighs 1 over
        how many rows of its class are compared with the anchor. With hardness 0 this is the class
        averaging of balanced contrastive learning (BCL), for unbalanced classes; hard negatives
        then are weighted by w_ik as well. Labels must be classes or one-hot: soft ones give an
        error, or NaN where they can only be seen in a compiled step. Defaults to `"all"`.""",
    "chunk_size": """\
Anchors that are compared with the batch at a time, in memory that grows with
        the batch and not with its square. Defaults to `None`: all pairs at once up to 1,024
        rows; beyond that, or where the batch size is not known while tracing, 128, or fewer if
        the batch has more than 8,192 rows.""",
    "multi_label": """\
Whether an image has several labels: labels are rows `(batch, classes)` of 0 and 1,
        and two rows are a positive of each other by Jaccard's index of their labels, those that
        they share over those that either has, and a negative by the rest. A row without labels is
        nobody's positive and everybody's negative. Defaults to `False`.""",
    "reduction": """\
As in `keras.losses.Loss`. Defaults to `"sum_over_batch_size"`, the mean over
        the anchors that have a positive.""",
    "dtype": """\
Dtype of the result. Defaults to `None`, Keras's `floatx`.""",
    "y_true": """\
Integer classes `(batch,)` or `(batch, 1)`, from 0, or rows
        `(batch, classes)`: one-hot, or soft labels, floats of at least 0 that sum to 1. Two rows
        are a positive of each other by the overlap of their soft labels, y_i · y_j, and a negative
        by the rest, 1 - y_i · y_j. What turns out to be no class (a negative number or a fraction)
        and no such row makes the loss NaN, on every backend. `multi_label`: rows of 0 and 1.""",
    "y_pred": """\
Embeddings `(batch, dim)`; rows are normalised by the loss.""",
    "sample_weight": """\
Optional weights `(batch,)` of the anchors.""",
    "labels": """\
Integer classes `[batch]` or `[batch, 1]`, or rows `[batch, classes]`, one-hot
        or soft: floats of at least 0 that sum to 1; with `multi_label` rows of 0 and 1.""",
    "memory": """\
Rows of earlier batches, further positives and negatives without gradient. Soft
        labels do not go with it: they give NaN. Defaults to `None`.""",
    "present": """\
Float32 `[batch]`, 1 for each row that takes part and 0 for one that is nobody's
        positive or negative and no anchor. Defaults to `None`, all take part.""",
    "embeddings": """\
Embeddings `[batch, dim]`; rows are normalised here.""",
}

_SHARED = re.compile(r"\b(\w+): \{shared\}")
_Documented = TypeVar("_Documented", bound=Callable)


def share_descriptions(documented: _Documented) -> _Documented:
    """Put the shared descriptions into a docstring, in place of every `{shared}`.

    Args:
        documented: A class or a function whose docstring has lines such as
            `temperature: {shared}`.

    Returns:
        The same, with its docstring filled in.

    Raises:
        KeyError: If an argument has no shared description.
    """
    # Python drops docstrings under -OO.
    if documented.__doc__ is not None:
        documented.__doc__ = _SHARED.sub(
            lambda line: f"{line[1]}: {_DESCRIPTIONS[line[1]]}",
            inspect.cleandoc(documented.__doc__),
        )
    return documented


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is not a finite number above 0."""
    if not isinstance(temperature, Real) or not 0 < temperature < math.inf:
        raise ValueError(
            f"`temperature` must be a finite number above 0. Received: temperature={temperature}"
        )


def check_hardness(hardness: float) -> None:
    """Refuse a hardness that is not a finite number of at least 0."""
    if not isinstance(hardness, Real) or not 0 <= hardness < math.inf:
        raise ValueError(
            f"`hardness` must be a finite number of at least 0. Received: hardness={hardness}"
        )


def check_positive_sum(positive_sum: str) -> None:
    """Refuse an unknown place of the mean over positives."""
    if positive_sum not in POSITIVE_SUMS:
        raise ValueError(
            f"`positive_sum` must be one of {POSITIVE_SUMS}. Received: positive_sum={positive_sum}"
        )


def check_detach_weights(detach_weights: bool) -> None:
    """Refuse what is neither `True` nor `False`."""
    if not isinstance(detach_weights, bool):
        raise ValueError(
            f"`detach_weights` must be True or False. Received: detach_weights={detach_weights!r}"
        )


def check_multi_label(multi_label: bool, negatives: str = "all") -> None:
    """Refuse what is neither `True` nor `False`, and several labels where classes count once."""
    if multi_label and negatives != "all":
        raise ValueError(
            "`negatives` must be 'all' with multi_label=True, where a row has no one class. "
            f"Received: negatives={negatives!r}"
        )
    if not isinstance(multi_label, bool):
        raise ValueError(
            f"`multi_label` must be True or False. Received: multi_label={multi_label!r}"
        )


def check_positives(positives: str) -> None:
    """Refuse an unknown kind of positives."""
    if positives not in POSITIVES:
        raise ValueError(
            f"`positives` must be one of {POSITIVES}. Received: positives={positives!r}"
        )


def check_denominator(denominator: str, positive_sum: str) -> None:
    """Refuse an unknown denominator, and one for each positive with the mean inside."""
    if denominator not in DENOMINATORS:
        raise ValueError(
            f"`denominator` must be one of {DENOMINATORS}. Received: denominator={denominator!r}"
        )
    if denominator == "negatives" and positive_sum != "outside":
        raise ValueError(
            "`positive_sum` must be 'outside' with denominator='negatives', where each positive "
            f"has a denominator of its own. Received: positive_sum={positive_sum!r}"
        )


def check_negatives(negatives: str) -> None:
    """Refuse an unknown way to count negatives."""
    if negatives not in NEGATIVES:
        raise ValueError(
            f"`negatives` must be one of {NEGATIVES}. Received: negatives={negatives!r}"
        )


def check_threshold(threshold: float | None) -> None:
    """Refuse a threshold that no cosine similarity can have."""
    if threshold is not None and not (isinstance(threshold, Real) and -1 <= threshold <= 1):
        raise ValueError(
            f"`threshold` must be None or within [-1, 1]. Received: threshold={threshold}"
        )
