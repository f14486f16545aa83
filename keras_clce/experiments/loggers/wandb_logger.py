"""Weights & Biases: online, or offline with `WANDB_MODE=offline`."""

import functools
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from keras_clce.checks import import_module
from keras_clce.experiments.loggers.base import LoggedRun, RunLogger

_PROJECT = "keras-clce"


class WandbLogger(RunLogger):
    """Logs to the project `keras-clce`, or that of `WANDB_PROJECT`; files stand in the run folder.

    The variables of W&B hold: `WANDB_MODE`, `WANDB_ENTITY` and others.
    """

    name = "wandb"

    @classmethod
    def check(cls) -> None:
        """Refuse to go without W&B, or online without a key, which W&B would ask for later."""
        _check_login(os.environ.get("WANDB_MODE"))

    @classmethod
    def where(cls, home: Path) -> str:
        """The project, or the command that sends runs to it."""
        if _is_online():
            return f"Weights & Biases, project {_project()}"
        runs = f"{shlex.quote(str(home))}/*/wandb/offline-run-*"
        return f"Weights & Biases, offline; wandb sync {runs}"

    def begin(self, run: LoggedRun, mark: str | None) -> str:
        """Begin a run of W&B, or go on with it."""
        wandb = _imported()
        mark = mark or secrets.token_hex(4)
        self._run = wandb.init(
            project=_project(),
            id=mark,
            resume="allow",
            # A run of the user's own, if there is one, stays open.
            reinit="create_new",
            name=run.name,
            group=run.group,
            # A number alone would not say what it is.
            tags=[run.tags["study"], run.tags["loss"], f"seed {run.seed}"],
            config={**run.parameters, "folder": str(run.folder)},
            dir=str(run.folder),
            # Otherwise standard output would no longer be that of a terminal.
            settings=wandb.Settings(console="off", silent=not run.verbose),
        )
        if not self._run.offline and self._run.url:
            print(f"{'W&B:':<10}{self._run.url}")
        return mark

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log a step of W&B."""
        self._run.log({"epoch": epoch, **values}, step=epoch)

    def log_results(self, results: Mapping[str, float]) -> None:
        """Write the summary."""
        self._run.summary.update(dict(results))

    def close(self, finished: bool) -> None:
        """End the run of W&B."""
        self._run.finish(exit_code=0 if finished else 1)


@functools.cache
def _check_login(mode: str | None) -> None:
    """Ask once, since W&B asks its server."""
    wandb = _imported()
    if not _is_online():
        return
    instead = "Run `wandb login`, or set WANDB_MODE=offline and send runs later by `wandb sync`"
    try:
        has_key = wandb.login(prompt=False)
    except wandb.Error as error:
        raise ValueError(f"--log=wandb: {error} {instead}") from None
    if not has_key:
        raise ValueError(f"--log=wandb needs a key of Weights & Biases. {instead}")


def _is_online():
    # W&B reads the variable once in a process, and a notebook may set it later.
    mode = os.environ.get("WANDB_MODE") or _imported().setup().settings.mode
    return mode in ("online", "shared")


def _project():
    return os.environ.get("WANDB_PROJECT") or _PROJECT


def _imported():
    return import_module("wandb", "--log=wandb", '"keras-clce[wandb]"')
