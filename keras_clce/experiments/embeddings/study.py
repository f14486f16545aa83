"""The study of embeddings: how even they are, how far they tell classes apart, how they look."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from keras_clce.checks import check_at_least
from keras_clce.experiments.announce import tell
from keras_clce.experiments.embeddings.files import Embedded, check_same_data, read_embeddings
from keras_clce.experiments.embeddings.results import (
    arrays_path,
    draw_pictures,
    measure,
    notes_on,
    show_in_projector,
    write_page,
)
from keras_clce.experiments.embeddings.sources import (
    SPLITS,
    Draw,
    ShownData,
    Source,
    class_names_of,
    embed_source,
    load_sources,
    numbers_of_classes,
)
from keras_clce.files import made_folder, write_json
from keras_clce.report.embedding_tables import embedding_answer, embedding_table

_MAP_CLASSES = 20
_QUICK_EXAMPLES, _QUICK_IMAGES = 256, 15


@dataclasses.dataclass(frozen=True)
class EmbeddingStudy:
    """What an embedding study found.

    Args:
        folder: Where all of it stands.
        numbers: The content of `embeddings.json`.

    Example:
    ```python
    np.savez("a.npz", embeddings=embeddings, labels=labels)
    study = embedding_study(embeddings=["a.npz"], tsne_images=5, output_dir="out")
    study.numbers["examples"]  # 240
    ```
    """

    folder: Path
    numbers: dict[str, Any]

    def table(self) -> str:
        """The numbers as a table, a column a model."""
        return embedding_table(self.numbers)


def embedding_study(
    models: Mapping[str, Any] | Sequence[Any] | None = None,
    embeddings: Mapping[str, str | Path] | Sequence[str | Path] | None = None,
    *,
    dataset: str | None = None,
    split: str = "test",
    classes: Sequence[str] | None = None,
    tsne_classes: Sequence[str] | None = None,
    tsne_images: int = 100,
    max_examples: int = 10_000,
    train_examples: int = 5_000,
    seed: int = 0,
    projector: bool = False,
    quick: bool = False,
    output_dir: str | Path | None = None,
    **data: Any,
) -> EmbeddingStudy:
    """Compare the embeddings of trained models: numbers, histograms of cosines, maps.

    Every model embeds the same images, as it was shown images in training. All is measured on unit
    rows. What is found is written before any picture is drawn: `embeddings.json`, `embeddings.md`,
    and `embeddings-NAME.npz` of each model, with which a later study needs no model.

    Args:
        models: Name to model, or paths of `.keras` files: of `CLCEModel`s, or of Keras models from
            images to embeddings. Feature maps are averaged. Defaults to `None`.
        embeddings: Name to path of `.npz` files, or paths, as `read_embeddings` takes them.
            Defaults to `None`.
        dataset: Name of the data set that models embed; novel classes are the test split of a
            few-shot set. Defaults to `None`, that of the run folder that a model stands in.
        split: `"test"`, `"validation"` or `"train"`. Defaults to `"test"`.
        classes: Classes whose pairs have histograms of their own. Defaults to `None`, two of
            `tsne_classes`.
        tsne_classes: Classes on the maps. Defaults to `None`, twenty drawn by the seed.
        tsne_images: Most images of each class on the maps. Defaults to 100.
        max_examples: Most images of the split, drawn by the seed; of files, most embeddings whose
            pairs and neighbours are looked at. Defaults to 10,000.
        train_examples: Most training images that neighbours are searched in and a linear probe
            learns from, where the data set has some of the same classes; 0 is none. Defaults to
            5,000.
        seed: Seed of all draws and of t-SNE. Defaults to 0.
        projector: Whether to write files for TensorBoard's projector. Defaults to `False`.
        quick: Whether to look at a few hundred images alone, in a folder `quick` of its own.
            Defaults to `False`.
        output_dir: Where the results go. Defaults to `None`, a folder of the data set's name in
            `runs/embeddings`.
        **data: How the data set is loaded: `data_dir`, `split_seed`, `limit_examples`,
            `drop_small_classes`, which default to those of the run folder, and `image_size` for
            models that take images of any size.

    Returns:
        An `EmbeddingStudy`.

    Raises:
        ValueError: If an argument is wrong, a class is not known, a model gives no embedding, or
            the embeddings are not of the same images.
        FileNotFoundError: If a file or the data are not there.

    Reference:
        CLCE (https://arxiv.org/abs/2402.14551), Table 5 and Figures 3 to 5.

    Example:
    ```python
    np.savez("mine.npz", embeddings=embeddings, labels=labels)
    study = embedding_study(embeddings=["mine.npz"], tsne_images=5, output_dir="study")
    study.numbers["models"]["mine"]["isotropy"]  # 0.85
    print(study.table())
    ```
    """
    for name, value, least in (
        ("tsne_images", tsne_images, 2),
        ("max_examples", max_examples, 10),
        ("train_examples", train_examples, 0),
        ("seed", seed, 0),
    ):
        check_at_least(name, value, least)
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}. Received: split={split!r}")
    members, sources, shown = _inputs(models, embeddings, dataset, data)
    names, labels = _classes_of(members, sources, shown, split)
    drawn = _map_classes(tsne_classes, names, labels, seed)
    chosen = numbers_of_classes("classes", classes or [names[n] for n in drawn[:2]], names)
    _check_present("classes" if classes else "tsne_classes", chosen, names, labels)
    draw = Draw(split, max_examples, train_examples, seed)
    if quick:
        draw = dataclasses.replace(
            draw,
            max_examples=min(max_examples, _QUICK_EXAMPLES),
            train_examples=min(train_examples, _QUICK_EXAMPLES),
            classes=sorted({*drawn, *chosen}),
        )
        tsne_images = min(tsne_images, _QUICK_IMAGES)
    folder = _folder(output_dir, shown.name if shown else members[0].dataset, quick)
    _announce(
        folder, members, sources, shown, [names[n] for n in chosen], [names[n] for n in drawn]
    )

    for source in sources:
        members.append(embed_source(source, cast(ShownData, shown), draw))
        members[-1].write(arrays_path(folder, source.name))
    check_same_data(members)
    _check_present("classes" if classes else "tsne_classes", chosen, names, members[0].labels)
    study, histograms = measure(members, {names[number]: number for number in chosen}, draw)
    study["settings"] |= {
        "tsne_classes": [names[number] for number in drawn],
        "tsne_images": tsne_images,
        "quick": quick,
    }
    write_json(folder / "embeddings.json", study)
    notes = notes_on(folder, study, sources)
    write_page(folder, study, {}, notes)
    print(f"\n{embedding_answer(study)}\n\n{embedding_table(study)}\n")
    pictures = draw_pictures(folder, study, members, histograms)
    write_page(folder, study, pictures, notes)
    if projector:
        show_in_projector(folder / "projector", members, shown, sources, draw)
    tell("Page", str(folder / "embeddings.md"))
    return EmbeddingStudy(folder, study)


def _announce(
    folder: Path,
    members: Sequence[Embedded],
    sources: Sequence[Source],
    shown: ShownData | None,
    classes: Sequence[str],
    tsne_classes: Sequence[str],
) -> None:
    """Print what is going to happen."""
    for source in sources:
        tell("Model", f"{source.name}, {source.path}")
        if shown is None or source.class_names is None:
            continue
        if source.class_names != shown.trained_classes(source.name):
            tell("Note", f"{source.name} was trained on other classes than those of {shown.name}")
    for member in members:
        tell("Arrays", f"{member.name}, {member.source}")
    tell("Data", shown.of(sources[0].name).split_note if shown else members[0].data or "not known")
    tell("Pairs", f"of all classes; of {', '.join(classes)}")
    tell("Maps", f"of {', '.join(tsne_classes)}")
    tell("Results", str(folder))


def _inputs(
    models: Any, embeddings: Any, dataset: str | None, data: Mapping[str, Any]
) -> tuple[list[Embedded], list[Source], ShownData | None]:
    """Files of embeddings, models, and what the models are shown."""
    models, embeddings = named_models(models), named_models(embeddings)
    if not models and not embeddings:
        raise ValueError(
            "`models` or `embeddings` must name at least one. Received: models=None, "
            "embeddings=None"
        )
    names = [*models, *embeddings]
    # They are names of files, too.
    if len({arrays_path(Path(), name) for name in names}) != len(names):
        raise ValueError(f"Names must differ. Received: {', '.join(names)}")
    members = [read_embeddings(path, name) for name, path in embeddings.items()]
    if members:
        check_same_data(members)
    sources = load_sources(models)
    return members, sources, ShownData(sources, dataset, **data) if sources else None


def named_models(given: Any) -> dict[str, Any]:
    """Models or paths by name; paths have the name of their file, or of their run folder.

    Args:
        given: Name to model or path, or models and paths; `None` is none.

    Returns:
        Name to model or path.

    Raises:
        ValueError: If two have one name.

    Example:
    ```python
    [*named_models(["ce-seed0/model.keras", "clce.keras"])]  # ["ce-seed0", "clce"]
    ```
    """
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    if isinstance(given, str | Path):
        raise ValueError(f"Paths must be a list or a mapping. Received: {given!r}")
    names = [
        one.name
        if not isinstance(one, str | Path)
        else Path(one).absolute().parent.name
        if Path(one).name == "model.keras"
        else Path(one).stem.removeprefix("embeddings-")
        for one in given
    ]
    if len({*names}) != len(names):
        raise ValueError(
            f"Names must differ; others can be given (a mapping, or --names). "
            f"Received: {', '.join(names)}"
        )
    return dict(zip(names, given, strict=True))


def _classes_of(
    members: Sequence[Embedded],
    sources: Sequence[Source],
    shown: ShownData | None,
    split: str,
) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Names of the classes, and the labels where they are known before anything is embedded."""
    if shown is None:
        names, labels = members[0].class_names, members[0].labels
    else:
        dataset = shown.of(sources[0].name)
        names, labels = class_names_of(dataset, split), getattr(dataset, split).labels
        if members and members[0].class_names != names:
            raise ValueError(
                f"Embeddings that are compared must be of the same classes. Received: "
                f"{members[0].name} of {len(members[0].class_names)}, {shown.name} of {len(names)}"
            )
    if labels is not None and len(np.unique(labels)) < 2:
        raise ValueError(
            "There must be examples of two classes or more. Received: "
            f"{len(labels)} of {names[labels[0]]}"
        )
    return names, labels


def _map_classes(
    wanted: Sequence[str] | None,
    names: Sequence[str],
    labels: np.ndarray | None,
    seed: int,
) -> list[int]:
    """Numbers of the classes on the maps."""
    if wanted:
        numbers = numbers_of_classes("tsne_classes", wanted, names)
        _check_present("tsne_classes", numbers, names, labels)
        return numbers
    counts = np.full(len(names), 2) if labels is None else np.bincount(labels)
    # A class of one image has no pair.
    present = np.flatnonzero(counts >= 2)
    return sorted(np.random.default_rng(seed).permutation(present)[:_MAP_CLASSES].tolist())


def _check_present(
    argument: str, numbers: Sequence[int], names: Sequence[str], labels: np.ndarray | None
) -> None:
    if labels is None:
        return
    counts = np.bincount(labels, minlength=len(names))
    few = [f"{names[number]} ({counts[number]})" for number in numbers if counts[number] < 2]
    if few:
        raise ValueError(
            f"`{argument}` must be classes with two images or more. Received: {', '.join(few)}"
        )


def _folder(output_dir: str | Path | None, dataset: str | None, quick: bool) -> Path:
    folder = Path(output_dir or Path("runs", "embeddings", dataset or "arrays"))
    return made_folder(folder / "quick" if quick else folder)
