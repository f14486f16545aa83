"""A study: a grid over settings, with every seed; resumed, tabulated, and each run a folder."""

import dataclasses
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sklearn.model_selection

from keras_clce.data.catalog import get_spec
from keras_clce.experiments import fitted
from keras_clce.experiments.announce import announce, announce_fits, conclude, draw_views, tell
from keras_clce.experiments.devices import Devices
from keras_clce.experiments.errors import told
from keras_clce.experiments.protocols import PROTOCOLS
from keras_clce.experiments.protocols.base import loading_options
from keras_clce.experiments.records import Records
from keras_clce.experiments.resolved import run_settings, unread_settings
from keras_clce.experiments.rules import check_run, check_settings
from keras_clce.experiments.run import make_run
from keras_clce.experiments.settings import Settings, fields
from keras_clce.experiments.training import FROZEN, Run
from keras_clce.losses import LOSSES
from keras_clce.runs import RunFolder


@dataclasses.dataclass(frozen=True)
class Study:
    """Trains a grid of settings with several seeds and compares what comes out.

    Each run leaves a folder `<output_dir>/<name>/<dataset>/<backbone>/<what varies>-seed<seed>`,
    a quick one below `quick/`. What a loss does not read is not varied for it: with `"ce"` there is
    one run whatever the temperatures.

    Args:
        name: Name of the study, which becomes a folder.
        vary: Values to try, by the name of the setting; the grid of all. Defaults to `None`:
            `{"loss": ["ce", "clce"]}`, or what a frozen encoder leaves to train.
        seeds: Seeds of each point of the grid. Defaults to `(0,)`.
        settings: All other settings. Defaults to `None`, those of `Settings()`.
        protocol: `"transfer"` or `"few_shot"`. Defaults to `None`: what the data set is for.
        frozen: Whether to test the encoder as it is before training, too; few-shot alone. Defaults
            to `False`.
        given: Names of settings that a run that goes on must have too; those that differ from
            their defaults if `None`, the default.

    Raises:
        ValueError: If a setting is not known or out of range, or a run could not train.

    Example:
    ```python
    settings = Settings(backbone="encoder.keras", image_size=32, quick=True)
    study = Study("weights", {"contrastive_weight": [0.2, 0.9]}, seeds=[0], settings=settings)
    records = study.run()
    print(records.table())
    ```
    """

    name: str
    vary: Mapping[str, Sequence[Any]] | None = None
    seeds: Sequence[int] = (0,)
    settings: Settings | None = None
    protocol: str | None = None
    frozen: bool = False
    given: Collection[str] | None = None

    def __post_init__(self) -> None:
        settings = self.settings or Settings()
        protocol = self.protocol
        if protocol is None:
            few_shot = get_spec(settings.dataset).task == "few-shot"
            protocol = "few_shot" if few_shot else "transfer"
        if protocol not in PROTOCOLS:
            raise ValueError(
                f"`protocol` must be one of {', '.join(PROTOCOLS)}. Received: protocol={protocol!r}"
            )
        if self.frozen and not PROTOCOLS[protocol].has_frozen:
            raise ValueError(f"`frozen` is not for the protocol {protocol}. Received: frozen=True")
        if self.frozen and not settings.test:
            raise ValueError("`frozen` is for tested runs. Received: frozen=True, test=False")
        given = self.given
        if given is None:
            given = [n for n, field in fields().items() if getattr(settings, n) != field.default]
        seeds = tuple(self.seeds)
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError(f"`seeds` must be different whole numbers. Received: seeds={seeds}")
        for name, value in (
            ("settings", settings),
            ("protocol", protocol),
            ("seeds", seeds),
            ("given", frozenset(given)),
        ):
            object.__setattr__(self, name, value)
        unknown = [n for n in self.vary or () if n not in fields() or n == "seed"]
        if unknown:
            raise ValueError(
                "`vary` must name settings, which `Settings.describe()` lists, and no seed, which "
                f"`seeds` is for. Received: vary of {', '.join(unknown)}"
            )
        for settings, _ in self._points():
            check_run(settings)

    def home(self, settings: Settings | None = None) -> Path:
        """Folder of the runs on one data set with one encoder.

        Args:
            settings: Settings of a run. Defaults to `None`, those of the study.

        Returns:
            The folder.

        Example:
        ```python
        Study("mine").home().as_posix()  # "runs/mine/digits/small_resnet"
        ```
        """
        settings = settings or self.settings
        dataset = settings.dataset
        if settings.data_dir and get_spec(dataset).name == "image_folder":
            # Runs on other images stand apart.
            dataset = f"{dataset}-{Path(settings.data_dir).resolve().name}"
        backbone = settings.backbone.replace("/", "_")
        home = Path(settings.output_dir, self.name, dataset, backbone)
        return home / "quick" if settings.quick else home

    def run(self, resume: bool = False, show_views: int = 0, note: str = "") -> Records:
        """Make the runs that are not finished yet, one after the other.

        Args:
            resume: Whether runs that were interrupted go on, and finished ones are read. Defaults
                to `False`: a folder that holds a run is refused.
            show_views: How many training images to draw with their views first. Defaults to 0.
            note: What is to be said beside the plan. Defaults to nothing.

        Returns:
            The records of all runs.

        Raises:
            ValueError: If the data or a folder does not fit, before anything is trained.
            OSError: If data or weights cannot be read, or results not be written.
            FloatingPointError: If a loss becomes NaN or infinite.

        Example:
        ```python
        settings = Settings(backbone="encoder.keras", image_size=32, quick=True)
        records = Study("mine", {"loss": ["ce"]}, settings=settings).run(resume=True)
        ```
        """
        began = time.perf_counter()
        protocol = PROTOCOLS[self.protocol]
        with told(ValueError, OSError):
            devices = Devices(self.settings)
            devices.print_in_first_process_alone()
            groups = self._by_data(self._runs(resume))
        records, number = [], 0
        count = sum(len(runs) for runs in groups)
        for runs in groups:
            with told(ValueError, OSError):
                runs, dataset = self._load(runs, show_views)
                devices.wait()
            announce(runs, dataset, protocol, devices)
            losses = dict.fromkeys(run.settings.loss for run in runs)
            announce_fits(
                self.settings,
                runs,
                tuple(losses) if self.vary is None else None,
                dataset.train.num_examples,
            )
            if note:
                tell("Paper", note)
            home = runs[-1].folder.path.parent
            tell("Results", str(home))
            if show_views:
                draw_views(dataset, runs[-1].settings, show_views, home / "views.png")
            for run in runs:
                number += 1
                where = f"{run.name}, seed {run.settings.seed} -> {run.folder.path}"
                print(f"\n[{number}/{count}] {where}", flush=True)
                with told(ValueError):
                    record = run.folder.record()
                if record is not None and (record.is_tested or not run.settings.test):
                    print("already finished")
                    if record.is_tested and not run.settings.keep_checkpoint:
                        run.folder.remove_checkpoint()
                else:
                    record = make_run(run, protocol, dataset, devices)
                with told(OSError):
                    devices.wait(run.folder.metrics)
                print(protocol.line(record))
                records.append(record)
        records = Records(records, protocol)
        conclude(records, self.settings.label, protocol, time.perf_counter() - began)
        return records

    def _points(self) -> Iterator[tuple[Settings, str]]:
        """Settings and name of each run but for the frozen encoder."""
        grid = {name: list(values) for name, values in (self.vary or {}).items()}
        if self.vary is None:
            grid["loss"] = list(fitted.fit_losses(self.settings))
        seen = set()
        for seed in self.seeds:
            for point in sklearn.model_selection.ParameterGrid(grid):
                loss = point.get("loss", self.settings.loss)
                if loss in LOSSES:
                    unread = unread_settings(loss)
                    point = {n: value for n, value in point.items() if n not in unread}
                settings = dataclasses.replace(self.settings, **point, seed=seed)
                others = [
                    f"{name}={_in_words(value)}" for name, value in point.items() if name != "loss"
                ]
                name = "-".join(filter(None, (settings.loss, settings.label, *others)))
                if (name, seed) not in seen:
                    seen.add((name, seed))
                    yield settings, name

    def _runs(self, resume: bool) -> list[Run]:
        """The runs, in the settings that they go on with; refuses those that cannot begin."""
        runs = [self._run(settings, name) for settings, name in self._points()]
        if self.frozen:
            first = dataclasses.replace(runs[0].settings, seed=0)
            runs.insert(0, self._run(first, FROZEN, is_frozen=True))
        for run in runs:
            path = run.folder.path.absolute()
            existing = next(parent for parent in path.parents if parent.exists())
            if not existing.is_dir():
                raise ValueError(f"--output_dir must be a folder. Received: {existing}, a file")
        begun = [run.folder.begun() for run in runs if resume]
        begun = [config["settings"] for config in begun if config]
        changed = []
        for run in runs:
            settings = fitted.fit_warmup(fitted.take_over(run.settings, begun, self.given))
            run = self._run(settings, run.name, run.is_frozen)
            run.folder.check(run.recorded, resume)
            check_settings(settings)
            changed.append(run)
        return changed

    def _run(self, settings: Settings, name: str, is_frozen: bool = False) -> Run:
        folder = RunFolder(self.home(settings) / f"{name}-seed{settings.seed}")
        recorded = run_settings(settings, self.protocol)
        if is_frozen:
            # What training alone reads is left out, so that it stands beside all settings.
            parts = {name: field.about.part for name, field in fields().items()}
            recorded = {n: v for n, v in recorded.items() if parts.get(n) != "training"}
            recorded |= {"loss": FROZEN, "seed": settings.seed}
        return Run(settings, folder, name, recorded, is_frozen)

    def _by_data(self, runs: Sequence[Run]) -> list[list[Run]]:
        """Runs that read the same data, together."""
        groups = defaultdict(list)
        for run in runs:
            options = loading_options(run.settings)
            groups[run.settings.dataset, *map(str, options.values())].append(run)
        return list(groups.values())

    def _load(self, runs: Sequence[Run], show_views: int) -> tuple[list[Run], Any]:
        """The data of some runs, which fit it, or are refused."""
        protocol = PROTOCOLS[self.protocol]
        dataset = protocol.load(runs[0].settings)
        images = dataset.train.num_examples
        fitting = []
        for run in runs:
            run.folder.check_data(dataset.split_note)
            settings = fitted.fit_batch_size(run.settings, images, dataset.num_classes)
            for name, value in (("batch_size", settings.batch_size), ("show_views", show_views)):
                if value > images:
                    raise ValueError(
                        f"--{name} must be at most the number of training images, {images}. "
                        f"Received: {name}={value}"
                    )
            if settings.images_per_class is not None:
                dataset.train.check_balanced(settings.batch_size, settings.images_per_class)
            protocol.check_data(settings, dataset)
            fitting.append(self._run(settings, run.name, run.is_frozen))
        return fitting, dataset


def _in_words(value):
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("/", "_").replace(" ", "")
