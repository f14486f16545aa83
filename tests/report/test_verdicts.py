"""What comparisons say, against SciPy and statsmodels: sides, words, and what was not seen."""

import numpy as np
import pytest
from run_folders import few_shot_run, transfer_run
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from keras_clce.report import Comparison, clce_comparisons, verdicts
from keras_clce.report.comparisons import baseline_comparisons, cells_of_tests
from keras_clce.report.verdicts import overall, points
from keras_clce.runs import find_records

pytestmark = pytest.mark.any_backend

CE = np.array([0.80, 0.81, 0.83])


def comparison(ours, theirs=CE, measure="top-1"):
    seeds = tuple(range(len(ours)))
    return Comparison(measure, "CLCE", "cross-entropy", seeds, np.array(ours), np.array(theirs))


def said(*ours):
    return [verdict.sentence for verdict in verdicts([comparison(one) for one in ours])]


def interval(ours, theirs=CE):
    differences = np.subtract(ours, theirs)
    return stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)


@pytest.mark.parametrize(
    ("ours", "side", "words"),
    [
        ([0.820, 0.831, 0.849], "above", "almost certain"),
        ([0.820, 0.832, 0.848], "above", "very likely"),
        ([0.820, 0.835, 0.845], "above", "likely"),
        ([0.780, 0.789, 0.811], "below", "almost certain"),
    ],
)
def test_the_words_follow_the_p_value(ours, side, words):
    p = stats.ttest_rel(ours, CE).pvalue
    limits = {"almost certain": (0, 0.001), "very likely": (0.001, 0.01), "likely": (0.01, 0.05)}
    assert limits[words][0] <= p < limits[words][1]
    (verdict,) = verdicts([comparison(ours)])
    mean = abs(np.mean(np.subtract(ours, CE)))
    assert (verdict.kind, verdict.words) == (side, words)
    # Half widths below half a point are shown with two digits.
    digits = 1 if interval(ours) >= 0.005 else 2
    by = f"{100 * mean:.{digits}f} ± {100 * interval(ours):.{digits}f}"
    assert verdict.sentence == (
        f"CLCE is {side} cross-entropy by {by} points, 3 seeds, p = {p:.2g}: {words}"
    )


def test_chance_is_said_with_what_would_not_have_been_seen():
    ours = [0.82, 0.80, 0.85]
    differences = np.subtract(ours, CE)
    power = TTestPower().solve_power(nobs=3, alpha=0.05, power=0.8)
    least = 100 * power * differences.std(ddof=1)
    (sentence,) = said(ours)
    p = stats.ttest_rel(ours, CE).pvalue
    assert sentence == (
        "no difference beyond chance (CLCE minus cross-entropy: +1.0 ± "
        f"{100 * interval(ours):.1f} points, 3 seeds, p = {p:.2g}); with 3 seeds a difference "
        f"below {least:.1f} points would not have been seen"
    )


def test_several_comparisons_are_corrected_together():
    first, second = [0.820, 0.832, 0.848], [0.81, 0.82, 0.86]
    third = [0.815, 0.83, 0.84]
    p = [stats.ttest_rel(ours, CE).pvalue for ours in (first, second, third)]
    holm = multipletests(p, method="holm")[1]
    assert p[0] < 0.01 < holm[0] * 1.5 and p[2] < 0.05 < holm[2]
    found = verdicts([comparison(ours) for ours in (first, second, third)])
    assert found[0].sentence.endswith(
        f"p = {p[0]:.2g}, {holm[0]:.2g} after Holm's correction: "
        f"{'very likely' if holm[0] < 0.01 else 'likely'}"
    )
    # What is not told alone needs no correction to be not told.
    assert f"p = {p[1]:.2g});" in found[1].sentence
    assert found[2].kind == "none"
    assert found[2].sentence.startswith(
        "no difference beyond chance among 3 comparisons (CLCE minus "
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "sentence"),
    [
        (
            [0.85],
            [0.80],
            "unknown",
            "one seed: cannot say (CLCE is 5.0 points above cross-entropy with it)",
        ),
        (
            [0.8],
            [0.8],
            "unknown",
            "one seed: cannot say (CLCE and cross-entropy are the same with it)",
        ),
        ([0.5, 0.6], [0.5, 0.6], "none", "CLCE and cross-entropy are the same in 2 seeds"),
        (
            [0.4, 0.5],
            [0.5, 0.6],
            "unknown",
            "CLCE is below cross-entropy by 10.0 points in each of 2 seeds, which leaves nothing "
            "to test: cannot say",
        ),
        ([], [], "unknown", "CLCE and cross-entropy share no seed: cannot say"),
    ],
)
def test_what_cannot_be_tested_is_not_claimed(ours, theirs, kind, sentence):
    (verdict,) = verdicts([comparison(ours, theirs)])
    assert (verdict.kind, verdict.sentence) == (kind, sentence)


def test_one_seed_of_tasks_has_their_interval_and_no_verdict():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.7, 0.1, (1, 50)), rng.normal(0.6, 0.1, (1, 50))
    (verdict,) = verdicts([comparison(ours, theirs)])
    half = stats.t.ppf(0.975, 49) * stats.sem((ours - theirs)[0])
    assert verdict.kind == "unknown"
    assert verdict.sentence == (
        f"one seed: cannot say (CLCE is {100 * (ours - theirs).mean():.1f} points above "
        f"cross-entropy with it, ± {100 * half:.1f} over the tasks of these two models; training "
        "anew may differ by more)"
    )


def all_of(kinds):
    results = {
        "above": [0.820, 0.8301, 0.8499],
        "below": [0.780, 0.7901, 0.8099],
        "none": [0.82, 0.80, 0.84],
        "unknown": [0.9],
    }
    compared = [comparison(results[kind], CE[: len(results[kind])]) for kind in kinds]
    found = verdicts(compared)
    assert [verdict.kind for verdict in found] == kinds
    return " ".join(overall([str(number) for number in range(len(kinds))], compared, found))


def test_the_answer_counts_what_the_comparisons_say():
    assert all_of(["above", "below", "none", "unknown", "unknown"]).startswith(
        "CLCE is above cross-entropy in 1 of 3 comparisons; CLCE is below cross-entropy in 1; no "
        "difference beyond chance in 1. 2 more comparisons cannot say, for want of seeds. The mean "
        # Of 2, -2 and 2/3 points: t of 2 degrees at 97.5 % is 4.303, the standard error 1.18.
        "difference over 3 data sets and encoders is +0.2 ± 5.1 points (from -2.0 to +2.0)"
    )
    assert all_of(["above", "above"]) == (
        "CLCE is above cross-entropy in both comparisons. The mean difference over 2 data sets and "
        "encoders is +2.0 points."
    )
    assert all_of(["none"] * 3).startswith("No difference beyond chance in all 3 comparisons.")
    assert all_of(["unknown", "unknown"]) == (
        "One seed cannot say whether CLCE is above or below cross-entropy."
    )
    assert all_of(["unknown"]).startswith("One seed: cannot say (CLCE is 10.0 points above")
    alone = all_of(["unknown", "below"])
    assert alone.startswith("On 1, top-1: CLCE is below cross-entropy by 2.0")
    assert alone.endswith(" One more comparison cannot say, for want of seeds.")


def test_comparisons_on_the_same_data_count_once_in_the_mean():
    twice = [comparison([0.81, 0.82, 0.85]), comparison([0.83, 0.84, 0.85])]
    other = comparison([0.90, 0.90, 0.95])
    compared = [*twice, other]
    means = [one.mean for one in compared]
    *_, text = overall(["a", "a", "b"], compared, verdicts(compared))
    expected = 100 * ((means[0] + means[1]) / 2 + means[2]) / 2
    assert text.endswith(f"over 2 data sets and encoders is {expected:+.1f} points.")


def test_digits_are_as_many_as_the_interval_bears():
    assert points(0.0443, 0.0082) == "4.4 ± 0.8"
    assert points(-0.0019, 0.0015, "+") == "-0.19 ± 0.15"
    assert points(0.0002, 0.0203, "+") == "+0.0 ± 2.0"
    assert points(0.0) == "0.0" and points(0.0021) == "0.21"


def test_settings_that_speak_for_a_loss_are_those_that_validation_picks(tmp_path):
    # On the test split the other label is better, which must not be seen.
    for seed in range(2):
        transfer_run(tmp_path, "ce", seed, 0.70 + seed / 100, validation=0.7)
        transfer_run(tmp_path, "clce", seed, 0.71 + seed / 90, validation=0.8, label="cold")
        transfer_run(tmp_path, "clce", seed, 0.90 + seed / 80, validation=0.7, label="warm")
    transfer_run(tmp_path, "clce", 0, 0.99, validation=0.99, label="once")
    (compared,) = clce_comparisons(find_records(tmp_path)[0])
    assert compared.first.tolist() == pytest.approx([0.71, 0.71 + 1 / 90])
    assert compared.chosen == (
        "of 3 settings of `clce`, 2 of them with the most seeds, the best on validation, "
        "`clce, cold`"
    )


def test_without_validation_the_settings_without_a_label_speak(tmp_path):
    for label in ("tuned", None):
        transfer_run(tmp_path, "clce", 0, 0.9 if label else 0.8, label=label)
    transfer_run(tmp_path, "ce", 0, 0.7)
    (compared,) = clce_comparisons(find_records(tmp_path)[0])
    assert compared.first == [0.8] and "since not all have a validation" in compared.chosen


def test_no_comparison_without_both_losses(tmp_path):
    transfer_run(tmp_path, "hscl", 0, 0.9)
    transfer_run(tmp_path, "ce", 0, 0.7)
    assert clce_comparisons(find_records(tmp_path)[0]) == []


def test_few_shot_runs_are_compared_at_each_size_of_task(tmp_path):
    rng = np.random.default_rng(0)
    drawn = {
        (loss, seed): rng.normal(0.6, 0.1, (2, 30)) for loss in ("ce", "clce") for seed in (1, 2)
    }
    for (loss, seed), values in drawn.items():
        few_shot_run(tmp_path, loss, seed, dict(zip(("5w1s", "5w5s"), values, strict=True)))
    one, five = clce_comparisons(find_records(tmp_path)[0])
    assert (one.measure, five.measure, one.seeds) == ("5-way 1-shot", "5-way 5-shot", (1, 2))
    for number, compared in enumerate((one, five)):
        means = [
            drawn["clce", seed][number].mean() - drawn["ce", seed][number].mean() for seed in (1, 2)
        ]
        assert compared.by_seed == pytest.approx(means)


def test_the_table_of_tests_has_scipys_figures(tmp_path):
    results = {"ce": CE, "clce": [0.82, 0.835, 0.84], "hscl": [0.79, 0.80, 0.83]}
    for loss, values in results.items():
        for seed, top1 in enumerate(values):
            transfer_run(tmp_path, loss, seed, float(top1))
    rows = {row[1]: row for row in cells_of_tests(baseline_comparisons(find_records(tmp_path)[0]))}
    p = {loss: stats.ttest_rel(results[loss], CE).pvalue for loss in ("clce", "hscl")}
    holm = dict(zip(p, multipletests([*p.values()], method="holm")[1], strict=True))
    for loss in p:
        differences = np.subtract(results[loss], CE)
        measure, _, against, seeds, by, *tested = rows[loss]
        assert (measure, against, seeds) == ("top-1", "ce", "3")
        assert by == f"{100 * differences.mean():+.2f} ± {100 * interval(results[loss]):.2f}"
        assert tested[:3] == [
            *(f"{value:.2g}" for value in (p[loss], holm[loss])),
            f"{stats.wilcoxon(np.round(differences, 6)).pvalue:.2g}",
        ]
        # All eight flips of three signs: two of them are as extreme, or four with a zero.
        share = 0.5 if np.isclose(differences, 0).any() else 0.25
        assert float(tested[3]) == pytest.approx(share, abs=0.02)
        # Hedges' factor of two degrees of freedom is gamma(1) / gamma(1/2).
        d = differences.mean() / differences.std(ddof=1) / np.sqrt(np.pi)
        assert tested[4] == f"{d:+.2f}"


def predictions(folder, right, labels):
    """Keep predictions of which these are right."""
    classes = np.where(right, labels, labels + 1).astype("int32")
    np.savez(
        folder.path / "predictions.npz",
        labels=labels.astype("int32"),
        classes=classes,
        probabilities=np.ones(len(labels), "float32"),
    )


def test_one_seed_that_kept_its_predictions_has_mcnemars_test(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 200)
    right = {"ce": rng.random(200) < 0.7, "clce": rng.random(200) < 0.85}
    folders = {
        loss: transfer_run(tmp_path, loss, 0, float(of.mean())) for loss, of in right.items()
    }
    for loss, folder in folders.items():
        predictions(folder, right[loss], labels)
    table = [
        [np.sum(right["clce"] & right["ce"]), np.sum(right["clce"] & ~right["ce"])],
        [np.sum(~right["clce"] & right["ce"]), np.sum(~right["clce"] & ~right["ce"])],
    ]
    p = mcnemar(table, exact=True).pvalue
    differing = table[0][1] + table[1][0]
    mean = 100 * (right["clce"].mean() - right["ce"].mean())
    (verdict,) = verdicts(clce_comparisons(find_records(tmp_path)[0]))
    assert verdict.kind == "unknown"
    assert verdict.sentence == (
        f"one seed: cannot say (CLCE is {mean:.1f} points above cross-entropy with it; of "
        f"{differing} test images that one of these two models alone gets right, p = {p:.2g} by "
        "McNemar's test; training anew may differ by more)"
    )
    # Of other images, or in another order, nothing can be said.
    predictions(folders["ce"], right["ce"][::-1], labels[::-1])
    (verdict,) = verdicts(clce_comparisons(find_records(tmp_path)[0]))
    assert "McNemar" not in verdict.sentence
