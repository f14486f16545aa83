r"""Teach a trained model new classes by a few photographs of each, without training.

    python recipes/enroll.py --model RUN/model.keras --images my_classes --output mine.npz
    python recipes/predict.py --model RUN/model.keras --enrolled mine.npz --images photographs

    python recipes/enroll.py --enrolled mine.npz --add more_classes
    python recipes/enroll.py --enrolled mine.npz --rename "sparow=sparrow"
    python recipes/enroll.py --enrolled mine.npz --remove sparrow,owl
    python recipes/enroll.py --enrolled mine.npz

`--images` and `--add` are folders with a folder of photographs for each class; five of each do.
Further photographs of a class that is there are added to it. The last line shows what the file
holds. It keeps the embeddings of the photographs, a few kilobytes each, and serves the model that
made it alone, which is refused where it is another.

The enrolled classes stand alone: predictions are one of them, or "none of these". For the classes
that the model was trained on to stand beside them, enroll photographs of these too:
`--trained_images 20` takes 20 of each from the training split of the model's run. The model knows
these photographs, so that counts on them flatter it.

A photograph is "none of these" where its score is below a threshold, which is chosen so that no
more than `--false_accept_rate` of unknown photographs pass. Give some with `--unknown`: photographs
of the kind that will come, of none of the classes. Without them each tenth of the enrolled classes
is taken as unknown to the others in turn, which tells less of what is unlike all of them;
`--threshold` sets one by hand. `--validation`, class folders of other photographs of the enrolled
classes, tells how many of these are recognised; without it the enrolled ones are, each without
itself.
"""

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_clce.experiments import (
    ViewFlags,
    load_named_model,
    model_flag,
    named_or_remembered,
    photographs_flag,
    tool_command,
    tool_flag,
    without_start_up_messages,
)

if TYPE_CHECKING:
    from keras_clce import CLCEModel
    from keras_clce.inference import Enrolled

WHAT, CHANGES, REJECTION = "Model and photographs", "Changes", "None of these"
FOLDER = ((os.path.isdir, "must be a folder of class folders"),)
SHOWN_CLASSES, SHOWN_ERRORS = 20, 10


def is_file(path: str) -> bool:
    """Whether a path is that of a file."""
    return Path(path).expanduser().is_file()


def is_new_file(path: str) -> bool:
    """Whether a file of enrolled classes can be written there."""
    return path.endswith(".npz") and Path(path).expanduser().absolute().parent.is_dir()


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnrollFlags(ViewFlags):
    """What is enrolled, how it is told apart, and where it goes."""

    model: str | None = model_flag(
        "The model: a .keras file, the folder of a preset or hf://OWNER/NAME; with --enrolled the "
        "file knows it."
    )
    images: str | None = tool_flag(
        None, "Photographs of new classes, a folder for each.", WHAT, checks=FOLDER
    )
    output: str | None = tool_flag(
        None,
        "The file to write, .npz; that of --enrolled if not given.",
        WHAT,
        checks=((is_new_file, "must end in .npz, in a folder that is there"),),
    )
    classifier: str | None = tool_flag(
        None,
        "How classes are told apart: cosine to the mean embedding of a class, or a logistic "
        "regression; cosine, or that of --enrolled, if not given.",
        WHAT,
        choices=("cosine", "logistic"),
    )
    trained_images: int = tool_flag(
        0,
        "Enroll the classes that the model was trained on too, by so many images of each from the "
        "training split of its run.",
        WHAT,
        least=0,
    )
    limit: int | None = tool_flag(
        None, "Most photographs of each class, the first ones by name.", WHAT, least=1
    )
    enrolled: str | None = tool_flag(
        None,
        "A file of enrolled classes to change or to show.",
        CHANGES,
        checks=((is_file, "must be a file of enrolled classes, .npz"),),
    )
    add: str | None = tool_flag(
        None, "Photographs to add to it, a folder for each class.", CHANGES, checks=FOLDER
    )
    rename: str | None = tool_flag(None, "OLD=NEW, another name for a class.", CHANGES)
    remove: str | None = tool_flag(None, "Classes to remove: NAME or NAME,NAME.", CHANGES)
    unknown: str | None = photographs_flag(
        "Photographs of none of the classes, which the threshold is chosen on."
    )
    false_accept_rate: float | None = tool_flag(
        None,
        "Share of unknown photographs that may be accepted; 0.05 if not given.",
        REJECTION,
        checks=((lambda rate: 0 < rate < 1, "must be within (0, 1)"),),
    )
    threshold: float | None = tool_flag(
        None, "Score below which a photograph is none of these; chosen if not given.", REJECTION
    )
    validation: str | None = tool_flag(
        None,
        "Other photographs of the enrolled classes, a folder for each, which are counted.",
        REJECTION,
        checks=FOLDER,
    )


def enroll(asked: EnrollFlags) -> None:
    """Make, change or show a file of enrolled classes."""
    from keras_clce.inference import Enrolled

    check(asked)
    kept = Enrolled.load(Path(asked.enrolled).expanduser()) if asked.enrolled else None
    model, enrolled = None, kept
    if kept is not None:
        enrolled = renamed(kept, asked.rename) if asked.rename else kept
        enrolled = enrolled.without(names_in(asked.remove, enrolled)) if asked.remove else enrolled
    if kept is None or asked.add or asked.unknown or asked.validation or asked.trained_images:
        path = model_path(asked, kept)
        model = load_named_model(path)
        print(f"Model:      {path}")
    enrolled = with_photographs(asked, model, enrolled)
    tell_skipped(enrolled.unreadable)
    output = asked.output or asked.enrolled
    if enrolled is not kept or asked.output:
        enrolled.save(Path(output).expanduser())
        print(f"Written:    {output}")
    tell(enrolled)
    tell_rejection(enrolled)
    tell_recognition(asked, model, enrolled)
    shown = asked.model or enrolled.model.get("path") or "MODEL"
    print(f"Next:       python recipes/predict.py --model {shown} --enrolled {output} --images ...")


def check(asked: EnrollFlags) -> None:
    """Refuse flags that do not go together."""
    if asked.enrolled is None:
        for name in ("add", "rename", "remove"):
            if getattr(asked, name) is not None:
                raise ValueError(
                    f"`enrolled` must be given, the file that --{name} changes. Received: "
                    "enrolled=None"
                )
        for name in ("images", "output"):
            if getattr(asked, name) is None:
                raise ValueError(f"`{name}` must be given to enroll classes. Received: {name}=None")
    elif asked.images is not None:
        raise ValueError(
            "`images` makes a new file; `add` adds photographs to `enrolled`. Received: "
            f"images={asked.images}, enrolled={asked.enrolled}"
        )


def model_path(asked: EnrollFlags, kept: "Enrolled | None") -> str:
    """The model that is named, or the one that the file knows."""
    remembered = kept.model.get("path") if kept else None
    return named_or_remembered(asked.model, remembered, "the classes were enrolled with")


def with_photographs(
    asked: EnrollFlags, model: "CLCEModel | None", enrolled: "Enrolled | None"
) -> "Enrolled":
    """Add photographs, and choose classifier and threshold again where flags say so."""
    from keras_clce.inference import enroll as enroll_images

    given = {"classifier": asked.classifier, "false_accept_rate": asked.false_accept_rate}
    given = {name: value for name, value in given.items() if value is not None}
    if asked.images or asked.add or asked.unknown:
        enrolled = enroll_images(
            model,
            asked.images or asked.add,
            unknown=asked.unknown,
            threshold=asked.threshold,
            enrolled=enrolled,
            limit=asked.limit,
            batch_size=asked.batch_size,
            image_size=asked.image_size,
            model_path=model_path(asked, enrolled),
            **given,
        )
    elif given or asked.threshold is not None:
        enrolled = dataclasses.replace(enrolled, **given).with_threshold(asked.threshold)
    if asked.trained_images:
        with without_start_up_messages():
            from keras_clce.experiments import trained_examples

            # The data of a run are read by TensorFlow; without it a message tells.
            with contextlib.suppress(ImportError):
                import tensorflow  # noqa: F401
        examples = trained_examples(model_path(asked, enrolled), asked.trained_images)
        enrolled = enrolled.with_examples(*examples)
    return enrolled


def renamed(enrolled: "Enrolled", change: str) -> "Enrolled":
    """Rename a class; names may have a "=" in them."""
    pairs = [(change[:at], change[at + 1 :]) for at, one in enumerate(change) if one == "="]
    if not pairs:
        raise ValueError(f"`rename` must be OLD=NEW. Received: rename={change}")
    known = [pair for pair in pairs if pair[0] in enrolled.class_names]
    return enrolled.renamed(*(known or pairs)[0])


def names_in(names: str, enrolled: "Enrolled") -> list[str]:
    """Names of classes in a flag; a name may have commas in it."""
    return [names] if names in enrolled.class_names else names.split(",")


def tell_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Print what was passed over."""
    for name, reason in skipped[:SHOWN_ERRORS]:
        print(f"Skipped:    {name}: {reason}")
    if len(skipped) > SHOWN_ERRORS:
        print(f"            … and {len(skipped) - SHOWN_ERRORS} more")


def tell(enrolled: "Enrolled") -> None:
    """Print the classes."""
    from keras_clce.inference import closest_classes
    from keras_clce.report import format_table

    names, counts = enrolled.class_names, enrolled.counts
    rows = [
        [name, str(count), names[other[0]] if other else "-", f"{other[1]:.3f}" if other else "-"]
        for name, count, other in zip(
            names, counts, closest_classes(enrolled.embeddings, enrolled.labels), strict=True
        )
    ]
    head = ["class", "photographs", "closest class", "cosine"]
    print("\n" + format_table(head, rows[:SHOWN_CLASSES]))
    more = len(rows) - SHOWN_CLASSES
    print(f"… and {more} more\n" if more > 0 else "")
    one = len(names) == 1
    print(f"Enrolled:   {len(names)} class{'' if one else 'es'}, {sum(counts)} photographs")
    print(f"Classifier: {enrolled.classifier}")


def tell_rejection(enrolled: "Enrolled") -> None:
    """Print the threshold, how it was found, and what it lets pass."""
    found, score = enrolled.rejection, enrolled.score_name
    if found is None:
        print(
            "Threshold:  none, since there are too few classes to choose it; nothing is rejected. "
            "Give --unknown or --threshold"
        )
        return
    print(f'Threshold:  "none of these" below a {score} of {found.threshold:.3f}')
    how = {
        "given": "given",
        "unknown photographs": f"chosen on {found.unknown} unknown photographs",
        "left-out classes": f"chosen on the {found.unknown} enrolled photographs, of which each "
        "tenth of the classes is unknown to the others",
    }[found.source]
    if found.source != "given":
        how += f", for a false-accept rate of {100 * found.false_accept_rate:g} %"
    print(f"            {how}")
    if found.unknown:
        low, high = found.interval
        print(
            f"            {found.accepted} of {found.unknown} are accepted, "
            f"{shares(found.share, low, high)}"
        )
    if found.source != "given" and not found.is_strict_enough:
        print(
            f"            {found.unknown} are too few to promise "
            f"{100 * found.false_accept_rate:g} %: all of them are rejected"
        )


def tell_recognition(asked: EnrollFlags, model: Any, enrolled: "Enrolled") -> None:
    """Print what becomes of photographs of enrolled classes."""
    from keras_clce.inference import Recognition, predict_images

    found, what = enrolled.recognition(), "enrolled photographs, each without itself"
    if asked.validation:
        rows = predict_images(
            model,
            asked.validation,
            1,
            asked.batch_size,
            image_size=asked.image_size,
            enrolled=enrolled,
        )
        tell_skipped([(row.name, row.error) for row in rows.unreadable])
        rows = [row for row in rows if row.label is not None]
        if not rows:
            raise ValueError(
                "`validation` must have folders that bear names of enrolled classes. Received: "
                f"{asked.validation}"
            )
        right = sum(row.class_name == row.label for row in rows)
        rejected = sum(row.is_rejected for row in rows)
        found = Recognition(right, len(rows) - right - rejected, rejected)
        what = f"photographs of {asked.validation}"
    if found is None:
        return
    print(f"Recognised: of {found.photographs} {what}")
    for name in ("right", "confused", "rejected"):
        said = {"right": "their class", "confused": "another class", "rejected": "none of these"}
        count = getattr(found, name)
        print(f"            {said[name]:<14} {count:>5}, {shares(*found.of(count))}")


def shares(share: float, low: float, high: float) -> str:
    """A share with its interval."""
    return f"{100 * share:.1f} % (95 %: {100 * low:.1f} to {100 * high:.1f} %)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Enroll as flags say."""
    tool_command(__doc__, EnrollFlags, enroll, arguments)


if __name__ == "__main__":
    main()
