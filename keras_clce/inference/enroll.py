"""A trained model learns new classes from a few photographs, without training."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.checks import check_whole_number
from keras_clce.files import printable_text
from keras_clce.inference.descriptions import maker_of, preprocessing_of
from keras_clce.inference.enroll_classifiers import ENROLL_CLASSIFIERS
from keras_clce.inference.enrolled import Enrolled
from keras_clce.inference.enrolled_files import check_enrolled_names
from keras_clce.inference.model_outputs import model_outputs
from keras_clce.inference.photographs import Photograph, find_photographs
from keras_clce.inference.rejection import GIVEN, check_false_accept_rate
from keras_clce.train import CLCEModel


def enroll(
    model: CLCEModel,
    images_by_class: Any,
    classifier: str | None = None,
    unknown: Any = None,
    false_accept_rate: float | None = None,
    threshold: float | None = None,
    enrolled: Enrolled | None = None,
    limit: int | None = None,
    batch_size: int = 64,
    image_size: int | None = None,
    model_path: str | Path | None = None,
    verbose: str | int = "auto",
) -> Enrolled:
    """Teach a trained model classes by a few photographs of each; nothing is trained.

    The enrolled classes stand alone: the classes that the model was trained on are among them where
    photographs of these are enrolled too, and then all have the same chance.

    Args:
        model: A `CLCEModel`, which is not changed.
        images_by_class: A folder with a folder of photographs for each class, or a mapping from
            names of classes to photographs as `predict_images` takes them. `None` adds nothing to
            `enrolled`.
        classifier: `"cosine"`, the cosine to the mean embedding of a class, or `"logistic"`, a
            logistic regression on embeddings. Defaults to `None`, that of `enrolled`, else
            `"cosine"`.
        unknown: Photographs of none of the classes, as `predict_images` takes them, which the
            threshold of "none of these" is chosen on. Defaults to `None`, those of `enrolled`, else
            each tenth of the classes is unknown to the others in turn.
        false_accept_rate: Share of unknown photographs that may be accepted, within (0, 1).
            Defaults to `None`, that of `enrolled`, else 0.05.
        threshold: Score below which a photograph is "none of these". Defaults to `None`: chosen.
        enrolled: Classes that these are added to. Defaults to `None`.
        limit: Most photographs of each class, the first ones by name. Defaults to `None`, all.
        batch_size: As in `predict_images`, and so are the others. Defaults to 64.
        image_size: Pixels per side. Defaults to `None`.
        model_path: Where the model is saved, which the result remembers. Defaults to `None`.
        verbose: Whether a bar is shown. Defaults to `"auto"`.

    Returns:
        `Enrolled` classes, whose `save` writes them to a file; `unreadable` has what was passed
        over.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an argument is wrong, a class has no photograph that can be read, or
            `enrolled` is of another model.

    Reference:
        - [Prototypical networks](https://arxiv.org/abs/1703.05175)

    Example:
    ```python
    enrolled = enroll(model, "pets", limit=3)
    len(enrolled.class_names), enrolled.counts[0]  # (10, 3)
    found = predict_images(model, "pets/owl", enrolled=enrolled)
    found[0].class_name in (*enrolled.class_names, "none of these")  # True
    ```
    """
    if classifier is not None and classifier not in ENROLL_CLASSIFIERS:
        raise ValueError(
            f"`classifier` must be one of {', '.join(ENROLL_CLASSIFIERS)}. Received: "
            f"classifier={classifier!r}"
        )
    if false_accept_rate is not None:
        check_false_accept_rate(false_accept_rate)
    limit = check_whole_number("limit", limit, optional=True)
    batch_size = check_whole_number("batch_size", batch_size)
    preprocessing = preprocessing_of(model, image_size)
    if enrolled is not None:
        enrolled.check_model(model, model_path or "this one")
    found: dict[str, list[Photograph]] = {}
    skipped: list[tuple[str, str]] = []
    names: tuple[str, ...] = ()
    if images_by_class is not None or enrolled is None:
        found, skipped = _photographs_by_class(images_by_class, limit)
        names = check_enrolled_names(tuple(found))
    photographs = [one for name in names for one in found[name]]
    of_class = np.repeat(names, [len(found[name]) for name in names])
    unknown_photographs = [] if unknown is None else find_photographs(unknown)

    shown = [*photographs, *unknown_photographs]
    if not shown:
        raise ValueError("`images_by_class` or `unknown` must be given. Received: None")
    outputs = model_outputs(model, shown, preprocessing, batch_size, verbose)
    is_of_class = outputs.rows < len(photographs)
    rows = outputs.rows[is_of_class]
    empty = [name for name in names if name not in {*of_class[rows]}]
    if empty:
        raise ValueError(
            "`images_by_class` must have a photograph of each class that can be read. Received: "
            f"none of {', '.join(empty[:3])}"
        )
    embeddings, of_class = outputs.embeddings[is_of_class], [str(name) for name in of_class[rows]]
    others = outputs.embeddings[~is_of_class]
    if unknown is not None and not len(others):
        raise ValueError(
            f"`unknown` must have a photograph that can be read. Received: unknown={unknown!r:.80}"
        )
    settings = {
        "classifier": classifier,
        "false_accept_rate": false_accept_rate,
        "unknown": others if unknown is not None else None,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    settings["unreadable"] = (*skipped, *outputs.unreadable)
    about = maker_of(model, model_path, preprocessing.image_size)
    return _joined(enrolled, embeddings, of_class, threshold, about, settings)


def _joined(
    enrolled: Enrolled | None,
    embeddings: np.ndarray,
    names: Sequence[str],
    threshold: float | None,
    about: dict[str, Any],
    settings: Mapping[str, Any],
) -> Enrolled:
    """Enrolled classes of embeddings, beside those that are there."""
    if enrolled is None:
        known = tuple(dict.fromkeys(names))
        numbers = {name: number for number, name in enumerate(known)}
        labels = np.array([numbers[name] for name in names], np.int64)
        made = Enrolled(embeddings, labels, known, model=about, **settings)
        return made.with_threshold(threshold)
    if about["path"] is None:
        about["path"] = enrolled.model.get("path")
    changed = dataclasses.replace(enrolled, model=about, **settings)
    if names:
        changed = changed.with_examples(embeddings, names)
    is_given = enrolled.rejection is not None and enrolled.rejection.source == GIVEN
    if threshold is None and is_given and not {"classifier", "false_accept_rate"} & {*settings}:
        threshold = enrolled.threshold
    return changed.with_threshold(threshold)


def _photographs_by_class(
    images: Any, limit: int | None
) -> tuple[dict[str, list[Photograph]], list[tuple[str, str]]]:
    """Photographs by class, and name and reason of those that are of none."""
    if isinstance(images, Mapping):
        return {name: find_photographs(one, limit) for name, one in images.items()}, []
    if not isinstance(images, str | Path) or not Path(images).expanduser().is_dir():
        raise ValueError(
            "`images_by_class` must be a folder of class folders, or a mapping from names of "
            f"classes to photographs. Received: images_by_class={images!r:.80}"
        )
    found: dict[str, list[Photograph]] = {}
    loose = []
    for photograph in find_photographs(images):
        if photograph.class_folder is None:
            loose.append((printable_text(photograph.name), "in no class folder"))
        else:
            of_class = found.setdefault(photograph.class_folder, [])
            if limit is None or len(of_class) < limit:
                of_class.append(photograph)
    if not found:
        raise ValueError(
            "`images_by_class` must have a folder of photographs for each class. Received: "
            f"{printable_text(images)}, which has {len(loose)} files and no folder; if it is one "
            "class, give the folder above it, or a mapping"
        )
    return found, loose
