"""`--multi_label`, as a user calls it: trained, resumed, reported, predicted, and refused."""

import csv
import json

import numpy as np
import pytest
import recipe_runs
from keras_clce.recipes import card, confusions, few_shot, predict, report, suspects, transfer
from PIL import Image
from recipe_runs import only, run_here
from sklearn.metrics import average_precision_score, f1_score

from keras_clce import load_model, predict_images
from keras_clce.data import load_dataset
from keras_clce.experiments import Settings, Study
from keras_clce.inference import PhotographAnswers, calibrate
from keras_clce.inference.demo import _verdict
from keras_clce.runs import RunFolder

pytestmark = pytest.mark.any_backend

LABELS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]])


@pytest.fixture
def colours(tmp_path):
    """Squares whose channels are their labels, in one folder."""
    folder = tmp_path / "colours"
    folder.mkdir()
    rng, rows = np.random.default_rng(0), []
    for number in range(60):
        row = LABELS[number % 6]
        pixels = np.clip(230 * row + rng.normal(15, 10, (16, 16, 3)), 0, 255)
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{number:02}.png")
        names = [name for name, own in zip(("red", "green", "blue"), row, strict=True) if own]
        rows.append([f"{number:02}.png", ";".join(names)])
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "label"], *rows])
    return folder


def flags_of(colours, backbone, tmp_path, *more):
    return (
        "--dataset=image_folder",
        f"--data_dir={colours}",
        "--multi_label",
        f"--backbone={backbone}",
        "--image_size=16",
        "--batch_size=16",
        "--epochs=12",
        "--warmup_epochs=0",
        "--learning_rate=0.02",
        "--seeds=0",
        f"--output_dir={tmp_path / 'runs'}",
        *more,
    )


def test_from_a_table_to_predictions(colours, tiny_backbone, tmp_path, capsys):
    arguments = flags_of(colours, tiny_backbone, tmp_path, "--losses=ce,clce")
    recipe_runs.run(transfer, *arguments)
    said = capsys.readouterr().out
    assert "stratified by the rarest label" in said and "mAP vs ce" in said
    home = only(tmp_path / "runs", "clce-seed0")
    record = RunFolder(home).record()
    model = load_model(home / "model.keras")
    assert model.multi_label and model.class_names == ("blue", "green", "red")
    data = load_dataset(
        "image_folder", data_dir=colours, preprocessing=model.preprocessing, multi_label=True
    )
    images, rows = next(data.test.batches(100).as_numpy_iterator())
    scores = model.predict(images, verbose=0)["probabilities"]
    test = record.metrics["test"]
    assert test["map"] == pytest.approx(average_precision_score(rows, scores, average="macro"))
    of_class = average_precision_score(rows[:, 0], scores[:, 0])
    assert test["average_precision"]["blue"] == pytest.approx(of_class)
    for average in ("micro", "macro"):
        want = f1_score(rows, scores >= 0.5, average=average, zero_division=0)
        assert test[f"f1_{average}"] == pytest.approx(want)
    assert record.is_multi_label and record.validation == record.metrics["validation"]["map"]
    assert test["map"] > 0.8
    assert "val_map" in record.history[0] and (home / "curves.png").is_file()
    # A finished run is read, and not made again.
    recipe_runs.run(transfer, *arguments, "--resume")
    assert f"{100 * test['map']:.2f}" in capsys.readouterr().out

    recipe_runs.run(report, f"--runs={tmp_path / 'runs'}", f"--output_dir={tmp_path / 'page'}")
    page = (tmp_path / "page" / "report.md").read_text()
    assert "mAP" in page and "F1 macro" in page and "top-1" not in page
    recipe_runs.run(card, f"--run={home}", f"--output={tmp_path / 'card.md'}")
    readme = (tmp_path / "card.md").read_text()
    assert f"{100 * test['map']:.2f}" in readme and "top-1" not in readme

    capsys.readouterr()
    out = tmp_path / "said"
    recipe_runs.run(
        predict, f"--model={home / 'model.keras'}", f"--images={colours}", f"--output_dir={out}"
    )
    said = capsys.readouterr().out
    rows = list(csv.DictReader((out / "predictions.csv").open()))
    found = predict_images(model, colours, top_k=1, verbose=0)
    assert len(found) == len(rows) == 60 and found.accuracy is None
    everything = model.predict(
        np.stack([np.asarray(Image.open(colours / row["file"]), "float32") for row in rows]),
        verbose=0,
    )["probabilities"]
    names = np.array(model.class_names)
    for row, of_row, scores in zip(rows, found, everything, strict=True):
        assert {*filter(None, row["labels"].split(";"))} == {*names[scores >= 0.5]}
        assert of_row.labels == tuple(filter(None, row["labels"].split(";")))
        assert len(of_row.class_names) == 1
    true = np.array([LABELS[int(row["file"][:2]) % 6][::-1] for row in rows])
    f1 = f1_score(true, everything >= 0.5, average="micro")
    assert f"F1 micro {100 * f1:.1f} %" in said
    first = PhotographAnswers(model)(colours / "02.png")
    assert ", ".join(first.labels or ["No label"]) in _verdict(first, 0.5)
    assert "No label" in _verdict(first.__class__((), (), False, labels=()), 0.5)

    for refuse in (
        lambda: calibrate(model, colours),
        lambda: Study(
            "few", settings=Settings(multi_label=True, dataset="image_folder"), protocol="few_shot"
        ),
    ):
        with pytest.raises(ValueError, match=r"one class an image|transfer"):
            refuse()
    for recipe, flag in ((confusions, "models"), (suspects, "model")):
        done = run_here(recipe, f"--{flag}={home / 'model.keras'}", f"--images={colours}")
        assert done.returncode and "one class an image" in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("recipe", "more", "message"),
    [
        (few_shot, (), "few-shot task has one class an image"),
        (transfer, ("--dataset=digits",), "--multi_label is for --dataset=image_folder"),
        (transfer, ("--losses=supcon",), "needs a loss with cross-entropy"),
        (transfer, ("--losses=core_tuning",), "takes one class an image"),
        (transfer, ("--memory_size=64",), "--memory_size is not for --multi_label"),
        (transfer, ("--images_per_class=2",), "--images_per_class is not for --multi_label"),
        (transfer, ("--logit_adjustment=1",), "--logit_adjustment is not for --multi_label"),
    ],
)
def test_flags_that_do_not_fit(recipe, more, message, colours, tiny_backbone, tmp_path):
    done = run_here(recipe, *flags_of(colours, tiny_backbone, tmp_path, *more))
    assert done.returncode == 1 and message in done.stderr
    assert not (tmp_path / "runs").exists()


def test_quick_runs_and_a_folder_without_a_table(colours, tiny_backbone, tmp_path):
    arguments = flags_of(colours, tiny_backbone, tmp_path, "--losses=ce", "--quick")
    done = run_here(transfer, *arguments, "--notest")
    assert "validation: mAP" in done.stdout
    metrics = json.loads(only(tmp_path / "runs", "metrics.json").read_text())
    assert "test" not in metrics and 0 <= metrics["validation"]["f1_micro"] <= 1
    (colours / "labels.csv").unlink()
    done = run_here(transfer, *arguments, f"--output_dir={tmp_path / 'other'}")
    assert done.returncode == 1 and "with a labels.csv in data_dir" in done.stderr
