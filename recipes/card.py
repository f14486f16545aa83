r"""Write the model card of a run, or the folder that shares its model.

    python recipes/card.py --run runs/transfer/digits/small_resnet/clce-seed0
    python recipes/card.py --run RUN --preset my_flowers --licence cc-by-4.0

The card is a `README.md` with the metadata of the Hugging Face hub: data and the split that was
really used, licences of data and weights, results with intervals (over seeds where runs beside it
differ in their seed alone), limits, settings, software, and the lines of Python that use the model.
What is not known is said to be unknown. Folders of this machine are left out.

`--preset FOLDER` writes the model there too, as plain files; `keras_clce.load_model("FOLDER")`
loads it on any backend. To share it, upload the folder, for example with

    hf upload OWNER/NAME FOLDER
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_clce.experiments import (
    command_of,
    load_named_model,
    tool_command,
    tool_flag,
    without_start_up_messages,
)

RUN, CARD = "Run", "Card"


def is_run(path: str) -> bool:
    """Whether a path is the folder of a finished run."""
    return (Path(path).expanduser() / "metrics.json").is_file()


def is_in_a_folder(path: str) -> bool:
    """Whether a file can be written there."""
    path = Path(path).expanduser()
    return path.parent.is_dir() and not path.is_dir()


def can_hold_a_preset(path: str) -> bool:
    """Whether a folder is new or empty, or holds a preset that may be replaced."""
    path = Path(path).expanduser()
    if not path.exists():
        return True
    return path.is_dir() and (not any(path.iterdir()) or (path / "config.json").is_file())


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardFlags:
    """Which run, and what the card says beyond its record."""

    run: str = tool_flag(
        None,
        "Folder of a finished run.",
        RUN,
        checks=((is_run, "must be the folder of a finished run, with its metrics.json"),),
    )
    output: str | None = tool_flag(
        None,
        "The file to write; README.md in the folder of the preset, or of the run, if not given.",
        CARD,
        checks=((is_in_a_folder, "must be a file in a folder that is there"),),
    )
    preset: str | None = tool_flag(
        None,
        "Folder that gets the model as well, to be shared as it is.",
        CARD,
        checks=((can_hold_a_preset, "must be a folder that is new, empty or a preset"),),
    )
    licence: str = tool_flag(
        "unknown",
        "Licence that you pass the model on under, as the hub abbreviates it: cc-by-4.0, other …",
        CARD,
    )
    name: str | None = tool_flag(
        None, "What the model is called; data set, encoder and loss if not given.", CARD
    )


def card(asked: CardFlags) -> None:
    """Read the run, write, and tell what is missing."""
    from keras_clce.report import write_model_card
    from keras_clce.runs import RunFolder, find_records

    folder = RunFolder(Path(asked.run).expanduser())
    record = folder.record()
    # Runs beside it that are damaged do not matter.
    siblings, _ = find_records(folder.path.resolve().parent)
    has_model = folder.model.is_file()
    if asked.preset and not has_model:
        raise ValueError(
            f"`preset` needs the run's model. Received: {asked.run} without model.keras"
        )
    # Keras looks for TensorFlow as it saves, on any backend.
    with without_start_up_messages():
        path = write_model_card(
            record,
            asked.output and Path(asked.output).expanduser(),
            asked.preset and Path(asked.preset).expanduser(),
            siblings=siblings,
            model=load_named_model(str(folder.model)) if has_model else None,
            licence=asked.licence,
            name=asked.name,
            command=command_of,
        )
    print(f"Run:      {asked.run}")
    if asked.licence == "unknown":
        print("Licence:  unknown; --licence says under which one the model is passed on")
    if not record.is_tested:
        print("Results:  none, the run was not tested")
    print(f"Card:     {path}")
    if asked.preset:
        print(f"Preset:   {asked.preset}; keras_clce.load_model({asked.preset!r}) loads it")
        print(f"Share:    hf upload OWNER/NAME {asked.preset}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a card as flags say."""
    tool_command(__doc__, CardFlags, card, arguments)


if __name__ == "__main__":
    main()
