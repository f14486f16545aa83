"""The answer in one sentence, against SciPy."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from keras_clce.report import few_shot_answer, summary_table, transfer_answer
from keras_clce.report.answers import Difference, best_in_words, wrapped
from keras_clce.report.names import Name, baseline_of
from keras_clce.runs import Record

pytestmark = pytest.mark.any_backend

CE = [0.80, 0.81, 0.83]


def transfer(loss, accuracies, **more):
    settings = more.pop("settings", {})
    return [
        Record(
            Path(),
            settings,
            {"loss": loss, "seed": seed, "seconds": 1.0, "test": accuracies_of(top1), **more},
            [],
        )
        for seed, top1 in enumerate(accuracies)
    ]


def accuracies_of(top1):
    return {"top1": top1, "top5": 0.9, "nearest_neighbor": None, "examples": 10}


def difference(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    half = stats.t.ppf(0.975, len(ours) - 1) * stats.sem(ours - theirs)
    return f"{100 * (ours - theirs).mean():+.2f} ± {100 * half:.2f} points"


def in_one_line(text):
    return text.replace("\n", " ")


def test_the_same_accuracy_with_one_seed_is_said_so():
    ce, clce = Name("ce", "", False), Name("clce", "", False)
    same = Difference(0.0, np.nan, np.nan, "over 1 seed")
    said = best_in_words({ce: 0.9, clce: 0.9}, lambda ours, theirs: same, "ce")
    assert said == "no difference can be told from one seed: `ce` and `clce` have the same"


def test_a_significant_difference_is_called_so():
    clce = [0.84, 0.851, 0.869]
    p = stats.ttest_rel(clce, CE).pvalue
    assert p < 0.05
    assert in_one_line(transfer_answer(transfer("ce", CE) + transfer("clce", clce))) == (
        f"By top-1, `clce` is best, {difference(clce, CE)} above `ce` over 3 seeds, p = {p:.2g}: "
        "significant."
    )


def test_a_difference_within_chance_is_not_claimed():
    clce = [0.84, 0.80, 0.84]
    p = stats.ttest_rel(clce, CE).pvalue
    assert p > 0.05
    assert in_one_line(transfer_answer(transfer("ce", CE) + transfer("clce", clce))) == (
        "By top-1, no difference can be told: the best, `clce`, is "
        f"{difference(clce, CE)} above `ce` over 3 seeds, p = {p:.2g}."
    )


def test_the_best_of_several_must_be_surer():
    clce = [0.83, 0.83, 0.85]
    p = stats.ttest_rel(clce, CE).pvalue
    assert 0.05 / 3 < p < 0.05
    two = transfer("ce", CE) + transfer("clce", clce)
    assert transfer_answer(two).endswith("significant.")
    four = two + transfer("hscl", CE[::-1]) + transfer("supcon", [0.1, 0.2, 0.4])
    assert in_one_line(transfer_answer(four)).endswith(
        f"p = {p:.2g} (not below 0.05 / 3 comparisons)."
    )


def test_the_baseline_may_be_best():
    hscl, clce = [0.5, 0.52, 0.53], [0.7, 0.701, 0.72]
    runs = transfer("hscl", hscl) + transfer("ce", CE) + transfer("clce", clce)
    p = stats.ttest_rel(CE, clce).pvalue
    assert in_one_line(transfer_answer(runs)) == (
        f"By top-1, `ce` is best, {difference(CE, clce)} above `clce` over 3 seeds, p = {p:.2g}: "
        "significant (below 0.05 / 2 comparisons)."
    )


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (
            transfer("ce", [0.5]) + transfer("clce", [0.6]),
            "no difference can be told from one seed: the best, `clce`, is +10.00 points above "
            "`ce`.",
        ),
        (transfer("clce", [0.6, 0.7]), "`clce` alone was tested (65.00 %)."),
        (
            transfer("hscl", [0.5]) + transfer("clce", [0.6]),
            "`clce` is highest (60.00 %), with no `ce` to compare it with.",
        ),
        (
            transfer("ce", [0.5]) + transfer("clce", [0.4, 0.9])[1:],
            "`clce` is highest, but shares no seed with `ce`.",
        ),
        (
            transfer("ce", [0.5, 0.5]) + transfer("clce", [0.5, 0.5]),
            "no difference can be told: the best, `ce`, is +0.00 ± 0.00 points above `clce` over "
            "2 seeds, the same in each, which leaves nothing to test.",
        ),
        (
            transfer("ce", [0.5, 0.6]) + transfer("clce", [0.75, 0.85]),
            "no difference can be told: the best, `clce`, is +25.00 ± 0.00 points above `ce` over "
            "2 seeds, the same in each, which leaves nothing to test.",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(runs, said):
    assert in_one_line(transfer_answer(runs)) == f"By top-1, {said}"


def test_runs_that_differ_in_more_than_loss_and_seed_are_kept_apart():
    runs = [
        run
        for size, better in ((32, 0.0), (64, 0.05))
        for loss, values in (("ce", CE), ("clce", [0.85, 0.87, 0.88]))
        for run in transfer(
            loss, np.array(values) + better, settings={"batch_size": size, "epochs": 3}
        )
    ]
    first, _, *rows = summary_table(runs).splitlines()
    assert first.startswith("loss")
    assert [row.split("  ")[0] for row in rows] == [
        f"{loss}, batch_size={size}" for size in (32, 64) for loss in ("ce", "clce")
    ]
    # Each beside the baseline of its own settings.
    assert [row.split()[-1] for row in rows] == ["-", rows[1].split()[-1]] * 2
    assert "`clce, batch_size=64` is best" in transfer_answer(runs)


def test_the_best_is_best_over_the_seeds_that_all_share():
    # Seeds of cross-entropy alone pull its mean below that of clce, 0.8 to 0.7.
    ce, clce = [0.84, 0.85, 0.87, 0.3, 0.3], [0.81, 0.83, 0.85]
    assert np.mean(ce) < np.mean(clce)
    p = stats.ttest_rel(ce[:3], clce).pvalue
    assert p < 0.05
    assert in_one_line(transfer_answer(transfer("ce", ce) + transfer("clce", clce))) == (
        f"By top-1, `ce` is best, {difference(ce[:3], clce)} above `clce` over 3 seeds, p = "
        f"{p:.2g}: significant."
    )


def test_two_that_share_more_seeds_than_all_do_may_swap():
    # All three share the first seed alone, in which clce is above; over three it is below.
    ce, clce = [0.80, 0.85, 0.87], [0.81, 0.80, 0.80]
    runs = transfer("ce", ce) + transfer("clce", clce) + transfer("hscl", [0.5])
    p = stats.ttest_rel(ce, clce).pvalue
    assert in_one_line(transfer_answer(runs)) == (
        "By top-1, no difference can be told: the best, `ce`, is "
        f"{difference(ce, clce)} above `clce` over 3 seeds, p = {p:.2g}."
    )


def test_the_baseline_of_fewer_settings_is_found():
    runs = [
        run
        for epochs, better in ((5, 0.0), (30, 0.02))
        for loss, values, weights in (("ce", CE, (0.9,)), ("clce", [0.85, 0.87, 0.88], (0.2, 0.9)))
        for weight in weights
        for run in transfer(
            loss,
            np.array(values) + better,
            settings={"epochs": epochs, "contrastive_weight": weight},
        )
    ]
    rows = {
        row.split("  ")[0]: row for row in summary_table(runs).splitlines()[2:] if "vs" not in row
    }
    p = stats.ttest_rel([0.85, 0.87, 0.88], CE).pvalue
    for epochs in (5, 30):
        assert f"ce, epochs={epochs}" in rows
        for weight in (0.2, 0.9):
            row = rows[f"clce, epochs={epochs}, contrastive_weight={weight}"]
            assert row.endswith(f"p = {p:.2g}")
    assert "above `ce, epochs=30` over 3 seeds" in in_one_line(transfer_answer(runs))


@pytest.mark.parametrize(
    ("variant", "others", "expected"),
    [
        ("a=1, b=2, c=3", ["a=1", "a=1, b=2", "a=2"], "a=1, b=2"),
        # Two of one size, of which neither is nearer; and a setting that the run has not.
        ("a=1, b=2", ["a=1", "b=2"], None),
        ("a=1", ["a=1, b=2"], None),
        ("", ["a=1"], None),
        ("a=1, b=2", ["a=1", ""], ""),
    ],
)
def test_the_nearest_baseline(variant, others, expected):
    names = [Name("ce", other, False) for other in others]
    # Those of quick runs are no baselines of others.
    names += [Name("ce", variant, True), Name("clce", variant, False)]
    found = baseline_of(Name("clce", variant, False), names, "ce")
    assert found == (None if expected is None else Name("ce", expected, False))


def test_a_baseline_of_other_settings_is_not_denied():
    at = [(5, 0.7), (30, 0.75)]
    ce = [run for e, top1 in at for run in transfer("ce", [top1], settings={"epochs": e})]
    clce = transfer("clce", [0.8], settings={"epochs": 30})
    assert in_one_line(transfer_answer(ce + clce)) == (
        "By top-1, `clce` is highest (80.00 %), with no `ce` of the same settings to compare it "
        "with."
    )
    assert "with no other loss of the same settings to compare it with" in in_one_line(
        transfer_answer(ce + transfer("clce", [0.6], settings={"epochs": 30}))
    )


def test_seeds_of_other_settings_are_not_averaged():
    epochs = [(0, 5, 0.70), (1, 50, 0.90), (2, 50, 0.93)]
    clce = [
        dataclasses.replace(run, metrics={**run.metrics, "seed": seed})
        for seed, e, top1 in epochs
        for run in transfer("clce", [top1], settings={"epochs": e, "seed": seed})
    ]
    rows = summary_table(clce).splitlines()[2:]
    assert [row.split("  ")[0] for row in rows] == ["clce, epochs=5", "clce, epochs=50"]
    assert " 70.00 " in rows[0] and " 91.50 ± " in rows[1]
    # What one of them does not record, as an earlier version may, keeps none apart.
    del clce[0].settings["epochs"]
    (row,) = summary_table(clce).splitlines()[2:]
    assert row.startswith("clce  ")


def test_quick_runs_are_marked_and_compared_among_themselves():
    full = transfer("ce", CE) + transfer("clce", [0.85, 0.87, 0.88])
    quick = transfer("ce", [0.3, 0.1, 0.2], quick=True) + transfer("clce", [0.4] * 3, quick=True)
    rows = summary_table(full + quick).splitlines()[2:]
    assert [row.split("  ")[0] for row in rows] == ["ce", "clce", "ce (quick)", "clce (quick)"]
    p = stats.ttest_rel([0.4] * 3, [0.3, 0.1, 0.2]).pvalue
    assert rows[3].endswith(f"p = {p:.2g}")


def few_shot(folder, loss, seed, accuracies, features=("pooled",)):
    path = folder / f"{loss}-seed{seed}"
    path.mkdir()
    np.savez(path / "few_shot.npz", **accuracies)
    results = {
        name: {
            "mean": values.mean(),
            "ci95": 0.01,
            "tasks": len(values),
            "queries": 1,
            "classifier": "logistic",
            "features": "embedding" if "embedding" in name else "pooled",
            "transform": "cl2" if "cl2" in name else "l2",
            "drawn_from": "a1",
        }
        for name, values in accuracies.items()
    }
    metrics = {"loss": loss, "seed": seed, "few_shot": results, "accuracies": "few_shot.npz"}
    return Record(path, {}, metrics, [])


def test_few_shot_answer_is_across_seeds_where_there_are_several(tmp_path):
    rng = np.random.default_rng(0)
    values = {
        (loss, seed): {
            "5w1s": rng.normal(0.6 + better, 0.05, 50),
            "5w5s": rng.normal(0.8 + better / 100, 0.05, 50),
            "5w1s pooled cl2": rng.normal(0.9, 0.05, 50),
        }
        for loss, better in (("ce", 0), ("clce", 0.1))
        for seed in range(3)
    }
    records = [few_shot(tmp_path, *run, accuracies) for run, accuracies in values.items()]
    said = in_one_line(few_shot_answer(records))
    expected = {}
    for kind in ("5w1s", "5w5s"):
        ours, theirs = (
            [values[loss, seed][kind].mean() for seed in range(3)] for loss in ("clce", "ce")
        )
        p = stats.ttest_rel(ours, theirs).pvalue
        expected[kind] = f"{difference(ours, theirs)} above `ce` across 3 seeds, p = {p:.2g}", p
    assert expected["5w1s"][1] < 0.05 < expected["5w5s"][1]
    assert said == (
        f"At 5-way 1-shot, `clce` is best, {expected['5w1s'][0]}: significant; at 5-way 5-shot, no "
        f"difference can be told: the best, `clce`, is {expected['5w5s'][0]} (by pooled features, "
        "l2)."
    )


def test_few_shot_answer_of_one_seed_is_over_tasks_and_says_what_that_leaves_open(tmp_path):
    rng = np.random.default_rng(0)
    ce, frozen = rng.normal(0.6, 0.05, 50), rng.normal(0.7, 0.05, 50)
    records = [
        few_shot(tmp_path, "ce", 0, {"5w1s": ce}),
        few_shot(tmp_path, "frozen", 0, {"5w1s": frozen}),
    ]
    p = stats.ttest_rel(frozen, ce).pvalue
    assert in_one_line(few_shot_answer(records)) == (
        f"At 5-way 1-shot, `frozen` is best, {difference(frozen, ce)} above `ce` over 50 tasks of "
        f"one seed, p = {p:.2g}: significant for these models, while training anew may differ by "
        "more."
    )


def test_few_shot_answer_where_the_baseline_beats_the_encoder_before_training(tmp_path):
    rng = np.random.default_rng(0)
    ce, frozen = rng.normal(0.7, 0.05, (3, 50)), rng.normal(0.6, 0.05, 50)
    records = [few_shot(tmp_path, "ce", seed, {"5w1s": ce[seed]}) for seed in range(3)]
    records.append(few_shot(tmp_path, "frozen", 0, {"5w1s": frozen}))
    expected = difference(ce.mean(axis=1), [frozen.mean()] * 3)
    assert f"`ce` is best, {expected} above `frozen` across 3 seeds" in in_one_line(
        few_shot_answer(records)
    )


def test_few_shot_answer_is_over_the_seeds_that_all_share(tmp_path):
    rng = np.random.default_rng(0)
    ce, clce = rng.normal(0.7, 0.05, (3, 50)), rng.normal(0.6, 0.05, (2, 50))
    ce[2] -= 0.5
    assert ce.mean() < clce.mean()
    values = {"ce": ce, "clce": clce}
    records = [
        few_shot(tmp_path, loss, seed, {"5w1s": of})
        for loss, seeds in values.items()
        for seed, of in enumerate(seeds)
    ]
    # The encoder before training goes with every seed.
    records.append(few_shot(tmp_path, "frozen", 0, {"5w1s": np.full(50, 0.1)}))
    expected = difference(ce[:2].mean(axis=1), clce.mean(axis=1))
    said = in_one_line(few_shot_answer(records))
    assert "`ce`" in said.split(expected)[0]
    assert f"{expected} above `clce` across 2 seeds" in said


def test_lines_do_not_break_within_names():
    for size in range(40):
        text = f"{'word ' * 12}{'w' * size} `clce, a label (quick)` {'word ' * 10}"
        lines = wrapped(text).splitlines()
        assert " ".join(lines) == text.strip()
        assert sum("`clce, a label (quick)`" in line for line in lines) == 1
        assert max(map(len, lines)) <= 100
