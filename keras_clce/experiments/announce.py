"""What a study prints before and after its runs."""

import os
import shlex
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from keras_clce.backend import backend_name
from keras_clce.data import FewShotDataset, ImageDataset
from keras_clce.experiments import fitted
from keras_clce.experiments.devices import Devices
from keras_clce.experiments.loggers import LOGGERS
from keras_clce.experiments.protocols import Protocol
from keras_clce.experiments.records import Records
from keras_clce.experiments.resolved import (
    build_loss,
    classifier_head,
    mixing_in_words,
    preprocessing,
    unread_settings,
    weights_in_words,
)
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import Run
from keras_clce.models.backbones import backbone_spec
from keras_clce.report import drawing, show_views
from keras_clce.report.study_pictures import plot_study
from keras_clce.runs import StudyPlan
from keras_clce.train.live_line import columns


def tell(what: str, text: str) -> None:
    """Print a line of the plan, in as many lines as it takes.

    Args:
        what: Its subject.
        text: What is said of it.
    """
    lines = textwrap.wrap(text, columns() - 10, break_long_words=False, break_on_hyphens=False) or [
        ""
    ]
    print(f"{what + ':':<10}" + ("\n" + " " * 10).join(lines))


def announce(
    runs: Sequence[Run],
    dataset: Any,
    protocol: Protocol,
    devices: Devices,
    compared: str | None = None,
    other_data: Sequence[str] = (),
) -> None:
    """Print what is going to happen.

    Args:
        runs: The runs.
        dataset: The data of the first of them.
        protocol: How they are tested.
        devices: What they run on.
        compared: What is compared, in words. Defaults to `None`: the names of the runs.
        other_data: Sentences on what else they are trained on. Defaults to nothing.
    """
    trained = [run for run in runs if not run.is_frozen]
    settings = trained[0].settings
    spec = backbone_spec(settings.backbone)
    licence = ""
    if settings.weights or spec.family in ("file", "hub"):
        licence = f", licence: {spec.licence}"
    adapters = f", LoRA of rank {settings.lora_rank}" if settings.lora_rank else ""
    is_cosine = classifier_head(settings, isinstance(dataset, FewShotDataset)) == "cosine"
    classifier = ", classifier by cosines" if is_cosine else ""
    epochs, images = (
        sorted({getattr(run.settings, name) for run in trained})
        for name in ("trained_epochs", "batch_size")
    )
    for note in (dataset.split_note, *other_data):
        tell("Data", note)
    tell(
        "Encoder",
        f"{settings.backbone} at {preprocessing(settings).image_size} px, weights: "
        f"{weights_in_words(settings)}{adapters}{classifier}{licence}",
    )
    tell("Backend", f"{backend_name()}, {settings.mixed_precision}{devices.in_words()}")
    tell(
        "Plan",
        f"{compared or ', '.join(dict.fromkeys(run.name for run in trained))}; seeds "
        f"{', '.join(dict.fromkeys(str(run.settings.seed) for run in trained))}; "
        f"{from_to(epochs)} {'epoch' if epochs == [1] else 'epochs'} of {from_to(images)} images "
        f"in two views per step{protocol.plan_in_words(settings)}",
    )
    if mixing_in_words(settings):
        tell("Mixing", mixing_in_words(settings))
    home = Path(os.path.commonpath([run.folder.path.parent for run in runs]))
    for name in settings.log:
        tell("Log", LOGGERS[name].where(home))


def from_to(numbers: Sequence[int]) -> str:
    """Numbers in words, from the lowest to the highest.

    Args:
        numbers: The numbers.

    Returns:
        Such as `"30"` or `"15 to 60"`.

    Example:
    ```python
    from_to([60, 30, 15])  # "15 to 60"
    ```
    """
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def compared_in_words(plan: StudyPlan) -> str:
    """What a study compares, each curve with its places on the axes.

    Args:
        plan: What it compares.

    Returns:
        Such as `"ce; clce at temperature 0.1, 0.5"`.

    Example:
    ```python
    points = [StudyPoint("ce", "ce"), StudyPoint("a", "clce", at={"temperature": 0.1})]
    compared_in_words(StudyPlan("mine", ("loss", "temperature"), ("temperature",), tuple(points)))
    # "ce; clce at temperature 0.1"
    ```
    """
    curves: dict[str, dict[str, dict[float, None]]] = {}
    for point in plan.points:
        places = curves.setdefault(point.curve, {})
        for axis, value in point.at.items():
            places.setdefault(axis, {})[value] = None
    texts = []
    for curve, places in curves.items():
        at = " and ".join(
            f"{axis} {', '.join(f'{value:g}' for value in values)}"
            for axis, values in places.items()
        )
        texts.append(f"{curve} at {at}" if at else curve)
    panels = list(filter(None, dict.fromkeys(point.panel for point in plan.points)))
    joined = "; ".join(texts) if any(places for places in curves.values()) else ", ".join(texts)
    return f"{joined}; {' and '.join(panels)}" if panels else joined


def announce_fits(
    asked: Settings,
    runs: Sequence[Run],
    losses: Sequence[str] | None,
    images: int,
    given: Collection[str] = (),
) -> None:
    """Print which defaults followed the data, and what is left untrained.

    Args:
        asked: The settings of the study, as they were given.
        runs: Its runs.
        losses: The losses, where they were not named; else `None`.
        images: Number of training images.
        given: Names of the settings that were given. Defaults to none.
    """
    trained = [run for run in runs if not run.is_frozen]
    fits = [fitted.fits_in_words(asked, trained[0].settings, losses, images)]
    if "embedding_dim" not in given:
        projected = {
            run.loss: run.settings.embedding_dim
            for run in trained
            if run.settings.embedding_dim != asked.embedding_dim
        }
        for dim in dict.fromkeys(projected.values()):
            of = ", ".join(loss for loss in projected if projected[loss] == dim)
            fits.append(f"--embedding_dim={dim} for {of} on tasks of new classes")
    if any(fits):
        tell("Defaults", "; ".join(filter(None, fits)))
    untrained = dict.fromkeys(
        run.settings.loss
        for run in trained
        if run.settings.embedding_dim and not build_loss(run.settings).trains_embedding
    )
    if untrained:
        names = ", ".join(untrained)
        tell("Note", f"{names} leaves the projection of --embedding_dim untrained")
    named = dict.fromkeys(run.settings.loss for run in trained)
    chunks = {
        (run.settings.gradient_cache_size, _views(run)): None
        for run in trained
        if run.settings.gradient_cache_size
    }
    for size, views in chunks:
        if size >= views:
            text = (
                f"--gradient_cache_size={size} saves no memory: a device has {views} views a step"
            )
            tell("Note", text)
    unread = frozenset.intersection(*map(unread_settings, named)) & {*given}
    if unread:
        flags = ", ".join(f"--{name}" for name in sorted(unread))
        tell("Note", f"nothing changes for {', '.join(named)} by {flags}")


def _views(run: Run) -> int:
    """Views of a step on each device."""
    return 2 * fitted.batch_size_of(run.settings) // run.settings.total_devices


def draw_views(dataset: Any, settings: Settings, images: int, path: Path) -> None:
    """Draw training images with their views.

    Args:
        dataset: The data.
        settings: Settings of the runs, which name the policy.
        images: How many.
        path: The picture.
    """
    with drawing(path):
        named = dataset if isinstance(dataset, ImageDataset) else dataset.train
        show_views(named, settings.augmentation, images, path)
        tell("Views", str(path))


def conclude(records: Records, label: str | None, protocol: Protocol, seconds: float) -> None:
    """Print the tables of a study and draw its pictures.

    Args:
        records: Its records.
        label: The label of its settings, which pictures have in their names.
        protocol: How the runs were tested.
        seconds: How long it took.
    """
    suffix = f"-{label}" if label else ""
    for home, members in records.by_home().items():
        print(f"\n{members.table()}\n")
        plan = members.plan
        if plan is None:
            path = protocol.draw(members.read, home, suffix)
        else:
            path = home / f"study{suffix}.png"
            with drawing(path):
                plot_study(plan, members.read, path)
        if path.is_file():
            tell("Picture", str(path))
        tell("Runs", f"{home}   ({seconds:.0f} s in all)")
        quick = " --include_quick" if records.read[0].quick else ""
        tell("Report", f"python recipes/report.py --runs {shlex.quote(str(home))}{quick}")
