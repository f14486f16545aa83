"""What a model knows of its classes and its images beside its weights, checked."""

import math
from collections import Counter
from collections.abc import Sequence
from numbers import Real
from typing import Any

from keras_clce.losses import arguments
from keras_clce.views.preprocessing import Preprocessing


def check_class_names(class_names: Any, num_classes: int) -> tuple[str, ...] | None:
    """Refuse class names that do not name every class once.

    Args:
        class_names: `num_classes` different strings in the order of the labels, or `None`.
        num_classes: Number of classes.

    Returns:
        The names as Python strings, or `None`.

    Raises:
        ValueError: If they are something else.

    Example:
    ```python
    check_class_names(["cat", "dog"], num_classes=2)  # ("cat", "dog")
    ```
    """
    if class_names is None:
        return None
    expected = f"`class_names` must be None or a sequence of {num_classes} different strings"
    if isinstance(class_names, str) or not hasattr(class_names, "__len__"):
        raise ValueError(f"{expected}. Received: class_names={class_names!r}")
    names = list(class_names)
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"{expected}. Received: {name!r} of type {type(name).__name__}")
    if len(names) != num_classes:
        raise ValueError(f"{expected}. Received: {len(names)} class_names={_shortened(names)}")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{expected}. Received: {name!r} {times} times")
    return tuple(map(str, names))


def check_preprocessing(preprocessing: Any, image_shape: Sequence[int | None]) -> None:
    """Refuse what is no `Preprocessing`, or makes images of another size than an encoder takes.

    Args:
        preprocessing: A `keras_clce.views.Preprocessing` or `None`.
        image_shape: Shape `(height, width, channels)` of the encoder's images, `None` where any
            number fits.

    Raises:
        ValueError: If it is another value, or `image_size` does not fit.

    Example:
    ```python
    check_preprocessing(Preprocessing(224), (224, 224, 3))
    ```
    """
    if preprocessing is None:
        return
    if not isinstance(preprocessing, Preprocessing):
        raise ValueError(
            "`preprocessing` must be None or a keras_clce.views.Preprocessing. "
            f"Received: preprocessing={preprocessing!r}"
        )
    sides = tuple(image_shape[:2])
    if any(side not in (None, preprocessing.image_size) for side in sides):
        raise ValueError(
            f"`preprocessing` must make images of the encoder's size, {sides} "
            f"pixels. Received: preprocessing={preprocessing!r}"
        )


def check_multi_label(multi_label: bool, softmax_temperature: Any = None) -> bool:
    """Refuse what is neither `True` nor `False`, and a temperature where there is no softmax.

    Args:
        multi_label: Whether an image has several labels.
        softmax_temperature: What logits are divided by before the softmax. Defaults to `None`.

    Returns:
        The first argument.

    Raises:
        ValueError: If they do not fit.

    Example:
    ```python
    check_multi_label(True)  # True
    ```
    """
    arguments.check_multi_label(multi_label)
    if multi_label and softmax_temperature is not None:
        raise ValueError(
            "`softmax_temperature` must be None with multi_label=True, where each label has a "
            f"sigmoid of its own. Received: softmax_temperature={softmax_temperature!r}"
        )
    return multi_label


def check_softmax_temperature(temperature: Any) -> float | None:
    """Refuse a temperature that no logits can be divided by.

    Args:
        temperature: A finite number above 0, or `None`.

    Returns:
        It as Python's own number, or `None`.

    Raises:
        ValueError: If it is something else.

    Example:
    ```python
    check_softmax_temperature(2)  # 2.0
    ```
    """
    if temperature is None:
        return None
    is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not is_number or not 0 < temperature < math.inf:
        raise ValueError(
            "`softmax_temperature` must be None or a finite number above 0. Received: "
            f"softmax_temperature={temperature!r}"
        )
    return float(temperature)


def different_class_names(data: Any, class_names: Sequence[str] | None) -> str | None:
    """Describe how the class names of a data set differ from those of a model.

    Args:
        data: Anything that Keras trains on.
        class_names: The model's class names, or `None`.

    Returns:
        A sentence, or `None` where the names are equal or one side has none.

    Example:
    ```python
    pets = keras.utils.image_dataset_from_directory("pets", image_size=(32, 32))
    different_class_names(pets, ["cat", "dog"])
    # "The data set has 10 classes and the model 2."
    ```
    """
    found = class_names_of(data)
    if found is None or class_names is None or list(found) == list(class_names):
        return None
    if len(found) != len(class_names):
        return f"The data set has {len(found)} classes and the model {len(class_names)}."
    pairs = enumerate(zip(found, class_names, strict=True))
    number, (theirs, own) = next((n, pair) for n, pair in pairs if pair[0] != pair[1])
    return f"Class {number} is {theirs!r} in the data set and {own!r} in the model."


def class_names_of(data: Any) -> Sequence[str] | None:
    """Names of the classes that a data set of Keras or torchvision brings.

    Args:
        data: Anything that Keras trains on.

    Returns:
        A list or tuple of names, or `None` where there is none.

    Example:
    ```python
    pets = keras.utils.image_dataset_from_directory("pets", image_size=(32, 32))
    class_names_of(pets)[:2]  # ["ant", "bee"]
    ```
    """
    for owner, name in ((data, "class_names"), (getattr(data, "dataset", None), "classes")):
        names = getattr(owner, name, None)
        if isinstance(names, (list, tuple)):
            return names
    return None


def _shortened(names):
    return f"[{', '.join(map(repr, names[:3]))}{', …' if len(names) > 3 else ''}]"
