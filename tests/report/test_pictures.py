"""Pictures of any name, and those that cannot be drawn."""

import warnings

import numpy as np
import pytest
from matplotlib import image

from keras_clce.data import ImageDataset, ImageSplit
from keras_clce.report import drawing, plot_curves, plot_few_shot, plot_task, show_views

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    "name", ["a$b_{c", "$\\frac$", "x^_\\", "中文", "not \udcff utf-8", "a\0b\n"]
)
def test_any_name_can_be_drawn(name, tmp_path):
    # What fonts lack may warn.
    row = {"epoch": 0, "accuracy": 0.5, "cross_entropy": 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plot_curves({name: [[row]]}, tmp_path / "curves.png", title=name)
        result = {"5w1s": {"mean": 0.6, "ci95": 0.1}}
        runs = [{"loss": name, "dataset": name, "backbone": name, "few_shot": result}]
        plot_few_shot(runs, tmp_path / "few_shot.png")
        images = np.zeros((2, 1, 4, 4, 3))
        plot_task(images, images, np.ones((2, 1), int), [name] * 2, name, tmp_path / "task.png")
        view = ImageSplit(np.zeros((2, 8, 8, 3), np.uint8), np.arange(2), image_size=8)
        data = ImageDataset("photos", (name, name), view, view, view, "")
        show_views(data, "light", 2, tmp_path / "views.png")
        several = ImageSplit(np.zeros((2, 8, 8, 3), np.uint8), np.eye(2, dtype=int), image_size=8)
        data = ImageDataset("photos", (name, name), several, several, several, "")
        show_views(data, "light", 2, tmp_path / "several.png")
    assert len(list(tmp_path.glob("*.png"))) == 5
    for path in tmp_path.glob("*.png"):
        assert image.imread(path).ndim == 3


def test_a_picture_that_fails_is_a_warning_that_names_it():
    with pytest.warns(UserWarning, match=r"The picture .*curves\.png is missing: OSError: full$"):
        with drawing("some/curves.png"):
            raise OSError("full")
    with pytest.raises(KeyboardInterrupt), drawing("some/curves.png"):
        raise KeyboardInterrupt
