"""Retrieval among test images: by hand, against PML's definition, and what the picture shows."""

import numpy as np
import pytest

from keras_clce.data import ImageSplit
from keras_clce.experiments import retrieval_figures
from keras_clce.experiments.retrieval_figures import retrieval_of_test

pytestmark = pytest.mark.any_backend

# Directions in degrees: rows 0 to 2 are of class 0, 3 and 4 of class 1, 5 alone.
ANGLES, LABELS = np.array([0, 10, 90, 80, 84, 180]), np.array([0, 0, 0, 1, 1, 2])
ROWS = np.stack([np.cos(np.deg2rad(ANGLES)), np.sin(np.deg2rad(ANGLES))], axis=1)


def test_figures_by_hand():
    figures, _ = retrieval_of_test(ROWS, LABELS)
    # Row 0: 1 of its class, then 3; row 1: 0, 3; row 2: 4, 3; row 3: 4; row 4: 3.
    assert figures["precision@1"] == pytest.approx(4 / 5)
    assert figures["map@r"] == pytest.approx((0.5 + 0.5 + 0 + 1 + 1) / 5)
    # Row 2 meets classes 1, 1, 0, 0, row 0 meets 0, 1, 1, 0.
    assert figures["mrr"] == pytest.approx((1 + 1 + 1 / 3 + 1 + 1) / 5)
    assert (figures["queries"], figures["unmatched"]) == (5, 1)
    low, high = figures["map@r_ci95"]
    assert 0 <= low < figures["map@r"] < high <= 1


def test_the_worst_query_is_shown_with_others_alone(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(retrieval_figures, "plot_retrieval", lambda *given: shown.append(given))
    monkeypatch.setattr(retrieval_figures, "_NEIGHBORS", 3)
    images = np.full((6, 8, 8, 3), np.arange(6, dtype="uint8")[:, None, None, None])
    split = ImageSplit(images, LABELS, image_size=8)
    _, draw = retrieval_of_test(ROWS, LABELS)
    draw(split, ["ant", "bee", "cow"], tmp_path / "retrieval.png", "worst")
    ((pairs, path, title),) = shown
    assert (path, title) == (tmp_path / "retrieval.png", "worst") and len(pairs) == 5
    query, neighbors = pairs[0]
    assert (query.pixels[0, 0, 0], query.class_name, query.said) == (2, "ant", "MAP@R 0 %")
    assert [one.pixels[0, 0, 0] for one in neighbors] == [4, 3, 1]
    assert [one.class_name for one in neighbors] == ["bee", "bee", "ant"]
    assert neighbors[0].said == f"cosine {np.cos(np.deg2rad(6)):.2f}"


def test_equal_images_do_not_hide_each_other(tmp_path):
    labels = np.arange(12) % 2
    split = ImageSplit(np.zeros((12, 8, 8, 3), "uint8"), labels, image_size=8)
    figures, draw = retrieval_of_test(np.ones((12, 3)), labels)
    assert figures["queries"] == 12
    draw(split, ["ant", "bee"], tmp_path / "retrieval.png", "equal")
    assert (tmp_path / "retrieval.png").stat().st_size > 1000


def test_where_there_is_nothing_to_retrieve(tmp_path, monkeypatch):
    figures, draw = retrieval_of_test(ROWS, np.arange(6))
    assert figures is None
    draw(None, [], tmp_path / "none.png", "none")
    monkeypatch.setattr(retrieval_figures, "RETRIEVAL_LIMIT", 5)
    assert retrieval_of_test(ROWS, LABELS)[0] is None
    assert not list(tmp_path.iterdir())
