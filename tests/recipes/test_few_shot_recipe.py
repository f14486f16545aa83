"""The few-shot recipe, run as a user runs it."""

import functools
import json

import keras
import numpy as np
import pytest
import recipe_runs
from absl import flags
from keras_clce.recipes import few_shot
from matplotlib import image
from recipe_runs import only

from keras_clce.data import building, load_few_shot
from keras_clce.evaluate import few_shot_accuracy, few_shot_callback
from keras_clce.experiments.devices import Devices
from keras_clce.experiments.protocols import PROTOCOLS
from keras_clce.experiments.protocols import few_shot as protocol
from keras_clce.experiments.resolved import preprocessing
from keras_clce.experiments.run import make_run
from keras_clce.report import plot_task
from keras_clce.runs import RunFolder
from keras_clce.train.callbacks import RunCheckpoint

study = functools.partial(recipe_runs.study, "few_shot")
run = functools.partial(recipe_runs.run, few_shot)


def frozen_record(*arguments):
    """The record of the encoder as it is."""
    asked = study(*arguments, "--frozen")
    (group,) = asked._load(asked._runs(resume=False)[:1], 0)
    devices = Devices(asked.settings)
    return make_run(group.runs[0], PROTOCOLS["few_shot"], group.dataset(), devices)


@pytest.fixture
def folder(tmp_path):
    """Twelve classes that differ in colour."""
    return recipe_runs.colour_folders(tmp_path / "photos", noise=25)


def flags_for(folder, backbone, output, *more):
    return (
        "--dataset=image_folder",
        f"--data_dir={folder}",
        f"--backbone={backbone}",
        f"--output_dir={output}",
        "--image_size=16",
        "--batch_size=16",
        "--epochs=2",
        "--warmup_epochs=0",
        "--ways=2",
        "--shots=1,3",
        "--queries=5",
        "--tasks=100",
        *more,
    )


@pytest.mark.any_backend
@pytest.mark.parametrize("feature, dim", [("pooled", 8), ("embedding", 3)])
def test_validation_reads_the_first_kind_of_features(
    folder, tiny_backbone, tmp_path, monkeypatch, feature, dim
):
    seen = []

    def remember(features, labels, **options):
        result = few_shot_accuracy(features, labels, **options)
        seen.append(result.mean)
        assert features.shape[1] == (dim if len(seen) > 1 else 1)  # at first tasks are checked
        return result

    monkeypatch.setattr(few_shot_callback, "few_shot_accuracy", remember)
    arguments = flags_for(folder, tiny_backbone, tmp_path / "runs", "--embedding_dim=3")
    run(*arguments, "--losses=clce", f"--features={feature}", "--label=tried")
    path = only(tmp_path, "metrics.json")
    metrics = json.loads(path.read_text())
    assert (path.parent.name, metrics["label"]) == ("clce-tried-seed0", "tried")
    assert metrics["validation"]["few_shot"] == max(seen[1:])
    assert (path.parent.parent / "few_shot-tried.png").is_file()


def test_runs_compare_on_the_same_tasks_and_resume(
    folder, tiny_backbone, tmp_path, capsys, monkeypatch
):
    drawn = {}

    def remember(support, queries, predicted, class_names, title, path):
        drawn[path.parent.name] = support, queries, predicted, class_names
        plot_task(support, queries, predicted, class_names, title, path)

    monkeypatch.setattr(protocol, "plot_task", remember)
    arguments = flags_for(folder, tiny_backbone, tmp_path / "runs")
    run(*arguments, "--losses=ce,clce", "--seeds=0,1", "--frozen")
    printed = capsys.readouterr().out
    (home,) = {path.parent.parent for path in (tmp_path / "runs").rglob("metrics.json")}
    assert {path.name for path in home.iterdir()} >= {
        "frozen-seed0",
        "ce-seed0",
        "clce-seed1",
        "few_shot.png",
    }
    data = load_few_shot("image_folder", image_size=16, data_dir=folder)
    assert data.split_note in " ".join(printed.split())
    metrics = json.loads((home / "clce-seed1" / "metrics.json").read_text())
    assert set(metrics["few_shot"]) == {
        f"2w{shots}s{variant}"
        for shots in (1, 3)
        for variant in ("", " pooled cl2", " embedding l2", " embedding cl2")
    }
    # The saved model repeats what was reported.
    model = keras.saving.load_model(home / "clce-seed1" / "model.keras")
    images, labels = data.test.arrays()
    embedding = model.predict(images.astype("float32"), verbose=0)["embedding"]
    options = {"ways": 2, "shots": 3, "queries": 5, "tasks": 100}
    expected = few_shot_accuracy(embedding, labels, **options)
    reported = metrics["few_shot"]["2w3s embedding l2"]
    assert reported["mean"] == pytest.approx(expected.mean, abs=2e-3)
    assert reported["tasks"] == 100
    saved = np.load(home / metrics["accuracies"])["2w3s embedding l2"]
    assert np.mean(saved) == pytest.approx(reported["mean"])
    entry = metrics["few_shot"]["2w1s"]
    accuracies = np.load(home / metrics["accuracies"])["2w1s"]
    assert entry["mean"] == pytest.approx(accuracies.mean())
    assert entry["median"] == np.median(accuracies)
    assert entry["ci95"] == pytest.approx(1.984217 * accuracies.std(ddof=1) / 10)
    assert (entry["features"], entry["transform"], entry["tasks"]) == ("pooled", "l2", 100)
    # The picture shows the first task, as this run classifies it.
    support, queries, predicted, class_names = drawn["clce-seed1"]
    assert np.mean(np.stack(predicted) == [[0], [1]]) == pytest.approx(accuracies[0])
    for pictures in (support, queries):
        for name, of_class in zip(class_names, pictures, strict=True):
            known = images[labels == data.class_names["test"].index(name)]
            for one in of_class:
                assert (np.rint(one) == known).all(axis=(1, 2, 3)).any()
    assert image.imread(home / "clce-seed1" / "task.png").ndim == 3
    # The epoch was picked on other classes.
    history = (home / "clce-seed1" / "history.csv").read_text().splitlines()
    column = history[0].split(",").index("val_few_shot")
    values = [float(line.split(",")[column]) for line in history[1:]]
    last_of_the_best = len(values) - int(np.argmax(values[::-1]))
    assert metrics["validation"]["best_epoch"] == last_of_the_best
    assert metrics["validation"]["few_shot"] == pytest.approx(max(values))

    with pytest.raises(SystemExit, match="--resume"):
        run(*arguments, "--losses=ce", "--seeds=0")
    run(*arguments, "--losses=ce", "--seeds=0", "--resume")
    assert "already finished" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"queries: 5 then, 4 now"):
        run(*arguments, "--losses=ce", "--seeds=0", "--resume", "--queries=4")
    # The untrained encoder is the same whatever the others are trained with.
    capsys.readouterr()
    others = ("--losses=clce", "--seeds=0", "--temperature=0.1", "--label=tuned")
    run(*arguments, *others, "--frozen", "--resume")
    printed = capsys.readouterr().out
    assert "already finished" in printed and "\nfrozen " in printed
    assert (home / "clce-tuned-seed0" / "metrics.json").is_file()


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--queries=15", r"shots \+ queries = 16 examples.*class\d\d \(12\), class\d\d \(12\)"),
        ("--ways=5", r"`ways` must be at most the number of classes, 2\. .*validation classes of"),
        ("--dataset=cifar10", "`name` must be one of .*cifar_fs"),
        ("--batch_size=1000", "--batch_size must be at most the number of training images"),
    ],
)
def test_what_cannot_be_drawn_is_one_readable_error(
    argument, message, folder, tiny_backbone, tmp_path
):
    with pytest.raises(SystemExit, match=f"Error: .*{message}"):
        run(*flags_for(folder, tiny_backbone, tmp_path / "runs"), argument)
    assert not (tmp_path / "runs").exists()


@pytest.mark.any_backend
def test_a_novel_class_with_too_few_images_is_named(folder, tiny_backbone, tmp_path):
    name = load_few_shot("image_folder", image_size=16, data_dir=folder).class_names["test"][1]
    for number in range(5):
        (folder / name / f"{number}.png").unlink()
    message = rf"Error: .*with fewer, {name} \(7\) \(the test classes of image_folder\)$"
    with pytest.raises(SystemExit, match=message):
        run(*flags_for(folder, tiny_backbone, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.any_backend
def test_moving_averages_are_validated_tested_and_saved(folder, tiny_backbone, tmp_path):
    arguments = flags_for(folder, tiny_backbone, tmp_path / "runs", "--losses=ce")
    run(*arguments, "--ema_momentum=0.9", "--learning_rate=0.05", "--keep_checkpoint")
    metrics = json.loads(only(tmp_path / "runs", "metrics.json").read_text())
    model = keras.saving.load_model(only(tmp_path / "runs", "model.keras"))
    data = load_few_shot("image_folder", image_size=16, data_dir=folder)
    options = {"ways": 2, "shots": 1, "queries": 5, "tasks": 100}
    reported = metrics["validation"]["few_shot"], metrics["few_shot"]["2w1s embedding l2"]["mean"]
    for split, mean in zip((data.validation, data.test), reported, strict=True):
        images, labels = split.arrays()
        embedding = model.predict(images.astype("float32"), verbose=0)["embedding"]
        assert mean == pytest.approx(few_shot_accuracy(embedding, labels, **options).mean, abs=2e-3)
    # The checkpoint has the weights themselves, to go on from, and their averages beside them.
    averaged = model.get_weights()
    checkpoint = RunCheckpoint(only(tmp_path / "runs", "checkpoint"), "val_few_shot")
    checkpoint.restore(model)
    checkpoint.load_best(model)
    moved = [np.abs(a - b).max() for a, b in zip(averaged, model.get_weights(), strict=True)]
    assert max(moved) > 1e-3


@pytest.mark.any_backend
def test_images_too_many_for_memory_give_the_same(folder, tiny_backbone, tmp_path, monkeypatch):
    metrics, pictures = [], []
    for name, limit in (("kept", 10**9), ("streamed", 0)):
        monkeypatch.setattr(building, "MEMORY_LIMIT_BYTES", limit)
        record = frozen_record(*flags_for(folder, tiny_backbone, tmp_path / name))
        metrics.append(record.metrics)
        pictures.append(image.imread(RunFolder(record.folder).task))
    assert metrics[0] == metrics[1]
    np.testing.assert_array_equal(*pictures)


@pytest.mark.any_backend
def test_a_task_that_cannot_be_drawn_costs_no_results(folder, tiny_backbone, tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no ink")

    monkeypatch.setattr(protocol, "plot_task", fail)
    with pytest.warns(UserWarning, match=r"picture .*task\.png is missing: RuntimeError: no ink"):
        record = frozen_record(*flags_for(folder, tiny_backbone, tmp_path))
    finished = RunFolder(record.folder).finished()
    assert finished == json.loads(json.dumps(record.metrics)) and finished["few_shot"]


@pytest.mark.any_backend
def test_image_size_is_the_flags_or_the_benchmarks_or_the_encoders():
    for arguments, expected in (
        (["--dataset=mini_imagenet"], 84),
        (["--dataset=tiered_imagenet", "--backbone=vit_tiny"], 84),
        (["--dataset=tiered_imagenet", "--image_size=224"], 224),
        (["--dataset=cifar_fs"], 32),
        (["--dataset=cifar_fs", "--backbone=vit_tiny"], 224),
    ):
        assert preprocessing(study(*arguments).settings).image_size == expected


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "argument", ["--shots=0", "--shots=one", "--features=logits", "--classifier=svm", "--tasks=1"]
)
def test_bad_flags(argument):
    with pytest.raises(flags.Error):
        study(argument)
