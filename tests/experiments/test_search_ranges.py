"""Ranges of a search, with the settings that they are for."""

import dataclasses

import pytest

from keras_clce.experiments.setting import Range, rounded
from keras_clce.experiments.settings import Settings, fields

pytestmark = pytest.mark.any_backend


def test_points_are_at_equal_distances_on_the_scale():
    assert Range(0.0, 0.2).points(3) == (0.0, 0.1, 0.2)
    # Ratios of the cube root of 10: 1, 2.154, 4.642, 10.
    assert Range(1e-3, 1e-2, "log").points(4) == (0.001, 0.00215, 0.00464, 0.01)
    assert rounded(123456.0) == 123000.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 1.0), "`low` must be below `high`"),
        ((0.0, 1.0, "log"), "above 0 on a log scale"),
        ((0.0, float("inf")), "both finite"),
        ((float("nan"), 1.0), "both finite"),
        ((0.0, 1.0, "exp"), "`scale` must be one of: linear, log"),
    ],
)
def test_what_is_no_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Range(*arguments)


@pytest.mark.parametrize(
    ("name", "search"),
    [(name, field.about.search) for name, field in fields().items() if field.about.search],
)
def test_settings_may_be_all_that_their_search_tries(name, search):
    values = search.points(5) if isinstance(search, Range) else search
    for value in values:
        # A transformer, which all of them are for.
        settings = Settings(backbone="vit_tiny", epochs=30)
        assert getattr(dataclasses.replace(settings, **{name: value}), name) == value
