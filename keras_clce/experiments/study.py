"""A study: a grid over settings, with every seed; resumed, tabulated, and each run a folder."""

import dataclasses
import functools
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from keras_clce.data.catalog import get_spec
from keras_clce.experiments import fitted
from keras_clce.experiments.announce import (
    announce,
    announce_fits,
    compared_in_words,
    conclude,
    draw_views,
    from_to,
    tell,
)
from keras_clce.experiments.class_balance import balance_in_words, training_counts
from keras_clce.experiments.devices import Devices
from keras_clce.experiments.errors import told
from keras_clce.experiments.forecast import Progress, Work, time_run
from keras_clce.experiments.grid import Grid, GridPoint, as_grids, plan_of, points_of
from keras_clce.experiments.image_checks import check_images
from keras_clce.experiments.layout import Layout
from keras_clce.experiments.loggers.run_log import logging_of
from keras_clce.experiments.protocols import PROTOCOLS
from keras_clce.experiments.records import Records
from keras_clce.experiments.resolved import run_settings
from keras_clce.experiments.rules import check_run, check_settings
from keras_clce.experiments.run import make_run
from keras_clce.experiments.run_groups import KEPT_BYTES, RunGroup, data_key, group_by_data
from keras_clce.experiments.settings import Settings, fields
from keras_clce.experiments.study_base import StudyBase
from keras_clce.experiments.training import FROZEN, Run
from keras_clce.report.names import count_of
from keras_clce.runs import Record, RunFolder, StudyPlan
from keras_clce.train.epoch_report import duration


@dataclasses.dataclass(frozen=True)
class Study(StudyBase):
    """Trains a grid of settings with several seeds and compares what comes out.

    Each run leaves a folder `<output_dir>/<name>/<dataset>/<backbone>/<what varies>-seed<seed>`,
    a quick one below `quick/`. What a loss does not read is not varied for it: with `"ce"` there is
    one run whatever the temperatures.

    Args:
        name: Name of the study, which becomes a folder.
        vary: Values to try, by the name of the setting; the grid of all. Or several such grids, as
            scikit-learn's `ParameterGrid` takes them; a `"label"` in one names its runs in place of
            what it sets to one value. Points of the same settings are one run. Defaults to `None`:
            `{"loss": ["ce", "clce"]}`, or what a frozen encoder leaves to train.
        seeds: Seeds of each point of the grid. Defaults to `(0,)`.
        settings: All other settings. Defaults to `None`, those of `Settings()`.
        protocol: `"transfer"` or `"few_shot"`. Defaults to `None`: what the data set is for.
        frozen: Whether to test the encoder as it is before training, too; few-shot alone. Defaults
            to `False`.
        given: Names of settings that a run that goes on must have too; those that differ from
            their defaults if `None`, the default.
        layout: How the study is shown. Defaults to `Layout()`: along the numbers that vary.
        notes: What the plan says beside the rest, by its subject. Defaults to nothing.

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
    vary: Grid | Sequence[Grid] | None = None
    seeds: Sequence[int] = (0,)
    settings: Settings | None = None
    protocol: str | None = None
    frozen: bool = False
    given: Collection[str] | None = None
    layout: Layout = dataclasses.field(default_factory=Layout)
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)

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
        if settings.multi_label and protocol == "few_shot":
            raise ValueError(
                "`multi_label` is for the protocol transfer: a few-shot task has one class an "
                "image. Received: multi_label=True, protocol='few_shot'"
            )
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
        settings = settings or self._settings
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
        protocol = self._protocol
        with told(ValueError, OSError):
            devices = Devices(self._settings)
            devices.print_in_first_process_alone()
            groups = self._load(self._runs(resume), show_views)
            devices.wait()
        runs = [run for group in groups for run in group.runs]
        plans = self._plans(runs)
        self._announce(groups, plans, devices, note, show_views)
        progress = self._progress(groups, devices)
        with told(ValueError, OSError):
            plans = {home: plan.add_to(home) for home, plan in plans.items()}
        made: list[Record] = []
        for group in groups:
            with told(ValueError, OSError):
                dataset = group.dataset()
            for run in group.runs:
                made.append(self._make(run, dataset, devices, progress, len(runs)))
            group.forget()
        records = Records(made, protocol, plans)
        conclude(records, self._settings.label, protocol, time.perf_counter() - began)
        return records

    def _make(
        self, run: Run, dataset: Any, devices: Devices, progress: Progress, count: int
    ) -> Record:
        """The record of one run, which is made where it has not finished."""
        protocol = self._protocol
        where = f"[{progress.number + 1}/{count}] {run.name}, seed {run.settings.seed}"
        time_of_all = progress.in_words() if count > 1 else ""
        print(f"\n{' · '.join(filter(None, (where, time_of_all)))}")
        print(f"-> {run.folder.path}", flush=True)
        with told(ValueError):
            record = finished(run)
        if record is not None:
            print("already finished")
            if run.settings.log:
                with told(OSError), run.folder.lock(), logging_of(run) as log:
                    log.catch_up(record)
            if record.is_tested and not run.settings.keep_checkpoint:
                run.folder.remove_checkpoint()
        else:
            progress.begin()
            record = make_run(run, protocol, dataset, devices)
        with told(OSError):
            devices.wait(run.folder.metrics)
        print(protocol.line(record))
        progress.end()
        return record

    def _announce(
        self,
        groups: Sequence[RunGroup],
        plans: Mapping[Path, StudyPlan],
        devices: Devices,
        note: str,
        show_views: int,
    ) -> None:
        """Print the plan, and draw views where they are asked for."""
        first, protocol = groups[0], self._protocol
        runs = [run for group in groups for run in group.runs]
        plan = next(iter(plans.values()))
        compared = None if plan.compares_losses_alone else compared_in_words(plan)
        others = [group.note for group in groups[1:]]
        announce(runs, first.dataset(), protocol, devices, compared, others)
        counts = training_counts(first.runs[0].settings, first.dataset())
        if balance_in_words(counts):
            tell("Classes", balance_in_words(counts))
        losses = dict.fromkeys(run.settings.loss for run in runs)
        announce_fits(
            self._settings,
            first.runs,
            tuple(losses) if self.vary is None else None,
            first.sizes.train,
            cast(frozenset[str], self.given),
        )
        for what, text in self.notes.items():
            tell(what, text)
        if note:
            tell("Paper", note)
        for home in plans:
            tell("Results", str(home))
        if show_views:
            drawn = {group.runs[-1].folder.path.parent: group for group in reversed(groups)}
            for home, group in drawn.items():
                settings = group.runs[-1].settings
                draw_views(group.dataset(), settings, show_views, home / "views.png")

    def _progress(self, groups: Sequence[RunGroup], devices: Devices) -> Progress:
        """The time of the runs that are left, which is told where there are several."""
        works: list[Work | None] = []
        left = []
        for group in groups:
            for run in group.runs:
                with told(ValueError):
                    is_left = finished(run) is None
                    done = len(run.folder.read_history()) if is_left else 0
                works.append(Work.of(run, group.sizes, done) if is_left else None)
                left += [(group, run)] if is_left and not run.is_frozen else []
        speed = None
        # Processes that train together would have to time together.
        if len(left) > 1 and not self._settings.quick and self._settings.num_processes == 1:
            group, run = left[0]
            speed = time_run(run, group.dataset(), devices)
        progress = Progress(works, speed)
        if speed is not None:
            epochs = from_to([run.settings.trained_epochs for _, run in left])
            ahead = duration(cast(float, progress.ahead()))
            text = f"about {ahead} for {count_of(len(left), 'run')} of "
            tell(
                "Time",
                f"{text}{epochs} {'epoch' if epochs == '1' else 'epochs'} ({speed.in_words})",
            )
        return progress

    def _points(self) -> Iterator[tuple[Settings, str]]:
        """Settings and name of each run but for the frozen encoder."""
        for seed in self.seeds:
            seen = set()
            for point in self._grid:
                if point.run not in seen:
                    seen.add(point.run)
                    yield dataclasses.replace(point.settings, seed=seed), point.run

    @functools.cached_property
    def _grid(self) -> list[GridPoint]:
        vary = {"loss": fitted.fit_losses(self._settings)} if self.vary is None else self.vary
        return points_of(as_grids(vary), self._settings, self.layout)

    def _plans(self, runs: Sequence[Run]) -> dict[Path, StudyPlan]:
        """What is compared, by the folder of the runs."""
        homes: dict[Path, list[GridPoint]] = {}
        for point in self._grid:
            homes.setdefault(self.home(point.settings), []).append(point)
        frozen = {run.folder.path.parent: run.name for run in runs if run.is_frozen}
        return {
            home: plan_of(self.name, points, self.layout, frozen.get(home))
            for home, points in homes.items()
        }

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
        begun = {run.folder.path: run.folder.begun() if resume else None for run in runs}
        peers: dict[tuple, list[Path]] = {}
        for run in runs:
            peers.setdefault(_kind(run), []).append(run.folder.path)
        # What a point sets is as good as given.
        varied = {point.run: {*point.values} for point in reversed(self._grid)}
        changed = []
        for run in runs:
            # Its own first, then those of the same data and length.
            alike = (begun[path] for path in [run.folder.path, *peers[_kind(run)]])
            configs = [config for config in alike if config]
            given = cast(frozenset[str], self.given) | varied.get(run.name, set())
            settings = fitted.take_over(run.settings, [one["settings"] for one in configs], given)
            settings = fitted.fit_warmup(settings)
            if self.protocol == "few_shot" and not run.is_frozen:
                of_loss = [c["settings"] for c in configs if c["settings"]["loss"] == run.loss]
                settings = fitted.fit_projection(settings, of_loss, given)
            run = self._run(settings, run.name, run.is_frozen)
            run.folder.check(run.recorded, resume)
            check_settings(settings)
            changed.append(run)
        return changed

    def _run(self, settings: Settings, name: str, is_frozen: bool = False) -> Run:
        folder = RunFolder(self.home(settings) / f"{name}-seed{settings.seed}")
        recorded = run_settings(settings, self._protocol.name)
        if is_frozen:
            # What training alone reads is left out, so that it stands beside all settings.
            parts = {name: field.about.part for name, field in fields().items()}
            recorded = {n: v for n, v in recorded.items() if parts.get(n) != "training"}
            recorded |= {"loss": FROZEN, "seed": settings.seed}
        return Run(settings, folder, name, recorded, is_frozen)

    def _load(self, runs: Sequence[Run], show_views: int) -> list[RunGroup]:
        """All runs with their data, which fit it, or are refused."""
        protocol = self._protocol
        groups, kept = group_by_data(runs, protocol), 0.0
        for group in groups:
            dataset = group.dataset()
            group.runs = [self._fitted(run, dataset, show_views) for run in group.runs]
            kept += group.num_bytes()
            # The first is timed, and begins.
            if kept > KEPT_BYTES and group is not groups[0]:
                group.forget()
        return groups

    def _fitted(self, run: Run, dataset: Any, show_views: int) -> Run:
        """A run in settings that fit its data, or are refused."""
        images = dataset.train.num_examples
        run.folder.check_data(dataset.split_note)
        settings = fitted.fit_batch_size(run.settings, images, dataset.num_classes)
        check_images(settings, dataset, self._protocol, show_views)
        return self._run(settings, run.name, run.is_frozen)


def _kind(run: Run) -> tuple:
    """What runs share that go on with the same defaults."""
    return run.settings.epochs, *data_key(run.settings)


def finished(run: Run) -> Record | None:
    """The record of a run that has nothing left to do; `None` where it is to be made, or tested.

    Args:
        run: The run.

    Raises:
        ValueError: If a file of its folder is damaged.
    """
    record = run.folder.record()
    return record if record is not None and (record.is_tested or not run.settings.test) else None
