"""The file of enrolled classes, and the names that classes can have."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.files import write_atomically
from keras_clce.inference.rejection import Rejection

NONE_OF_THESE = "none of these"


def check_enrolled_names(names: Sequence[str]) -> tuple[str, ...]:
    """Refuse names that classes cannot have.

    Args:
        names: Names of classes.

    Returns:
        The names.

    Raises:
        ValueError: If one is empty, stands twice, or is "none of these".

    Example:
    ```python
    check_enrolled_names(["ant", "bee"])  # ("ant", "bee")
    ```
    """
    names = tuple(names)
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    none = [name for name in names if name == NONE_OF_THESE]
    if not names or wrong or twice or none:
        received = ", ".join(map(repr, (wrong or none or twice)[:3])) or "none"
        raise ValueError(
            f'`class_names` must be different names, and none of them "{NONE_OF_THESE}". '
            f"Received: {received}"
        )
    return names


def write_enrolled(
    path: str | Path,
    arrays: Mapping[str, np.ndarray],
    rejection: Rejection | None,
    about: Mapping[str, Any],
) -> None:
    """Write a file of enrolled classes, whole or not at all.

    Args:
        path: The `.npz` file.
        arrays: Arrays by name; those that are `None` are left out.
        rejection: The threshold.
        about: JSON values by name.

    Raises:
        ValueError: If the path is none of a `.npz` file in a folder that is there.

    Example:
    ```python
    write_enrolled("enrolled.npz", {"labels": labels}, None, {"classifier": "cosine"})
    read_enrolled("enrolled.npz")[2]["classifier"]  # "cosine"
    ```
    """
    path = Path(path)
    if path.suffix != ".npz" or not path.parent.is_dir():
        raise ValueError(
            f"`path` must be a .npz file in a folder that is there. Received: path={str(path)!r}"
        )
    described = None if rejection is None else dataclasses.asdict(rejection)
    text = json.dumps({**about, "rejection": described})
    kept = {name: array for name, array in arrays.items() if array is not None}
    write_atomically(path, lambda to: np.savez(to, **kept, about=np.array(text)))


def read_enrolled(
    path: str | Path,
) -> tuple[dict[str, np.ndarray], Rejection | None, dict[str, Any]]:
    """Read what `write_enrolled` wrote.

    Args:
        path: The file.

    Returns:
        Arrays by name, the threshold, and JSON values by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or another file.

    Example:
    ```python
    enroll(model, "pets").save("enrolled.npz")
    read_enrolled("enrolled.npz")[0]["class_names"][0]  # "ant"
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`enrolled` must be a file of enrolled classes. Received: {str(path)!r}, which is no "
            "file"
        )
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        about = json.loads(str(arrays.pop("about")))
        rejection = about.pop("rejection")
        return arrays, None if rejection is None else Rejection(**rejection), about
    except Exception as error:  # NumPy, archives and JSON raise many kinds of errors
        lacking = isinstance(error, KeyError)
        reason = f"it lacks {error}" if lacking else " ".join(str(error).split())
        raise ValueError(
            "`enrolled` must be a whole .npz file of enrolled classes, as recipes/enroll.py writes "
            f"it ({reason}). Received: {str(path)!r}"
        ) from error
