"""Tables of the page of results are those of the runs beside it."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

pytestmark = pytest.mark.any_backend

RESULTS = Path(__file__).resolve().parents[2] / "results"
OWN = ("tables", "result_tables")


@pytest.fixture(scope="module")
def tables():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(RESULTS)
        yield importlib.import_module("tables")
        for name in [name for name in sys.modules if name.split(".")[0] in OWN]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def makers(tables):
    return sys.modules["result_tables.makers"]


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


def test_differences_of_rows_and_of_columns_are_scipys(tables):
    *_, last = tables.TABLES["heads-cifar-fs"]().splitlines()
    ours, theirs = (
        [
            100 * json.loads(file.read_text())["few_shot"]["5w5s"]["mean"]
            for file in sorted(RESULTS.glob(f"feature_normalization/cifar_fs/{name}-2e-3-seed*/m*"))
        ]
        for name in ("clce-none", "ce-none")
    )
    test = scipy.stats.ttest_rel(ours, theirs)
    low, high = test.confidence_interval(0.95)
    mean, half = (low + high) / 2, (high - low) / 2
    assert cells(last)[:2] == [
        "`clce` minus `ce`",
        f"{mean:+.1f} ± {half:.1f}, p = {test.pvalue:.2g}",
    ]


def test_few_shot_tables_are_of_the_tasks_that_were_kept(tables):
    _, _, head, _, first, *_ = tables.TABLES["cifar-fs-20"]().splitlines()
    (file,) = RESULTS.glob("cifar_fs_20_a_class/ce-k4-seed0/few_shot.npz")
    with np.load(file) as kept:
        accuracy = 100 * kept["5w1s"]
    half = scipy.stats.sem(accuracy) * scipy.stats.t.ppf(0.975, len(accuracy) - 1)
    found = dict(zip(cells(head), cells(first), strict=False))
    assert found["loss"] == "ce, k4"
    assert found["mean ± tasks"] == f"{accuracy.mean():.2f} ± {half:.2f}"


def test_embeddings_are_compared_as_scipy_does(tables):
    head, _, _, overlap, *_ = tables.TABLES["embeddings-flowers"]().splitlines()
    ours, theirs = (
        [
            json.loads(file.read_text())["models"][loss]["cosines"]["all classes"]["overlap"]
            for file in sorted(RESULTS.glob("embeddings_flowers64/seed*/embeddings.json"))
        ]
        for loss in ("clce", "ce")
    )
    test = scipy.stats.ttest_rel(ours, theirs)
    low, high = test.confidence_interval(0.95)
    mean, half = (low + high) / 2, (high - low) / 2
    assert cells(head) == ["", "`ce`", "`clce`", "difference"]
    assert cells(overlap)[1:] == [
        f"{np.mean(theirs):.3f}",
        f"{np.mean(ours):.3f}",
        f"{mean:+.3f} ± {half:.3f}, p = {test.pvalue:.2g}",
    ]
    head, *_ = tables.TABLES["embeddings-cifar100"]().splitlines()
    assert "difference" not in head


def test_few_seeds_have_no_interval(makers):
    assert makers.difference([82.0, 81.0], [80.0, 80.5]) == "+1.2"
    assert makers.difference([], []) == ""


def test_a_table_without_runs_is_an_error(makers):
    with pytest.raises(FileNotFoundError, match="no run of small_batches/ce-plain-9"):
        makers.Row("`ce`", "small_batches/ce-plain-9").metrics()
