"""The few-shot recipe, run as a user runs it."""

import json

import few_shot
import keras
import numpy as np
import pytest
import recipe_flags
from absl import flags

from keras_clce.data import load_few_shot
from keras_clce.evaluate import few_shot_accuracy

FLAGS = flags.FLAGS


@pytest.fixture(scope="module", autouse=True)
def defined_flags():
    if "contrastive_weight" not in FLAGS:
        recipe_flags.define_training_flags()
    few_shot.define_flags()
    yield
    for name in (*few_shot.FEW_SHOT_FLAGS, "frozen"):
        delattr(FLAGS, name)
    FLAGS.set_default("dataset", "digits")


@pytest.fixture
def folder(tmp_path):
    """Twelve classes that differ in colour."""
    rng = np.random.default_rng(0)
    for label in range(12):
        path = tmp_path / "photos" / f"class{label:02d}"
        path.mkdir(parents=True)
        colour = rng.uniform(40, 215, 3)
        for number in range(12):
            pixels = np.clip(rng.normal(colour, 25, (20, 20, 3)), 0, 255).astype("uint8")
            keras.utils.save_img(path / f"{number}.png", pixels, scale=False)
    return tmp_path / "photos"


def parse(*arguments):
    for module in ("recipe_flags", "few_shot"):
        for flag in FLAGS.flags_by_module_dict()[module]:
            flag.unparse()
    FLAGS(["few_shot", *arguments])


def run(*arguments):
    parse(*arguments)
    few_shot.main(["few_shot"])


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


def test_runs_compare_on_the_same_tasks_and_resume(folder, tiny_backbone, tmp_path, capsys):
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
    assert data.split_note in printed
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


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--queries=15", r"at least shots \+ queries = 16 examples"),
        ("--ways=5", "`ways` must be at most the number of classes"),
        ("--ema_momentum=0.9", "would not see the averages"),
        ("--dataset=cifar10", "`name` must be one of cifar_fs"),
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
@pytest.mark.parametrize(
    "argument", ["--shots=0", "--shots=one", "--features=logits", "--classifier=svm", "--tasks=1"]
)
def test_bad_flags(argument):
    with pytest.raises(flags.Error):
        parse(argument)
