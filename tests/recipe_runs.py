"""Recipes called as a user calls them: flags in, a run folder out."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from keras_clce.experiments import command, flags

ROOT = Path(__file__).resolve().parents[1]
DEFAULTS = {"transfer": {}, "few_shot": {"dataset": "cifar_fs"}}


def study(recipe, *arguments):
    """The study that flags of a recipe (a name) ask for."""
    values = flags.define(DEFAULTS[recipe], recipe)
    return command.parse(recipe, values, [recipe, *arguments], recipe)[0]


def settings(recipe, *arguments):
    """The settings that all runs share."""
    return study(recipe, *arguments).settings


def run(recipe, *arguments):
    """Run a recipe (a module) with these flags alone."""
    recipe.main([recipe.__name__, *arguments])


def run_here(recipe, *arguments):
    """Run a recipe (a module) in this process; what came out, as of one of its own."""
    printed, errors = io.StringIO(), io.StringIO()
    command = [recipe.__name__, *map(str, arguments)]
    code = 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        try:
            recipe.main(command)
        except SystemExit as end:
            code = end.code or 0
    if isinstance(code, str):  # as Python does
        errors.write(f"{code}\n")
        code = 1
    return subprocess.CompletedProcess(command, code, printed.getvalue(), errors.getvalue())


def environment_alone():
    """Environment of a recipe in a process of its own, on the backend that starts soonest."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"}


def run_alone(recipe, *arguments):
    """Run a recipe (a name) in a process of its own."""
    return subprocess.run(
        [sys.executable, str(ROOT / "recipes" / f"{recipe}.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment_alone(),
    )


def flags_for(backbone, output, *more):
    """Flags of a short run on digits."""
    return (
        f"--backbone={backbone}",
        "--image_size=16",
        "--batch_size=32",
        "--epochs=2",
        "--warmup_epochs=0",
        f"--output_dir={output}",
        *more,
    )


def only(folder, pattern):
    """The one file of that name below a folder."""
    (path,) = folder.rglob(pattern)
    return path


def colour_folders(path, noise):
    """Folders of twelve images each of twelve classes that differ in colour.

    Args:
        path: The folder to make.
        noise: Standard deviation of the pixels of a class.

    Returns:
        The folder.
    """
    rng = np.random.default_rng(0)
    for label in range(12):
        folder = path / f"class{label:02d}"
        folder.mkdir(parents=True)
        colour = rng.uniform(40, 215, 3)
        for number in range(12):
            pixels = np.clip(rng.normal(colour, noise, (20, 20, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return path


def flat(values, before=""):
    """The numbers of nested dicts and lists by their path, as `pytest.approx` compares them."""
    if not isinstance(values, dict | list):
        return {before: values}
    parts = values.items() if isinstance(values, dict) else enumerate(values)
    return {
        path: number
        for key, part in parts
        for path, number in flat(part, f"{before}/{key}").items()
    }
