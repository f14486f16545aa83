"""The code that uses an exported file without this package."""

from pathlib import Path

from keras_clce.inference.export.formats import ExportFormat

_START = """
import json
import sys

import numpy as np
{imports}
from PIL import Image, ImageOps
"""

# Pillow rounds between rows and columns unless it resizes numbers that are not whole.
_VIEW = """
names, view = json.loads(known["class_names"]), json.loads(known["preprocessing"])

image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
side, sides = view["image_size"], np.array(image.size)
resized = np.rint(sides * (round(side / view["crop_fraction"]) / sides.min()))
if view["crop_fraction"] == 1:
    resized[:] = side  # the whole image, squeezed
start = (resized - side) // 2
box = [*(start * sides / resized), *((start + side) * sides / resized)]
kernel = Image.Resampling[view["interpolation"].upper()]
planes = [plane.convert("F").resize((side, side), kernel, box) for plane in image.split()]
pixels = np.rint(np.clip([np.asarray(plane) for plane in planes], 0, 255))
pixels = pixels.transpose(1, 2, 0)[None].astype("uint8")  # (1, side, side, 3), RGB
"""

_END = """
for number in probabilities[0].argsort()[::-1][:5]:
    print(f"{probabilities[0][number]:7.2%}  {names[number]}")
"""


def usage_code(format: ExportFormat, path: Path) -> str:
    """Code that loads an exported file, classifies a photograph and prints the best classes.

    It needs Pillow, NumPy and the format's own runtime. The photograph is cut as in evaluation;
    Pillow's arithmetic has other last digits, so that a pixel in some thousands differs by 1.

    Args:
        format: The format.
        path: The file.

    Returns:
        A program that takes the path of a photograph.

    Example:
    ```python
    from keras_clce.inference.export import find_format
    "keras_clce" in usage_code(find_format("onnx"), "model.onnx")  # False
    ```
    """
    opening, running = format.code.replace("FILE", repr(str(path))).split("---\n")
    imports = [line for line in opening.splitlines() if line.startswith(("import", "from"))]
    rest = [line for line in opening.splitlines() if line and line not in imports]
    parts = [_START.format(imports="\n".join(imports)), "\n".join(rest), _VIEW, running + _END]
    return (
        "\n\n".join(part.strip() for part in parts[:2])
        + f"\n{_VIEW.strip()}\n\n{running}{_END.strip()}\n"
    )
