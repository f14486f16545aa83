"""The page of a study of confusions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_clce.report.answers import SIGNIFICANT
from keras_clce.report.blocks import Block, Details, Items, Page, Picture, Section, Table, Text
from keras_clce.report.confusion_words import (
    answer_of_one,
    answer_of_two,
    calibration_in_words,
    open_set_in_words,
    points,
)
from keras_clce.report.names import count_of
from keras_clce.report.tables import p_value

Numbers = Mapping[str, Any]
Pictures = Mapping[str, Mapping[str, Path]]
_SHOWN = 10
_CALIBRATION = (
    "The calibration error (ECE) is the mean distance between the probability of the predicted "
    "class and how often it is right. The Brier score and the negative log-likelihood (NLL) are "
    "low where all probabilities are right; the temperature is the one of the least NLL."
)
_OPEN_SET = (
    "AUROC is the probability that a photograph of a known class has a higher score than one of an "
    "unknown class; 0.5 is chance. FPR is the share of unknown ones that are accepted where 95 % "
    "of the known ones are."
)


def confusion_page(study: Numbers, pictures: Pictures) -> Page:
    """The page of a study of confusions, for one model or two.

    Args:
        study: Content of its `confusions.json`.
        pictures: Files of pictures: `"examples"` and `"matrix"` by model, `"reliability"` by `""`.

    Returns:
        The page.

    Example:
    ```python
    model = {"top1": 0.9, "top1_interval": (0.6, 0.98), "right": 9, "pairs": [], "top5": None}
    study = {"models": {"ce": model}, "examples": 10, "classes": 2, "data": "digits"}
    confusion_page(study, {}).title  # "What does ce confuse?"
    ```
    """
    names = [*study["models"]]
    two = len(names) == 2
    lead, *rest = answer_of_two(study) if two else answer_of_one(study)
    answer: list[Block] = [Text(lead, "lead"), *map(Text, rest)]
    if study.get("unreadable"):
        count = count_of(len(study["unreadable"]), "file")
        answer.append(Text(f"{count} could not be read, see [below](#unreadable).", "warning"))
    sections = [
        *([_side_by_side(study)] if two else []),
        _confused(study, pictures),
        _classes(study, pictures),
        *([_calibrated(study, pictures)] if _all(study, "calibration") else []),
        *([_open_set(study)] if _all(study, "open_set") else []),
        _made(study),
    ]
    if study.get("unreadable"):
        lines = [f"{one['image']}: {one['reason']}" for one in study["unreadable"]]
        blocks: list[Block] = [Items(lines[:_SHOWN], "paths")]
        if len(lines) > _SHOWN:
            blocks.append(Details(f"All {len(lines)} files", [Items(lines, "paths")]))
        sections.append(Section("Not read", blocks, "unreadable"))
    title = "What does {} confuse?" if not two else "What do {} confuse?"
    about = f"{study['examples']:,} images of {count_of(study['classes'], 'class', 'classes')}"
    return Page(title.format(" and ".join(names)), f"{about}: {study['data']}", answer, sections)


def _all(study, key):
    return all(one.get(key) for one in study["models"].values())


def _side_by_side(study: Numbers) -> Section:
    (first, one), (second, other) = study["models"].items()
    found = study["compared"]
    top1, near = found["top1"], found.get("neighbors")
    rows = [
        ["Top-1 in %", points(one["top1"]), points(other["top1"]), *_difference(top1)],
    ]
    if one["top5"] is not None:
        rows.append(["Top-5 in %", *_pair(one["top5"], other["top5"]), "-"])
    ours, theirs = one.get("neighbors"), other.get("neighbors")
    if ours and ours["nearest"] is not None:
        what = "training image" if ours["of"] == "training images" else "other image"
        rows += [
            [
                f"Nearest {what} in %",
                points(ours["nearest"]),
                points(theirs["nearest"]),
                *_difference(near),
            ],
            [f"{ours['k']} nearest in %", *_pair(ours["k_nearest"], theirs["k_nearest"]), "-"],
        ]
    for key, apart in found.get("retrieval", {}).items():
        if apart["difference"] is not None:
            values = _pair(one["retrieval"][key], other["retrieval"][key])
            rows.append([f"Retrieval, {key} in %", *values, p_value(apart["p_value"])])
    if one.get("calibration"):
        for when, title in (("before", "as it is"), ("after", "with its temperature")):
            if all(when in each["calibration"] for each in (one, other)):
                errors = [each["calibration"][when]["ece"] for each in (one, other)]
                rows.append([f"ECE {title} in %", *_pair(*errors), "-"])
    for name, apart in found.get("open_set", {}).items():
        values = [each["open_set"][name]["auroc"] for each in (one, other)]
        between = "-"
        if apart["low"] is not None:
            between = f"{100 * apart['low']:+.1f} to {100 * apart['high']:+.1f}"
        rows.append([f"AUROC in %, {name}", *_pair(*values), between])
    title = f"{second} beside {first}; difference is {second} minus {first}"
    header = ["measure", first, second, "difference", "p, or 95 % interval"]
    blocks: list[Block] = [
        Table(title, header, rows),
        Text(
            "p is that of McNemar's exact test on the images that one model alone gets right, of "
            "retrieval that of the sign-flip test; intervals of AUROC are bootstrapped over "
            "images. They tell whether these two models differ, not whether training anew would "
            "give the same, and one p of twenty is below 0.05 by chance.",
            "note",
        ),
    ]
    return Section("Beyond top-1", blocks, "side-by-side")


def _difference(test):
    return f"{100 * test['difference']:+.1f}", p_value(test["p_value"])


def _pair(one, other):
    return points(one), points(other), f"{100 * (other - one):+.1f}"


def _confused(study: Numbers, pictures: Pictures) -> Section:
    models = study["models"]
    blocks: list[Block] = []
    if len(models) == 2:
        blocks += _pairs_of_two(models)
    else:
        ((_, found),) = models.items()
        rows = [
            [pair["label"], pair["predicted"], str(pair["count"]), points(pair["share"])]
            for pair in found["pairs"]
        ]
        header = ["true class", "predicted", "images", "% of the class"]
        blocks += _folded("Most confused pairs", header, rows, "pairs")
    if not any(one["pairs"] for one in models.values()):
        blocks = [Text("Every image is classified rightly.")]
    for name in models:
        path = pictures.get(name, {}).get("examples")
        if path:
            alt = f"Photographs that {name} confuses, in rows by true and predicted class"
            text = "The surest mistakes of each pair, with the probability of the predicted class"
            text = text if len(models) == 1 else f"{text}, by {name}"
            blocks.append(Picture(path, alt, text, is_photo=True))
    return Section("What is taken for what", blocks, "pairs")


def _pairs_of_two(models):
    counts: dict[tuple[str, str], dict[str, Numbers]] = {}
    for name, found in models.items():
        for pair in found["pairs"]:
            counts.setdefault((pair["label"], pair["predicted"]), {})[name] = pair
    first, second = models

    def number(pair, name):
        return pair[name]["count"] if name in pair else 0

    order = sorted(
        counts.items(), key=lambda item: -(number(item[1], first) + number(item[1], second))
    )
    rows = [
        [
            label,
            predicted,
            str(number(pair, first)),
            str(number(pair, second)),
            f"{number(pair, second) - number(pair, first):+d}",
        ]
        for (label, predicted), pair in order
    ]
    header = ["true class", "predicted", first, second, "difference"]
    return _folded("Most confused pairs, images", header, rows, "pairs")


def _classes(study: Numbers, pictures: Pictures) -> Section:
    models = study["models"]
    blocks = _differences(study) if len(models) == 2 else []
    for name, found in models.items():
        of = "" if len(models) == 1 else f" by {name}"
        rows = [
            [
                one["label"],
                points(one["accuracy"]),
                f"{points(one['low'])} to {points(one['high'])}",
                str(one["right"]),
                str(one["examples"]),
            ]
            for one in found.get("by_class", [])
        ]
        header = ["class", "accuracy in %", "95 % interval", "right", "images"]
        caption = f"Accuracy of each class{of}, the worst first, with Wilson's intervals"
        if len(models) == 1:
            blocks += _folded(caption, header, rows, "classes")
        else:
            blocks.append(Details(f"Each class{of}", [Table(caption, header, rows)]))
    for name in models:
        path = pictures.get(name, {}).get("matrix")
        if path:
            alt = f"Confusion matrix of {name}, true classes in rows, predicted ones in columns"
            blocks.append(Picture(path, alt))
    return Section("Class by class", blocks, "classes")


def _differences(study: Numbers) -> list[Block]:
    (first, one), (second, other) = study["models"].items()
    accuracies = [
        {each["label"]: each["accuracy"] for each in found["by_class"]} for found in (one, other)
    ]
    found = study["compared"]["by_class"]
    rows = [
        [
            each["label"],
            str(each["examples"]),
            *(points(accuracy[each["label"]]) for accuracy in accuracies),
            f"{100 * each['difference']:+.1f}",
            p_value(each["p_value"]),
            p_value(each["p_holm"]),
        ]
        for each in found
    ]
    header = ["class", "images", first, second, "difference", "p", "p (Holm)"]
    told = [each for each in found if each["p_holm"] < SIGNIFICANT]
    count = count_of(len(told), "class differs", "classes differ") if told else "no class differs"
    return [
        *_folded(
            "Accuracy of each class in %, the largest difference first", header, rows, "classes"
        ),
        Text(
            f"p is McNemar's; Holm's correction asks more of each, as there are {len(rows)}: "
            f"{count} by more than chance.",
            "note",
        ),
    ]


def _calibrated(study: Numbers, pictures: Pictures) -> Section:
    models, rows = study["models"], []
    blocks: list[Block] = []
    for name, one in models.items():
        found = one["calibration"]
        if len(models) > 1:  # of one, the answer says it
            text = calibration_in_words(found)
            blocks.append(Text(f"`{name}`: {text[0].lower()}{text[1:]}"))
        for when in ("before", "after"):
            if when not in found:
                continue
            values = found[when]
            own = found["own_temperature"] if when == "before" else found["temperature"]
            rows.append(
                [
                    name,
                    "1" if own is None else f"{own:.3f}",
                    points(values["ece"]),
                    points(values["confidence"]),
                    points(values["accuracy"]),
                    f"{values['brier']:.4f}",
                    f"{values['nll']:.4f}",
                ]
            )
    header = ["model", "temperature", "ECE in %", "mean probability", "right in %", "Brier", "NLL"]
    first = next(iter(models.values()))["calibration"]
    where = (
        f"Temperatures are fitted to {first['fitted_on']:,} images ({study['fitted_on']}) and "
        f"measured on {first['examples']:,}."
    )
    blocks += [Table("Before and after temperature scaling", header, rows), Text(where, "note")]
    blocks.append(Text(_CALIBRATION, "note"))
    path = pictures.get("", {}).get("reliability")
    if path:
        alt = "Share of right predictions by the probability of the predicted class"
        bins = len(first["before"]["counts"])
        blocks.append(Picture(path, alt, f"Bars on the dashed line are calibrated; {bins} bins"))
    return Section("Can its probabilities be trusted?", blocks, "calibration")


def _open_set(study: Numbers) -> Section:
    models = study["models"]
    blocks: list[Block] = []
    if len(models) > 1:
        blocks += [Text(f"`{name}`: {open_set_in_words(one)}") for name, one in models.items()]
    scores = dict.fromkeys(score for one in models.values() for score in one["open_set"])
    rows = [
        [
            score,
            *([] if len(models) == 1 else [name]),
            f"{one['open_set'][score]['auroc']:.3f}",
            points(one["open_set"][score]["fpr95"]),
            f"{one['open_set'][score]['threshold']:.4g}",
        ]
        for score in scores
        for name, one in models.items()
        if score in one["open_set"]
    ]
    model = [] if len(models) == 1 else ["model"]
    header = ["score", *model, "AUROC", "FPR at 95 % in %", "accepted from"]
    blocks += [
        Table("Known from unknown classes", header, rows),
        Text(f"Unknown are {study['unknown']}.", "note"),
        Text(_OPEN_SET, "note"),
    ]
    return Section("Does it know what it does not know?", blocks, "open-set")


def _made(study: Numbers) -> Section:
    lines = [f"`{name}`: {one.get('path')}" for name, one in study["models"].items()]
    lines.append(f"Images: {study['data']}")
    lines += [note[0].upper() + note[1:] for note in study.get("notes", ())]
    return Section("How it was made", [Items(lines, "paths")], "made")


def _folded(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], what: str
) -> list[Block]:
    """A table; where it is long its first rows, and all of them folded."""
    if not rows:
        return []
    if len(rows) <= _SHOWN + 2:
        return [Table(caption, header, rows)]
    short = Table(f"{caption}: the first {_SHOWN} of {len(rows)}", header, rows[:_SHOWN])
    return [short, Details(f"All {len(rows)} {what}", [Table(caption, header, rows)])]
