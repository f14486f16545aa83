"""Tables by groups of classes and by class: in text and on the page, where there are some."""

import json

import numpy as np
import pytest
from run_folders import transfer_run
from scipy import stats

from keras_clce.experiments.loggers.run_log import _results_of
from keras_clce.report import balance_table, write_report
from keras_clce.report.class_tables import class_cells
from keras_clce.report.model_card_facts import _transfer_rows
from keras_clce.runs import find_records

pytestmark = pytest.mark.any_backend


def unbalanced_run(home, loss, seed, of_classes, **options):
    """A run on classes of 300, 30 and 4 training images."""
    names = dict(zip(("ant", "bee", "cat"), (300, 30, 4), strict=True))
    folder = transfer_run(home, loss, seed, top1=of_classes[0], **options)
    metrics = json.loads(folder.metrics.read_text())
    metrics["test"] |= {
        "balanced_accuracy": float(np.mean(of_classes)),
        "groups": {
            name: {"accuracy": value, "classes": 1}
            for name, value in zip(("many", "medium", "few"), of_classes, strict=True)
        },
        "classes": {
            name: {"training_images": count, "examples": 10, "accuracy": value}
            for (name, count), value in zip(names.items(), of_classes, strict=True)
        },
    }
    folder.metrics.write_text(json.dumps(metrics))
    return folder


def two_losses(home):
    ce = [(0.9, 0.6, 0.1), (0.9, 0.5, 0.0), (0.8, 0.6, 0.1)]
    clce = [(0.9, 0.7, 0.4), (0.8, 0.7, 0.3), (0.8, 0.6, 0.4)]
    for loss, found in (("ce", ce), ("clce", clce)):
        for seed, of_classes in enumerate(found):
            unbalanced_run(home, loss, seed, of_classes)
    return np.array(ce), np.array(clce)


def test_groups_have_scipys_figures(tmp_path):
    ce, clce = two_losses(tmp_path)
    table = balance_table(find_records(tmp_path)[0])
    assert "(4 to 300)" in table and "few (< 20)" in table
    row = next(line for line in table.splitlines() if line.startswith("clce"))
    for values in (clce.mean(axis=1), *clce.T):
        half = stats.t.ppf(0.975, 2) * stats.sem(values)
        assert f"{100 * values.mean():.2f} ± {100 * half:.2f}" in row
    test = stats.ttest_rel(clce.mean(axis=1), ce.mean(axis=1))
    difference = 100 * (clce.mean() - ce.mean())
    assert f"{difference:+.2f} ±" in table and f"p = {test.pvalue:.2g}" in table
    assert max(map(len, table.splitlines())) <= 100


def test_classes_are_listed_from_the_rarest_on(tmp_path):
    two_losses(tmp_path)
    _, header, rows = class_cells(find_records(tmp_path)[0])
    assert header == ["class", "training images", "test images", "ce", "clce"]
    assert rows[0] == ["cat", "4", "10", "6.7", "36.7"] and rows[2][0] == "ant"


def test_the_page_has_both_and_balanced_runs_have_none(tmp_path):
    two_losses(tmp_path / "lt" / "a")
    text = write_report(tmp_path / "lt", tmp_path / "out").read_text()
    assert "few (< 20)" in text and "Accuracy on each class" in text
    transfer_run(tmp_path / "even" / "a", "ce", 0, 0.9)
    records, _ = find_records(tmp_path / "even")
    assert balance_table(records) == "" and class_cells(records) is None
    text = write_report(tmp_path / "even", tmp_path / "out").read_text()
    assert "balanced" not in text and "each class" not in text


def test_a_model_card_has_balanced_accuracy_without_an_interval_of_images(tmp_path):
    records = [unbalanced_run(tmp_path, "ce", seed, (0.9, 0.6, 0.3)).record() for seed in (0, 1)]
    rows, evaluations, _ = _transfer_rows(records[0], records)
    assert rows[-1] == ["balanced", "60.00", "60.00 ± 0.00"]
    assert "balanced accuracy" in str(evaluations[-1])
    assert _results_of(records[0])["test/balanced_accuracy"] == pytest.approx(0.6)
    assert not any("cat" in name for name in _results_of(records[0]))


def test_one_seed_claims_no_interval_and_a_group_may_lack(tmp_path):
    folder = unbalanced_run(tmp_path, "ce", 0, (0.9, 0.6, 0.1))
    unbalanced_run(tmp_path, "clce", 0, (0.9, 0.6, 0.4))
    metrics = json.loads(folder.metrics.read_text())
    del metrics["test"]["groups"]["few"]
    metrics["test"]["classes"]["cat"]["accuracy"] = None
    folder.metrics.write_text(json.dumps(metrics))
    records, _ = find_records(tmp_path)
    table = balance_table(records)
    assert "±" not in table and "+10.00 (one seed)" in table
    assert [cell for cell in class_cells(records)[2][0]] == ["cat", "4", "10", "-", "40.0"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("groups", {"few": {"accuracy": "high", "classes": 1}}, "accuracy='high'"),
        ("groups", [0.5], r"groups=\[0\.5\]"),
        ("classes", {"ant": {"examples": 1, "accuracy": 1.0}}, "training_images is missing"),
        ("balanced_accuracy", None, "balanced_accuracy=None"),
    ],
)
def test_damaged_figures_are_named(tmp_path, name, value, said):
    folder = unbalanced_run(tmp_path, "ce", 0, (0.9, 0.6, 0.1))
    metrics = json.loads(folder.metrics.read_text())
    metrics["test"][name] = value
    folder.metrics.write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match=f"damaged.*{said}"):
        folder.record()
