"""Tables and pictures of few-shot runs with several classifiers, against SciPy."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from run_folders import SETTINGS
from scipy import stats

from keras_clce.evaluate import TASK_CLASSIFIERS
from keras_clce.report import classifier_tables, finetuned_table, pictures, plot_few_shot
from keras_clce.report.few_shot_classifiers import kind_in_words
from keras_clce.report.few_shot_tables import few_shot_answer
from keras_clce.runs import RunFolder

pytestmark = pytest.mark.any_backend

GAINS = {"logistic": 0.06, "tim": 0.01}


def records_of(home, seeds=(0, 1, 2), same_features=True, **more):
    """Runs of ce and clce, and the encoder before training, with the accuracies of their tasks."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0.7, 0.05, 200)
    records, accuracies = [], {}
    for loss, seed in [("frozen", 0), *((name, n) for name in ("ce", "clce") for n in seeds)]:
        found, results = {}, {}
        for shots in (1, 5):
            for number, (classifier, gain) in enumerate(GAINS.items()):
                noise = rng.normal(0, 0.02, 200) + rng.normal(0, 0.01)
                values = difficulty + gain * (loss == "clce") + noise
                for features in ("pooled", "embedding"):
                    first = (number == 0, features == "pooled")
                    kind = f"5w{shots}s" + ("" if first[1] else " embedding l2")
                    kind += "" if first[0] else f" {classifier}"
                    found[kind] = values if same_features or first[1] else values - 0.1
                    results[kind] = {
                        **{"mean": found[kind].mean(), "ci95": 0.01, "tasks": 200, "queries": 15},
                        **{"classifier": classifier, "features": features, "transform": "l2"},
                        **{"drawn_from": f"a{shots}", "query_distribution": "dirichlet"},
                    }
        folder = RunFolder(home / f"{loss}-seed{seed}")
        settings = {**SETTINGS, "loss": loss, "seed": seed}
        folder.start(settings, "20 novel classes")
        folder.write_accuracies(found)
        named = {"loss": loss, "seed": seed, "dataset": "faces", "backbone": "small_resnet"}
        path = f"{folder.path.name}/few_shot.npz"
        folder.write_metrics({**named, "few_shot": results, "accuracies": path, **more}, settings)
        records.append(folder.record())
        accuracies[loss, seed] = found
    return records, accuracies


def interval(values, sign=""):
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{100 * np.mean(values):{sign}.2f} ± {100 * half:.2f}"


def table_of(text, size):
    """Lines of one table, split at its columns."""
    lines = text.split(f"{size}: ")[1].split("\n\n")[0].splitlines()
    return [re.split(r"  +", line.strip()) for line in lines]


def test_there_is_one_table_per_shots_with_a_column_for_each_classifier(tmp_path):
    records, accuracies = records_of(tmp_path)
    text = classifier_tables(records)
    assert text.count("-way ") == 2
    heading, names, kinds, _, *rows = table_of(text, "5-way 5-shot")
    assert heading == ["200 tasks, 15 queries a class on average, dirichlet"]
    assert names == ["logistic", "tim"]
    assert kinds == ["loss", "inductive", "transductive"]
    # Both kinds of features gave the same, and share their rows.
    assert rows[0] == ["pooled = embedding features, l2"]
    cells = {row[0]: row[1:] for row in rows[1:]}
    differences = ["frozen minus ce", "clce minus ce"]
    assert list(cells) == ["frozen", "ce, 3 seeds", "clce, 3 seeds", *differences]
    keys = ("5w5s", "5w5s tim")
    means = {
        loss: [[accuracies[loss, seed][key].mean() for seed in range(3)] for key in keys]
        for loss in ("ce", "clce")
    }
    assert cells["clce, 3 seeds"] == [interval(values) for values in means["clce"]]
    assert cells["frozen"] == [interval(accuracies["frozen", 0][key]) for key in keys]
    differences = np.subtract(means["clce"], means["ce"])
    assert cells["clce minus ce"] == [interval(values, "+") for values in differences]
    frozen = [[accuracies["frozen", 0][key].mean()] * 3 for key in keys]
    beside = np.subtract(frozen, means["ce"])
    assert cells["frozen minus ce"] == [interval(values, "+") for values in beside]


def test_one_seed_is_compared_over_its_tasks_and_features_that_differ_stand_apart(tmp_path):
    records, accuracies = records_of(tmp_path, seeds=(4,), same_features=False)
    rows = table_of(classifier_tables(records), "5-way 1-shot")[4:]
    titles = [row[0] for row in rows if len(row) == 1]
    assert titles == ["pooled features, l2", "embedding features, l2"]
    cells = {row[0]: row[1:] for row in rows[-5:]}
    key = "5w1s embedding l2 tim"
    ours, theirs = (accuracies[loss, 4][key] for loss in ("clce", "ce"))
    assert cells["ce, 1 seed"][1] == interval(theirs)
    assert cells["clce minus ce"][1] == interval(ours - theirs, "+")


def test_the_answer_says_which_classifier_it_is_by(tmp_path):
    records, _ = records_of(tmp_path)
    answer = " ".join(few_shot_answer(records).split())
    assert "`clce` is best" in answer
    assert answer.endswith("(by logistic of pooled features, l2).")


def test_runs_on_other_tasks_are_refused(tmp_path):
    records, _ = records_of(tmp_path)
    records[1].metrics["few_shot"]["5w1s tim"]["drawn_from"] = "others"
    with pytest.raises(ValueError, match="not tested on the same tasks"):
        classifier_tables(records)


def test_the_picture_has_a_row_for_each_classifier_and_a_colour_for_each_loss(
    tmp_path, monkeypatch
):
    records, accuracies = records_of(tmp_path)
    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: seen.append(self))
    monkeypatch.setattr(pictures, "write_atomically", lambda path, write: write(path))
    plot_few_shot(records, tmp_path / "few_shot.png")
    (figure,) = seen
    first, second = figure.axes
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == ["logistic\ninductive", "tim\ntransductive"]
    assert (first.get_title(), second.get_title()) == ("5-way 1-shot", "5-way 5-shot")
    # Three losses by two classifiers, the frozen one of one seed and so hollow.
    assert len(first.containers) == 6
    point = first.containers[-1][0]
    means = [accuracies["clce", seed]["5w1s tim"].mean() for seed in range(3)]
    assert point.get_xdata() == pytest.approx([100 * np.mean(means)])
    assert 0.5 < point.get_ydata()[0] < 1.5
    assert first.containers[0][0].get_markerfacecolor() == "white"


def test_fine_tuned_encoders_stand_beside_their_features(tmp_path):
    result = {"mean": 0.8, "ci95": 0.03, "of_features": 0.7, "tasks": 9, "seconds_a_task": 2.0}
    tuned = {"5w1s finetuning": {**result, "classifier": "finetuning", "features": "pooled"}}
    records, _ = records_of(tmp_path, seeds=(0,), finetuned_encoder=tuned)
    lines = [re.split(r"  +", line) for line in finetuned_table(records).splitlines()]
    assert lines[1][-3:] == ["encoder", "features", "s a task"]
    row = ["clce", "5-way 1-shot", "finetuning", "1", "9", "80.00 ± 3.00", "70.00", "2.0"]
    assert row in lines
    without, _ = records_of(tmp_path / "others")
    assert finetuned_table(without) == ""


def test_every_classifier_is_marked():
    of_papers = {"soft_kmeans", "bavardage", "bd_cspn", "laplacian_shot", "pt_map", "tim"}
    marked = {name for name in TASK_CLASSIFIERS if kind_in_words(name) == "transductive"}
    assert marked == of_papers | {"transductive_finetuning"}
    assert kind_in_words("of a later version") == ""
