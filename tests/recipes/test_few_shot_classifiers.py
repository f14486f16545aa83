"""The few-shot recipe with several classifiers of the same tasks, run as a user runs it."""

import functools
import json

import keras
import numpy as np
import pytest
import recipe_runs
from absl import flags
from keras_clce.recipes import few_shot

from keras_clce.data import load_few_shot
from keras_clce.evaluate import few_shot_accuracy, finetune_tasks
from keras_clce.experiments import Settings
from keras_clce.experiments.protocols import few_shot_features, few_shot_finetuning
from keras_clce.experiments.protocols.few_shot_features import BaseImages
from keras_clce.runs import RunFolder

study = functools.partial(recipe_runs.study, "few_shot")
run = functools.partial(recipe_runs.run, few_shot)

CLASSIFIERS = ("logistic", "bavardage", "transductive_finetuning", "fewture")


@pytest.fixture
def folder(tmp_path):
    """Twelve classes that differ in colour."""
    rng = np.random.default_rng(0)
    for label in range(12):
        path = tmp_path / "photos" / f"class{label:02d}"
        path.mkdir(parents=True)
        colour = rng.uniform(40, 215, 3)
        for number in range(12):
            pixels = np.clip(rng.normal(colour, 60, (20, 20, 3)), 0, 255).astype("uint8")
            keras.utils.save_img(path / f"{number}.png", pixels, scale=False)
    return tmp_path / "photos"


def flags_for(folder, backbone, output, *more):
    return (
        "--dataset=image_folder",
        f"--data_dir={folder}",
        f"--backbone={backbone}",
        f"--output_dir={output}",
        "--image_size=16",
        "--batch_size=16",
        "--epochs=1",
        "--embedding_dim=0",
        "--ways=2",
        "--shots=1,3",
        "--queries=4",
        "--tasks=50",
        *more,
    )


def test_one_training_is_tested_by_every_classifier(folder, tiny_backbone, tmp_path, capsys):
    arguments = flags_for(
        folder,
        tiny_backbone,
        tmp_path / "runs",
        f"--classifier={','.join(CLASSIFIERS)}",
        "--features=pooled,tokens",
        "--query_distribution=dirichlet",
        "--finetune_encoder=2",
    )
    run(*arguments, "--losses=ce,clce", "--frozen")
    printed = capsys.readouterr().out
    (home,) = {path.parent.parent for path in (tmp_path / "runs").rglob("metrics.json")}
    metrics = RunFolder(home / "clce-seed0").record().metrics
    assert list(metrics["few_shot"])[:7] == [
        "2w1s",
        "2w1s pooled cl2",
        "2w1s bavardage",
        "2w1s pooled cl2 bavardage",
        "2w1s transductive_finetuning",
        "2w1s pooled cl2 transductive_finetuning",
        "2w1s fewture",
    ]
    # What the saved model gives, by hand.
    data = load_few_shot("image_folder", image_size=16, data_dir=folder)
    model = keras.saving.load_model(home / "clce-seed0" / "model.keras")
    images, labels = data.test.arrays()
    base_images, base_labels = data.train.arrays()
    maps, base = (
        keras.ops.convert_to_numpy(model.backbone.predict(some.astype("float32"), verbose=0))
        for some in (images, base_images)
    )
    options = {"ways": 2, "shots": 3, "queries": 4, "tasks": 50, "query_distribution": "dirichlet"}
    of_base = {"base_features": base.mean(axis=(1, 2)), "base_labels": base_labels}
    for name, features in (
        ("bavardage", maps.mean(axis=(1, 2))),
        ("fewture", maps.reshape(len(maps), -1, maps.shape[-1])),
    ):
        expected = few_shot_accuracy(features, labels, **options, classifier=name, **of_base)
        found = metrics["few_shot"][f"2w3s {name}"]
        assert found["mean"] == pytest.approx(expected.mean, abs=5e-3)
        assert found["drawn_from"] == expected.drawn_from
    assert metrics["base_images"] == len(base_labels)
    # All runs met the same tasks, and the table has a column for each classifier.
    for name in ("ce", "frozen"):
        other = RunFolder(home / f"{name}-seed0").record().metrics["few_shot"]
        assert {kind: one["drawn_from"] for kind, one in other.items()} == {
            kind: one["drawn_from"] for kind, one in metrics["few_shot"].items()
        }
    lines = printed.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("2-way 1-shot: "))
    assert "4 queries a class on average, dirichlet" in lines[head]
    assert lines[head + 1].split() == list(CLASSIFIERS)
    kinds = ["loss", "inductive", "transductive", "transductive", "inductive"]
    assert lines[head + 2].split() == kinds
    assert (home / "few_shot.png").is_file() and (home / "ce-seed0" / "task.png").is_file()
    # The first classifier picked the epoch.
    tried = few_shot_accuracy(
        *validation_features(model, data), **{**options, "shots": 1}, classifier="logistic"
    )
    assert metrics["validation"]["few_shot"] == pytest.approx(tried.mean, abs=5e-3)
    # The whole encoder, on the first tasks.
    tuned = metrics["finetuned_encoder"]
    assert list(tuned) == ["2w1s transductive_finetuning", "2w3s transductive_finetuning"]
    saved = np.load(home / metrics["accuracies"])
    of_tasks = saved["2w1s transductive_finetuning whole encoder"]
    assert len(of_tasks) == 2 == tuned["2w1s transductive_finetuning"]["tasks"]
    alone = saved["2w1s transductive_finetuning"][:2].mean()
    assert tuned["2w1s transductive_finetuning"]["of_features"] == pytest.approx(alone)
    assert "The whole encoder fine-tuned on each of the first tasks" in printed


def validation_features(model, data):
    images, labels = data.validation.arrays()
    maps = model.backbone.predict(images.astype("float32"), verbose=0)
    return keras.ops.convert_to_numpy(maps).mean(axis=(1, 2)), labels
