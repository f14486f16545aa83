"""Grids of a study: their points, the names of their runs, and where each is drawn."""

import numpy as np
import pytest

from keras_clce.experiments import Layout, Settings, Study
from keras_clce.experiments.grid import as_grids, plan_of, points_of
from keras_clce.runs import StudyPoint

pytestmark = pytest.mark.any_backend

SETTINGS = Settings(epochs=30, warmup_epochs=1.0)


def points(vary, layout=None, settings=SETTINGS):
    return points_of(as_grids(vary), settings, layout or Layout())


def plan(vary, layout=None, settings=SETTINGS):
    layout = layout or Layout()
    return plan_of("mine", points(vary, layout, settings), layout)


def test_points_of_several_grids_need_be_no_product():
    vary = [{"batch_size": [32], "epochs": [15]}, {"batch_size": [128], "epochs": [60]}]
    found = points(vary)
    assert [point.run for point in found] == [
        "clce-batch_size=32-epochs=15",
        "clce-batch_size=128-epochs=60",
    ]
    assert [(p.settings.batch_size, p.settings.epochs) for p in found] == [(32, 15), (128, 60)]


def test_points_of_the_same_settings_are_one_run():
    # 30 epochs are the settings' own; both grids have 64 images.
    vary = [
        {"batch_size": [32, 64], "label": ["epochs"]},
        {"batch_size": [64], "epochs": [30], "label": ["steps"]},
    ]
    layout = Layout(("batch_size",), panels={"epochs": "by epochs", "steps": "by steps"})
    study = Study("mine", vary, seeds=[0, 1], settings=SETTINGS, layout=layout)
    assert [(name, settings.seed) for settings, name in study._points()] == [
        ("clce-epochs-batch_size=32", 0),
        ("clce-epochs-batch_size=64", 0),
        ("clce-epochs-batch_size=32", 1),
        ("clce-epochs-batch_size=64", 1),
    ]
    shown = plan(vary, layout)
    assert shown.axes == ("batch_size",)
    assert shown.points[1:] == (
        StudyPoint("clce-epochs-batch_size=64", "clce", "by epochs", {"batch_size": 64}),
        StudyPoint("clce-epochs-batch_size=64", "clce", "by steps", {"batch_size": 64}),
    )


def test_a_label_stands_for_what_its_grid_sets_to_one_value():
    vary = {"loss": ["clce"], "positive_sum": ["inside"], "temperature": [0.1, 0.5]}
    found = points([{**vary, "label": ["inside"]}, {"loss": ["ce"]}])
    assert [point.run for point in found] == [
        "clce-inside-temperature=0.1",
        "clce-inside-temperature=0.5",
        "ce",
    ]
    settings = Settings(label="tuned")
    found = points([{**vary, "label": ["inside"]}], settings=settings)
    assert found[0].run == "clce-tuned-inside-temperature=0.1"
    assert found[0].settings.label == "tuned-inside"
    assert found[0].name == "clce-inside-temperature=0.1"


def test_two_settings_of_one_name_are_refused():
    vary = [
        {"positive_sum": ["inside"], "label": ["same"]},
        {"positive_sum": ["outside"], "label": ["same"]},
    ]
    with pytest.raises(ValueError, match=r"a `label` of its own .* Received: twice clce-same"):
        Study("mine", vary)


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ([], r"`vary` must be values by the name .* Received: vary=\[\]"),
        ([{}], r"`vary` must be values by the name"),
        (["loss"], r"`vary` must be values by the name"),
        ({"loss": "ce"}, "`vary` must have a list of at least one value.*vary of loss="),
        ({"temperature": []}, "at least one value for each setting.*temperature"),
        ({"temperature": 0.1}, "at least one value for each setting.*temperature"),
        ([{"loss": ["ce"]}, {"seed": [1]}], "`seeds` is for"),
    ],
)
def test_what_is_no_grid_is_refused(vary, message):
    with pytest.raises(ValueError, match=message):
        Study("mine", vary)


def test_numbers_of_numpy_become_pythons():
    (grid,) = as_grids({"temperature": np.array([0.1, 0.5]), "batch_size": np.arange(8, 10)})
    assert [type(value) for values in grid.values() for value in values] == [float] * 2 + [int] * 2
    assert points({"temperature": np.linspace(0.1, 0.3, 3)})[2].run == "clce-temperature=0.3"


def test_the_numbers_that_vary_are_the_axes():
    vary = {"loss": ["ce", "clce"], "contrastive_weight": [0.2, 0.9]}
    shown = plan(vary)
    assert shown.axes == ("contrastive_weight",)
    assert [str(point) for point in shown.points] == [
        "ce",
        "clce, contrastive_weight=0.2",
        "clce, contrastive_weight=0.9",
    ]
    assert shown.points[0].at == {} and shown.points[2].at == {"contrastive_weight": 0.9}
    both = plan({**vary, "temperature": [0.1, 0.5]})
    assert both.axes == ("contrastive_weight", "temperature")
    # What is no number is part of a curve's name, and so is what three numbers vary.
    shown = plan({"temperature": [0.1, 0.5], "positive_sum": ["outside", "inside"]})
    assert {point.curve for point in shown.points} == {
        "clce, positive_sum=outside",
        "clce, positive_sum=inside",
    }
    shown = plan({"temperature": [0.1, 0.5], "hardness": [0, 1], "epochs": [10, 20]})
    assert shown.axes == () and len({point.curve for point in shown.points}) == 8
    # A list that is not an axis is no number: None, or True.
    assert plan({"embedding_dim": [None, 128]}).axes == ()
    assert plan({"strict": [False, True]}).axes == ()


def test_what_is_tied_to_an_axis_is_in_no_name_unless_it_must_be():
    vary = [{"batch_size": [32], "epochs": [15]}, {"batch_size": [128], "epochs": [60]}]
    shown = plan(vary, Layout(("batch_size",)))
    assert [point.curve for point in shown.points] == ["clce", "clce"]
    shown = plan([*vary, {"batch_size": [32], "epochs": [20]}], Layout(("batch_size",)))
    assert [point.curve for point in shown.points] == [
        "clce, epochs=15",
        "clce, epochs=60",
        "clce, epochs=20",
    ]


def test_arms_have_words_and_the_papers_figures():
    vary = [{"loss": ["ce"]}, {"positive_sum": ["inside"], "label": ["inside"]}]
    layout = Layout((), arms={"clce-inside": "mean inside"}, paper={"ce": 83.68})
    for settings in (SETTINGS, Settings(label="tuned", warmup_epochs=1.0)):
        shown = plan(vary, layout, settings)
        assert [point.paper for point in shown.points] == [83.68, None]
        assert shown.points[1].curve == "mean inside"
