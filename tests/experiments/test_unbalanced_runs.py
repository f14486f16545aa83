"""Runs on unbalanced classes: the flags, what they hand to training, and the figures."""

import json

import numpy as np
import pytest
from keras_clce.recipes import transfer
from PIL import Image
from recipe_runs import flags_for, only, run
from sklearn import metrics as sklearn_metrics

import keras_clce
from keras_clce.data import load_dataset
from keras_clce.experiments import Settings
from keras_clce.experiments.class_balance import (
    balance_in_words,
    balance_metrics,
    class_weights,
    training_counts,
)
from keras_clce.experiments.resolved import build_loss, unread_settings
from keras_clce.runs import RunFolder

pytestmark = pytest.mark.any_backend

FLAGS = ("--logit_adjustment=1", "--class_weight=balanced", "--negatives=class_mean")


@pytest.fixture(scope="module")
def unbalanced(tmp_path_factory):
    """Dark, grey and bright images: 60, 12 and 10 of them."""
    root = tmp_path_factory.mktemp("unbalanced")
    rng = np.random.default_rng(0)
    for name, count, level in (("bright", 60, 200), ("dark", 12, 40), ("grey", 10, 120)):
        (root / name).mkdir()
        for number in range(count):
            pixels = np.clip(rng.normal(level, 40, (16, 16, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def test_a_run_tells_of_classes_and_their_groups(tiny_backbone, unbalanced, tmp_path, capsys):
    given = ("--dataset=image_folder", f"--data_dir={unbalanced}", "--losses=clce", "--epochs=1")
    arguments = flags_for(tiny_backbone, tmp_path / "runs", *given, *FLAGS, "--batch_size=16")
    run(transfer, *arguments)
    printed = capsys.readouterr().out
    assert "Classes:  7 to 42 training images of a class, 6:1" in printed
    assert "balanced vs ce" in printed and "medium (20-100)" in printed
    folder = RunFolder(only(tmp_path / "runs", "clce-seed0"))
    record = folder.record()
    test, predicted = record.metrics["test"], record.predictions
    recalls = sklearn_metrics.recall_score(predicted.labels, predicted.classes, average=None)
    assert test["balanced_accuracy"] == pytest.approx(recalls.mean())
    # 42 training images are "medium", 8 and 7 are "few".
    assert test["groups"]["medium"] == {"accuracy": pytest.approx(recalls[0]), "classes": 1}
    assert test["groups"]["few"] == {"accuracy": pytest.approx(recalls[1:].mean()), "classes": 2}
    found = [(n, c["training_images"], c["examples"]) for n, c in test["classes"].items()]
    assert found == [("bright", 42, 9), ("dark", 8, 2), ("grey", 7, 2)]
    assert [c["accuracy"] for c in test["classes"].values()] == pytest.approx(recalls.tolist())
    assert f"balanced {recalls.mean():.4f}" in printed

    loss = keras_clce.load_model(folder.model).loss
    assert loss.class_prior == pytest.approx((42 / 57, 8 / 57, 7 / 57))
    assert loss.contrastive.negatives == "class_mean"
    # Finished runs of before are read with what they did then.
    config = json.loads(folder.config.read_text())
    for name in ("negatives", "logit_adjustment", "class_weight"):
        del config["settings"][name]
    folder.config.write_text(json.dumps(config))
    plain = {**record.settings, "negatives": "all", "logit_adjustment": 0.0, "class_weight": None}
    RunFolder(folder.path).check(plain, resume=True)


def test_weights_reach_training_and_balanced_data_look_as_before(
    tiny_backbone, tmp_path, capsys, monkeypatch
):
    seen = []
    fit = keras_clce.CLCEModel.fit

    def watched(model, *args, **given):
        seen.append(given["class_weight"])
        return fit(model, *args, **given)

    monkeypatch.setattr(keras_clce.CLCEModel, "fit", watched)
    given = ("--losses=ce", "--limit_examples=40", "--epochs=1", "--class_weight=balanced")
    run(transfer, *flags_for(tiny_backbone, tmp_path / "runs", *given))
    assert seen == [dict.fromkeys(range(10), pytest.approx(1.0))]
    printed = capsys.readouterr().out
    assert "balanced" not in printed.replace("class-balanced", "") and "Classes:" not in printed
    path = only(tmp_path / "runs", "ce-seed0") / "metrics.json"
    assert not {"balanced_accuracy", "groups", "classes"} & set(
        json.loads(path.read_text())["test"]
    )


def test_balanced_weights_are_one_on_average_over_the_images():
    counts = np.array([30, 0, 10, 20])
    weights = class_weights(Settings(class_weight="balanced"), counts)
    # 60 images of 3 classes: 20 over the images of each.
    assert weights == {
        0: pytest.approx(2 / 3),
        1: 1.0,
        2: pytest.approx(2.0),
        3: pytest.approx(1.0),
    }
    assert class_weights(Settings(), counts) is None


def test_the_loss_has_the_shares_of_the_training_images_where_they_are_asked_for():
    counts = np.array([30, 0, 9])
    loss = build_loss(Settings(logit_adjustment=0.5), counts)
    assert loss.logit_adjustment == 0.5
    # A class without images counts as one with one.
    assert loss.class_prior == pytest.approx((0.75, 0.025, 0.225))
    assert build_loss(Settings(), counts).class_prior is None
    assert build_loss(Settings(logit_adjustment=0.5)).logit_adjustment == 0
    assert build_loss(Settings(loss="hscl", negatives="class_mean")).contrastive_weight == 0.2


def test_what_a_loss_does_not_read():
    assert "negatives" in unread_settings("ce") and "logit_adjustment" not in unread_settings("ce")
    assert "logit_adjustment" in unread_settings("supcon")
    assert {"negatives", "logit_adjustment"} & unread_settings("clce") == set()


def test_labels_that_stream_are_read_only_where_they_are_needed(monkeypatch):
    from keras_clce.experiments import class_balance

    data = load_dataset("digits", image_size=8)
    whole = np.bincount(data.train.labels)
    np.testing.assert_array_equal(training_counts(Settings(), data), whole)
    monkeypatch.setattr(type(data.train), "labels", None)
    assert training_counts(Settings(), data) is None
    class_balance._counted.cache_clear()
    np.testing.assert_array_equal(training_counts(Settings(logit_adjustment=1.0), data), whole)
    class_balance._counted.cache_clear()


def test_balance_in_words_and_metrics_begin_beyond_two_to_one():
    assert balance_in_words(np.array([10, 20])) == "" and balance_in_words(None) == ""
    words = balance_in_words(np.array([10, 0, 25]))
    assert words == "10 to 25 training images of a class, 2.5:1"
    labels, predicted = np.array([0, 0, 1]), np.array([0, 1, 1])
    assert balance_metrics(labels, predicted, np.array([10, 20]), ["a", "b"]) == {}
    found = balance_metrics(labels, predicted, np.array([10, 21, 5]), ["a", "b", "c"])
    assert found["classes"]["c"] == {"training_images": 5, "examples": 0, "accuracy": None}
    assert found["balanced_accuracy"] == 0.75


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"class_weight": "even"}, "must be one of: balanced"),
        ({"negatives": "mean"}, "must be one of: all, class_mean"),
        ({"logit_adjustment": -1.0}, "must be at least 0"),
        ({"class_weight": "balanced", "ignore_unlabelled": True}, "excludes --ignore_unlabelled"),
    ],
)
def test_wrong_settings(values, said):
    with pytest.raises(ValueError, match=said):
        Settings(**values)
