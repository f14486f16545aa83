"""The site's table of all runs says what their records say."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from keras_clce.experiments import Settings
from keras_clce.experiments.resolved import unread_settings

pytestmark = pytest.mark.any_backend

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def records():
    path = ROOT / "docs" / "theme" / "records.py"
    spec = importlib.util.spec_from_file_location("theme_records", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(text):
    """Rows of a section's table as dicts; a repeated heading has the one before it in front."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    names = [
        f"{head[i - 1]}: {name}" if name == "minus `ce`" else name for i, name in enumerate(head)
    ]
    return [dict(zip(names, row, strict=True)) for row in rows]


def of_seeds(folder, pattern, read):
    found = [json.loads(p.read_text()) for p in (ROOT / folder).glob(f"{pattern}/metrics.json")]
    return 100 * np.array([read(each) for each in sorted(found, key=lambda each: each["seed"])])


def interval(values):
    low, high = scipy.stats.t.interval(
        0.95, len(values) - 1, values.mean(), scipy.stats.sem(values)
    )
    return (high - low) / 2


def test_mean_interval_and_paired_difference(records):
    rows = table(records.section(ROOT / "results" / "unbalanced"))
    ce, clce = (
        of_seeds("results/unbalanced", f"{loss}-seed?", lambda each: each["test"]["top1"])
        for loss in ("ce", "clce")
    )
    by_loss = {(r["loss"], r["`negatives`"], r["`logit_adjustment`"]): r for r in rows}
    found = by_loss["`clce`", "all", "0.0"]
    assert found["seeds"] == "0, 1, 2"
    assert found["top-1"] == f"{clce.mean():.2f} ± {interval(clce):.2f}"
    gain = clce - ce
    assert found["top-1: minus `ce`"] == f"{gain.mean():+.2f} ± {interval(gain):.2f}"
    assert by_loss["`ce`", "", "0.0"]["top-1: minus `ce`"] == ""


def test_few_shot_runs_and_one_seed(records):
    rows = table(records.section(ROOT / "results" / "cifar_fs"))
    (frozen,) = [row for row in rows if row["loss"] == "`frozen`"]
    (mean,) = of_seeds("results/cifar_fs", "frozen-*", lambda e: e["few_shot"]["5w1s"]["mean"])
    assert frozen["1-shot"] == f"{mean:.2f}"


def test_every_folder_with_runs_is_on_the_page(records):
    folders = {path.parent.parent for path in (ROOT / "results").rglob("metrics.json")}
    page = records.page()
    assert len(folders) > 20
    for folder in folders:
        assert f"\n## {folder.relative_to(ROOT / 'results').as_posix()}\n" in page


def test_what_cross_entropy_does_not_read_is_what_the_package_says(records):
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert records.UNREAD_BY_CE == unread_settings("ce") & fields
