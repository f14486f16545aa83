"""What a model does not know of itself: names of classes, its images, and who it is."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from keras_clce.checks import as_array
from keras_clce.models.checkpoints.download import HUB
from keras_clce.train import CLCEModel
from keras_clce.train.model_description import check_class_names
from keras_clce.views import Preprocessing


def read_class_names(path: str | Path) -> tuple[str, ...]:
    r"""Read names of classes from a file.

    Args:
        path: A text file with a name on each line, in the order of the labels, or a JSON file with
            a list of names or with a name for each number.

    Returns:
        The names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no names.

    Example:
    ```python
    Path("names.txt").write_text("cat\ndog\n")
    read_class_names("names.txt")  # ("cat", "dog")
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`class_names` must be a file of names. Received: {str(path)!r}, which is no file"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = json.loads(text) if path.suffix == ".json" else text.splitlines()
        if isinstance(names, dict):
            numbered = {int(number): name for number, name in names.items()}
            names = [numbered[number] for number in range(len(numbered))]
        if isinstance(names, list) and path.suffix != ".json":
            names = [name.strip() for name in names if name.strip()]
    except (ValueError, KeyError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
        raise ValueError(
            "`class_names` must be a file in UTF-8 with a name on each line, or JSON with a list "
            'of names or names by number, {"0": "cat", "1": "dog"}. '
            f"Received: {str(path)!r}"
        )
    return tuple(names)


def preprocessing_of(model: CLCEModel, image_size: int | None = None) -> Preprocessing:
    """How a model is shown photographs.

    Args:
        model: The model.
        image_size: Pixels per side, where neither the model nor its encoder has them. Defaults to
            `None`.

    Returns:
        The model's own preprocessing, else the usual one at the encoder's size.

    Raises:
        ValueError: If it is no `CLCEModel` for square RGB images, or the size is not known, or
            another one.

    Example:
    ```python
    preprocessing_of(model).image_size  # 32
    ```
    """
    if not isinstance(model, CLCEModel):
        raise ValueError(
            "`model` must be a CLCEModel, as `keras_clce.load_model` gives it. Received: "
            f"a {type(model).__name__}"
        )
    height, width, channels = model.backbone.input_shape[1:]
    if channels != 3 or height != width:
        raise ValueError(
            "`model` must take square RGB images. Received: a model that takes "
            f"{(height, width, channels)}"
        )
    own = model.preprocessing.image_size if model.preprocessing else height
    if own is None and image_size is None:
        raise ValueError(
            "`image_size` must be given for a model that takes images of any size. Received: "
            "image_size=None"
        )
    if None not in (own, image_size) and own != image_size:
        raise ValueError(
            f"`image_size` must be that of the model, {own}, or None. Received: "
            f"image_size={image_size!r}"
        )
    return model.preprocessing or Preprocessing(cast(int, own or image_size))


def names_of_classes(model: CLCEModel, class_names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of a model's classes, or their numbers where there are none.

    Args:
        model: The model.
        class_names: Names in place of its own. Defaults to `None`.

    Returns:
        A name for each class.

    Raises:
        ValueError: If there are more or fewer names than classes, or one twice.

    Example:
    ```python
    names_of_classes(model)[:3]  # ("0", "1", "2")
    ```
    """
    known = check_class_names(class_names, model.num_classes) or model.class_names
    return tuple(known or map(str, range(model.num_classes)))


def check_classifier(model: CLCEModel) -> None:
    """Refuse a model whose classifier has learned nothing.

    Args:
        model: A `CLCEModel`.

    Raises:
        ValueError: If it was trained by a contrastive loss alone, which trains the embedding.

    Example:
    ```python
    check_classifier(model)
    ```
    """
    # None where it was never compiled.
    loss = model.loss
    if loss is not None and not loss.trains_classifier:
        raise ValueError(
            "`model` must have a classifier that was trained. Received: a model trained by a "
            f"contrastive loss alone ({type(loss.contrastive).__name__}), whose classes would be "
            "random. Its embedding serves: enroll the classes by some photographs of each "
            "(recipes/enroll.py, then --enrolled), or search for similar photographs "
            "(recipes/embed.py, recipes/search.py)"
        )


def check_one_label(model: CLCEModel, purpose: str) -> None:
    """Refuse a model of several labels an image where one class each is compared.

    Args:
        model: A `CLCEModel`.
        purpose: What it is for, such as `"calibration"`.

    Raises:
        ValueError: If it has `multi_label=True`.

    Example:
    ```python
    check_one_label(model, "calibration")
    ```
    """
    if model.multi_label:
        raise ValueError(
            f"`model` must have one class an image for {purpose}. Received: a model with "
            "multi_label=True"
        )


def check_maker(
    about: Mapping[str, Any], model: CLCEModel, what: str, name: str | Path = "this one"
) -> None:
    """Refuse a model that did not make some embeddings.

    Args:
        about: What is known of the model that did: its `"fingerprint"` and its `"path"`.
        model: The model.
        what: What that one did.
        name: What the model is called. Defaults to `"this one"`.

    Raises:
        ValueError: If it has other weights or another preprocessing. Where the one that did is not
            known nothing is refused.

    Example:
    ```python
    check_maker({"fingerprint": model_fingerprint(model)}, model, "that made the index")
    ```
    """
    expected, found = about.get("fingerprint"), model_fingerprint(model)
    if expected is not None and found != expected:
        own = about.get("path") or "a model in memory"
        raise ValueError(
            f"`model` must be the one {what}, {own} ({expected}). Received: "
            f"{name} ({found}), whose embeddings are others"
        )


def maker_of(model: CLCEModel, path: str | os.PathLike | None, image_size: int) -> dict[str, Any]:
    """What is kept of the model that made embeddings, for `check_maker` and for who comes later.

    Args:
        model: The model.
        path: Where it is saved, or `hf://OWNER/NAME`; `None` for a model in memory.
        image_size: Side of the images that it saw, in pixels.

    Returns:
        Its `"path"`, absolute, its `"fingerprint"` and its `"image_size"`.

    Example:
    ```python
    maker_of(model, "hf://me/birds", 224)["path"]  # "hf://me/birds"
    ```
    """
    known = None if path is None else os.fspath(path)
    if known is not None and not known.startswith(HUB):
        known = os.path.abspath(os.path.expanduser(known))
    return {"path": known, "fingerprint": model_fingerprint(model), "image_size": image_size}


def model_fingerprint(model: CLCEModel) -> str:
    """Sixteen letters that tell models of different embeddings apart.

    Args:
        model: The model.

    Returns:
        A hash of its weights and its preprocessing: the same for a model that was saved again,
        under another name or on another backend.

    Example:
    ```python
    len(model_fingerprint(model))  # 16
    ```
    """
    digest = hashlib.blake2b(repr(model.preprocessing).encode(), digest_size=8)
    for weight in [*model.backbone.weights, *model.heads.weights]:
        values = as_array(weight)
        digest.update(f"{values.shape}{values.dtype}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
