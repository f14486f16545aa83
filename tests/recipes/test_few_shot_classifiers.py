"""The few-shot recipe with several classifiers of the same tasks, run as a user runs it."""

import functools
import json

import keras
import numpy as np
import pytest
import recipe_runs
from absl import flags
from keras_clce.recipes import few_shot

from keras_clce.data import ImageSplit, load_few_shot
from keras_clce.evaluate import few_shot_accuracy
from keras_clce.experiments import Settings
from keras_clce.experiments.protocols import few_shot_features
from keras_clce.experiments.protocols.few_shot_features import BaseImages
from keras_clce.experiments.settings_json import settings_from_json
from keras_clce.runs import RunFolder

study = functools.partial(recipe_runs.study, "few_shot")
run = functools.partial(recipe_runs.run, few_shot)

CLASSIFIERS = ("logistic", "bavardage", "transductive_finetuning", "fewture")


@pytest.fixture
def folder(tmp_path):
    """Twelve classes that differ in colour."""
    return recipe_runs.colour_folders(tmp_path / "photos", noise=60)


def flags_for(folder, backbone, output, *more):
    return (
        "--dataset=image_folder",
        f"--data_dir={folder}",
        f"--backbone={backbone}",
        f"--output_dir={output}",
        "--image_size=16",
        "--batch_size=16",
        "--epochs=1",
        "--ways=2",
        "--shots=1,3",
        "--queries=4",
        "--tasks=50",
        *more,
    )


@pytest.mark.any_backend
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


@pytest.mark.any_backend
def test_a_classifier_of_base_classes_picks_the_epoch_of_a_quick_run(
    folder, tiny_backbone, tmp_path, capsys
):
    arguments = flags_for(folder, tiny_backbone, tmp_path / "runs", "--features=pooled", "--quick")
    run(*arguments, "--classifier=bavardage,finetuning", "--losses=ce", "--finetune_encoder=9")
    metrics = json.loads(recipe_runs.only(tmp_path / "runs", "metrics.json").read_text())
    assert 0 < metrics["validation"]["few_shot"] <= 1
    # Two batches of images, and tasks enough to see that all works.
    assert metrics["base_images"] == 32
    assert {one["tasks"] for one in metrics["finetuned_encoder"].values()} == {2}
    assert "test 2w1s: bavardage" in capsys.readouterr().out


@pytest.mark.any_backend
def test_many_base_images_are_a_seeded_choice_with_their_labels(monkeypatch):
    pixels = np.arange(50, dtype="uint8")[:, None, None, None]
    split = ImageSplit(np.broadcast_to(pixels, (50, 8, 8, 3)).copy(), np.arange(50) * 2, 8)
    settings = Settings(batch_size=4)
    everything = BaseImages.of(split, settings)
    assert everything.are_all and len(everything.labels) == 50
    monkeypatch.setattr(few_shot_features, "BASE_IMAGES", 18)
    chosen, again = (BaseImages.of(split, settings) for _ in range(2))
    batches = list(chosen.images.as_numpy_iterator())
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 2]
    assert len(chosen.images) == len(batches)
    shown = np.concatenate(batches)[:, 0, 0, 0]
    np.testing.assert_array_equal(2 * shown, chosen.labels)
    assert not chosen.are_all and len(set(chosen.labels)) == 18
    np.testing.assert_array_equal(chosen.labels, again.labels)


@pytest.mark.any_backend
def test_runs_of_one_classifier_by_its_name_go_on(tmp_path):
    assert Settings(classifier="tim").classifier == ("tim",)
    before = {"classifier": "logistic", "queries": 15}
    assert settings_from_json(before).classifier == ("logistic",)
    folder = RunFolder(tmp_path / "ce-seed0")
    folder.start(before, "20 novel classes")
    later = {"query_distribution": "balanced", "finetune_encoder": None}
    asked = {"classifier": ["logistic"], "queries": 15, **later}
    folder.check(asked, resume=True)
    with pytest.raises(ValueError, match=r"classifier: \['logistic'\] then, \['tim'\] now"):
        folder.check({**asked, "classifier": ["tim"]}, resume=True)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classifier=logistic,svm"], "must be one of: logistic, nearest_centroid"),
        (["--classifier=tim,tim"], "must be different names, such as logistic,bavardage"),
        (["--classifier="], "must be different names"),
        (["--query_distribution=zipf"], "must be one of: balanced, dirichlet"),
        (["--classifier=logistic,fewture"], "fewture needs --features to have tokens"),
        (["--features=tokens"], "--features=tokens is for --classifier of: fewture. Received"),
        (
            ["--classifier=fewture,tim", "--features=tokens"],
            "--classifier=tim needs --features to have pooled or embedding. Received",
        ),
        (["--features=pooled,tokens"], "--features=tokens is for --classifier of: fewture. Rec"),
        (
            ["--classifier=fewture", "--features=tokens,pooled"],
            "--features=pooled is for --classifier of: logistic, nearest_centroid",
        ),
        (["--finetune_encoder=2"], "needs --classifier to have finetuning or transductive_finet"),
        (["--classifier=finetuning", "--finetune_encoder=0"], "must be at least 1"),
        (
            ["--classifier=finetuning", "--finetune_encoder=9", "--tasks=5"],
            "must be at most --tasks and 256. Received: finetune_encoder=9, tasks=5",
        ),
    ],
)
def test_what_does_not_fit_together_is_told_before_any_data_is_read(arguments, message):
    with pytest.raises(flags.Error, match=message):
        study(*arguments)


@pytest.mark.any_backend
def test_an_encoder_without_tokens_is_refused_in_one_line(folder, tmp_path):
    inputs = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    path = tmp_path / "pooled.keras"
    keras.Model(inputs, pooled).save(path)
    arguments = flags_for(folder, path, tmp_path / "runs", "--features=tokens", "--losses=ce")
    with pytest.raises(SystemExit, match="Error: `backbone` must give feature maps"):
        run(*arguments, "--classifier=fewture")
