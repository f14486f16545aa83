r"""Find what a trained model confuses, and whether it knows when: calibration, unknown classes.

    python recipes/confusions.py --model RUN/model.keras
    python recipes/confusions.py --model model.keras --images my_photographs --unknown others \
        --save_calibrated calibrated.keras
    python recipes/confusions.py --models CE_RUN/model.keras,CLCE_RUN/model.keras --names ce,clce

`--images` is a folder of class folders; those that bear no name of a class hold unknown classes.
Without it the test split of the model's run is taken. A temperature is fitted to the validation
split of the run, to `--validation`, or to a seeded half of the images; `--save_calibrated` keeps it
with the model, whose probabilities then use it. Two models are compared image by image: what the
embedding gives beyond top-1. In `--output_dir` stand

    confusions.json    all numbers
    confusions.html    the page, one file to open or to send; confusions.md is the same as text
    confusions.png     photographs of the most confused pairs
    matrix.png         the confusion matrix, up to 40 classes
    reliability.png    probability and accuracy before and after the temperature

Files that cannot be read are listed with the reason, and the rest goes on.
"""

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from keras_clce.experiments import (
    ViewFlags,
    class_names_flag,
    model_flag,
    tool_command,
    tool_flag,
    without_start_up_messages,
)

WHAT, FITTED, RESULTS = "Model and photographs", "What is measured", "Results"
FOLDER = ((os.path.isdir, "must be a folder"),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfusionFlags(ViewFlags):
    """Models, images, what is measured, and where it goes."""

    limit: int | None = tool_flag(
        None, "Most images of known classes, and of unknown ones, drawn by the seed.", WHAT, least=2
    )
    model: str | None = model_flag(
        "The model, a .keras file; a folder or address of a preset will do, too."
    )
    models: tuple[str, ...] | None = tool_flag(
        None, "In place of --model, two models that are compared: A,B.", WHAT
    )
    names: tuple[str, ...] | None = tool_flag(
        None, "What the models are called; by their run or file if not given.", WHAT
    )
    images: str | None = tool_flag(
        None,
        "A folder of class folders; the test split of the model's run if not given.",
        WHAT,
        checks=FOLDER,
    )
    dataset: str | None = tool_flag(
        None, "In place of --images, a data set; that of the model's run if not given.", WHAT
    )
    data_dir: str | None = tool_flag(
        None, "Its folder; that of the model's run if not given.", WHAT, checks=FOLDER
    )
    class_names: str | None = class_names_flag(WHAT)
    validation: str | None = tool_flag(
        None,
        "A folder of class folders that the temperature is fitted to; the validation split of the "
        "run if not given, else a half of the images.",
        FITTED,
        checks=FOLDER,
    )
    unknown: str | None = tool_flag(
        None,
        "A folder of photographs of classes that the model does not know.",
        FITTED,
        checks=FOLDER,
    )
    index: tuple[str, ...] | None = tool_flag(
        None,
        "Embeddings of training images, a .npz file of recipes/embed.py for each model; those of "
        "the run's training split if not given.",
        FITTED,
    )
    train_examples: int = tool_flag(
        5_000, "Most images of the run's training split, 0 for none.", FITTED, least=0
    )
    bins: int = tool_flag(15, "Bins of the calibration error, of equal width.", FITTED, least=1)
    seed: int = tool_flag(0, "Seed of all draws.", FITTED, least=0)
    save_calibrated: str | None = tool_flag(
        None, "Where the model goes with its temperature, a .keras file.", RESULTS
    )
    output_dir: str | None = tool_flag(
        None, "Where the results go; runs/confusions/NAME OF THE IMAGES if not given.", RESULTS
    )


def confusions(asked: ConfusionFlags) -> None:
    """Find, write, print and draw."""
    options = dataclasses.asdict(asked)
    models = options.pop("models") or ()
    model = options.pop("model")
    if (model is None) == (not models):
        raise ValueError(
            "`model` or `models` must be given, and not both. Received: "
            f"model={model}, models={','.join(models) or None}"
        )
    paths, names = models or (model,), options.pop("names")
    if names is not None and (len(names) != len(paths) or len({*names}) != len(names)):
        raise ValueError(
            f"`names` must be {len(paths)} different ones. Received: {','.join(names)}"
        )
    with without_start_up_messages():
        from keras_clce.experiments import confusion_study
        from keras_clce.inference import read_class_names

        # Data of a run are read by TensorFlow, whatever the backend; without it a message tells.
        if asked.dataset or any(Path(path).with_name("config.json").is_file() for path in paths):
            with contextlib.suppress(ImportError):
                import tensorflow  # noqa: F401
    if asked.class_names is not None:
        options["class_names"] = read_class_names(asked.class_names)
    given = paths if names is None else dict(zip(names, paths, strict=True))
    try:
        confusion_study(given, **options)
    except ValueError as error:
        # One model has a flag of its own.
        raise ValueError(
            str(error).replace("`models`", "`model`" if model else "`models`")
        ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Find what models confuse, as flags say."""
    tool_command(__doc__, ConfusionFlags, confusions, arguments)


if __name__ == "__main__":
    main()
