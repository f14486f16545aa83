"""Records as a table: rows, columns, a data frame, and what a notebook shows."""

import sys
import types

import pytest

from keras_clce.experiments import Records
from keras_clce.experiments.protocols import PROTOCOLS
from keras_clce.runs import RunFolder, StudyPlan, StudyPoint, find_records

pytestmark = pytest.mark.any_backend


def write(home, name, loss, seed, top1, weight, temperature=0.5):
    settings = {"loss": loss, "seed": seed, "contrastive_weight": weight}
    settings |= {"temperature": temperature, "learning_rate": 1e-3, "dataset": "digits"}
    folder = RunFolder(home / f"{name}-seed{seed}")
    folder.start(settings, "digits, <100> images")
    test = {"top1": top1, "top5": 0.9, "nearest_neighbor": None, "examples": 10}
    validation = {"best_epoch": 1, "top1": top1 - 0.1}
    metrics = {"loss": loss, "seed": seed, "seconds": 2.5, "test": test, "validation": validation}
    folder.write_metrics({**metrics, "label": name.partition("-")[2] or None}, settings)


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "mine" / "digits" / "tiny"
    for seed in (0, 1):
        write(home, "ce", "ce", seed, 0.7, 0.9)
        for weight in (0.2, 0.9):
            write(home, f"clce-contrastive_weight={weight}", "clce", seed, 0.8, weight)
    return home


@pytest.fixture
def records(home):
    points = [StudyPoint("ce", "ce")]
    for weight in (0.2, 0.9):
        at = {"contrastive_weight": weight}
        points.append(StudyPoint(f"clce-contrastive_weight={weight}", "clce", at=at))
    axes = ("contrastive_weight",)
    plan = StudyPlan("mine", ("contrastive_weight", "loss"), axes, tuple(points))
    return Records(find_records(home)[0], PROTOCOLS["transfer"], {home: plan})


COLUMNS = ["loss", "contrastive_weight", "seed", "validation", "top1", "top5", "nearest_neighbor"]


def test_a_row_for_each_run_with_what_varies(records):
    assert records.columns == [*COLUMNS, "seconds"]
    rows = records.rows()
    assert len(rows) == 6 and all([*row] == records.columns for row in rows)
    values = [0.2, 1, pytest.approx(0.7), 0.8, 0.9, None, 2.5]
    assert [*rows[3].values()] == ["clce", *values]
    # Cross-entropy reads no weight.
    assert [row["contrastive_weight"] for row in rows[:2]] == [None, None]
    assert records[:2].columns == ["loss", *COLUMNS[2:], "seconds"]


def test_a_notebook_shows_the_rows(records):
    shown = records._repr_html_()
    assert shown.count("<tr>") == 7 and "<td>clce</td><td>0.2</td><td>1</td>" in shown
    assert "<td></td>" in shown and "None" not in shown


def test_a_data_frame_needs_pandas_alone(records, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pandas, which is not installed.*pip install pandas"):
        records.to_pandas()
    seen = []
    fake = types.SimpleNamespace(DataFrame=lambda rows, columns: seen.append((rows, columns)))
    monkeypatch.setitem(sys.modules, "pandas", fake)
    records.to_pandas()
    assert seen == [(records.rows(), records.columns)]


def test_a_real_data_frame(records):
    pytest.importorskip("pandas", reason="pandas, which `to_pandas` needs, is not installed")
    frame = records.to_pandas()
    assert list(frame.columns) == records.columns and frame["top1"].tolist()[2:] == [0.8] * 4


def test_the_table_is_that_of_the_study(records, home):
    table = records.table()
    assert "Validation picks `clce, contrastive_weight=0.2`" in table
    assert "+10.00 ± 0.00" in table and "digits, <100> images" in table
    assert "clce, contrastive_weight=0.9" in repr(records)
    # Without a plan, or where losses alone differ, it is the protocol's.
    alone = StudyPlan("mine", ("loss",), (), (StudyPoint("ce", "ce"),))
    for plans in ({}, {home: alone}):
        table = Records(records.read, PROTOCOLS["transfer"], plans).table()
        assert table.startswith("By top-1, ") and "1-NN" in table


def test_runs_of_several_folders_have_a_table_each(records, home, tmp_path):
    other = tmp_path / "mine" / "digits" / "other"
    write(other, "ce", "ce", 0, 0.6, 0.9)
    both = Records(
        [*records.read, *find_records(other)[0]], PROTOCOLS["transfer"], {home: records.plan}
    )
    assert both.plan is None
    assert both.table().count("Validation picks") == 1
    assert "By top-1, `ce` alone was tested" in both.table()
