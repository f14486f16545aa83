"""The transfer recipe, run as a user runs it: flags in, a run folder out."""

import csv
import dataclasses
import functools
import json

import keras
import numpy as np
import pytest
import recipe_runs
from absl import flags
from keras_clce.recipes import transfer
from marks import on_any_backend
from recipe_runs import flags_for, only

from keras_clce import CLCEModel
from keras_clce.evaluate import top_k_accuracy
from keras_clce.experiments.protocols import transfer as protocol
from keras_clce.experiments.resolved import classifier_head, learning_rate, run_settings
from keras_clce.losses import LOSSES
from keras_clce.runs import RunFolder
from keras_clce.train.callbacks import RunCheckpoint

study = functools.partial(recipe_runs.study, "transfer")
settings = functools.partial(recipe_runs.settings, "transfer")
run = functools.partial(recipe_runs.run, transfer)


# What the others are compared with, a loss without a classifier, and this library's.
SOME_LOSSES = ["ce", "supcon", "clce"]
OTHER_LOSSES = ["ce", *(each for each in LOSSES if each not in SOME_LOSSES)]


@pytest.mark.parametrize("losses", [SOME_LOSSES, *on_any_backend(OTHER_LOSSES)], ids=",".join)
def test_every_loss_leaves_a_whole_run_folder(losses, tiny_backbone, tmp_path, capsys):
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--limit_examples=100")
    run(*arguments, f"--losses={','.join(losses)}", "--seeds=0", "--show_views=3")
    printed = capsys.readouterr().out
    home = only(tmp_path / "runs", "ce-seed0").parent
    for loss in losses:
        folder = home / f"{loss}-seed0"
        names = {path.name for path in folder.iterdir()}
        expected = {"config.json", "history.csv", "metrics.json", "model.keras"}
        expected |= {"predictions.npz", "retrieval.png", "curves.png", ".lock", ".process"} | (
            {"probe.npz"} if loss == "supcon" else set()
        )
        assert names == expected
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["loss"] == metrics["settings"]["loss"] == loss
        assert 0 <= metrics["test"]["top1"] <= metrics["test"]["top5"] <= 1
        assert [row["epoch"] for row in csv.DictReader((folder / "history.csv").open())] == [
            "1",
            "2",
        ]
        config = json.loads((folder / "config.json").read_text())
        assert config["settings"]["limit_examples"] == 100
        assert config["settings"]["backend"] == keras.backend.backend()
        assert config["settings"]["image_size"] == 16
        assert config["settings"]["learning_rate"] == 1e-3  # a saved encoder brings weights
        assert config["flags"]["output_dir"] == str(tmp_path / "runs")
        assert config["data"] in " ".join(printed.split())
        assert f"\n{loss} " in printed
    assert (home / "curves.png").is_file()
    assert (home / "views.png").is_file()
    assert "one seed" in printed
    assert "weights: its own, classifier by cosines" in " ".join(printed.split())


@pytest.mark.any_backend
@pytest.mark.parametrize("loss", ["supcon", "clce"])
def test_saved_probe_repeats_the_reported_accuracies(loss, tiny_backbone, tmp_path, capsys):
    from keras_clce.data import load_dataset

    arguments = flags_for(tiny_backbone, tmp_path / "runs", f"--losses={loss}")
    run(*arguments, "--contrastive_weight=1")
    metrics = json.loads(only(tmp_path / "runs", "metrics.json").read_text())
    model = keras.saving.load_model(only(tmp_path / "runs", "model.keras"))
    probe = np.load(only(tmp_path / "runs", "probe.npz"))
    data = load_dataset("digits", image_size=16)
    for split, reported in ((data.validation, "validation"), (data.test, "test")):
        images, labels = split.arrays()
        embedding = model.predict(images.astype("float32"), verbose=0)["embedding"]
        scores = embedding @ probe["coef"].T + probe["intercept"]
        assert metrics[reported]["top1"] == pytest.approx(
            np.mean(probe["classes"][scores.argmax(1)] == labels), abs=0.005
        )
    assert metrics["validation"]["best_epoch"] == 2  # the last
    assert "epoch 2, by a linear probe" in capsys.readouterr().out


def test_saved_model_repeats_the_reported_accuracy(tiny_backbone, tmp_path):
    from keras_clce.data import load_dataset

    run(*flags_for(tiny_backbone, tmp_path / "runs", "--losses=clce"))
    metrics = json.loads(only(tmp_path / "runs", "metrics.json").read_text())
    model = keras.saving.load_model(only(tmp_path / "runs", "model.keras"))
    images, labels = load_dataset("digits", image_size=16).test.arrays()
    outputs = model.predict(images.astype("float32"), verbose=0)
    assert metrics["test"]["examples"] == len(labels)
    assert metrics["test"]["top1"] == pytest.approx(np.mean(outputs["logits"].argmax(1) == labels))
    assert metrics["test"]["top5"] == top_k_accuracy(labels, outputs["logits"], 5)
    cosines = outputs["embedding"] @ outputs["embedding"].T
    np.fill_diagonal(cosines, -2)
    found = metrics["test"]["retrieval"]
    # Rounding may decide between two that are all but equally similar.
    nearest = np.mean(labels[cosines.argmax(1)] == labels)
    assert found["precision@1"] == pytest.approx(nearest, abs=0.005)
    assert found["queries"] == len(labels)
    predictions = RunFolder(only(tmp_path / "runs", "metrics.json").parent).record().predictions
    np.testing.assert_array_equal(predictions.labels, labels)
    # Rounding may decide between two classes that are all but equal.
    assert np.mean(predictions.classes == outputs["logits"].argmax(1)) > 0.99
    top = outputs["probabilities"].max(1)
    np.testing.assert_allclose(predictions.probabilities, top, atol=1e-5)


def test_losses_see_the_same_views_and_start(tiny_backbone, tmp_path, monkeypatch):
    seen = {}

    def remember(self, x, **kwargs):
        first = next(iter(x))
        seen[self.loss.contrastive_weight] = (
            [np.asarray(view) for view in first[0]],
            self.get_weights(),
        )
        raise StopIteration

    monkeypatch.setattr(CLCEModel, "fit", remember)
    for loss in ("ce", "clce"):
        with pytest.raises(StopIteration):
            run(*flags_for(tiny_backbone, tmp_path / "runs", f"--losses={loss}"))
    (views, weights), (others, other_weights) = seen[0.0], seen[0.2]
    for a, b in zip([*views, *weights], [*others, *other_weights], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.any_backend
def test_ctrl_c_is_two_lines_and_how_to_go_on(tiny_backbone, tmp_path, monkeypatch, capsys):
    def interrupt(self, x, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(CLCEModel, "fit", interrupt)
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce")
    with pytest.raises(SystemExit) as end:
        transfer.main(["recipes/transfer.py", *arguments])
    assert (
        end.value.code == f"Go on with: python recipes/transfer.py {' '.join(arguments)} --resume"
    )
    assert capsys.readouterr().err == "\nStopped; every epoch that was reported is saved.\n"
    with pytest.raises(SystemExit) as end:
        transfer.main(["keras-clce transfer", *arguments, "--resume"])
    assert end.value.code.startswith("Go on with: keras-clce transfer --backbone=")


@pytest.mark.any_backend
def test_a_second_start_is_refused_and_resume_keeps_finished_runs(tiny_backbone, tmp_path, capsys):
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce", "--quick")
    run(*arguments)
    with pytest.raises(SystemExit, match="--resume"):
        run(*arguments)
    before = only(tmp_path / "runs", "metrics.json").stat().st_mtime_ns
    run(*arguments, "--resume")
    assert "already finished" in capsys.readouterr().out
    assert only(tmp_path / "runs", "metrics.json").stat().st_mtime_ns == before
    with pytest.raises(SystemExit, match=r"hardness: 1\.0 then, 2\.0 now"):
        run(*arguments, "--resume", "--hardness=2")
    file = only(tmp_path / "runs", "metrics.json")
    with pytest.raises(SystemExit, match=r"--output_dir must be a folder.*metrics.json, a file"):
        run(*arguments, f"--output_dir={file}")


@pytest.mark.any_backend
def test_a_run_is_not_resumed_on_other_data(tiny_backbone, tmp_path):
    for folder, images in (("a", 6), ("b", 7)):
        for label in ("cat", "dog"):
            (tmp_path / folder / "photos" / label).mkdir(parents=True)
            for number in range(images):
                pixels = np.full((16, 20, 3), 10 * number, "uint8")
                path = tmp_path / folder / "photos" / label / f"{number}.png"
                keras.utils.save_img(path, pixels, scale=False)
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce", "--quick")
    arguments += ("--dataset=image_folder", "--batch_size=2")
    run(*arguments, f"--data_dir={tmp_path / 'a' / 'photos'}")
    with pytest.raises(SystemExit, match="begun with other data"):
        run(*arguments, f"--data_dir={tmp_path / 'b' / 'photos'}", "--resume")


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--dataset=cifar1000", "digits"),
        ("--backbone=resnet102", "resnet101"),
        ("--losses=ce,clc", "must be different names of: ce, ce_supcon, hscl, clce, supcon"),
        ("--losses=ce,ce", "must be different names"),
        ("--seeds=0,a", "whole numbers"),
        ("--contrastive_weight=1.1", "contrastive_weight"),
        ("--temperature=0", "must be above 0"),
        ("--temperature=inf", "must be a finite number"),
        ("--contrastive_weight=nan", "must be a finite number"),
        ("--warmup_epochs=nan", "must be a finite number"),
        ("--label_smoothing=1", "must be below 1"),
        ("--hardness=-1", "hardness"),
        ("--learning_rate=fast", "must be a number above 0"),
        ("--learning_rate=0", "must be a number above 0"),
        ("--learning_rate=ce=1e-3", "not all of --losses"),
        ("--warmup_epochs=30", "--warmup_epochs must be below --epochs"),
        ("--augmentation=strong", "simclr"),
        ("--mixed_precision=float64", "mixed_bfloat16"),
        ("--optimizer=adam", "adamw"),
        ("--image_size=4", "must be at least 8"),
        ("--batch_size=1", "batch_size"),
        ("--epochs=0", "epochs"),
        ("--weights=imagenet", "no public ImageNet weights for small_resnet"),
        ("--backbone=nowhere.keras", "nowhere.keras"),
        ("--freeze_backbone --losses=ce,clce", "--embedding_dim"),
        ("--freeze_backbone --losses=supcon --contrastive_weight=0", "--embedding_dim"),
        ("--embedding_dim=0", "embedding_dim"),
    ],
)
def test_bad_flags_fail_with_the_valid_values(argument, message, monkeypatch):
    monkeypatch.setattr(protocol, "load_dataset", None)
    with pytest.raises(flags.Error, match=message):
        study(*argument.split())


@pytest.mark.any_backend
def test_learning_rate_of_each_loss():
    def rate(loss, *arguments):
        return learning_rate(dataclasses.replace(settings(*arguments), loss=loss))

    assert rate("ce", "--learning_rate=ce=1e-3,clce=2e-3") == 1e-3
    assert rate("clce", "--learning_rate=ce=1e-3,clce=2e-3") == 2e-3
    assert rate("ce", "--backbone=efficientnet_lite0", "--weights=imagenet") == 1e-3
    assert rate("clce") == 3e-3
    assert rate("ce", "--learning_rate=5e-4") == rate("hscl", "--learning_rate=5e-4") == 5e-4


@pytest.mark.any_backend
def test_the_classifier_follows_what_the_encoder_starts_from():
    pretrained = ("--backbone=efficientnet_lite0", "--weights=imagenet")
    several = ("--multi_label", "--dataset=image_folder", "--data_dir=.")
    for arguments, expected in (
        ((), "linear"),
        (("--classifier_head=cosine",), "cosine"),
        (pretrained, "cosine"),
        ((*pretrained, "--classifier_head=linear"), "linear"),
        ((*pretrained, "--preset=paper"), "linear"),
        ((*pretrained, *several), "linear"),
    ):
        given = settings(*arguments)
        assert classifier_head(given) == expected, arguments
        assert run_settings(given, "transfer")["classifier_head"] == expected
        if given.classifier_head is None:
            assert run_settings(given, "few_shot")["classifier_head"] == "linear"


@pytest.mark.any_backend
def test_names_of_tfds_are_understood():
    found = run_settings(settings("--dataset=caltech_birds2011"), "transfer")
    assert found["dataset"] == "caltech_birds2011"


@pytest.mark.any_backend
def test_missing_folder_is_one_readable_error(tmp_path):
    missing = tmp_path / "nowhere"
    with pytest.raises(SystemExit, match=r"Error: .*nowhere"):
        run("--dataset=oxford_flowers102", f"--data_dir={missing}", "--quick")


@pytest.mark.any_backend
@pytest.mark.parametrize("flag", ["batch_size", "show_views"])
def test_more_than_the_training_images_is_one_readable_error(flag, tmp_path):
    with pytest.raises(SystemExit, match=f"Error: --{flag} must be at most .* 1259"):
        run(f"--output_dir={tmp_path}", f"--{flag}=5000")


@pytest.mark.any_backend
def test_batches_that_cannot_be_balanced_are_one_readable_error(tmp_path):
    with pytest.raises(SystemExit, match=r"Error: `images_per_class` must .*divide the batch size"):
        run(f"--output_dir={tmp_path}", "--images_per_class=5", "--batch_size=64")


@pytest.mark.any_backend
def test_a_frozen_encoder_stays_and_its_projection_learns(tiny_backbone, tmp_path):
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=supcon", "--quick")
    balanced = ("--images_per_class=4", "--gradient_cache_size=24")
    run(*arguments, "--freeze_backbone", "--embedding_dim=8", *balanced)
    model = keras.saving.load_model(only(tmp_path / "runs", "model.keras"))
    assert model.gradient_cache_size == 24
    before = keras.saving.load_model(tiny_backbone).get_weights()
    for a, b in zip(before, model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    keras.utils.set_random_seed(0)
    start = CLCEModel.from_backbone(tiny_backbone, 10, image_size=16, embedding_dim=8)
    moved = [
        np.abs(a - b).max()
        for a, b in zip(start.heads.get_weights(), model.heads.get_weights(), strict=True)
        if a.shape == (8, 8)
    ]
    assert moved and min(moved) > 1e-3


@pytest.mark.any_backend
def test_moving_averages_are_what_is_validated_tested_and_saved(tiny_backbone, tmp_path):
    from keras_clce.data import load_dataset

    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce", "--learning_rate=0.05")
    run(*arguments, "--ema_momentum=0.95", "--keep_checkpoint")
    metrics = json.loads(only(tmp_path / "runs", "metrics.json").read_text())
    model = keras.saving.load_model(only(tmp_path / "runs", "model.keras"))
    data = load_dataset("digits", image_size=16)
    for split, name in ((data.validation, "validation"), (data.test, "test")):
        images, labels = split.arrays()
        predicted = model.predict(images.astype("float32"), verbose=0)["logits"].argmax(1)
        assert metrics[name]["top1"] == pytest.approx(np.mean(predicted == labels))
    # Not the last weights themselves, which stand in the checkpoint beside their averages.
    averaged = model.get_weights()
    RunCheckpoint(only(tmp_path / "runs", "checkpoint"), "val_loss").restore(model)
    moved = [np.abs(a - b).max() for a, b in zip(averaged, model.get_weights(), strict=True)]
    assert max(moved) > 1e-3


@pytest.mark.any_backend
def test_images_are_resized_as_it_says_beside_the_weights(tmp_path, monkeypatch):
    asked = {}

    def remember(name, **options):
        asked.update(options)
        raise ValueError("asked")

    monkeypatch.setattr(protocol, "load_dataset", remember)
    (tmp_path / "model.safetensors").touch()
    config = {"pretrained_cfg": {"interpolation": "bilinear"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    arguments = flags_for("vit_tiny", tmp_path / "runs")
    for more, expected in (((), "bicubic"), ((f"--weights={tmp_path}",), "bilinear")):
        with pytest.raises(SystemExit, match="asked"):
            run(*arguments, *more)
        assert asked["preprocessing"].interpolation == expected


@pytest.mark.any_backend
def test_flags_of_transformers_reach_the_training(tmp_path, monkeypatch):
    seen = {}

    def remember(self, *args, **kwargs):
        seen["model"] = self
        return original(self, *args, **kwargs)

    original = CLCEModel.fit
    monkeypatch.setattr(CLCEModel, "fit", remember)
    arguments = flags_for("vit_tiny_patch8", tmp_path / "runs", "--losses=clce", "--quick")
    run(
        *arguments,
        "--layer_decay=0.5",
        "--stochastic_depth=0.2",
        "--label_smoothing=0.1",
        "--clip_norm=1",
        "--remat",
        "--unfreeze_last=2",
        "--mixed_precision=mixed_bfloat16",
    )
    model = seen["model"]
    optimizer = model.optimizer
    assert optimizer.global_clipnorm == 1
    assert model.loss.label_smoothing == 0.1
    assert model.backbone.get_layer("block11_mlp_drop").rate == pytest.approx(0.2)
    trained = {layer.name for layer in model.backbone.layers if layer.trainable_variables}
    assert trained == {
        "block10_attention",
        "block10_mlp",
        "block11_attention",
        "block11_mlp",
        "norm",
    }
    assert model.backbone.compute_dtype == "bfloat16"
    saved = keras.saving.load_model(only(tmp_path / "runs", "model.keras"))
    assert saved.optimizer.get_config()["multipliers"] == optimizer.get_config()["multipliers"]
    assert np.isfinite(
        json.loads(only(tmp_path / "runs", "metrics.json").read_text())["test"]["top1"]
    )
