"""Tables of transfer runs, against SciPy, and the names in them."""

import numpy as np
import pytest
from scipy import stats

from keras_clce.report import format_table, run_title, summary_table

pytestmark = pytest.mark.any_backend


def metrics(loss, seed, top1):
    test = {"top1": top1, "top5": 0.9, "nearest_neighbor": None, "examples": 10}
    return {"loss": loss, "seed": seed, "seconds": 2.0, "test": test}


def test_summary_table_gives_scipys_figures():
    ce, clce = [0.80, 0.81, 0.83], [0.82, 0.84, 0.84]
    runs = [metrics("ce", seed, value) for seed, value in enumerate(ce)]
    runs += [metrics("clce", seed, value) for seed, value in enumerate(clce)]
    line = summary_table(runs).splitlines()[-1]
    half = stats.t.ppf(0.975, 2) * stats.sem(clce)
    assert f"{100 * np.mean(clce):.2f} ± {100 * half:.2f}" in line
    assert f"p = {stats.ttest_rel(clce, ce).pvalue:.2g}" in line


def test_summary_table_pairs_by_seed_not_by_order():
    runs = [metrics("ce", 0, 0.5), metrics("ce", 1, 0.6)]
    runs += [metrics("clce", 1, 0.6), metrics("clce", 0, 0.5)]
    assert "+0.00" in summary_table(runs).splitlines()[-1]


def test_summary_table_of_one_seed_claims_no_interval():
    table = summary_table([metrics("ce", 0, 0.5), metrics("clce", 0, 0.6)])
    assert "±" not in table
    assert "+10.00 (one seed)" in table


def test_equal_differences_have_no_p():
    ce = [0.80, 0.81, 0.83]
    runs = [metrics("ce", seed, value) for seed, value in enumerate(ce)]
    runs += [metrics("clce", seed, value + 0.02) for seed, value in enumerate(ce)]
    table = summary_table(runs)
    assert table.splitlines()[-1].endswith("+2.00 ± 0.00, the same in each")
    assert "nan" not in table


def test_format_table_aligns_titles_of_two_lines():
    lines = format_table(["\na", "bb\nc"], [["xyz", "1"]]).splitlines()
    assert lines == ["     bb", "a     c", "---  --", "xyz   1"]


def test_format_table_aligns():
    lines = format_table(["a", "bb"], [["xyz", "1"], ["x", "22"]]).splitlines()
    assert lines == ["a    bb", "---  --", "xyz   1", "x    22"]


def test_title_of_runs_has_the_name_of_a_files_encoder():
    assert run_title({"dataset": "digits", "backbone": "some/tiny.keras"}) == "digits, tiny.keras"
    assert (
        run_title({"dataset": "digits", "backbone": "hub:some/preset"}) == "digits, hub:some/preset"
    )
    assert run_title({"loss": "ce"}) == ""
