"""Tables, pictures and sentences of a study, against SciPy and cases worked out by hand."""

import json
import math
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from keras_clce.report import pictures
from keras_clce.report.answers import Difference
from keras_clce.report.study_crossing import Crossing, crossings_in_words
from keras_clce.report.study_pictures import plot_study
from keras_clce.report.study_results import measures_of, study_results
from keras_clce.report.study_tables import (
    difference_in_words,
    study_answer,
    study_cells,
    study_table,
)
from keras_clce.runs import RunFolder, StudyPlan, StudyPoint, find_records, read_plan

pytestmark = pytest.mark.any_backend

WEIGHTS = (0.2, 0.5, 0.9)
CE = [0.80, 0.81, 0.83]
CLCE = {0.2: [0.81, 0.82, 0.83], 0.5: [0.82, 0.84, 0.84], 0.9: [0.79, 0.83, 0.85]}
# Validation picks 0.9, though the test likes 0.5 best.
VALIDATION = {0.2: 0.70, 0.5: 0.71, 0.9: 0.72}
PLAN = StudyPlan(
    "mine",
    ("contrastive_weight", "loss"),
    ("contrastive_weight",),
    (
        StudyPoint("ce", "ce"),
        *(
            StudyPoint(f"clce-contrastive_weight={w}", "clce", at={"contrastive_weight": w})
            for w in WEIGHTS
        ),
    ),
)


def write_run(home, name, loss, seed, top1, validation=0.7, **more):
    folder = RunFolder(home / f"{name}-seed{seed}")
    folder.start({"loss": loss}, "digits, 100 images")
    folder.write_history([{"epoch": 0, "accuracy": 0.5}])
    metrics = {"loss": loss, "seed": seed, "dataset": "digits", "backbone": "tiny", "seconds": 2}
    metrics["validation"] = {"best_epoch": 1, "examples": 8, "top1": validation}
    metrics["test"] = {"top1": top1, "top5": 0.9, "nearest_neighbor": 0.8, "examples": 10}
    folder.write_metrics({**metrics, **more}, {"loss": loss})


@pytest.fixture
def records(tmp_path):
    home = tmp_path / "mine" / "digits" / "tiny"
    for seed, top1 in enumerate(CE):
        write_run(home, "ce", "ce", seed, top1)
    for weight in WEIGHTS:
        for seed, top1 in enumerate(CLCE[weight]):
            name = f"clce-contrastive_weight={weight}"
            write_run(home, name, "clce", seed, top1, VALIDATION[weight] + 0.001 * seed)
    return find_records(home)[0]


def drawn(monkeypatch, plan, records, path):
    """The figure of a study, before it is written."""
    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: seen.append(self))
    monkeypatch.setattr(pictures, "write_atomically", lambda path, write: write(path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_study(plan, records, path)
    return seen[0]


def test_each_point_stands_beside_the_baseline_at_its_place(records):
    results = study_results(PLAN, records)
    assert [one.point for one in results] == list(PLAN.points)
    assert results[0].baseline is None and results[0].differences == {}
    for weight, one in zip(WEIGHTS, results[1:], strict=True):
        assert one.baseline == PLAN.points[0] and one.seeds == [0, 1, 2]
        found, test = one.differences["top1"], stats.ttest_rel(CLCE[weight], CE)
        assert found.p_value == pytest.approx(test.pvalue)
        low, high = test.confidence_interval(0.95)
        assert (found.mean, found.ci95) == pytest.approx(((high + low) / 2, (high - low) / 2))
    assert [one.is_best for one in results] == [False, False, False, True]


def test_places_and_panels_are_not_mixed(tmp_path):
    home = tmp_path / "tiny"
    for loss in ("ce", "clce"):
        for size in (32, 64):
            write_run(home, f"{loss}-batch_size={size}", loss, 0, 0.5 + size / 1000)
    points = [
        StudyPoint(f"{loss}-batch_size={size}", loss, panel, {"batch_size": size})
        for panel in ("epochs", "steps")
        for loss in ("ce", "clce")
        for size in (32, 64)
    ]
    plan = StudyPlan("mine", ("batch_size", "loss"), ("batch_size",), tuple(points))
    results = study_results(plan, find_records(home)[0])
    assert [one.baseline for one in results] == [None, None, *points[:2], None, None, *points[4:6]]
    # One seed gives a difference and no interval.
    assert math.isnan(results[2].differences["top1"].ci95)


def test_the_plain_baseline_comes_before_that_of_the_same_label(tmp_path):
    for name in ("ce-tuned", "ce", "clce-tuned", "clce"):
        write_run(tmp_path / "tiny", name, name.split("-")[0], 0, 0.5)
    records, _ = find_records(tmp_path)

    def baselines(*runs):
        points = tuple(StudyPoint(run, run.replace("-", ", ")) for run in runs)
        found = study_results(StudyPlan("mine", ("loss",), (), points), records)
        return [one.baseline and one.baseline.run for one in found]

    assert baselines("ce-tuned", "ce", "clce-tuned", "clce") == ["ce", None, "ce", "ce"]
    assert baselines("ce-tuned", "clce-tuned", "clce") == [None, "ce-tuned", "ce-tuned"]
    assert baselines("clce") == [None]


def test_the_table_has_scipys_figures_and_marks_what_validation_picks(records):
    header, rows = study_cells(PLAN, records)
    assert header == ["", "seeds", "validation", "top-1", "minus ce", "p", "seconds"]
    values = CLCE[0.5]
    half = stats.t.ppf(0.975, 2) * stats.sem(values)
    assert rows[2][:2] == ["clce, contrastive_weight=0.5", "3"]
    assert rows[2][3] == f"{100 * np.mean(values):.2f} ± {100 * half:.2f}"
    assert rows[2][5] == f"{stats.ttest_rel(values, CE).pvalue:.2g}"
    assert [row[2].startswith("*") for row in rows] == [False, False, False, True]
    table = study_table(PLAN, records)
    assert max(map(len, table.splitlines())) <= 96 and "* picked by validation" in table
    answer = " ".join(study_answer(PLAN, records).split())
    assert answer.startswith("Validation picks `clce, contrastive_weight=0.9` (72.10 ± 0.25 %; ")
    assert "against `ce` +1.00 ± " in answer and "which is not told from chance" in answer


def test_differences_in_words():
    assert difference_in_words(Difference(0.018, 0.005, 0.004, "over 3 seeds")) == (
        "+1.80 ± 0.50 points over 3 seeds, p = 0.004"
    )
    nan = math.nan
    assert "tells no difference" in difference_in_words(Difference(0.01, nan, nan, "over 1 seed"))
    assert difference_in_words(Difference(0.01, 0.0, nan, "over 2 seeds")).endswith(
        "over 2 seeds, the same in each"
    )
    assert "p < 1e-16" in difference_in_words(Difference(0.1, 0.01, 1e-20, "over 9 seeds"))


def test_runs_that_are_missing_or_were_not_tested(records, tmp_path, monkeypatch):
    some = [record for record in records if "0.5" not in record.folder.name]
    assert len(study_results(PLAN, some)) == 3
    with pytest.raises(ValueError, match="must hold runs of the study mine"):
        plot_study(PLAN, [], tmp_path / "study.png")
    for record in records:
        record.metrics["tested"] = False
        del record.metrics["test"]
    assert measures_of(records) == {}
    header, rows = study_cells(PLAN, records)
    assert header == ["", "seeds", "validation", "seconds"] and rows[3][2].startswith("*72.10")
    assert "On the test" not in study_answer(PLAN, records)
    figure = drawn(monkeypatch, PLAN, records, tmp_path / "study.png")
    assert figure.axes[0].get_ylabel() == "validation, %"


def test_few_shot_studies_have_a_column_and_a_row_for_each_number_of_shots(tmp_path, monkeypatch):
    home = tmp_path / "vit_tiny"
    for loss, better in (("ce", 0.0), ("clce", 0.1), ("frozen", -0.1)):
        for seed in range(1 if loss == "frozen" else 2):
            folder = RunFolder(home / f"{loss}-seed{seed}")
            folder.start({"loss": loss}, "faces")
            kinds = {"5w1s": 0.5, "5w5s": 0.7, "5w1s embedding l2": 0.1}
            folder.write_accuracies({kind: np.array([0.5, 0.6]) for kind in kinds})
            about = {"ci95": 0.01, "tasks": 2, "queries": 15, "classifier": "logistic"}
            about |= {"features": "pooled", "transform": "l2", "drawn_from": "a1"}
            metrics = {"loss": loss, "seed": seed, "accuracies": f"{folder.path.name}/few_shot.npz"}
            metrics["few_shot"] = {
                kind: {"mean": mean + better + 0.01 * seed, **about} for kind, mean in kinds.items()
            }
            folder.write_metrics(metrics, {"loss": loss})
    points = (StudyPoint("frozen", "frozen"), StudyPoint("ce", "ce"), StudyPoint("clce", "clce"))
    plan = StudyPlan("mine", ("loss",), (), points)
    records, _ = find_records(home)
    header, rows = study_cells(plan, records)
    assert header[3::3] == ["5-way 1-shot", "5-way 5-shot", "seconds"]
    assert rows[2][4] == "+10.00 ± 0.00" and rows[0][:4] == ["frozen", "1", "-", "40.00"]
    # One encoder before training stands beside both seeds of cross-entropy, 0.50 and 0.51.
    half = stats.t.ppf(0.975, 1) * 0.5
    assert rows[0][4] == f"-10.50 ± {half:.2f}"
    figure = drawn(monkeypatch, plan, records, tmp_path / "study.png")
    assert [axes.get_title() for axes in figure.axes] == ["5-way 1-shot", "5-way 5-shot"]


# === Crossings ===

UP = Difference(0.02, 0.01, 0.01, "over 3 seeds")
DOWN = Difference(-0.02, 0.01, 0.01, "over 3 seeds")
UNTOLD_UP = Difference(0.01, 0.02, 0.3, "over 3 seeds")
UNTOLD_DOWN = Difference(-0.01, 0.02, 0.3, "over 3 seeds")
# The same in each seed: no interval, and nothing to test.
EQUAL_UP = Difference.paired([0.82, 0.83], [0.80, 0.81], "over 2 seeds")
EQUAL_DOWN = Difference.paired([0.78, 0.79], [0.80, 0.81], "over 2 seeds")
ONE_SEED = Difference(0.05, math.nan, math.nan, "over 1 seed")
ONE_SEED_DOWN = Difference(-0.05, math.nan, math.nan, "over 1 seed")


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ({5: DOWN, 20: DOWN, 50: UP}, "`clce` crosses `ce` upwards between 20 and 50"),
        (
            {5: UP, 10: UNTOLD_UP, 20: UNTOLD_DOWN, 50: DOWN},
            "`clce` crosses `ce` downwards between 5 and 50 (no difference is told at 10, 20)",
        ),
        (
            {5: DOWN, 10: UP, 20: DOWN},
            "`clce` crosses `ce` upwards between 5 and 10 and downwards between 10 and 20",
        ),
        ({50: UP, 5: UP}, "`clce` is above `ce` from 5 to 50: the curves do not cross"),
        (
            {5: DOWN, 50: UNTOLD_UP},
            "`clce` is below `ce` at 5; at 50 no difference is told, so that these seeds show no "
            "crossing; the means change sides between 5 and 50",
        ),
        ({5: UNTOLD_UP, 50: UNTOLD_UP}, "these seeds do not tell whether `clce` crosses `ce`"),
        (
            {5: EQUAL_UP, 50: EQUAL_DOWN},
            "these seeds do not tell whether `clce` crosses `ce`; the means change sides between 5 "
            "and 50",
        ),
        (
            {5: UP, 50: EQUAL_DOWN},
            "`clce` is above `ce` at 5; at 50 no difference is told, so that these seeds show no "
            "crossing; the means change sides between 5 and 50",
        ),
        (
            {5: ONE_SEED, 50: ONE_SEED_DOWN},
            "one seed does not tell whether `clce` crosses `ce`; the means change sides between 5 "
            "and 50",
        ),
    ],
)
def test_crossings_by_hand(differences, words):
    assert Crossing.of(differences).in_words("clce", "ce") == words


def write_sizes(home):
    """ce is above clce at 5 and 10 images, clce above ce at 50, by far more than seeds differ."""
    points = []
    for size, by in ((5, -0.1), (10, -0.08), (50, 0.06)):
        for loss, better in (("ce", 0.0), ("clce", by)):
            name = f"{loss}-limit_per_class={size}"
            points.append(StudyPoint(name, loss, at={"limit_per_class": size}))
            for seed in range(3):
                top1 = 0.5 + better + 0.01 * seed + 0.001 * (seed == 1) * (loss == "clce")
                write_run(home, name, loss, seed, top1)
    return StudyPlan("mine", ("limit_per_class", "loss"), ("limit_per_class",), tuple(points))


def test_the_crossing_of_a_study(tmp_path, records):
    plan = write_sizes(tmp_path / "sizes")
    sizes, _ = find_records(tmp_path / "sizes")
    assert crossings_in_words(plan, sizes) == (
        "Over training images of a class, `clce` crosses `ce` upwards between 10 and 50."
    )
    # How many images there are, nobody picks.
    assert study_answer(plan, sizes) == ""
    # Where cross-entropy has no curve, there is nothing to cross.
    assert crossings_in_words(PLAN, records) == ""


# === Pictures ===


def test_curves_stand_at_their_places_and_the_pick_is_ringed(records, tmp_path, monkeypatch):
    (axes,) = drawn(monkeypatch, PLAN, records, tmp_path / "study.png").axes
    (curve,) = axes.containers
    # Curves stand side by side, a little apart.
    np.testing.assert_allclose(curve[0].get_xdata(orig=False), WEIGHTS, atol=0.01)
    np.testing.assert_allclose(
        curve[0].get_ydata(orig=False), [100 * np.mean(CLCE[w]) for w in WEIGHTS]
    )
    assert axes.get_xscale() == "linear"
    rings = [line for line in axes.lines if line.get_markersize() == 12]
    np.testing.assert_allclose(rings[0].get_xydata(), [[0.9, 100 * np.mean(CLCE[0.9])]], atol=0.01)
    # Cross-entropy is a level line, and a weight of 0.
    level = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(level[0].get_ydata(), 100 * np.mean(CE))
    assert any(line.get_xdata()[0] == 0 for line in axes.lines if line.get_markersize() == 4)
    assert axes.get_ylim()[1] <= 100


def test_sizes_that_keep_a_ratio_have_a_log_scale(tmp_path, monkeypatch):
    plan = write_sizes(tmp_path / "sizes")
    sizes, _ = find_records(tmp_path / "sizes")
    (axes,) = drawn(monkeypatch, plan, sizes, tmp_path / "study.png").axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "10", "50"]
    assert axes.get_xlabel() == "training images of a class"


def test_two_axes_make_a_map(tmp_path, monkeypatch):
    points, accuracies = [StudyPoint("ce", "ce")], {}
    write_run(tmp_path / "map", "ce", "ce", 0, 0.6)
    for weight in (0.5, 0.9):
        for temperature in (0.1, 0.5, 1.0):
            name = f"clce-contrastive_weight={weight}-temperature={temperature}"
            at = {"contrastive_weight": weight, "temperature": temperature}
            points.append(StudyPoint(name, "clce", at=at))
            if (weight, temperature) == (0.9, 1.0):
                continue  # not made yet
            accuracies[weight, temperature] = 0.5 + weight / 10 - temperature / 100
            top1 = accuracies[weight, temperature]
            write_run(tmp_path / "map", name, "clce", 0, top1, validation=top1)
    plan = StudyPlan("mine", ("loss",), ("contrastive_weight", "temperature"), tuple(points))
    records, _ = find_records(tmp_path / "map")
    figure = drawn(monkeypatch, plan, records, tmp_path / "study.png")
    axes = figure.axes[0]
    values = np.ma.filled(axes.images[0].get_array(), np.nan)
    expected = [
        [100 * accuracies.get((weight, temperature), np.nan) for weight in (0.5, 0.9)]
        for temperature in (0.1, 0.5, 1.0)
    ]
    np.testing.assert_allclose(values, expected)
    assert axes.get_title() == "clce (ce 60.0)"
    assert {text.get_text() for text in axes.texts} == {f"{v:.1f}" for r in expected for v in r} - {
        "nan"
    }
    (ring,) = axes.patches
    assert ring.center == (1, 0)  # λ = 0.9, τ = 0.1
    plot_study(plan, records, tmp_path / "study.png")


# === The plan beside the runs ===


def test_a_plan_comes_back_and_grows(tmp_path):
    assert read_plan(tmp_path) is None
    PLAN.add_to(tmp_path)
    assert read_plan(tmp_path) == PLAN
    more = StudyPlan(
        "mine",
        ("contrastive_weight", "loss"),
        PLAN.axes,
        (
            StudyPoint("ce", "cross-entropy"),
            StudyPoint("clce-contrastive_weight=1", "clce", at={"contrastive_weight": 1.0}),
        ),
    )
    assert more.add_to(tmp_path).points == (*PLAN.points[1:], *more.points)
    other = StudyPlan("mine", ("loss",), (), (StudyPoint("ce", "ce"),))
    assert other.add_to(tmp_path) == read_plan(tmp_path) == other


@pytest.mark.parametrize(
    "damage",
    [
        lambda plan: plan.pop("axes"),
        lambda plan: plan.update(points=[{"run": "ce"}]),
        lambda plan: plan.update(points=["ce"]),
        lambda plan: plan["points"][1]["at"].update(contrastive_weight="0.2"),
        lambda plan: plan["points"][1]["at"].update(temperature=0.2),
        lambda plan: plan.update(name=3),
    ],
)
def test_a_damaged_plan_is_refused(tmp_path, damage):
    PLAN.add_to(tmp_path)
    plan = json.loads((tmp_path / "study.json").read_text())
    damage(plan)
    (tmp_path / "study.json").write_text(json.dumps(plan))
    with pytest.raises(ValueError, match=r"study.json is damaged .* Delete it and pass --resume"):
        read_plan(tmp_path)
