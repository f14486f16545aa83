"""Flags of the commands that show photographs to a saved model."""

import dataclasses
import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_clce.experiments.tools import tool_flag

if TYPE_CHECKING:
    from keras_clce import CLCEModel

_WHAT = "Model and photographs"
_HUB = "hf://"


def is_file(path: str) -> bool:
    """Whether a path is that of a file."""
    return Path(path).expanduser().is_file()


def is_there(path: str) -> bool:
    """Whether a path is that of a file or folder, or a pattern that fits one."""
    path = str(Path(path).expanduser())
    return Path(path).exists() or next(glob.iglob(path, recursive=True), None) is not None


def is_model(path: str) -> bool:
    """Whether a path is that of a file, of a preset's folder, or an address of the hub."""
    return path.startswith(_HUB) or is_file(path) or is_file(f"{path}/config.json")


def model_flag(help: str) -> Any:
    """Declare a flag that names a saved model.

    Args:
        help: One sentence.

    Returns:
        A field of a dataclass.

    Example:
    ```python
    model: str = model_flag("The model that is shown.")
    ```
    """
    must = "must be a saved model: a .keras file, the folder of a preset or hf://OWNER/NAME"
    return tool_flag(None, help, _WHAT, checks=((is_model, must),))


def index_flag(help: str) -> Any:
    """Declare a flag that names a file of embeddings.

    Args:
        help: One sentence.

    Returns:
        A field of a dataclass.

    Example:
    ```python
    index: str = index_flag("The embeddings that are searched.")
    ```
    """
    return tool_flag(None, help, _WHAT, checks=((is_file, "must be a file of embeddings, .npz"),))


def class_names_flag(group: str) -> Any:
    """Declare a flag that names a file with names of classes.

    Args:
        group: Heading that it stands below in help.

    Returns:
        A field of a dataclass.

    Example:
    ```python
    class_names: str | None = class_names_flag("Results")
    ```
    """
    help = "Names of the classes: a file with one a line, or JSON. The model's own if not given."
    return tool_flag(None, help, group, checks=((os.path.isfile, "must be a file"),))


def photographs_flag(help: str) -> Any:
    """Declare a flag that names photographs.

    Args:
        help: One sentence.

    Returns:
        A field of a dataclass.

    Example:
    ```python
    query: str = photographs_flag("Photographs whose neighbours are searched.")
    ```
    """
    must = "must be a folder, a file or a pattern in quotes, and there must be such files"
    return tool_flag(None, help, _WHAT, checks=((is_there, must),))


def named_or_remembered(given: str | None, remembered: str | None, what: str) -> str:
    """Choose the model that is given, or the one that a file was made by.

    Args:
        given: Value of the flag.
        remembered: What the file says.
        what: What was done with that one, as "the index was made by".

    Returns:
        A path, or `hf://OWNER/NAME`.

    Raises:
        ValueError: If there is none, or it is not there.

    Example:
    ```python
    named_or_remembered("hf://me/birds", None, "the index was made by")  # "hf://me/birds"
    ```
    """
    path = given or remembered
    if path and (path.startswith(_HUB) or Path(path).expanduser().exists()):
        return path
    why = f": {what} {path}, which is not there" if path else ""
    raise ValueError(f"`model` must be given{why}. Received: model={given}")


def load_named_model(path: str) -> "CLCEModel":
    """Load the model of a flag.

    Args:
        path: A `.keras` file, the folder of a preset, or `hf://OWNER/NAME`.

    Returns:
        The model.

    Raises:
        ValueError: If it is no model; the message names the flag.

    Example:
    ```python
    load_named_model("model.keras").num_classes  # 10
    ```
    """
    from keras_clce import load_model

    try:
        return load_model(path if path.startswith(_HUB) else Path(path).expanduser())
    except ValueError as error:
        message = str(error).replace("`path`", "`model`").replace("path=", "model=")
        raise ValueError(message) from None


def results_folder(output_dir: str | None, recipe: str, photographs: str) -> Path:
    """Make the folder that results go to.

    Args:
        output_dir: The folder that was asked for, or `None`.
        recipe: Name of the recipe.
        photographs: The flag that names photographs.

    Returns:
        The folder; if none was asked for one below `runs` that bears their name.

    Raises:
        ValueError: If it cannot be made.

    Example:
    ```python
    str(results_folder(None, "predict", "pets/"))  # "runs/predict/pets"
    ```
    """
    from keras_clce.files import made_folder

    folder = Path(output_dir or Path("runs", recipe, name_of(photographs))).expanduser()
    return made_folder(folder)


def name_of(photographs: str) -> str:
    """What photographs are called: the name of their folder or file, of a pattern's folder.

    Args:
        photographs: The flag.

    Returns:
        A name of letters that any folder can have.

    Example:
    ```python
    name_of("photos/*.jpg")  # "photos"
    ```
    """
    path = Path(photographs).expanduser().resolve()
    while glob.has_magic(path.name) and not path.exists():
        path = path.parent
    return path.stem or "photographs"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewFlags:
    """How many photographs a model is shown, and of what size."""

    image_size: int | None = tool_flag(
        None, "Pixels per side, for a model that takes images of any size.", _WHAT, least=8
    )
    batch_size: int = tool_flag(64, "Photographs a step.", _WHAT, least=1)
    limit: int | None = tool_flag(None, "Most photographs, for a quick look.", _WHAT, least=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShownFlags:
    """A model, and the photographs that it is shown."""

    model: str = model_flag("The model: a .keras file, the folder of a preset or hf://OWNER/NAME.")
    images: str = photographs_flag(
        'A folder of photographs, a file, or a pattern in quotes such as "photos/*.jpg".'
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchedFlags:
    """Photographs that others are searched for, and where."""

    query: str = photographs_flag("A photograph, a folder of some, or a pattern in quotes.")
    index: str = index_flag("The embeddings that are searched, a .npz file of recipes/embed.py.")
    model: str | None = model_flag("The model that made them; the file knows it if not given.")


# Fields of the last base come first.
@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotographFlags(ViewFlags, ShownFlags):
    """Flags of a command that shows photographs to a model."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryFlags(ViewFlags, SearchedFlags):
    """Flags of a command that searches."""
