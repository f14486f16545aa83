"""The page of all runs: the answer first, what differs once, quick runs apart."""

import json
import shutil

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from keras_clce.report import (
    few_shot_tables,
    pictures,
    plot_few_shot,
    run_title,
    without_details,
    write_report,
)
from keras_clce.report.page import groups_of, section_titles
from keras_clce.runs import RunFolder, find_records

pytestmark = pytest.mark.any_backend

LINE = 100


def write_transfer(home, loss, seed, top1, quick=False, **settings):
    folder = RunFolder(home / f"{loss}-seed{seed}")
    settings = {"loss": loss, "epochs": 1, "batch_size": 4, **settings}
    folder.start(settings, "digits, " + "many words on the data " * 9)
    row = {"loss": 1.0, "accuracy": 0.5, "val_accuracy": 0.5, "cross_entropy": 1.0}
    folder.write_history([{"epoch": 0, **row}])
    test = {"top1": top1, "top5": 0.9, "nearest_neighbor": 0.8, "examples": 10}
    named = {"loss": loss, "seed": seed, "dataset": "digits", "backbone": "tiny", "quick": quick}
    validation = {"best_epoch": 1, "examples": 8}
    folder.write_metrics({**named, "seconds": 1, "test": test, "validation": validation}, settings)
    return folder


def write_few_shot(home, loss, seed, accuracies, label=None, quick=False, queries=15):
    folder = RunFolder(home / "-".join(filter(None, (loss, label, f"seed{seed}"))))
    folder.start({"loss": loss}, "faces, 20 novel classes")
    folder.write_accuracies(accuracies)
    results = {
        name: {
            "mean": float(values.mean()),
            "ci95": 0.01,
            "tasks": len(values),
            "queries": queries,
            "classifier": "logistic",
            "features": "embedding" if "embedding" in name else "pooled",
            "transform": "cl2" if "cl2" in name else "l2",
            "drawn_from": "a1",
        }
        for name, values in accuracies.items()
    }
    metrics = {"loss": loss, "seed": seed, "label": label, "quick": quick, "few_shot": results}
    metrics["accuracies"] = f"{folder.path.name}/few_shot.npz"
    folder.write_metrics(metrics, {"loss": loss})


def four_kinds(rng, better=0.0, tasks=40):
    """Accuracies of the default features; `l2` takes away all that the embedding changes."""
    pooled, cl2, embedding = np.round(rng.normal(0.6 + better, 0.1, (3, tasks)), 2)
    names = ("5w1s", "5w1s pooled cl2", "5w1s embedding l2", "5w1s embedding cl2")
    return dict(zip(names, (pooled, cl2, pooled, embedding), strict=True))


@pytest.fixture
def few_shot_home(tmp_path):
    home = tmp_path / "runs" / "few_shot" / "faces" / "vit_tiny"
    rng = np.random.default_rng(0)
    for loss in ("ce", "clce", "ce_supcon"):
        for seed in (0, 1, 2):
            write_few_shot(home, loss, seed, four_kinds(rng, better=0.3 * (loss == "clce")))
            write_few_shot(home, loss, seed, four_kinds(rng), label="contrastive_weight=0.9")
    return home


def test_results_that_are_the_same_are_shown_once(few_shot_home):
    records, _ = find_records(few_shot_home)
    blocks = few_shot_tables(records).split("5w1s")[1:]
    assert [block.splitlines()[0] for block in blocks] == [
        ": pooled = embedding features, l2; 40 tasks, 15 queries a class, logistic",
        " pooled cl2: pooled features, cl2; 40 tasks, 15 queries a class, logistic",
        " embedding cl2: embedding features, cl2; 40 tasks, 15 queries a class, logistic",
    ]
    explained = "cl2: features minus the base classes' mean, on unit length"
    assert [explained in block for block in blocks] == [False, True, True]


def test_numbers_of_one_are_singular(tmp_path):
    write_few_shot(tmp_path, "ce", 0, {"5w1s": np.array([0.5, 0.6])}, queries=1)
    (record,) = find_records(tmp_path)[0]
    assert "; 2 tasks, 1 query a class," in few_shot_tables([record])


def test_panels_share_one_axis(few_shot_home, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: seen.append(self))
    monkeypatch.setattr(pictures, "write_atomically", lambda path, write: write(path))
    plot_few_shot(find_records(few_shot_home)[0], tmp_path / "few_shot.png")
    axes = seen[0].axes
    assert [one.get_title() for one in axes] == [
        "5-way 1-shot\npooled = embedding features, l2",
        "5-way 1-shot\npooled features, cl2",
        "5-way 1-shot\nembedding features, cl2",
    ]
    assert len({one.get_xlim() for one in axes}) == 1
    left, right = axes[0].get_xlim()
    for one in axes:
        for container in one.containers:
            assert left <= container[0].get_xdata()[0] <= right


def test_the_page_begins_with_the_answer_and_keeps_to_its_width(few_shot_home, tmp_path):
    for loss, accuracies in (("ce", (0.6, 0.61, 0.64)), ("clce", (0.8, 0.81, 0.81))):
        for seed, top1 in enumerate(accuracies):
            write_transfer(tmp_path / "runs" / "transfer" / "digits" / "tiny", loss, seed, top1)
    path = write_report(tmp_path / "runs", tmp_path / "out")
    assert path == tmp_path / "out" / "report.md"
    few_shot, transfer = path.read_text().split("## ")[1:]
    assert few_shot.splitlines()[:2] == ["few_shot/faces/vit_tiny", ""]
    assert few_shot.splitlines()[2].startswith("5-way 1-shot: CLCE is above cross-entropy by ")
    assert "at 5-way 1-shot, `clce` is best, +" in few_shot
    # The means are 61.67 and 80.67.
    assert transfer.splitlines()[2].startswith("Top-1: CLCE is above cross-entropy by 19.0 ± ")
    assert max(map(len, path.read_text().splitlines())) <= LINE
    assert "clce, contrastive_weight=0.9" in few_shot
    for name in ("few_shot-1", "curves-2"):
        assert image.imread(tmp_path / "out" / f"{name}.png").ndim == 3


def test_quick_runs_are_left_out_and_counted_unless_asked_for(tmp_path):
    home = tmp_path / "runs" / "transfer" / "digits" / "tiny"
    for number, loss in enumerate(("ce", "clce")):
        write_transfer(home, loss, 0, 0.6)
        write_transfer(home, loss, 1 + number, 0.1, quick=True)
    text = write_report(tmp_path / "runs", tmp_path / "out").read_text()
    assert "Left out, 2 quick runs: with --include_quick they are reported" in text
    assert "(quick)" not in text and "10.00" not in text
    text = write_report(tmp_path / "runs", tmp_path / "out", include_quick=True).read_text()
    assert "Left out" not in text
    full, quick = text.split("## ")[1:]
    assert quick.startswith("transfer/digits/tiny (quick)\n")
    shown = without_details(quick).splitlines()
    rows = [line.strip() for line in shown if line.startswith("    c")]
    assert [row.split("  ")[0] for row in rows] == ["ce (quick)", "clce (quick)"]
    assert "10.00" in quick and "10.00" not in full
    records, _ = find_records(home)
    assert {run_title(record) for record in records} == {"digits, tiny", "digits, tiny, quick run"}


def test_quick_runs_alone_are_no_report(tmp_path):
    write_transfer(tmp_path / "tiny", "ce", 0, 0.1, quick=True)
    with pytest.raises(ValueError, match=r"(?s)`runs` must hold .*Left out, 1 quick run: with "):
        write_report(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_whose_settings_make_no_loss_is_left_out(tmp_path):
    write_transfer(tmp_path / "tiny", "ce", 0, 0.6)
    folder = write_transfer(tmp_path / "tiny", "clce", 0, 0.7, contrastive_weight="much")
    text = write_report(tmp_path, tmp_path / "out").read_text()
    assert f"Left out, {folder.path} has settings that its loss does not take" in text
    assert "70.00" not in text and "60.00" in text


def test_a_copy_of_a_run_is_left_out(tmp_path):
    home = tmp_path / "tiny"
    write_transfer(home, "ce", 0, 0.6)
    folder = write_transfer(home, "clce", 0, 0.7)
    shutil.copytree(folder.path, copy := home / "clce-seed0 (copy)")
    metrics = json.loads((copy / "metrics.json").read_text())
    metrics["test"]["top1"] = 0.1234
    (copy / "metrics.json").write_text(json.dumps(metrics))
    # The same run in another folder is of another section.
    other = shutil.copytree(folder.path, tmp_path / "other" / "clce-seed0")
    text = write_report(tmp_path, tmp_path / "out").read_text()
    left_out = " ".join(text.split("## Left out")[1].split())
    assert f"{copy} has the same loss, settings and seed as {folder.path}" in left_out
    assert "70.00" in text and "12.34" not in text and str(other) not in left_out


def test_one_tested_comparison_beside_others_is_said_with_its_subject(tmp_path):
    for seed in range(3):
        write_transfer(tmp_path / "a", "ce", seed, 0.60 + seed / 100)
        write_transfer(tmp_path / "a", "clce", seed, 0.70 + seed / 90)
    for loss in ("ce", "clce"):
        write_transfer(tmp_path / "b", loss, 0, 0.5)
    text = " ".join(write_report(tmp_path, tmp_path / "out").read_text().split())
    assert "On digits, tiny (a), top-1: CLCE is above cross-entropy by 10." in text
    assert "One more comparison cannot say, for want of seeds." in text


def test_two_kinds_of_runs_in_one_folder_have_a_section_each(tmp_path):
    write_transfer(tmp_path / "tiny", "ce", 0, 0.6)
    write_few_shot(tmp_path / "tiny", "clce", 0, {"5w1s": np.array([0.25, 0.5])})
    text = write_report(tmp_path, tmp_path / "out").read_text()
    assert text.count("## tiny") == 2


def test_sections_have_titles_that_tell_them_apart(tmp_path):
    places = ["transfer/digits/tiny", "weights/digits/tiny", "transfer/digits/x/y", "mine", "yours"]
    for place in places:
        write_transfer(tmp_path / place, "ce", 0, 0.6)
    records, _ = find_records(tmp_path)
    titles = dict((place, title) for title, place in section_titles(groups_of(records), tmp_path))
    assert len({*titles.values()}) == len(places) == len(titles)
    assert titles["weights/digits/tiny"] == "digits, tiny (weights)"
    assert titles["mine"] == "digits, tiny (mine)"
    # Both would be those of the study transfer, or of its folder digits.
    assert titles["transfer/digits/tiny"] == "digits, tiny (transfer)"
    assert titles["transfer/digits/x/y"] == "digits, tiny (transfer/digits)"
    (alone,) = section_titles(groups_of(records[:1]), tmp_path)
    assert alone[0] == "digits, tiny"
