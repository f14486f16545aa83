"""Two folders of runs compared: what pairs, what differs, and what is left alone."""

import numpy as np
import pytest
from run_folders import few_shot_run, transfer_run
from scipy import stats

from keras_clce.report import without_details, write_comparison
from keras_clce.report.pairing import pair_runs
from keras_clce.runs import find_records

pytestmark = pytest.mark.any_backend

BEFORE = {"ce": [0.80, 0.81, 0.83], "clce": [0.82, 0.84, 0.83]}
AFTER = {"ce": [0.80, 0.81, 0.83], "clce": [0.86, 0.87, 0.87]}


def write(home, results, **settings):
    for loss, values in results.items():
        for seed, top1 in enumerate(values):
            transfer_run(home, loss, seed, top1, **settings)
    return home


def in_one_line(text):
    return " ".join(text.split())


def test_runs_are_paired_by_loss_and_seed_and_tested(tmp_path):
    # Wherever they stand below the folders.
    write(tmp_path / "old" / "transfer" / "digits", BEFORE)
    write(tmp_path / "new" / "runs", AFTER)
    path = write_comparison(tmp_path / "old", tmp_path / "new", tmp_path / "out")
    assert (tmp_path / "out" / "report.html").is_file()
    text = path.read_text()
    assert text.startswith("# What changed from old to new?\n")
    differences = np.subtract(AFTER["clce"], BEFORE["clce"])
    half = stats.t.ppf(0.975, 2) * stats.sem(differences)
    p = stats.ttest_rel(AFTER["clce"], BEFORE["clce"]).pvalue
    told = in_one_line(text)
    assert (
        f"`clce`, top-1: new is above old by {100 * differences.mean():.1f} ± {100 * half:.1f} "
        f"points, 3 seeds, p = {p:.2g}: very likely."
    ) in told
    assert "`ce`, top-1: new and old are the same in 3 seeds." in told
    assert "6 pairs of runs with the same settings and seed" in told
    assert "there differ" not in told and "Not paired" not in told
    row = f"    clce, top-1           3  83.00 ± 2.48  86.67 ± 1.43  +3.67 ± {100 * half:.2f}"
    assert row in without_details(text)


def test_what_is_another_in_all_runs_is_what_is_compared(tmp_path):
    write(tmp_path / "a", BEFORE, epochs=8, temperature=0.5)
    write(tmp_path / "b", AFTER, epochs=30, temperature=0.5, data="other digits")
    write(tmp_path / "b", {"clce": [0.9] * 3}, epochs=30, temperature=0.1, label="cold")
    text = write_comparison(tmp_path / "a", tmp_path / "b", tmp_path / "out").read_text()
    assert "Between a and b there differ:" in text and "- `epochs`: 8, then 30" in text
    assert "- the data in b: other digits" in text and "- the data in a: digits" in text
    # The same loss at another temperature has no partner.
    alone = text.split("## Not paired")[1]
    assert alone.count("clce-cold-seed") == 3 and "ce-seed" not in alone.replace("clce", "")


def test_what_one_version_does_not_record_does_not_keep_runs_apart(tmp_path):
    write(tmp_path / "a", {"ce": [0.8]})
    write(tmp_path / "b", {"ce": [0.9]}, feature_normalization="layer")
    first, second = (find_records(tmp_path / name)[0] for name in "ab")
    ((one, other),) = pair_runs(first, second).pairs
    assert (one.metrics["test"]["top1"], other.metrics["test"]["top1"]) == (0.8, 0.9)


def test_two_runs_of_the_same_settings_are_not_guessed_between(tmp_path):
    write(tmp_path / "a", {"ce": [0.8]})
    write(tmp_path / "b" / "first", {"ce": [0.9]})
    write(tmp_path / "b" / "second", {"ce": [0.7]})
    first, second = (find_records(tmp_path / name)[0] for name in "ab")
    found = pair_runs(first, second)
    assert not found.pairs and len(found.alone) == 3


def test_where_nothing_pairs_the_settings_that_differ_are_named(tmp_path):
    write(tmp_path / "a", {"ce": [0.8, 0.8]})
    for seed, epochs in ((5, 8), (6, 30)):
        transfer_run(tmp_path / "b", "ce", seed, 0.9, epochs=epochs)
    folder = transfer_run(tmp_path / "b", "hscl", 0, 0.9)
    folder.metrics.write_text("{")
    with pytest.raises(ValueError, match=r"`compare` must be two folders") as caught:
        write_comparison(tmp_path / "a", tmp_path / "b", tmp_path / "out")
    text = str(caught.value)
    assert "a with 2 runs" in text and "b with 2 runs, of which none pair" in text
    assert "Runs on digits, small_resnet differ: seed (0, 1; 5, 6), epochs (3; 30, 8)" in text
    assert "Left out," in text and "hscl-seed0" in text
    assert not (tmp_path / "out").exists()


def test_one_seed_says_nothing_and_folders_of_one_name_are_told_apart(tmp_path):
    for parent, top1 in (("x", 0.8), ("y", 0.9)):
        write(tmp_path / parent / "runs", {"ce": [top1]})
    folders = (tmp_path / "x" / "runs", tmp_path / "y" / "runs")
    text = in_one_line(write_comparison(*folders, tmp_path / "out").read_text())
    assert f"What changed from {folders[0]} to {folders[1]}?" in text
    assert f"One seed: cannot say ({folders[1]} is 10.0 points above {folders[0]} with it)." in text


def test_few_shot_runs_on_other_tasks_are_said_to_be_so(tmp_path):
    rng = np.random.default_rng(0)
    for name, drawn_from in (("a", "a1"), ("b", "b2")):
        for seed in range(2):
            values = {"5w1s": rng.uniform(0.5, 0.7, 20), "5w5s": rng.uniform(0.7, 0.9, 20)}
            few_shot_run(tmp_path / name, "clce", seed, values, drawn_from=drawn_from)
    path = write_comparison(tmp_path / "a", tmp_path / "b", tmp_path / "out")
    text = path.read_text()
    assert "- the few-shot tasks that were drawn" in text
    first, second = (
        [
            np.load(tmp_path / name / f"clce-seed{seed}" / "few_shot.npz")["5w5s"].mean()
            for seed in range(2)
        ]
        for name in "ab"
    )
    assert f"{100 * np.mean(np.subtract(second, first)):+.2f}" in text
    assert "clce, 5-way 1-shot" in text and "clce, 5-way 5-shot" in text
