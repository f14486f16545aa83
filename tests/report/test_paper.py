"""The paper's figures: all of them, as they are kept beside the project."""

import json

import pytest

from keras_clce.data import list_datasets
from keras_clce.losses import LOSSES
from keras_clce.models.backbones import backbone_spec
from keras_clce.report import paper_rows, paper_source

pytestmark = pytest.mark.any_backend


def test_figures_are_those_of_the_paper(shared_data):
    content = json.loads((shared_data.parent / "paper" / "results.json").read_text())
    assert [dict(row) for row in paper_rows()] == content["rows"]
    assert paper_source() == content["source"]


def test_names_are_those_of_runs():
    assert {row["dataset"] for row in paper_rows()} <= {spec.name for spec in list_datasets()}
    encoders = {row["encoder"] for row in paper_rows()} - {None}
    assert all(backbone_spec(name) for name in encoders) and len(encoders) == 4
    assert {row["method"] for row in paper_rows() if row["encoder"]} <= {*LOSSES}


def test_rows_are_those_that_have_all_values():
    # Read off Table 1 and Table 3 of the paper.
    (one_shot,) = paper_rows(
        table=1, encoder="beit3_base", dataset="cifar_fs", shots=1, method="clce"
    )
    assert (one_shot["accuracy"], one_shot["ci95"]) == (87.0, 0.7)
    assert [row["accuracy"] for row in paper_rows(dataset="inaturalist2017", batch_size=64)] == [
        *(72.31, 69.05, 73.72)
    ]
    assert paper_rows(encoder="small_resnet") == []


def test_a_caller_cannot_change_a_figure():
    with pytest.raises(TypeError):
        paper_rows()[0]["accuracy"] = 100.0
