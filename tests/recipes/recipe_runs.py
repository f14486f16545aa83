"""Recipes called as a user calls them: flags in, a run folder out."""

import os
import subprocess
import sys
from pathlib import Path

from absl import flags

FLAGS = flags.FLAGS
ROOT = Path(__file__).resolve().parents[2]


def parse(recipe, *arguments):
    """Set the flags of a recipe (a module) from scratch."""
    for module in ("recipe_flags", recipe.__name__):
        for flag in FLAGS.flags_by_module_dict().get(module, []):
            flag.unparse()
    FLAGS([recipe.__name__, *arguments])


def run(recipe, *arguments):
    """Run a recipe (a module) with these flags alone."""
    parse(recipe, *arguments)
    recipe.main([recipe.__name__])


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
