"""Recipes called as a user calls them: flags in, a run folder out."""

from absl import flags

FLAGS = flags.FLAGS


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
