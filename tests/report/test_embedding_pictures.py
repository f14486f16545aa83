"""Pictures of embeddings."""

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from keras_clce.evaluate import CosineHistogram, EmbeddingMap
from keras_clce.report import embedding_pictures
from keras_clce.report.embedding_pictures import plot_cosines, plot_maps

pytestmark = pytest.mark.any_backend


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    figures = []

    def save(figure: Figure, path, dpi):
        figures.append(figure)
        figure.savefig(path, dpi=dpi)

    monkeypatch.setattr(embedding_pictures, "save_figure", save)
    return figures


def histogram(within, between):
    counts = np.zeros((2, 20_000), int)
    counts[0, within], counts[1, between] = 1, 1
    return CosineHistogram(*counts)


def test_cosines_have_a_column_a_model_and_a_row_a_kind_of_pairs(tmp_path, drawn):
    # A cosine of 0.5 is in bin 15,000, one of -0.2 in bin 8,000.
    near, far = histogram([15_000], [8_000]), histogram([14_000], [14_000])
    named = {"ce": {"all classes": far, "a$b_c": far}, "clce": {"all classes": near, "a$b_c": near}}
    plot_cosines(named, tmp_path / "cosines.png", "digits")
    (figure,) = drawn
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "ce, all classes\noverlap 1.00, AUROC 0.500",
        "clce, all classes\noverlap 0.00, AUROC 1.000",
        "ce, a$b_c\noverlap 1.00, AUROC 0.500",
        "clce, a$b_c\noverlap 0.00, AUROC 1.000",
    ]
    assert {axes.get_xlim() for axes in figure.axes} == {figure.axes[0].get_xlim()}
    left, right = figure.axes[0].get_xlim()
    assert -0.3 < left < -0.2 and 0.5 < right < 0.6
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["positive pairs, of one class", "negative pairs, of two classes"]
    with Image.open(tmp_path / "cosines.png") as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize("models", [1, 3])
def test_maps_show_the_same_classes_side_by_side(tmp_path, drawn, models):
    labels = np.repeat(np.arange(25), 4)
    points = np.random.default_rng(0).normal(size=(models, 100, 2))
    maps = {f"model {n}": EmbeddingMap(points[n], "pca", 0.25) for n in range(models)}
    names = [f"class {number}" for number in range(24)] + ["a class of a very long name indeed"]
    plot_maps(maps, labels, names, tmp_path / "pca.png", "digits")
    (figure,) = drawn
    assert [axes.get_title() for axes in figure.axes] == [
        f"model {n}: PCA, 25 % of the variance" for n in range(models)
    ]
    for axes, own in zip(figure.axes, points, strict=True):
        assert len(axes.collections) == 25
        np.testing.assert_allclose(axes.collections[3].get_offsets(), own[12:16])
        place = next(text for text in axes.texts if text.get_text() == "4").get_position()
        np.testing.assert_allclose(place, np.median(own[12:16], axis=0))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == "1 class 0" and legend[24] == "25 a class of a very long…"
    # The legend stays within the picture.
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_no_two_of_eighty_classes_look_the_same(tmp_path, drawn):
    points = np.random.default_rng(0).normal(size=(80, 2))
    maps = {"ce": EmbeddingMap(points, "tsne")}
    plot_maps(maps, np.arange(80), [str(n) for n in range(80)], tmp_path / "tsne.png")
    looks = {
        (
            matplotlib.colors.to_hex(marks.get_facecolor()[0]),
            marks.get_paths()[0].vertices.tobytes(),
        )
        for marks in drawn[0].axes[0].collections
    }
    assert len(looks) == 80
