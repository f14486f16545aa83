"""Tables of the page of results are those of the runs beside it."""

import importlib.util
import json
from pathlib import Path

import pytest
import scipy.stats

pytestmark = pytest.mark.any_backend

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("results_tables", RESULTS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_says_what_the_records_say(tables):
    text = tables.PAGE.read_text(encoding="utf-8")
    assert {found["name"] for found in tables.PLACE.finditer(text)} == {*tables.TABLES}
    assert tables.with_tables(text) == text


def test_figures_are_scipys(tables):
    head, _, first, second, *_ = tables.TABLES["unbalanced"]().splitlines()
    read = [
        [
            100
            * json.loads((RESULTS / f"unbalanced/{name}-seed{seed}/metrics.json").read_text())[
                "test"
            ]["nearest_neighbor"]
            for seed in range(3)
        ]
        for name in ("ce", "ce-adjusted")
    ]
    test = scipy.stats.ttest_rel(read[1], read[0])
    low, high = test.confidence_interval(0.95)
    ours = dict(zip(cells(head)[-2:], cells(second)[-2:], strict=True))
    assert cells(first)[-2:] == [f"{sum(read[0]) / 3:.2f}", ""]
    assert ours["1-NN"] == f"{sum(read[1]) / 3:.2f}"
    mean, half = (low + high) / 2, (high - low) / 2
    assert ours["minus `ce`"] == f"{mean:+.1f} ± {half:.1f}, p = {test.pvalue:.2g}"


def test_few_seeds_have_no_interval(tables):
    assert tables.difference([82.0, 81.0], [80.0, 80.5]) == "+1.2"
    assert tables.difference([], []) == ""


def test_a_table_without_runs_is_an_error(tables):
    with pytest.raises(FileNotFoundError, match="no run of small_batches/ce-plain-9"):
        tables.Row("`ce`", "small_batches/ce-plain-9").metrics()
