"""Load a saved `CLCEModel`, and say what is wrong with a file that holds none."""

import json
import zipfile
from pathlib import Path

import keras

from keras_clce.models.checkpoints.tensors import check_archive, in_one_line
from keras_clce.train.clce_model import CLCEModel
from keras_clce.train.presets import is_preset, load_preset


def load_model(path: str | Path) -> CLCEModel:
    """Load a `CLCEModel` that was saved with `model.save` or `model.save_to_preset`.

    Args:
        path: A `.keras` file, the folder of a preset, or `"hf://OWNER/NAME"` of Hugging Face's hub.

    Returns:
        The model; of a file compiled as it was when it was saved.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, holds another kind of model, or layers of which no class
            is known: what they come from has to be imported before.
        ConnectionError: If a preset cannot be downloaded.

    Example:
    ```python
    import keras_clce
    model = keras_clce.load_model("model.keras")
    model.predict(images)["probabilities"].shape  # (240, 10)
    ```
    """
    if is_preset(path):
        return load_preset(path, CLCEModel, "path")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            "`path` must be the path of a saved CLCEModel, a .keras file or a preset's folder. "
            f"Received: path={str(path)!r}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        saved = config["class_name"]
        known = keras.saving.get_registered_object(
            config.get("registered_name") or f"keras_clce>{saved}"
        )
        check_archive(path)
        # Other kinds are not loaded, for they may take long, or run what their author wrote.
        ours = isinstance(known, type) and issubclass(known, CLCEModel)
        model = keras.saving.load_model(path) if ours else None
    except Exception as error:  # Keras, HDF5, archives and JSON raise many kinds on damaged files
        raise ValueError(
            f"`path` must be a whole .keras file of known layers ({in_one_line(error)}). "
            f"Received: path={str(path)!r}"
        ) from error
    if not isinstance(model, CLCEModel):
        raise ValueError(
            "`path` must hold a CLCEModel; `keras.saving.load_model` loads models of other kinds. "
            f"Received: path={str(path)!r} with a {saved}"
        )
    return model
