"""Maps over photographs: in which colours, and where."""

import numpy as np
import pytest

from keras_clce.report import saliency_overlay

pytestmark = pytest.mark.any_backend

GREY = np.full((40, 80, 3), 128, np.uint8)
PALE = 255 - 0.35 * (255 - 128)


def test_colours_stand_in_the_box_and_the_rest_is_pale():
    saliency = np.zeros((2, 2))
    saliency[0] = 2.0, -2.0
    picture = saliency_overlay(GREY, saliency, (0, 20, 40, 60)).astype(int)
    assert picture.shape == GREY.shape
    np.testing.assert_allclose(picture[:, :20], PALE, atol=1)
    np.testing.assert_allclose(picture[:, 60:], PALE, atol=1)
    (orange, _, blue), (other_orange, _, other_blue) = picture[5, 25], picture[5, 55]
    assert orange > blue + 60 and other_blue > other_orange + 60
    np.testing.assert_allclose(picture[35:, 20:60], 128, atol=1)


def test_a_large_photograph_is_made_smaller_and_its_box_with_it():
    large = np.full((400, 1200, 3), 128, np.uint8)
    picture = saliency_overlay(large, np.ones((3, 3)), (0, 600, 400, 1200), side=120)
    assert picture.shape == (40, 120, 3)
    np.testing.assert_allclose(picture[:, :60], PALE, atol=1)
    assert (picture[:, 60:, 0].astype(int) > picture[:, 60:, 2].astype(int) + 60).all()


def test_where_nothing_matters_the_photograph_stays_grey():
    picture = saliency_overlay(GREY, np.zeros((3, 3)), (0, 0, 40, 80))
    np.testing.assert_array_equal(picture, GREY)
