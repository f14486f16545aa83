"""What an embedding study leaves behind: numbers, page, pictures, files for the projector."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.backend import backend_name
from keras_clce.evaluate import CosineHistogram, embedding_map
from keras_clce.evaluate.embedding_maps import MAPS
from keras_clce.experiments.announce import tell
from keras_clce.experiments.embeddings.files import Embedded
from keras_clce.experiments.embeddings.models import image_batches
from keras_clce.experiments.embeddings.numbers import cosine_histograms, numbers_of
from keras_clce.experiments.embeddings.sources import Draw, ShownData, Source
from keras_clce.files import write_atomically
from keras_clce.report.embedding_pictures import TITLES, plot_cosines, plot_maps
from keras_clce.report.embedding_projector import write_projector
from keras_clce.report.embedding_tables import embedding_page
from keras_clce.report.names import count_of
from keras_clce.report.pictures import drawing
from keras_clce.runs.software import git_commit, package_versions
from keras_clce.views import Preprocessing

_THUMBNAIL = 32
_BATCH = 64


def arrays_path(folder: Path, name: str) -> Path:
    """Where the embeddings of a model go.

    Args:
        folder: Folder of the study.
        name: Name of the model.

    Returns:
        The path.

    Example:
    ```python
    arrays_path(Path("study"), "clce, tuned").name  # "embeddings-clce_tuned.npz"
    ```
    """
    name = re.sub(r"[^-+.=\w]+", "_", name)
    return folder / f"embeddings-{name}.npz"


def measure(
    members: Sequence[Embedded], classes: Mapping[str, int], draw: Draw
) -> tuple[dict[str, Any], dict[str, dict[str, CosineHistogram]]]:
    """Measure all models.

    Args:
        members: Their embeddings.
        classes: Name to number of each class whose pairs are counted alone.
        draw: How many examples are looked at, and the seed.

    Returns:
        The content of `embeddings.json`, and the histograms of each model.

    Example:
    ```python
    mine = Embedded("mine", "mine.npz", embeddings, labels, tuple("0123456789"))
    measure([mine], {"3": 3}, Draw("test"))[0]["classes"]  # 10
    ```
    """
    numbers, histograms = {}, {}
    for member in members:
        histograms[member.name] = cosine_histograms(member, classes, draw.max_examples, draw.seed)
        numbers[member.name] = numbers_of(
            member, histograms[member.name], draw.max_examples, draw.seed
        )
    known = {
        name: next((getattr(member, name) for member in members if getattr(member, name)), None)
        for name in ("dataset", "split", "data")
    }
    study = {
        **known,
        "examples": len(members[0].labels),
        "classes": len(np.unique(members[0].labels)),
        "settings": {
            "classes": [*classes],
            "max_examples": draw.max_examples,
            "train_examples": draw.train_examples,
            "seed": draw.seed,
        },
        "models": numbers,
        "backend": backend_name(),
        "versions": package_versions(),
        "commit": git_commit(),
    }
    return study, histograms


def notes_on(folder: Path, study: Mapping[str, Any], sources: Sequence[Source]) -> list[str]:
    """Lines on how a study was made.

    Args:
        folder: Its folder.
        study: Content of its `embeddings.json`.
        sources: The models that it embedded with.

    Returns:
        The lines.

    Example:
    ```python
    mine = Embedded("mine", "mine.npz", embeddings, labels, tuple("0123456789"))
    study, _ = measure([mine], {"3": 3}, Draw("test"))
    notes_on(Path("study"), study, [])[0]  # "mine: 240 embeddings of 8 numbers, from mine.npz; …"
    ```
    """
    lines = []
    for name, numbers in study["models"].items():
        split = f" of the {study['split']} split" if study["split"] else ""
        lines.append(
            f"{name}: {numbers['examples']:,} embeddings of {numbers['dim']:,} numbers{split}, "
            f"from {numbers['source']}; neighbours among {numbers['neighbors_of']}"
        )
    pairs = next(iter(study["models"].values()))["cosines"]
    counted = "; ".join(
        f"{of['positive_pairs']:,} positive and {of['negative_pairs']:,} negative of {kind}"
        for kind, of in pairs.items()
    )
    lines.append(f"Pairs: {counted}")
    if study["settings"].get("quick"):
        lines.append("A quick look at a few images, which says nothing about a model")
    if sources:
        files = ",".join(str(arrays_path(folder, source.name)) for source in sources)
        lines.append(f"Again without models: `--embeddings {shlex.quote(files)}`")
    return lines


def write_page(
    folder: Path, study: Mapping[str, Any], pictures: Mapping[str, str], notes: Sequence[str]
) -> None:
    """Write `embeddings.md`.

    Args:
        folder: Folder of the study.
        study: Content of its `embeddings.json`.
        pictures: What is seen in a picture, to the name of its file.
        notes: Lines on how it was made.

    Example:
    ```python
    write_page(Path(), {"models": {"mine": {"isotropy": 0.5}}}, {}, ["mine: from mine.npz"])
    ```
    """
    page = embedding_page(study, pictures, notes)
    write_atomically(folder / "embeddings.md", lambda to: to.write_text(page, encoding="utf-8"))


def draw_pictures(
    folder: Path,
    study: Mapping[str, Any],
    members: Sequence[Embedded],
    histograms: Mapping[str, Mapping[str, CosineHistogram]],
) -> dict[str, str]:
    """Draw histograms and maps; what cannot be drawn is warned of.

    The maps stand in `maps.npz` too.

    Args:
        folder: Folder of the study.
        study: Content of its `embeddings.json`.
        members: The embeddings.
        histograms: As `measure` gave them.

    Returns:
        What is seen in a picture, to the name of its file.

    Example:
    ```python
    mine = Embedded("mine", "mine.npz", embeddings, labels, tuple("0123456789"))
    study, histograms = measure([mine], {"3": 3}, Draw("test"))
    study["settings"] |= {"tsne_classes": ["3", "5"], "tsne_images": 20}
    draw_pictures(Path(), study, [mine], histograms)
    ```
    """
    about, first, pictures = study["settings"], members[0], {}
    split = study["split"] and f"{study['split']} split"
    title = ", ".join(filter(None, (study["dataset"], split)))
    path = folder / "cosines.png"
    with drawing(path):
        plot_cosines(histograms, path, title)
        pictures["Histograms of the cosines of positive and negative pairs"] = path.name
    names = about["tsne_classes"]
    rows, classes = _rows_of_classes(first, names, about["tsne_images"], about["seed"])
    shown = f"{title or 'embeddings'}: {count_of(len(rows), 'image')} of " + count_of(
        len(names), "class", "classes"
    )
    arrays = {"examples": rows, "labels": classes, "class_names": np.array(names)}
    for method in MAPS:
        path = folder / f"{method}.png"
        with drawing(path):
            maps = {
                member.name: embedding_map(member.embeddings[rows], method, about["seed"])
                for member in members
            }
            arrays |= {f"{method}-{name}": drawn.points for name, drawn in maps.items()}
            _write_arrays(folder / "maps.npz", arrays)
            plot_maps(maps, classes, names, path, shown)
            pictures[f"{TITLES[method]} of {', '.join(names)}"] = path.name
    return pictures


def show_in_projector(
    folder: Path,
    members: Sequence[Embedded],
    shown: ShownData | None,
    sources: Sequence[Source],
    draw: Draw,
) -> None:
    """Write files for TensorBoard's projector, with thumbnails where a data set was embedded.

    Args:
        folder: Where they go.
        members: The embeddings.
        shown: What models were shown; `None` where there are files of embeddings alone.
        sources: The models.
        draw: Which images they were shown.

    Example:
    ```python
    mine = Embedded("mine", "mine.npz", embeddings, labels, tuple("0123456789"))
    show_in_projector(Path("projector"), [mine], None, [], Draw("test"))
    ```
    """
    thumbnails = None
    if shown is not None:
        split = getattr(shown.of(sources[0].name), draw.split)
        small = Preprocessing(min(_THUMBNAIL, split.image_size), crop_fraction=1.0)
        batches = image_batches(split, draw.of(split, draw.max_examples), _BATCH)
        thumbnails = np.concatenate([small(images).astype(np.uint8) for images, _ in batches])
    classes = [members[0].class_names[label] for label in members[0].labels]
    write_projector(
        folder, {member.name: member.embeddings for member in members}, classes, thumbnails
    )
    tell("Viewer", f"tensorboard --logdir {folder}")


def _write_arrays(path, arrays):
    write_atomically(path, lambda to: np.savez(to, **arrays))


def _rows_of_classes(member, names, most, seed):
    """Some examples of each class, and the place of the class among the names."""
    rng, rows, places = np.random.default_rng(seed), [], []
    for place, name in enumerate(names):
        own = np.flatnonzero(member.labels == member.class_names.index(name))
        rows.append(rng.permutation(own)[:most])
        places.append(np.full(len(rows[-1]), place))
    return np.concatenate(rows), np.concatenate(places)
