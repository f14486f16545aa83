"""The study of embeddings as a command: flags in, numbers, page and pictures out."""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags as absl_flags

from keras_clce.experiments import flags
from keras_clce.experiments.command import without_start_up_messages
from keras_clce.experiments.errors import in_one_line

_WHAT, _DATA, _LOOK, _PLACE = "What is compared", "Data", "What is looked at", "Results"
_RUN = "that of the model's run if not given."


def embedding_command(doc: str, arguments: Sequence[str] | None = None) -> None:
    """Compare embeddings as flags say, and end with one line where something is wrong.

    Args:
        doc: Docstring of the recipe, which `--help` shows.
        arguments: The command line, the program's name first. Defaults to `None`, `sys.argv`.

    Raises:
        SystemExit: Where flags, files or data are wrong, with what to do in one line.

    Example:
    ```python
    embedding_command("Compares embeddings.", ["embeddings", "--help"])
    ```
    """
    arguments = list(sys.argv if arguments is None else arguments)
    values = _define()
    if flags.asks_for_help(arguments):
        print(flags.help_text(values, doc))
        return
    with in_one_line(absl_flags.Error):
        models, embeddings, options = _parse(values, arguments)
    with in_one_line(ValueError, OSError, ImportError):
        with without_start_up_messages():
            from keras_clce.data.installed import tensorflow
            from keras_clce.experiments.embeddings.study import embedding_study

            if models:
                tensorflow()
        try:
            embedding_study(models, embeddings, **options)
        except KeyboardInterrupt:
            sys.exit("\nStopped; the .npz files that are written go on with --embeddings.")


def _define() -> absl_flags.FlagValues:
    values = absl_flags.FlagValues()
    for group, name, text in (
        (_WHAT, "models", "Saved models, .keras files."),
        (_WHAT, "embeddings", "Files of embeddings, .npz."),
        (_WHAT, "names", "What models, then files, are called; as they are stored if not given."),
        (_LOOK, "classes", "Classes whose pairs have histograms of their own; two if not given."),
        (_LOOK, "tsne_classes", "Classes on the maps; twenty drawn by the seed if not given."),
    ):
        absl_flags.DEFINE_list(name, None, text, flag_values=values, module_name=group)
    for group, name, text in (
        (_DATA, "dataset", f"Data set that models embed; {_RUN}"),
        (_DATA, "data_dir", f"Its folder; {_RUN}"),
        (_PLACE, "output_dir", "Where results go; runs/embeddings/DATASET if not given."),
    ):
        absl_flags.DEFINE_string(name, None, text, flag_values=values, module_name=group)
    of_data = {"flag_values": values, "module_name": _DATA}
    splits = ["test", "validation", "train"]
    absl_flags.DEFINE_enum("split", "test", splits, "Its split.", **of_data)
    for group, name, default, least, text in (
        (_DATA, "split_seed", None, 0, f"Seed of splits that are not official; {_RUN}"),
        (_DATA, "limit_examples", None, 1, f"Training images to keep, class-balanced; {_RUN}"),
        (_DATA, "limit_per_class", None, 1, f"Training images of a class to keep; {_RUN}"),
        (_DATA, "drop_small_classes", None, 1, f"Images that a class must have; {_RUN}"),
        (_DATA, "image_size", None, 8, "Pixels per side, for models that take any size."),
        (_LOOK, "max_examples", 10_000, 10, "Most images; of files, most that are compared."),
        (
            _LOOK,
            "train_examples",
            5_000,
            0,
            "Most training images that neighbours and a linear probe read, 0 for none.",
        ),
        (_LOOK, "tsne_images", 100, 2, "Most images of a class on the maps."),
        (_LOOK, "seed", 0, 0, "Seed of draws and of t-SNE."),
    ):
        absl_flags.DEFINE_integer(name, default, text, least, flag_values=values, module_name=group)
    for name, text in (
        ("projector", "Also write files for TensorBoard's projector."),
        ("quick", "Look at a few hundred images, to see that all works, in a folder of its own."),
    ):
        absl_flags.DEFINE_bool(name, False, text, flag_values=values, module_name=_PLACE)
    return values


def _parse(
    values: absl_flags.FlagValues, arguments: Sequence[str]
) -> tuple[Any, Any, dict[str, Any]]:
    """Models, files of embeddings, and the other arguments of the study."""
    rest = values(arguments)[1:]
    if rest:
        raise absl_flags.Error(f"Unexpected arguments: {' '.join(rest)}")
    asked = values.flag_values_dict()
    models, embeddings = (asked.pop(kind) or [] for kind in ("models", "embeddings"))
    names, count = asked.pop("names"), len(models) + len(embeddings)
    if names is None:
        return models, embeddings, asked
    if len({*names}) != count or len(names) != count:
        raise absl_flags.IllegalFlagValueError(
            f"flag --names={','.join(names)}: must be {count} different ones, of models, then of "
            "embeddings"
        )
    named = dict(zip(names, [*models, *embeddings], strict=True))
    split = {name: named[name] for name in names[: len(models)]}
    return split, {name: named[name] for name in names[len(models) :]}, asked
