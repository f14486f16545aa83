"""Defaults that follow other flags and the data, beside values that were given."""

import functools
import json

import keras
import numpy as np
import pytest
import recipe_runs
from absl import flags
from keras_clce.recipes import transfer
from recipe_runs import only

from keras_clce.experiments import announce, fitted, protocols
from keras_clce.experiments import run as one_run
from keras_clce.experiments.resolved import run_settings
from keras_clce.experiments.rules import check_settings
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.study import Study

pytestmark = pytest.mark.any_backend
study = functools.partial(recipe_runs.study, "transfer")
settings = functools.partial(recipe_runs.settings, "transfer")
run = functools.partial(recipe_runs.run, transfer)


def losses(asked):
    """The losses of a study's runs, in their order."""
    return list(dict.fromkeys(of_run.loss for of_run, _ in asked._points()))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["ce", "clce"]),
        (["--freeze_backbone"], ["ce"]),
        (["--freeze_backbone", "--learning_rate=ce=1e-3"], ["ce"]),
        (["--freeze_backbone", "--embedding_dim=8"], ["ce", "clce"]),
        (["--freeze_backbone", "--contrastive_weight=0"], ["ce", "clce"]),
        (["--freeze_backbone", "--losses=clce", "--contrastive_weight=0"], ["clce"]),
    ],
)
def test_a_frozen_encoder_trains_what_can_be_trained(arguments, expected):
    asked = study(*arguments)
    assert expected == losses(asked)
    followed = None if asked.vary else expected
    assert fitted.fits_in_words(asked.settings, asked.settings, followed, 1259) == (
        "" if expected != ["ce"] else "--losses=ce for a frozen encoder"
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], 3.0),
        (["--epochs=100"], 3.0),
        (["--epochs=2"], 0.2),
        (["--epochs=1"], 0.1),
        (["--epochs=2", "--warmup_epochs=1.5"], 1.5),
        (["--epochs=2", "--quick"], 3.0),  # which warms up in no epoch
    ],
)
def test_warmup_is_at_most_a_tenth(arguments, expected):
    found = fitted.fit_warmup(settings(*arguments))
    assert expected == found.warmup_epochs == run_settings(found, "transfer")["warmup_epochs"]
    check_settings(found)


@pytest.mark.parametrize(
    ("arguments", "images", "classes", "expected"),
    [
        ([], 1259, 10, 64),
        ([], 256, 10, 64),
        ([], 255, 10, 63),
        ([], 40, 2, 10),
        ([], 5, 2, 2),
        (["--batch_size=64"], 40, 2, 64),
        (["--images_per_class=4"], 1259, 10, 40),  # as many classes as there are
        (["--images_per_class=5"], 1259, 100, 60),
        (["--images_per_class=4"], 40, 4, 8),
        (["--num_devices=8"], 100, 10, 24),
        (["--num_devices=8", "--images_per_class=3"], 100, 10, 24),
        (["--num_devices=7"], 1259, 10, 63),
        (["--num_devices=7"], 20, 10, 7),  # one image for each
    ],
)
def test_batches_fit_images_classes_and_devices(arguments, images, classes, expected):
    found = fitted.fit_batch_size(settings(*arguments), images, classes)
    assert expected == found.batch_size == run_settings(found, "transfer")["batch_size"]
    check_settings(found)


def test_the_plan_says_what_took_the_place_of_defaults():
    asked = settings("--epochs=5", "--images_per_class=2", "--num_devices=2")
    found = fitted.fit_batch_size(fitted.fit_warmup(asked), 40, 10)
    assert fitted.fits_in_words(asked, found, ("ce", "clce"), 40) == (
        "--warmup_epochs=0.5 for 5 epochs; --batch_size=10 for 40 training images, 2 of each class "
        "in a batch, 2 devices"
    )


def test_a_run_that_goes_on_keeps_its_defaults():
    asked = study("--epochs=5", "--resume")
    begun = [{"batch_size": 64, "warmup_epochs": 3.0}, {"batch_size": 32}]
    found = fitted.take_over(asked.settings, begun, asked.given)
    found = fitted.fit_batch_size(fitted.fit_warmup(found), 40, 10)
    assert (found.batch_size, found.warmup_epochs) == (64, 3.0)
    asked = study("--batch_size=16", "--resume")
    assert fitted.take_over(asked.settings, [{"batch_size": 64}], asked.given).batch_size == 16
    for damaged in (True, "64", -3, None, 1e3):
        asked = study("--resume")
        found = fitted.take_over(asked.settings, [{"batch_size": damaged}], asked.given)
        assert fitted.fit_batch_size(found, 1259, 10).batch_size == 64


def test_a_run_that_goes_on_keeps_what_its_heads_read():
    for arguments, begun, expected in (
        ([], {"feature_normalization": "batch"}, "batch"),
        ([], {"embedding_dim": None}, None),  # from before there was a choice
        (["--feature_normalization=unit"], {"embedding_dim": None}, "unit"),
        (["--feature_normalization=layer"], {"embedding_dim": None}, "layer"),
    ):
        asked = study("--resume", *arguments)
        assert asked.settings.feature_normalization == (expected if arguments else "layer")
        found = fitted.take_over(asked.settings, [begun], asked.given)
        assert found.feature_normalization == expected
    assert settings("--feature_normalization=none").feature_normalization is None
    # In Python, what differs from its default was given.
    asked = Study("mine", settings=Settings(feature_normalization="unit", batch_size=16))
    assert asked.given == {"feature_normalization", "batch_size"}


def test_the_contrastive_part_weighs_little_unless_the_paper_is_asked_for():
    for arguments, expected in (([], (0.2, 0.1)), (["--preset=paper"], (0.9, 0.5))):
        recorded = run_settings(settings(*arguments), "transfer")
        assert (recorded["contrastive_weight"], recorded["temperature"]) == expected


def test_a_run_of_other_defaults_goes_on_with_them():
    begun = {"contrastive_weight": 0.9, "temperature": 0.5}
    asked = study("--resume")
    found = fitted.take_over(asked.settings, [begun], asked.given)
    assert (found.contrastive_weight, found.temperature) == (0.9, 0.5)
    asked = study("--resume", "--temperature=0.2")
    found = fitted.take_over(asked.settings, [begun], asked.given)
    assert (found.contrastive_weight, found.temperature) == (0.9, 0.2)


def test_a_run_that_goes_on_keeps_its_classifier():
    pretrained = ["--backbone=efficientnet_lite0", "--weights=imagenet"]
    for arguments, begun, expected in (
        ([], {"classifier_head": "cosine"}, "cosine"),
        ([], {"embedding_dim": None}, "linear"),  # from before there was a choice
        (["--classifier_head=cosine"], {"classifier_head": "linear"}, "cosine"),
    ):
        asked = study("--resume", *pretrained, *arguments)
        found = fitted.take_over(asked.settings, [begun], asked.given)
        assert run_settings(found, "transfer")["classifier_head"] == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"ce": None, "clce": 128}),
        (["--losses=ce_supcon,supcon"], {"ce_supcon": 128, "supcon": None}),
        (["--contrastive_weight=0.2"], {"ce": None, "clce": None}),
        (["--embedding_dim=none"], {"ce": None, "clce": None}),
        (["--embedding_dim=64"], {"ce": 64, "clce": 64}),
        (["--preset=paper"], {"ce": None, "clce": None}),
    ],
)
def test_new_classes_are_told_apart_before_a_projection(arguments, expected, tmp_path, capsys):
    asked = recipe_runs.study("few_shot", f"--output_dir={tmp_path}", *arguments)
    runs = asked._runs(False)
    assert {run.name: run.settings.embedding_dim for run in runs} == expected
    assert all(run.recorded["embedding_dim"] == run.settings.embedding_dim for run in runs)
    announce.announce_fits(asked.settings, runs, None, 1000, asked.given)
    said = [name for name in expected if expected[name] == 128]
    words = f"--embedding_dim=128 for {', '.join(said)} on tasks of new classes"
    assert (words in capsys.readouterr().out) == bool(said)
    of_transfer = study(f"--output_dir={tmp_path}")._runs(False)
    assert {run.settings.embedding_dim for run in of_transfer} == {None}


def test_few_shot_runs_that_go_on_keep_their_projection():
    ours = Settings(loss="clce")
    assert fitted.fit_projection(ours, [{"embedding_dim": None}], ()).embedding_dim is None
    assert fitted.fit_projection(ours, [{"embedding_dim": 64}], ()).embedding_dim == 64
    assert fitted.fit_projection(ours, [{"embedding_dim": "64"}], ()).embedding_dim is None
    given = ("embedding_dim",)
    assert fitted.fit_projection(ours, [{"embedding_dim": 64}], given).embedding_dim is None


@pytest.fixture
def photos(tmp_path):
    """Two classes of 28 images, 20 of each to train on; one has a name that is half a formula."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("a$b_{c", "x^y$\\z")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(28):
            pixels = np.clip(rng.normal(60 + 120 * label, 20, (20, 20, 3)), 0, 255).astype("uint8")
            keras.utils.save_img(folder / f"{number}.png", pixels, scale=False)
    return tmp_path / "photos"


def test_a_small_folder_trains_on_defaults_and_resumes(photos, tiny_backbone, tmp_path, capsys):
    arguments = ("--dataset=image_folder", f"--data_dir={photos}", f"--backbone={tiny_backbone}")
    arguments += (f"--output_dir={tmp_path / 'runs'}", "--losses=ce", "--epochs=2")
    arguments += ("--image_size=16",)
    run(*arguments, "--show_views=2")
    printed = " ".join(capsys.readouterr().out.split())
    config = json.loads(only(tmp_path / "runs", "config.json").read_text())
    settings = config["settings"]
    assert "training images" in printed and f"--batch_size={settings['batch_size']} for" in printed
    assert settings["batch_size"] == int(printed.split(" train /")[0].split()[-1]) // 4
    assert settings["warmup_epochs"] == 0.2
    assert only(tmp_path / "runs", "views.png").is_file()
    run(*arguments, "--resume")
    assert "already finished" in capsys.readouterr().out
    # As a run was begun whose defaults were others.
    config["settings"] |= {"batch_size": 16, "warmup_epochs": 1.5}
    only(tmp_path / "runs", "config.json").write_text(json.dumps(config))
    only(tmp_path / "runs", "metrics.json").unlink()
    run(*arguments, "--resume")
    assert "of 16 images in two views per step" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit, match="batch_size: 16 then, 8 now"):
        run(*arguments, "--resume", "--batch_size=8")
    # JAX alone takes eight devices, but a batch of 16 does not serve three anywhere.
    config["settings"]["batch_size"] = 10
    only(tmp_path / "runs", "config.json").write_text(json.dumps(config))
    asked = study(*arguments, "--resume", "--num_devices=3")
    with pytest.raises(ValueError, match=r"must divide by .* 3\. Received: batch_size=10"):
        asked._runs(resume=True)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--warmup_epochs=2", "--warmup_epochs must be below --epochs"),
        ("--batch_size=64", "--batch_size must be at most the number of training images"),
    ],
)
def test_what_was_given_is_refused(argument, message, photos, tiny_backbone, tmp_path):
    arguments = ("--dataset=image_folder", f"--data_dir={photos}", f"--backbone={tiny_backbone}")
    with pytest.raises((SystemExit, flags.Error), match=message):
        run(*arguments, "--epochs=2", argument, f"--output_dir={tmp_path / 'runs'}")
    assert not (tmp_path / "runs").exists()


def test_values_of_a_flag_file_were_given(tmp_path):
    file = tmp_path / "my.flags"
    file.write_text("--batch_size=64\n--losses=ce,clce\n")
    asked = study(f"--flagfile={file}")
    assert fitted.fit_batch_size(asked.settings, 40, 2).batch_size == 64
    with pytest.raises(flags.Error, match="nothing to train"):
        study(f"--flagfile={file}", "--freeze_backbone")


def test_pictures_that_fail_cost_no_results(tiny_backbone, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no ink")

    for module, name in (
        (one_run, "plot_curves"),
        (protocols.transfer, "plot_curves"),
        (announce, "show_views"),
    ):
        monkeypatch.setattr(module, name, fail)
    arguments = recipe_runs.flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce", "--quick")
    with pytest.warns(UserWarning) as caught:
        run(*arguments, "--show_views=2")
    home = only(tmp_path / "runs", "ce-seed0").parent
    pictures = (home / "views.png", home / "ce-seed0" / "curves.png", home / "curves.png")
    told = [str(warning.message) for warning in caught if "picture" in str(warning.message)]
    assert told == [f"The picture {path} is missing: RuntimeError: no ink" for path in pictures]
    assert np.isfinite(json.loads((home / "ce-seed0" / "metrics.json").read_text())["test"]["top1"])


def test_an_untrained_projection_is_said(capsys):
    asked = study("--losses=ce,clce", "--embedding_dim=4")
    announce.announce_fits(asked.settings, asked._runs(resume=False), None, 100)
    assert (
        "Note:     ce leaves the projection of --embedding_dim untrained" in capsys.readouterr().out
    )


def test_flags_that_change_nothing_are_said(capsys):
    for losses, said in (
        ("ce", "nothing changes for ce by --contrastive_schedule, --memory_size"),
        ("supcon", "nothing changes for supcon by --contrastive_schedule"),
        ("ce,clce", ""),
    ):
        asked = study(f"--losses={losses}", "--memory_size=64", "--contrastive_schedule=falling")
        announce.announce_fits(asked.settings, asked._runs(False), None, 100, asked.given)
        assert (f"Note:     {said}\n" if said else "") == capsys.readouterr().out


def test_chunks_as_large_as_a_step_are_said(capsys):
    for size, is_said in ((63, False), (64, True), (100, True)):
        asked = study("--batch_size=32", f"--gradient_cache_size={size}")
        announce.announce_fits(asked.settings, asked._runs(False), None, 100, asked.given)
        said = f"--gradient_cache_size={size} saves no memory: a device has 64 views a step"
        assert capsys.readouterr().out == (f"Note:     {said}\n" if is_said else "")


def test_small_classes_are_left_out_and_said(photos, tiny_backbone, tmp_path, capsys):
    (photos / "rare").mkdir()
    keras.utils.save_img(photos / "rare" / "0.png", np.zeros((20, 20, 3)))
    arguments = ("--dataset=image_folder", f"--data_dir={photos}", f"--backbone={tiny_backbone}")
    arguments += (f"--output_dir={tmp_path / 'runs'}", "--losses=ce", "--quick", "--image_size=16")
    with pytest.raises(SystemExit, match="rare"):
        run(*arguments)
    run(*arguments, "--drop_small_classes=5")
    assert "rare" in capsys.readouterr().out.split("Encoder:")[0]
    config = json.loads(only(tmp_path / "runs", "config.json").read_text())
    assert config["settings"]["drop_small_classes"] == 5
    with pytest.raises(SystemExit, match="drop_small_classes: 5 then, 6 now"):
        run(*arguments, "--drop_small_classes=6", "--resume")
