"""Where a model looked: models whose answer is known by construction, and loops over patches."""

import keras
import numpy as np
import pytest
from photographs import NAMES, make_model, write_photographs
from PIL import Image

from keras_clce import CLCEModel
from keras_clce.inference import (
    EmbeddingIndex,
    embed_images,
    explain_images,
    iterate_explanations,
    predict_images,
)
from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.views import Preprocessing

SIDE = 24
ROWS, COLUMNS = slice(4, 10), slice(14, 20)  # what the model below reads


def corner_model(crop_fraction=0.75):
    """A model of two classes that reads how red one square of the view is, and nothing else."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)[:, ROWS, COLUMNS]
    encoder = keras.Model(inputs, keras.layers.AveragePooling2D(6)(x))
    view = Preprocessing(SIDE, crop_fraction)
    model = CLCEModel(
        encoder,
        2,
        feature_normalization=None,
        class_names=["red", "other"],
        preprocessing=view,
    )
    model.heads.classifier.kernel.assign([[8, 0], [0, 4], [0, 4]])
    model.heads.classifier.bias.assign([0, 0])
    return model


def photograph(height, width, seed=0):
    """Noise of a dark colour, red where the view of it has the square that is read."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (height, width, 3), np.uint8)
    # The square in the middle that the view shows has three quarters of the shorter side.
    shown = 0.75 * min(height, width)
    top, left = (height - shown) / 2, (width - shown) / 2
    rows, columns = (
        slice(round(start + shown * s.start / SIDE), round(start + shown * s.stop / SIDE))
        for start, s in ((top, ROWS), (left, COLUMNS))
    )
    pixels[rows, columns, 0] = 250
    return pixels, (top, left, top + shown, left + shown)


@pytest.mark.parametrize(("height", "width"), [(96, 96), (96, 160), (150, 64)])
def test_the_map_lies_where_the_model_looks(height, width):
    pixels, box = photograph(height, width)
    (found,) = explain_images(corner_model(), pixels, cells=12)
    assert (found.target, found.prediction.class_name) == ("red", "red")
    # To a pixel of the view, of which there are whole ones on both sides.
    np.testing.assert_allclose(found.box, box, atol=0.75 * min(height, width) / SIDE)
    # A cell is two pixels of the view, and patches that touch the square reach one cell beyond it.
    reach = np.zeros((12, 12), bool)
    reach[1:6, 6:11] = True
    assert not found.saliency[~reach].any()
    assert (found.saliency[2:5, 7:10] > 0.5).all()
    assert np.unravel_index(found.saliency.argmax(), (12, 12)) == (3, 8)
    assert found.covered_probability < found.probability - 0.02
    # What speaks for the one of two classes speaks against the other.
    (other,) = explain_images(corner_model(), pixels, target="other", cells=12)
    np.testing.assert_allclose(other.saliency, -found.saliency, rtol=1e-4, atol=1e-4)
    assert other.probability == pytest.approx(1 - found.probability, abs=1e-6)


def transformer():
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(inputs)
    x = vision_transformer(x, patch_size=6, hidden_dim=8, num_layers=1, num_heads=2)
    model = CLCEModel(
        keras.Model(inputs, x), 3, class_names=NAMES, preprocessing=Preprocessing(SIDE, 0.8)
    )
    kernel = model.heads.classifier.kernel
    kernel.assign(10 * np.random.default_rng(1).normal(size=kernel.shape))
    return model


@pytest.mark.parametrize("make", [make_model, transformer])
def test_values_are_those_of_a_loop_over_patches(make):
    model = make()
    pixels = np.random.default_rng(3).integers(0, 256, (40, 50, 3), np.uint8)
    # Cells of 3.43 pixels, whose edges are rounded; batches that do not come out even.
    (found,) = explain_images(model, pixels, target="bee", cells=7, batch_size=10)
    view = model.preprocessing(pixels)
    edges = [0, 3, 7, 10, 14, 17, 21, 24]
    views = [view]
    for row in range(6):
        for column in range(6):
            covered = view.copy()
            place = slice(edges[row], edges[row + 2]), slice(edges[column], edges[column + 2])
            for channel in range(3):
                covered[*place, channel] = view[..., channel].mean()
            views.append(covered)
    said = model.predict(np.stack(views), verbose=0)["probabilities"].astype("float64")[:, 1]
    odds = np.log(said / (1 - said))
    sums, counts = np.zeros((7, 7)), np.zeros((7, 7))
    for number in range(36):
        row, column = divmod(number, 6)
        sums[row : row + 2, column : column + 2] += odds[0] - odds[number + 1]
        counts[row : row + 2, column : column + 2] += 1
    np.testing.assert_allclose(found.saliency, sums / counts, rtol=1e-3, atol=1e-4)
    assert np.std(found.saliency) > 0.01
    assert found.probability == pytest.approx(said[0], rel=1e-4)
    assert found.covered_probability == pytest.approx(said[1:].min(), rel=1e-4)


def test_odds_of_a_probability_of_one_are_told_apart():
    """In float32 the probabilities of all views below are 1."""
    model = corner_model()
    model.heads.classifier.bias.assign([60, 0])
    pixels, _ = photograph(96, 96)
    found = explain_images(model, pixels, cells=12)[0]
    assert found.probability == 1
    calm = explain_images(corner_model(), pixels, cells=12)[0]
    np.testing.assert_allclose(found.saliency, calm.saliency, atol=1e-4)


@pytest.mark.any_backend
def test_photographs_have_the_predictions_they_have_elsewhere(tmp_path):
    folder, model = write_photographs(tmp_path / "pets"), make_model()
    (folder / "bee" / "empty.png").touch()
    result = explain_images(model, folder, cells=3)
    expected = predict_images(model, folder, embeddings=True)
    assert [row.name for row in result.unreadable] == ["bee/empty.png"]
    assert len(result) == len(expected) == 12
    for row, said in zip(result, expected, strict=True):
        assert row.prediction.name == said.name and row.prediction.label == said.label
        assert row.prediction.class_names == said.class_names
        assert row.prediction.probabilities == pytest.approx(said.probabilities, rel=1e-4)
        np.testing.assert_allclose(row.prediction.embedding, said.embedding, atol=1e-5)
        assert (row.target, row.neighbors) == (said.class_name, ())
    # So few are spread over all: the first, one of the middle, the last.
    some = explain_images(model, folder, cells=3, limit=3)
    names = ["ant/0.png", "bee/2.png", "cat/3.jpg"]
    assert [row.prediction.name for row in some] == names


@pytest.mark.any_backend
def test_neighbours_are_the_nearest_others(tmp_path):
    folder, model = write_photographs(tmp_path / "pets"), make_model()
    embed_images(model, folder, tmp_path / "pets.npz")
    index = EmbeddingIndex.load(tmp_path / "pets.npz")
    found = explain_images(model, folder / "ant", index=index, k=2, cells=3)
    rows = index.embeddings.astype("float64")
    for number, row in enumerate(found):
        cosines = rows @ rows[number]
        nearest = [place for place in np.argsort(-cosines) if place != number][:2]
        assert [place for place, _ in row.neighbors] == nearest
        assert [cos for _, cos in row.neighbors] == pytest.approx(cosines[nearest], abs=1e-5)
    # An array is no file of the index, and finds its double.
    pixels = np.asarray(Image.open(folder / "ant" / "0.png").convert("RGB"))
    assert explain_images(model, pixels, index=index, k=1, cells=3)[0].neighbors[0][0] == 0
    with pytest.raises(ValueError, match="made the index"):
        explain_images(make_model(), folder, index=index)


@pytest.mark.any_backend
def test_small_views_have_a_cell_a_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    inputs = keras.Input((8, 8, 3))
    small = CLCEModel(keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs)), 2)
    assert explain_images(small, pixels)[0].saliency.shape == (8, 8)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "cap"}, "`target` must be a class of the model, such as cat.*target='cap'"),
        ({"cells": 2}, "`cells` must be a whole number of at least 3. Received: cells=2"),
        ({"k": 0}, "`k` must be a whole number of at least 1. Received: k=0"),
        ({"limit": 0}, "`limit` must be None or a whole number above 0. Received: limit=0"),
        ({"images": np.zeros((2, 2))[None, None]}, "`images` must be a folder"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_prediction(options, message):
    options = {"images": np.zeros((30, 30, 3), np.uint8), **options}
    with pytest.raises(ValueError, match=message):
        iterate_explanations(make_model(), **options)


@pytest.mark.any_backend
def test_models_without_an_explanation():
    inputs = keras.Input((8, 8, 3))
    one = CLCEModel(keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs)), 1)
    with pytest.raises(ValueError, match="`model` must know two or more classes"):
        explain_images(one, np.zeros((8, 8, 3)))
    broken = corner_model()
    broken.heads.classifier.bias.assign([np.nan, 0])
    with pytest.raises(ValueError, match="`model` must give finite logits"):
        explain_images(broken, np.zeros((8, 8, 3)))
