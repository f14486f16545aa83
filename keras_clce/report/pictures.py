"""Figures without a display, and what goes wrong with them."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
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


def fitted_text(
    text: str, width: float, sizes: Sequence[float] = (7, 6.25, 5.5)
) -> tuple[str, float]:
    """A text and its font size that keep to a width: smaller first, then shorter.

    Args:
        text: The text.
        width: The width in inches.
        sizes: Sizes of the font to try. Defaults to `(7, 6.25, 5.5)`.

    Returns:
        The text, with "…" where it was cut, and the size.

    Example:
    ```python
    fitted_text("tulip", width=0.85)  # ("tulip", 7)
    ```
    """
    for size in sizes:
        if text_width(text, size) <= width:
            return text, size
    while len(text) > 3 and text_width(f"{text}…", size) > width:
        text = text[:-1].rstrip("…")
    return f"{text}…", size


def text_width(text: str, size: float) -> float:
    """Width of a text in inches.

    Args:
        text: The text.
        size: Size of the font.

    Returns:
        A little more than the width.

    Example:
    ```python
    text_width("tulip", size=9) < text_width("tulips", size=9)  # True
    ```
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with warnings.catch_warnings():
        # A letter that the font lacks is warned of where it is drawn.
        warnings.simplefilter("ignore")
        width, _, _ = text_to_path.get_text_width_height_descent(
            printable_text(text), FontProperties(size=size), ismath=False
        )
    # Letters are drawn on whole pixels, which makes them up to a tenth wider.
    return 1.1 * width / 72
