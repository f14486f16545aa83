"""Presets: a model as a folder of plain files, to be shared as it is."""

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import keras

from keras_clce import __version__
from keras_clce.files import checksums, printable_text, write_atomically, write_json
from keras_clce.models.checkpoints.download import HUB, hub_folder
from keras_clce.models.checkpoints.tensors import in_one_line

if TYPE_CHECKING:
    from keras_clce.train.clce_model import CLCEModel

# Names of keras-hub's presets.
CONFIG, METADATA, WEIGHTS, CARD = "config.json", "metadata.json", "model.weights.h5", "README.md"
_FILES = [CONFIG, METADATA, WEIGHTS, CARD]
# Of how a model was compiled, and of what its build follows from, nothing is for sharing.
_LEFT_OUT = ("compile_config", "build_config")
_SHOWN_CLASSES = 20


class PresetModel:
    """What makes a model one that is shared as a preset; a base of `CLCEModel`."""

    def save_to_preset(self, folder: str | Path, card: str | None = None) -> None:
        """Write the model to a folder that can be shared as it is.

        Args:
            folder: The folder, new, empty or a preset: `config.json` has the architecture, names of
                classes and preprocessing, `model.weights.h5` the weights, `metadata.json` versions
                and a checksum, `README.md` the model card. The optimizer's state is left out.
            card: Text of the card. Defaults to `None`: one that is there stays, else what the
                model knows of itself.

        Raises:
            ValueError: If the folder cannot be written, or holds something else.

        Example:
        ```python
        model.save_to_preset("birds")
        sorted(path.name for path in Path("birds").iterdir())
        # ["README.md", "config.json", "metadata.json", "model.weights.h5"]
        ```
        """
        folder = Path(folder)
        _check_writable(folder)
        model = cast("CLCEModel", self)
        config = keras.saving.serialize_keras_object(model)
        config = {name: value for name, value in config.items() if name not in _LEFT_OUT}
        # It comes last, so that a folder with one is whole.
        (folder / CONFIG).unlink(missing_ok=True)
        write_atomically(folder / WEIGHTS, lambda to: _save_weights(model, to))
        write_json(folder / METADATA, _metadata(model, folder / WEIGHTS))
        if card is not None or not (folder / CARD).exists():
            text = short_card(model, folder.resolve().name) if card is None else card
            write_atomically(folder / CARD, lambda to: to.write_text(text, encoding="utf-8"))
        write_json(folder / CONFIG, config)

    @classmethod
    def from_preset(cls, preset: str | Path) -> "CLCEModel":
        """Load a model that `save_to_preset` wrote, on any backend.

        Args:
            preset: The folder, or `"hf://OWNER/NAME"` of Hugging Face's hub.

        Returns:
            The model, not compiled.

        Raises:
            FileNotFoundError: If a file of the folder is missing.
            ValueError: If it is damaged, or holds something else.
            ConnectionError: If it cannot be downloaded.

        Example:
        ```python
        model.save_to_preset("birds")
        CLCEModel.from_preset("birds").predict(images)["probabilities"].shape  # (240, 10)
        ```
        """
        return load_preset(preset, cast("type[CLCEModel]", cls))


def load_preset(
    preset: str | Path, kind: "type[CLCEModel]", argument: str = "preset"
) -> "CLCEModel":
    """Load a model from a preset, without running anything that the folder holds.

    Args:
        preset: As in `PresetModel.from_preset`.
        kind: The class that the model must be of.
        argument: What the caller calls `preset`, for messages. Defaults to `"preset"`.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or the folder holds something else.
        ConnectionError: If it cannot be downloaded.

    Example:
    ```python
    model.save_to_preset("birds")
    load_preset("birds", type(model)).num_classes  # 10
    ```
    """
    folder = Path(preset)
    if str(preset).startswith(HUB):
        folder = hub_folder(str(preset), _FILES, "files of the preset", argument)
    received = f"Received: {argument}={printable_text(preset)!r}"
    for name in (CONFIG, METADATA, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"`{argument}` must be a folder that `save_to_preset` wrote, or hf://OWNER/NAME. "
                f"{received}, which has no {name}"
            )
    config, metadata = (_read(folder / name, argument, received) for name in (CONFIG, METADATA))
    known = keras.saving.get_registered_object(str(config.get("registered_name")))
    # Other kinds are not loaded, for they may take long, or run what their author wrote.
    if not (isinstance(known, type) and issubclass(known, kind)):
        found = str(config.get("class_name") or "model of another library")
        raise ValueError(
            f"`{argument}` must hold a {kind.__name__}, of a class that is imported. {received} "
            f"with a {printable_text(found)}"
        )
    versions = (metadata.get(f"{name}_version") for name in ("keras_clce", "keras"))
    saved_by = "keras_clce {}, Keras {}".format(*versions)
    try:
        if metadata.get("weights_sha256") != _sha256(folder / WEIGHTS):
            raise ValueError(f"{WEIGHTS} is not the file that was saved")
        model = keras.saving.deserialize_keras_object(config)
        model.load_weights(folder / WEIGHTS)
    except Exception as error:  # Keras and HDF5 raise many kinds on damaged files
        raise ValueError(
            f"`{argument}` must be a whole preset of known layers ({in_one_line(error)}; saved by "
            f"{printable_text(saved_by)}). {received}"
        ) from error
    return model


def is_preset(path: str | Path) -> bool:
    """Tell whether a path may be that of a preset, without reading it.

    Args:
        path: A path, or `hf://OWNER/NAME`.

    Returns:
        Whether it is an address, or a folder with a configuration.

    Example:
    ```python
    is_preset("hf://owner/birds"), is_preset("model.keras")  # (True, False)
    ```
    """
    return str(path).startswith(HUB) or (Path(path) / CONFIG).is_file()


def short_card(model: "CLCEModel", name: str) -> str:
    """Write what a model knows of itself as a model card.

    Args:
        model: The model.
        name: What it is called.

    Returns:
        Markdown with the metadata of Hugging Face's hub at its head, and with what is missing.

    Example:
    ```python
    short_card(model, "birds").splitlines()[:2]  # ["---", "library_name: keras"]
    ```
    """
    names = [*(model.class_names or map(str, range(model.num_classes)))]
    shown = ", ".join(printable_text(one) for one in names[:_SHOWN_CLASSES])
    more = len(names) - _SHOWN_CLASSES
    shown += f" and {more} more" if more > 0 else ""
    return f"""---
library_name: keras
pipeline_tag: image-classification
tags:
- keras-clce
---

# {printable_text(name)}

An image classifier of {len(names)} classes, of the Python package keras_clce, for any backend of
Keras 3.

What it was trained on, how accurate it is and under which licence it may be passed on is not
recorded here. `keras-clce card --run RUN_FOLDER --preset FOLDER` writes a card with all that the
run knows.

## How to use it

```python
{usage(name)}
```

## Classes

{shown}
"""


def usage(name: str) -> str:
    """Write the lines of Python that classify photographs with a saved model.

    Args:
        name: Path or address of the model.

    Returns:
        Code.

    Example:
    ```python
    usage("birds").splitlines()[2]  # "model = keras_clce.load_model('birds')"
    ```
    """
    return f"""import keras_clce

model = keras_clce.load_model({printable_text(name)!r})
for photograph in keras_clce.predict_images(model, "my_photographs"):
    print(photograph.name, photograph.class_name, f"{{photograph.probability:.0%}}")"""


def _check_writable(folder: Path) -> None:
    received = f"Received: folder={printable_text(folder)!r}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted({path.name for path in folder.iterdir()} - {*_FILES})
    except OSError as error:
        raise ValueError(
            f"`folder` must be a folder that can be written. {received} ({error})"
        ) from None
    # What is shared is the whole folder, and nobody shall share what lay there before.
    others = [name for name in others if not name.startswith(".")]
    if others:
        raise ValueError(
            f"`folder` must be new, empty or a preset. {received} with "
            f"{printable_text(', '.join(others[:3]))}"
        )


def _save_weights(model: "CLCEModel", path: Path) -> None:
    if not model.compiled:
        model.save_weights(path)
        return
    # Keras would save its state with the weights, which takes twice their place.
    optimizer, model.optimizer = model.optimizer, None
    try:
        model.save_weights(path)
    finally:
        model.optimizer = optimizer


def _metadata(model: "CLCEModel", weights: Path) -> dict[str, Any]:
    return {
        "keras_version": keras.version(),
        "keras_clce_version": __version__,
        "parameter_count": model.count_params(),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "weights_sha256": _sha256(weights),
    }


def _sha256(path: Path) -> str:
    return checksums([path]).split()[0]


def _read(path: Path, argument: str, received: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return value
        problem = "it holds no JSON object"
    except (ValueError, RecursionError) as error:
        problem = in_one_line(error)
    raise ValueError(
        f"`{argument}` must be a whole preset; its {path.name} is damaged ({problem}). {received}"
    )
