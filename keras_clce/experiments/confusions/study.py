"""The study of confusions: what trained models get wrong, and whether they know when."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.backend import backend_name
from keras_clce.checks import check_at_least
from keras_clce.experiments.announce import tell
from keras_clce.experiments.confusions.data import ConfusionData
from keras_clce.experiments.confusions.numbers import Measured, compared, numbers_of_model
from keras_clce.experiments.confusions.pictures import draw_pictures
from keras_clce.experiments.embeddings.sources import load_sources
from keras_clce.experiments.embeddings.study import named_models
from keras_clce.files import made_folder, write_atomically, write_json
from keras_clce.inference.descriptions import check_one_label
from keras_clce.report import without_details
from keras_clce.report.confusion_page import confusion_page
from keras_clce.report.page import write_page
from keras_clce.runs.software import git_commit, package_versions
from keras_clce.train import CLCEModel, load_model

_MOST_MODELS = 2


@dataclasses.dataclass(frozen=True)
class ConfusionStudy:
    """What a study of confusions found.

    Args:
        folder: Where all of it stands.
        numbers: The content of `confusions.json`.

    Example:
    ```python
    ConfusionStudy(Path("runs/confusions/pets"), {"examples": 40}).numbers["examples"]  # 40
    ```
    """

    folder: Path
    numbers: dict[str, Any]


def confusion_study(
    models: Mapping[str, Any] | Sequence[Any],
    images: str | Path | None = None,
    *,
    validation: str | Path | None = None,
    unknown: str | Path | None = None,
    index: Sequence[str | Path] | None = None,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    image_size: int | None = None,
    batch_size: int = 64,
    bins: int = 15,
    limit: int | None = None,
    train_examples: int = 5_000,
    seed: int = 0,
    save_calibrated: str | Path | None = None,
    output_dir: str | Path | None = None,
) -> ConfusionStudy:
    """Find what one model, or two on the same images, get wrong, and whether they know when.

    What is found is written before any picture is drawn: `confusions.json`, then `confusions.md`
    and `confusions.html`. Where there are training images, embeddings are compared with theirs;
    else with one another.

    Args:
        models: One or two `CLCEModel`s: name to model, or paths as `load_model` takes them.
        images: A folder of class folders. Those that bear no name of a class hold unknown classes.
            Defaults to `None`, the test split of the run that a model stands in.
        validation: A folder of class folders that the temperature is fitted to. Defaults to `None`:
            the validation split of the run, else a seeded half of `images`, and probabilities are
            measured on the other half.
        unknown: A folder of photographs of classes that the models do not know. Defaults to `None`.
        index: Embeddings of training images of each model, as `embed_images` writes them. Defaults
            to `None`, those of the run's training split.
        dataset: Name of a data set in place of that of the run. Defaults to `None`.
        data_dir: Its folder. Defaults to `None`, that of the run.
        class_names: Names of the classes, for models that do not know them. Defaults to `None`.
        image_size: Pixels per side, for models that take images of any size. Defaults to `None`.
        batch_size: Images a step. Defaults to 64.
        bins: Bins of the calibration error. Defaults to 15.
        limit: Most images of known classes, and of unknown ones, drawn by the seed. Defaults to
            `None`, all.
        train_examples: Most images of the run's training split, 0 for none. Defaults to 5,000.
        seed: Seed of all draws. Defaults to 0.
        save_calibrated: Where one model goes with its temperature, a `.keras` file. Defaults to
            `None`, nowhere.
        output_dir: Where the results go. Defaults to `None`, a folder in `runs/confusions`.

    Returns:
        A `ConfusionStudy`.

    Raises:
        ValueError: If an argument is wrong, or models do not know the classes of the images.
        FileNotFoundError: If a file or the data are not there.

    Reference:
        - [On Calibration of Modern Neural Networks](https://arxiv.org/abs/1706.04599)

    Example:
    ```python
    names = sorted(path.name for path in Path("pets").iterdir())
    study = confusion_study({"mine": model}, "pets", class_names=names, output_dir="study")
    study.numbers["models"]["mine"]["calibration"]["examples"]  # 20
    ```
    """
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("bins", bins, 1),
        ("train_examples", train_examples, 0),
        ("seed", seed, 0),
    ):
        check_at_least(name, value, least)
    if limit is not None:
        check_at_least("limit", limit, 2)
    models = named_models(models)
    if not 1 <= len(models) <= _MOST_MODELS:
        raise ValueError(f"`models` must be one or two. Received: {len(models)}")
    save_calibrated = _checked_target(save_calibrated, models)
    sources = [
        dataclasses.replace(source, path=str(given)) if isinstance(given, str | Path) else source
        for source, given in zip(
            load_sources({name: _loaded(one) for name, one in models.items()}),
            models.values(),
            strict=True,
        )
    ]
    for source in sources:
        if not isinstance(source.model, CLCEModel):
            raise ValueError(
                "`models` must be CLCEModels, which have classes. Received: "
                f"{source.name}, a {type(source.model).__name__}"
            )
        check_one_label(source.model, "confusions")
    data = ConfusionData(
        sources,
        images,
        validation,
        unknown,
        index,
        dataset,
        data_dir,
        class_names,
        image_size,
        limit,
        train_examples,
        seed,
    )
    if save_calibrated and data.probes[sources[0].name]:
        raise ValueError(
            "`save_calibrated` must not be given for a model whose own classifier has learned "
            f"nothing, after a contrastive loss alone. Received: {save_calibrated}"
        )
    folder = made_folder(output_dir or Path("runs", "confusions", data.name))
    for source in sources:
        by = ", by the linear probe of its run" if data.probes[source.name] else ""
        tell("Model", f"{source.name}, {source.path}, {source.model.num_classes} classes{by}")
    for what, text in data.plan():
        tell(what, text)
    tell("Results", str(folder))

    measured = {source.name: data.measure(source, batch_size) for source in sources}
    _check_same(measured)
    study = _numbers(measured, data, bins)
    write_json(folder / "confusions.json", study)
    page = confusion_page(study, {})
    path = write_page(page, folder, "confusions")
    print(f"\n{without_details(path.read_text(encoding='utf-8'))}")
    if save_calibrated:
        _save(sources[0], study, save_calibrated)
    pictures = draw_pictures(folder, study, data.tested)
    write_page(confusion_page(study, pictures), folder, "confusions")
    tell("Numbers", str(folder / "confusions.json"))
    tell("Page", str(folder / "confusions.html"))
    return ConfusionStudy(folder, study)


def _loaded(model: Any) -> Any:
    """A model of a preset; files stay, since a run may stand beside them."""
    if isinstance(model, str | Path) and Path(model).suffix != ".keras":
        return load_model(model)
    return model


def _checked_target(path: Any, models: Mapping[str, Any]) -> Path | None:
    """Where a calibrated model goes, if it can go there."""
    if path is None:
        return None
    path = Path(path).expanduser()
    if len(models) > 1:
        raise ValueError(f"`save_calibrated` is for one model. Received: {len(models)}")
    if path.suffix != ".keras" or not path.absolute().parent.is_dir():
        raise ValueError(
            "`save_calibrated` must be a .keras file in a folder that is there. Received: "
            f"save_calibrated={str(path)!r}"
        )
    return path


def _check_same(measured: Mapping[str, Measured]) -> None:
    first, *others = measured.values()
    for other in others:
        if not np.array_equal(first.outputs.rows, other.outputs.rows):
            raise ValueError(
                "`images` must stay as they are while they are read. Received: "
                f"{len(first.outputs.rows)} images, then {len(other.outputs.rows)}"
            )


def _numbers(measured: Mapping[str, Measured], data: ConfusionData, bins: int) -> dict[str, Any]:
    first = next(iter(measured.values()))
    names = data.tested.names(first.outputs.rows)
    study = {
        "models": {
            name: {"path": data.paths[name]} | numbers_of_model(one, data.class_names, names, bins)
            for name, one in measured.items()
        },
        **data.about(),
        "examples": len(first.labels),
        "classes": len(np.unique(first.labels)),
        "class_names": list(data.class_names),
        "unreadable": [{"image": name, "reason": reason} for name, reason in data.unreadable],
        "backend": backend_name(),
        "versions": package_versions(),
        "commit": git_commit(),
    }
    if len(measured) == _MOST_MODELS:
        one, other = measured.values()
        study["compared"] = compared(one, other, data.class_names)
    return study


def _save(source: Any, study: Mapping[str, Any], path: Path) -> None:
    """Save a model with its temperature."""
    found = study["models"][source.name]["calibration"]
    if found["temperature"] is None:
        tell("Not saved", f"there is no temperature: {found['why_not']}")
        return
    source.model.softmax_temperature = found["temperature"]
    write_atomically(path, source.model.save)
    tell("Saved", f"{path}, with temperature {found['temperature']:.3f}")
