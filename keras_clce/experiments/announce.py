"""What a study prints before and after its runs."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_clce.backend import backend_name
from keras_clce.data import ImageDataset
from keras_clce.experiments import fitted
from keras_clce.experiments.devices import Devices
from keras_clce.experiments.protocols import Protocol
from keras_clce.experiments.records import Records
from keras_clce.experiments.resolved import build_loss, preprocessing, weights_in_words
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import Run
from keras_clce.models.backbones import backbone_spec
from keras_clce.report import drawing, show_views

_COLUMNS = 100


def tell(what: str, text: str) -> None:
    """Print a line of the plan, in as many lines as it takes.

    Args:
        what: Its subject.
        text: What is said of it.
    """
    lines = textwrap.wrap(text, _COLUMNS - 10, break_long_words=False, break_on_hyphens=False) or [
        ""
    ]
    print(f"{what + ':':<10}" + ("\n" + " " * 10).join(lines))


def announce(runs: Sequence[Run], dataset: Any, protocol: Protocol, devices: Devices) -> None:
    """Print what is going to happen on a data set.

    Args:
        runs: The runs on this data.
        dataset: The data.
        protocol: How they are tested.
        devices: What they run on.
    """
    trained = [run for run in runs if not run.is_frozen]
    settings = trained[0].settings
    spec = backbone_spec(settings.backbone)
    licence = ""
    if settings.weights or spec.family == "file":
        licence = f", licence: {spec.licence}"
    epochs = settings.trained_epochs
    tell("Data", dataset.split_note)
    tell(
        "Encoder",
        f"{settings.backbone} at {preprocessing(settings).image_size} px, weights: "
        f"{weights_in_words(settings)}{licence}",
    )
    tell("Backend", f"{backend_name()}, {settings.mixed_precision}{devices.in_words()}")
    tell(
        "Plan",
        f"{', '.join(dict.fromkeys(run.name for run in trained))}; seeds "
        f"{', '.join(dict.fromkeys(str(run.settings.seed) for run in trained))}; "
        f"{epochs} {'epoch' if epochs == 1 else 'epochs'} of {settings.batch_size} images in two "
        f"views per step{protocol.plan_in_words(settings)}",
    )


def announce_fits(
    asked: Settings, runs: Sequence[Run], losses: Sequence[str] | None, images: int
) -> None:
    """Print which defaults followed the data, and what is left untrained.

    Args:
        asked: The settings of the study, as they were given.
        runs: Its runs.
        losses: The losses, where they were not named; else `None`.
        images: Number of training images.
    """
    trained = [run for run in runs if not run.is_frozen]
    fits = fitted.fits_in_words(asked, trained[0].settings, losses, images)
    if fits:
        tell("Defaults", fits)
    untrained = dict.fromkeys(
        run.settings.loss
        for run in trained
        if run.settings.embedding_dim and not build_loss(run.settings).trains_embedding
    )
    if untrained:
        names = ", ".join(untrained)
        tell("Note", f"{names} leaves the projection of --embedding_dim untrained")


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
        path = protocol.draw(members.read, home, suffix)
        if path.is_file():
            tell("Picture", str(path))
        tell("Runs", f"{home}   ({seconds:.0f} s in all)")
