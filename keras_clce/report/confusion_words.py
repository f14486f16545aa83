"""What a study of confusions found, in sentences."""

from collections.abc import Mapping
from typing import Any

from keras_clce.report.names import count_of
from keras_clce.report.tables import p_value

Numbers = Mapping[str, Any]
SIGNIFICANT = 0.05
# Of so many points, a difference between confidence and accuracy is told.
_TOLD_POINTS = 1.0


def answer_of_one(study: Numbers) -> list[str]:
    """The answer for one model: how often it is right, what it confuses, whether it knows when.

    Args:
        study: Content of `confusions.json`.

    Returns:
        Sentences; the first is the most important.

    Example:
    ```python
    model = {"top1": 0.9, "top1_interval": (0.6, 0.98), "right": 9, "pairs": []}
    answer_of_one({"models": {"ce": model}, "examples": 10})[0]
    # "`ce` is right on 90.0 % of 10 images (95 % interval 60.0 to 98.0 %)."
    ```
    """
    ((name, found),) = study["models"].items()
    low, high = found["top1_interval"]
    sentences = [
        f"`{name}` is right on {points(found['top1'])} % of {study['examples']:,} images "
        f"(95 % interval {points(low)} to {points(high)} %)."
    ]
    if found["pairs"]:
        pair = found["pairs"][0]
        sentences.append(
            f"Most often it takes {pair['label']} for {pair['predicted']}: {pair['count']} of "
            f"{round(pair['count'] / pair['share'])}."
        )
    if found.get("calibration"):
        sentences.append(calibration_in_words(found["calibration"]))
    if found.get("open_set"):
        sentences.append(open_set_in_words(found))
    return sentences


def answer_of_two(study: Numbers) -> list[str]:
    """The answer for two models: top-1, and what the second gives beyond it.

    Args:
        study: Content of `confusions.json`.

    Returns:
        Sentences; the first is the most important.

    Example:
    ```python
    models = {"ce": {"top1": 0.8}, "clce": {"top1": 0.9}}
    test = {"difference": 0.1, "p_value": 0.02, "only_first": 1, "only_second": 11}
    answer_of_two({"models": models, "examples": 100, "compared": {"top1": test}})[0]
    # "By top-1 `clce` is 10.0 points above `ce`, 90.0 against 80.0 % …"
    ```
    """
    (first, one), (second, other) = study["models"].items()
    found = study["compared"]
    sentences = [_tested("By top-1", first, one["top1"], second, other["top1"], found["top1"])]
    if found.get("retrieval") and found["retrieval"]["map@r"]["difference"] is not None:
        sentences.append(_retrieved(first, one, second, other, found["retrieval"]["map@r"]))
    if found.get("neighbors") and one["neighbors"]["nearest"] is not None:
        sentences.append(
            _tested(
                "By the nearest neighbour of the embedding",
                first,
                one["neighbors"]["nearest"],
                second,
                other["neighbors"]["nearest"],
                found["neighbors"],
            )
        )
    if found.get("open_set"):
        sentences.append(_open_sets(first, one, second, other, found["open_set"]))
    if one.get("calibration"):
        sentences.append(
            f"The calibration error is {_errors(one['calibration'])} for `{first}` and "
            f"{_errors(other['calibration'])} for `{second}`."
        )
    return sentences


def calibration_in_words(found: Numbers) -> str:
    """Whether a model is too sure or too cautious, and what a temperature mends.

    Args:
        found: The calibration of a model in `confusions.json`.

    Returns:
        A sentence or two.

    Example:
    ```python
    before = {"ece": 0.08, "confidence": 0.9, "accuracy": 0.82}
    calibration_in_words({"before": before, "after": {"ece": 0.02}, "temperature": 1.5})
    # "On the mean it is 8.0 points too sure (calibration error 8.0 %); with temperature 1.50 …"
    ```
    """
    before = found["before"]
    by = 100 * (before["confidence"] - before["accuracy"])
    kind = "too sure" if by > 0 else "too cautious"
    how = f"it is {abs(by):.1f} points {kind}"
    if abs(by) < _TOLD_POINTS:
        how = "it is as sure as it is right"
    text = f"On the mean {how} (calibration error {points(before['ece'])} %)"
    if found["temperature"] is None:
        return f"{text}. No temperature could be fitted: {found['why_not']}."
    temperature = f"temperature {found['temperature']:.2f}"
    return f"{text}; with {temperature} the error is {points(found['after']['ece'])} %."


def open_set_in_words(found: Numbers) -> str:
    """How well a model tells unknown classes.

    Args:
        found: A model in `confusions.json`.

    Returns:
        A sentence.

    Example:
    ```python
    scores = {"energy": {"auroc": 0.9, "fpr95": 0.4}}
    open_set_in_words({"open_set": scores, "unknown_examples": 60})
    # "Photographs of unknown classes (60) are told best by the energy: AUROC 0.900; where 95 % …"
    ```
    """
    name, best = best_score(found["open_set"])
    return (
        f"Photographs of unknown classes ({found['unknown_examples']:,}) are told best by the "
        f"{name}: AUROC {best['auroc']:.3f}; where 95 % of known ones are accepted, so are "
        f"{points(best['fpr95'])} % of these."
    )


def best_score(scores: Numbers) -> tuple[str, Numbers]:
    """The open-set score of the highest AUROC.

    Args:
        scores: The scores of a model in `confusions.json`.

    Returns:
        Its name and its numbers.

    Example:
    ```python
    best_score({"energy": {"auroc": 0.9}, "maximal logit": {"auroc": 0.8}})[0]  # "energy"
    ```
    """
    name = max(scores, key=lambda one: scores[one]["auroc"])
    return name, scores[name]


def points(share: float) -> str:
    """A share in percent with one digit.

    Args:
        share: The share.

    Returns:
        Such as `"84.1"`.

    Example:
    ```python
    points(0.8412)  # "84.1"
    ```
    """
    return f"{100 * share:.1f}"


def _tested(what, first, one, second, other, test):
    apart = f"{points(other)} against {points(one)} %"
    by, p = 100 * test["difference"], f"McNemar's p {_equals(test['p_value'])}"
    only = f"{test['only_second']} images it alone gets right, {test['only_first']} the other alone"
    if test["p_value"] >= SIGNIFICANT:
        return f"{what} no difference can be told between `{second}` and `{first}`: {apart}, {p}."
    side = "above" if by > 0 else "below"
    return f"{what} `{second}` is {abs(by):.1f} points {side} `{first}`, {apart} ({p}; {only})."


def _retrieved(first, one, second, other, found):
    values = (points(each["retrieval"]["map@r"]) for each in (other, one))
    apart = "{} against {} %".format(*values)
    text = "Where each image is searched for among the others by its embedding (map@r),"
    p = f"p {_equals(found['p_value'])}"
    if found["p_value"] >= SIGNIFICANT:
        return f"{text} no difference can be told between `{second}` and `{first}`: {apart}, {p}."
    by = 100 * found["difference"]
    side = "above" if by > 0 else "below"
    return f"{text} `{second}` is {abs(by):.1f} points {side} `{first}`, {apart} ({p})."


def _open_sets(first, one, second, other, differences):
    shared = {name: other["open_set"][name] for name in differences}
    name, _ = best_score(
        {
            name: {"auroc": max(shared[name]["auroc"], one["open_set"][name]["auroc"])}
            for name in shared
        }
    )
    found = differences[name]
    apart = f"{other['open_set'][name]['auroc']:.3f} against {one['open_set'][name]['auroc']:.3f}"
    count = count_of(one["unknown_examples"], "photograph")
    text = f"By the {name}, the score that tells {count} of unknown classes best"
    if found["low"] is None or found["low"] <= 0 <= found["high"]:
        return f"{text}, no difference can be told between `{second}` and `{first}`: AUROC {apart}."
    side = "above" if found["difference"] > 0 else "below"
    return (
        f"{text}, `{second}` is {side} `{first}`: AUROC {apart}, a difference of "
        f"{found['difference']:+.3f} (95 % interval {found['low']:+.3f} to {found['high']:+.3f})."
    )


def _errors(found):
    before = f"{points(found['before']['ece'])} %"
    if found["temperature"] is None:
        return before
    return f"{before} ({points(found['after']['ece'])} % with its temperature)"


def _equals(value):
    text = p_value(value)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"
