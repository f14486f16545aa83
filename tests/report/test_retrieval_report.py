"""Retrieval in tables and records: a column where a run has it, and damage that is named."""

import json

import numpy as np
import pytest
from PIL import Image
from run_folders import transfer_run

from keras_clce.report import summary_table, write_report

pytestmark = pytest.mark.any_backend


def with_retrieval(home, loss, seed, value):
    folder = transfer_run(home, loss, seed, top1=0.8)
    metrics = json.loads(folder.metrics.read_text())
    metrics["test"]["retrieval"] = value
    folder.metrics.write_text(json.dumps(metrics))
    return folder


def figures(value):
    return {"precision@1": 0.9, "map@r": value, "queries": 10}


def test_a_column_where_a_run_has_it(tmp_path):
    old = [transfer_run(tmp_path / "old", "ce", seed, 0.8).record() for seed in range(2)]
    assert "MAP@R" not in summary_table(old)
    new = [with_retrieval(tmp_path, "clce", seed, figures(0.25)).record() for seed in range(2)]
    header, _, *rows = summary_table([*old, *new]).splitlines()
    assert header.split().index("MAP@R") == header.split().index("1-NN") + 1
    place = header.index("MAP@R") + 5
    assert rows[0][:place].endswith(" -") and rows[1][:place].endswith("25.00 ± 0.00")
    # More images than are compared.
    assert "MAP@R" not in summary_table([with_retrieval(tmp_path, "ce", 3, None).record()])


@pytest.mark.parametrize("value", ["0.5", {}, figures(None), figures("0.5"), [0.5]])
def test_damage_is_named(value, tmp_path):
    with pytest.raises(ValueError, match=r"metrics\.json is damaged .*(map@r|precision@1)"):
        with_retrieval(tmp_path, "ce", 0, value).record()


def test_the_page_shows_the_worst_queries(tmp_path):
    folder = with_retrieval(tmp_path / "runs", "ce", 0, figures(0.25))
    image = Image.fromarray(np.zeros((9, 9, 3), np.uint8))
    image.save(folder.path / "retrieval.png")
    path = write_report(tmp_path / "runs", tmp_path / "out")
    page = path.with_suffix(".html").read_text()
    assert "The worst queries of each loss" in page and "MAP@R is of retrieval" in page
    assert "Test images that ce finds none or few of their class for" in page
    assert "25.00" in path.read_text()
