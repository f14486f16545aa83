"""Figures without a display, and what goes wrong with them."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_clce.checks import import_module
from keras_clce.files import printable_text, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextlib.contextmanager
def drawing(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a picture into a warning, since results matter more.

    Args:
        path: The picture, which the warning names.

    Example:
    ```python
    with drawing(Path("curves.png")):
        plot_curves({"clce": [record.history]}, Path("curves.png"))
    ```
    """
    try:
        yield
    except Exception as error:
        warnings.warn(
            f"The picture {path} is missing: {type(error).__name__}: {error}", stacklevel=3
        )


def new_figure(**options: Any) -> "Figure":
    """Begin a figure; Matplotlib is imported here, and nowhere before.

    Args:
        **options: As `matplotlib.figure.Figure` takes them.

    Returns:
        The figure, which no window shows.

    Raises:
        ImportError: If Matplotlib is not installed.

    Example:
    ```python
    figure = new_figure(figsize=(4, 3), layout="constrained")
    ```
    """
    return import_module("matplotlib.figure", "A picture", "matplotlib").Figure(**options)


def save_figure(figure: "Figure", path: Path, dpi: int) -> None:
    """Write a figure as PNG, its texts as they are: a name with `$` in it is no formula.

    Args:
        figure: The figure, finished.
        path: The PNG file to write.
        dpi: Pixels per inch.

    Example:
    ```python
    figure = new_figure(figsize=(4, 3))
    figure.suptitle("Accuracy by epoch")
    save_figure(figure, Path("curves.png"), dpi=120)
    ```
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_text(printable_text(text.get_text()))
    write_atomically(path, lambda to: figure.savefig(to, dpi=dpi))
