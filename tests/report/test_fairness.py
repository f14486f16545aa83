"""What else than the loss tells two kinds of runs apart: then the loss is not credited with it."""

import numpy as np
import pytest
from run_folders import few_shot_run, transfer_run
from scipy import stats
from statsmodels.stats.multitest import multipletests

from keras_clce.report import clce_comparisons, transfer_answer, verdicts, write_report
from keras_clce.report.comparisons import (
    apart_note,
    baseline_comparisons,
    corrected_p_values,
)
from keras_clce.report.verdicts import overall
from keras_clce.runs import find_records

pytestmark = pytest.mark.any_backend

CE, CLCE = [0.50, 0.52, 0.57], [0.85, 0.93, 0.99]


def write(home, loss, values=None, **more):
    for seed, top1 in enumerate(values or {"ce": CE, "clce": CLCE}[loss]):
        transfer_run(home, loss, seed, top1, **more)


def apart(home):
    (compared,) = clce_comparisons(find_records(home)[0])
    return compared.apart


def test_clce_is_not_credited_with_more_epochs(tmp_path):
    write(tmp_path, "ce", epochs=1)
    write(tmp_path, "clce", epochs=4)
    differences = np.subtract(CLCE, CE)
    half = stats.t.ppf(0.975, 2) * stats.sem(differences)
    assert stats.ttest_rel(CLCE, CE).pvalue < 0.05
    records, _ = find_records(tmp_path)
    (verdict,) = verdicts(clce_comparisons(records))
    assert (verdict.kind, verdict.words) == ("unknown", "cannot say")
    assert verdict.sentence == (
        f"CLCE is {100 * differences.mean():.1f} ± {100 * half:.1f} points above cross-entropy "
        "over 3 seeds, but they differ in more than the loss (epochs: 4 and 1): cannot say which "
        "of them did it"
    )
    assert " ".join(transfer_answer(records).split()).endswith(
        "significant, but they differ in more than the loss (epochs: 4 and 1)."
    )
    text = " ".join(write_report(tmp_path, tmp_path / "out").read_text().split())
    assert "in more than the loss (epochs: 4 and 1): cannot say which of them did it" in text
    assert ": likely." not in text and "These rows differ in more than the loss" in text


def test_other_data_are_named_by_their_notes(tmp_path):
    write(tmp_path, "ce", data="10 images; seed 0", limit_examples=10)
    write(tmp_path, "clce", data="1,000 images", limit_examples=None)
    assert apart(tmp_path) == (
        "the data: “1,000 images” and “10 images; seed 0”",
        "limit_examples: none and 10",
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({"batch_size": 128}, {"batch_size": 64}, ("batch_size: 128 and 64",)),
        ({"weights": "imagenet"}, {}, ("weights: imagenet and none",)),
        # Each loss may have these at its best.
        ({"learning_rate": 0.1, "temperature": 0.2}, {"learning_rate": 0.3, "temperature": 1}, ()),
        ({"weight_decay": 0.1, "warmup_epochs": 3}, {"weight_decay": 0.0, "warmup_epochs": 0}, ()),
        # What one version does not record, and one number in two types.
        ({"split_seed": 1}, {}, ()),
        ({"mixup_alpha": 0}, {"mixup_alpha": 0.0}, ()),
        ({"augmentation": ["flip"]}, {"augmentation": ["flip"]}, ()),
    ],
)
def test_what_counts_is_what_a_fair_comparison_shares(tmp_path, ours, theirs, expected):
    write(tmp_path, "clce", **ours)
    write(tmp_path, "ce", **theirs)
    assert apart(tmp_path) == expected


def test_seeds_of_one_side_alone_do_not_count(tmp_path):
    write(tmp_path, "ce", data="digits")
    write(tmp_path, "clce", CLCE[:2], data="digits")
    transfer_run(tmp_path, "clce", 7, 0.9, data="other digits")
    assert apart(tmp_path) == ()


def test_what_both_losses_had_the_choice_of_is_fair(tmp_path):
    for size, of_ce, of_clce in ((32, 0.9, 0.7), (64, 0.7, 0.9)):
        where = tmp_path / str(size)
        write(where, "ce", validation=of_ce, batch_size=size)
        write(where, "clce", validation=of_clce, batch_size=size)
    records, _ = find_records(tmp_path)
    (compared,) = clce_comparisons(records)
    assert "clce, batch_size=64" in compared.chosen and "ce, batch_size=32" in compared.chosen
    assert compared.apart == ()
    # One loss that was tried with a size more had more to choose from.
    write(tmp_path / "128", "clce", validation=0.5, batch_size=128)
    (compared,) = clce_comparisons(find_records(tmp_path)[0])
    assert compared.apart == ("batch_size: 64 and 32",)


def test_one_seed_and_equal_differences_are_said_without_an_interval(tmp_path):
    for seeds, over in ((1, "with one seed"), (2, "over 2 seeds")):
        home = tmp_path / str(seeds)
        write(home, "ce", [0.5, 0.6][:seeds], epochs=1)
        write(home, "clce", [0.7, 0.8][:seeds], epochs=4)
        (verdict,) = verdicts(clce_comparisons(find_records(home)[0]))
        assert verdict.sentence.startswith(f"CLCE is 20.0 points above cross-entropy {over}, but ")
        assert verdict.kind == "unknown"
    home = tmp_path / "same"
    write(home, "ce", [0.5, 0.6], epochs=1)
    write(home, "clce", [0.5, 0.6], epochs=4)
    (verdict,) = verdicts(clce_comparisons(find_records(home)[0]))
    assert verdict.sentence.startswith("CLCE and cross-entropy are the same over 2 seeds, but ")


def test_the_encoder_before_training_has_no_settings_of_a_training(tmp_path):
    rng = np.random.default_rng(0)
    few_shot_run(tmp_path, "frozen", 0, {"5w1s": rng.uniform(size=20)}, epochs=0)
    for seed in range(2):
        for loss, epochs in (("ce", 3), ("clce", 9)):
            few_shot_run(tmp_path, loss, seed, {"5w1s": rng.uniform(size=20)}, epochs=epochs)
    compared = {one.ours: one.apart for one in baseline_comparisons(find_records(tmp_path)[0])}
    assert compared == {"clce": ("epochs: 9 and 3",), "frozen": ()}


def test_holms_correction_and_the_mean_pass_over_what_differs_in_more(tmp_path):
    hscl, supcon = [0.53, 0.55, 0.62], [0.54, 0.55, 0.61]
    for loss, values in {"ce": CE, "hscl": hscl, "supcon": supcon}.items():
        write(tmp_path / "runs", loss, values, epochs=1)
    write(tmp_path / "runs", "clce", epochs=4)
    compared = baseline_comparisons(find_records(tmp_path)[0])
    assert [one.ours for one in compared] == ["clce", "hscl", "supcon"]
    p = [stats.ttest_rel(values, CE).pvalue for values in (hscl, supcon)]
    first, *others = corrected_p_values(compared)
    assert np.isnan(first)
    assert others == pytest.approx(multipletests(p, method="holm")[1])
    note = apart_note(compared)
    assert note.endswith("passes them over: `clce` against `ce` (epochs: 4 and 1).")
    assert apart_note(compared[1:]) == ""
    told = overall(["a", "b", "c"], compared, verdicts(compared))
    assert "One more comparison cannot say, since more than the loss differs." in told
    means = [np.mean(np.subtract(values, CE)) for values in (hscl, supcon)]
    assert told[-1] == (
        f"The mean difference over 2 data sets and encoders is {100 * np.mean(means):+.1f} points."
    )
    (said,) = overall(["a", "b"], [compared[0]] * 2, verdicts([compared[0]] * 2))
    assert said.startswith("These runs differ in more than the loss, and cannot say whether ")
