"""The page of confusions: what it says first, and that it holds all that was found."""

import numpy as np
import pytest
from confusion_studies import model, reliability, study
from PIL import Image

from keras_clce.report.blocks import Details, Items, Table, Text
from keras_clce.report.confusion_page import confusion_page
from keras_clce.report.confusion_pictures import plot_confusion_matrix, plot_reliability
from keras_clce.report.confusion_words import answer_of_one, answer_of_two, calibration_in_words

pytestmark = pytest.mark.any_backend


def test_the_answer_of_one_model():
    assert answer_of_one(study("ce")) == [
        "`ce` is right on 80.0 % of 40 images (95 % interval 70.0 to 90.0 %).",
        "Most often it takes class 0 for other 0: 9 of 40.",
        "On the mean it is 10.0 points too sure (calibration error 10.0 %); with temperature 1.50 "
        "the error is 2.0 %.",
        "Photographs of unknown classes (60) are told best by the energy: AUROC 0.900; where 95 % "
        "of known ones are accepted, so are 40.0 % of these.",
    ]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (reliability(0.1, 0.7, 0.8), "it is 10.0 points too cautious"),
        (reliability(0.05, 0.803, 0.8), "it is as sure as it is right"),
    ],
)
def test_how_sure_a_model_is(before, said):
    found = {"before": before, "after": reliability(0.02), "temperature": 0.7}
    assert said in calibration_in_words(found)
    none = {"before": before, "temperature": None, "why_not": "9 examples, all of them right"}
    assert calibration_in_words(none).endswith(
        "No temperature could be fitted: 9 examples, all of them right."
    )


def test_the_answer_of_two_models():
    two = study("ce", "clce")
    two["models"]["clce"] = model(top1=0.9, auroc=0.95)
    top1, retrieval, nearest, unknown, calibration = answer_of_two(two)
    assert top1 == (
        "By top-1 `clce` is 10.0 points above `ce`, 90.0 against 80.0 % (McNemar's p = 0.02; 9 "
        "images it alone gets right, 1 the other alone)."
    )
    assert "`clce` is 5.0 points above `ce`, 50.0 against 50.0 % (p = 0.01)" in retrieval
    assert "no difference can be told between `clce` and `ce`: 85.0 against 75.0 %" in nearest
    assert "By the energy, the score that tells 60 photographs of unknown classes best" in unknown
    assert "+0.050 (95 % interval +0.010 to +0.090)" in unknown
    assert calibration.startswith("The calibration error is 10.0 % (2.0 % with its temperature)")
    two["compared"]["open_set"]["energy"] = {"difference": 0.05, "low": -0.1, "high": 0.2}
    two["compared"]["top1"] = {
        "difference": -0.1,
        "p_value": 1e-20,
        "only_first": 9,
        "only_second": 1,
    }
    assert "`clce` is 10.0 points below `ce`" in answer_of_two(two)[0]
    assert "p < 1e-16" in answer_of_two(two)[0]
    assert "no difference can be told" in answer_of_two(two)[3]


def tables(blocks):
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Details):
            yield from tables(block.blocks)


@pytest.mark.parametrize("names", [("ce",), ("ce", "clce")])
def test_long_tables_are_folded_and_whole_below(names):
    found = study(*names)
    for name in names:
        found["models"][name] = model(pairs=30)
    page = confusion_page(found, {})
    (section,) = (section for section in page.sections if section.name == "pairs")
    short, whole = tables(section.blocks)
    assert [len(short.rows), len(whole.rows)] == [10, 30]
    assert short.caption.endswith("the first 10 of 30") and whole.rows[:10] == short.rows
    for table in tables(block for section in page.sections for block in section.blocks):
        assert all(len(row) == len(table.header) for row in table.rows)


def test_what_was_not_measured_has_no_section():
    found = study("ce")
    del found["models"]["ce"]["open_set"], found["models"]["ce"]["calibration"]
    found["models"]["ce"]["pairs"] = []
    page = confusion_page(found, {})
    assert [section.name for section in page.sections] == ["pairs", "classes", "made"]
    assert page.sections[0].blocks == [Text("Every image is classified rightly.")]


def test_files_that_were_not_read_are_named():
    unreadable = [{"image": f"{n}.png", "reason": "empty"} for n in range(14)]
    page = confusion_page(study("ce", unreadable=unreadable), {})
    assert page.answer[-1] == Text(
        "14 files could not be read, see [below](#unreadable).", "warning"
    )
    first, rest = page.sections[-1].blocks
    assert isinstance(first, Items) and len(first.items) == 10
    assert [len(block.items) for block in rest.blocks] == [14]


def test_pictures_are_drawn(tmp_path):
    for classes in (2, 30):
        path = tmp_path / f"{classes}.png"
        names = [f"a class with a long name and $x$ {number}" for number in range(classes)]
        plot_confusion_matrix(names[:-1], names, np.eye(classes, dtype=int)[:-1], path, "pets")
        assert Image.open(path).size[0] > 300
    # One row a model; a model without a temperature leaves a place empty.
    sizes = []
    for models in (study("ce")["models"], study("ce", "clce")["models"]):
        plots = {name: dict(one["calibration"]) for name, one in models.items()}
        if len(plots) == 2:
            del plots["clce"]["after"]
        plot_reliability(plots, tmp_path / "reliability.png")
        sizes.append(Image.open(tmp_path / "reliability.png").size)
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] == 2 * sizes[0][1]
