"""The studies of the paper as commands: what they compare, refuse, print and leave behind."""

import functools
import json

import numpy as np
import pytest
import recipe_runs
from absl import flags as absl_flags
from keras_clce.recipes import ablation, batch_size, contrastive_weight, images_per_class
from matplotlib import image
from recipe_runs import only

from keras_clce.data import load_dataset
from keras_clce.experiments import command, flags, study
from keras_clce.runs import find_records, read_plan

pytestmark = pytest.mark.any_backend

# Digits have 1,259 training images, 125 to 128 of a class.
IMAGES = np.bincount(load_dataset("digits", image_size=8).train.labels)


def declared(recipe, *arguments):
    """The study that flags of a recipe declare."""
    own = getattr(recipe, "Flags", None)
    values = flags.define({}, None, own)
    return command.parse("mine", values, ["mine", *arguments], None, own, recipe.study)[0]


def settings_of(asked):
    """Settings of the first seed's runs, by the name of the run."""
    return {name: settings for settings, name in asked._points()}


def quick(recipe, backbone, output, *more):
    recipe_runs.run(
        recipe, f"--backbone={backbone}", "--image_size=16", f"--output_dir={output}", *more
    )


@pytest.fixture
def fake(monkeypatch):
    """Runs that are finished at once, with accuracies by their settings."""

    make_really = study.make_run

    def use(accuracy, really=()):
        def make_run(run, protocol, dataset, devices):
            if run.name in really:
                return make_really(run, protocol, dataset, devices)
            folder, seed = run.folder, run.settings.seed
            folder.start(run.recorded, dataset.split_note)
            top1 = accuracy(run.settings) + 0.01 * seed
            test = {"top1": top1, "top5": 1.0, "nearest_neighbor": None, "examples": 269}
            validation = {"best_epoch": 1, "examples": 269, "top1": top1}
            metrics = {"loss": run.loss, "seed": seed, "label": run.label, "seconds": 1.0}
            metrics |= {"test": test, "validation": validation}
            folder.write_metrics(metrics, run.recorded)
            return folder.record()

        monkeypatch.setattr(study, "make_run", make_run)
        monkeypatch.setattr(study, "time_run", lambda *_: None)

    return use


# === Batch size ===


def test_sizes_have_as_many_epochs_or_as_many_steps(monkeypatch):
    asked = declared(
        batch_size,
        "--batch_sizes=32,64,128,256,512",
        "--epochs=10",
        "--warmup_epochs=1",
        "--rate_scaling=linear",
        "--learning_rate=ce=1e-3,clce=2e-3",
    )
    found = settings_of(asked)
    # 512 is above a fourth of 1,259 images; 64 have as many epochs as steps.
    assert sorted(found) == sorted(
        f"{loss}-{name}"
        for loss in ("ce", "clce")
        for name in (
            *(f"equal-epochs-batch_size={size}" for size in (32, 64, 128, 256)),
            *(f"equal-steps-batch_size={size}" for size in (32, 128, 256)),
        )
    )
    # Steps of 10 epochs: 10 * (1259 // 64) = 190 = 5 * 39 - 5 = 21 * 9 + 1 = 48 * 4 - 2.
    for size, epochs in ((32, 5), (128, 21), (256, 48)):
        settings = found[f"clce-equal-steps-batch_size={size}"]
        assert (settings.batch_size, settings.epochs) == (size, epochs)
        assert settings.warmup_epochs == pytest.approx(epochs / 10)
        assert settings.learning_rate == pytest.approx(2e-3 * size / 64)
        settings = found[f"ce-equal-epochs-batch_size={size}"]
        assert (settings.epochs, settings.warmup_epochs) == (10, 1)
        assert settings.learning_rate == pytest.approx(1e-3 * size / 64)
    assert found["ce-equal-epochs-batch_size=64"].learning_rate == {"ce": 1e-3, "clce": 2e-3}
    assert asked.notes == {
        "Rates": "times size / 64",
        "Sizes": "512 left out, above a fourth of the 1,259 training images",
    }
    roots = declared(batch_size, "--batch_sizes=256", "--rate_scaling=sqrt", "--budget=epochs")
    assert settings_of(roots)["ce-equal-epochs-batch_size=256"].learning_rate == 6e-3


def test_sizes_are_trained_and_drawn(fake, tiny_backbone, tmp_path, capsys):
    fake(lambda settings: 0.5, really=["ce-equal-steps-batch_size=16"])
    more = ("--quick", "--batch_sizes=16,32", "--losses=ce", "--budget=steps", "--batch_size=32")
    quick(batch_size, tiny_backbone, tmp_path, *more)
    printed = capsys.readouterr().out
    home = only(tmp_path, "study.json").parent
    assert (home.name, home.parents[2].name) == ("quick", "batch_size")
    assert "Rates:    the same at each size" in printed and "1,170 steps each" in printed
    assert image.imread(home / "study.png").ndim == 3
    assert [record.settings["batch_size"] for record in find_records(home)[0]] == [16, 32]
    quick(batch_size, tiny_backbone, tmp_path, *more, "--resume")
    assert capsys.readouterr().out.count("already finished") == 2


def test_runs_that_go_on_keep_the_defaults_of_their_own_data(tiny_backbone, tmp_path):
    more = (f"--backbone={tiny_backbone}", "--image_size=16", f"--output_dir={tmp_path}")
    more += ("--limits_per_class=5,20", "--budget=both", "--losses=ce", "--epochs=2")
    first, *_ = declared(images_per_class, *more)._runs(resume=False)
    # As it was begun by a version with other defaults.
    settings = first.recorded | {"batch_size": 10, "warmup_epochs": 0.5}
    first.folder.start(settings, "digits")
    runs = {run.name: run.settings for run in declared(images_per_class, *more)._runs(resume=True)}
    assert first.name == "ce-equal-epochs-limit_per_class=5"
    found = {name: (s.batch_size, s.warmup_epochs) for name, s in runs.items()}
    assert found == {
        first.name: (10, 0.5),
        "ce-equal-epochs-limit_per_class=20": (None, 0.2),
        "ce-equal-steps-limit_per_class=5": (None, 1.0),
        "ce-equal-steps-limit_per_class=20": (None, 1.0),
    }


# === Weight, temperature, hardness ===


def test_the_weight_of_cross_entropy_is_trained_once():
    found = settings_of(declared(contrastive_weight, "--losses=clce,ce_supcon"))
    weights = [f"{tenth / 10:g}" for tenth in range(1, 11)]
    assert sorted(found) == sorted(
        [
            "ce",
            *(f"{loss}-contrastive_weight={w}" for loss in ("clce", "ce_supcon") for w in weights),
        ]
    )
    asked = declared(contrastive_weight, "--over=temperature", "--temperatures=0.1,0.5")
    assert asked.name == "temperature" and sorted(settings_of(asked)) == [
        *("ce", "clce-temperature=0.1", "clce-temperature=0.5"),
    ]
    # SupCon reads no hardness.
    asked = declared(
        contrastive_weight, "--over=hardness", "--hardnesses=0,2", "--losses=ce_supcon"
    )
    assert sorted(settings_of(asked)) == ["ce", "ce_supcon"]
    asked = declared(contrastive_weight, "--over=hardness,temperature", "--label=mine")
    assert asked.name == "hardness-temperature" and len(settings_of(asked)) == 1 + 5 * 5


def test_at_weight_1_a_probe_reads_the_embedding(fake, tiny_backbone, tmp_path, capsys):
    fake(lambda settings: 0.5, really=["clce-contrastive_weight=1"])
    more = ("--quick", "--contrastive_weights=0,1", "--batch_size=16")
    quick(contrastive_weight, tiny_backbone, tmp_path, *more)
    printed = " ".join(capsys.readouterr().out.split())
    assert ", by a linear probe" in printed and "Weight 0: is cross-entropy, ce" in printed
    assert "Plan: ce; clce at contrastive_weight 1; seeds 0; 1 epoch of 16 images" in printed
    plan = read_plan(only(tmp_path, "study.json").parent)
    assert plan.axes == ("contrastive_weight",)


def test_the_pick_and_the_map_of_two_settings(fake, tiny_backbone, tmp_path, capsys):
    fake(lambda s: 0.7 if s.loss == "ce" else 0.6 + s.contrastive_weight / 5 - s.temperature / 50)
    more = ("--over=contrastive_weight,temperature", "--seeds=0,1", "--contrastive_weights=0.5,0.9")
    quick(contrastive_weight, tiny_backbone, tmp_path, *more, "--temperatures=0.1,0.5,1")
    printed = " ".join(capsys.readouterr().out.split())
    assert "Validation picks `clce, contrastive_weight=0.9, temperature=0.1`" in printed
    assert "[14/14] clce-contrastive_weight=0.9-temperature=1, seed 1" in printed
    assert "clce at contrastive_weight 0.5, 0.9 and temperature 0.1, 0.5, 1" in printed
    assert image.imread(only(tmp_path, "study.png")).ndim == 3


# === Ablation ===


def test_arms_differ_in_what_their_names_say(monkeypatch):
    found = settings_of(declared(ablation, "--embedding_dim=32"))
    assert [*found] == [*ablation.ARMS]
    parts = {
        name: (s.loss, s.positive_sum, s.embedding_dim, s.embedding_layers)
        for name, s in found.items()
    }
    assert parts == {
        "ce": ("ce", "outside", None, 1),
        "ce_supcon": ("ce_supcon", "outside", None, 1),
        "ce_supcon-inside": ("ce_supcon", "inside", None, 1),
        "clce": ("clce", "outside", None, 1),
        "clce-inside": ("clce", "inside", None, 1),
        "clce-projection-1": ("clce", "outside", 32, 1),
        "clce-projection-2": ("clce", "outside", 32, 2),
    }
    # A name of --settings may bring what the study varies.
    named = declared(ablation, "--settings=beit3_base,cifar_fs")
    assert {*settings_of(named)} == {*ablation.ARMS} and named.protocol == "few_shot"
    assert named.layout.paper == {"ce": 83.68, "ce_supcon": 84.85, "clce": 87.0}


def test_arms_are_trained_and_compared(fake, tiny_backbone, tmp_path, capsys):
    fake(lambda settings: 0.5, really=["clce-projection-2"])
    quick(ablation, tiny_backbone, tmp_path, "--quick", "--batch_size=16")
    printed = capsys.readouterr().out
    for words in ablation.ARMS.values():
        assert f"\n{words} " in printed
    home = only(tmp_path, "study.json").parent
    assert {path.name for path in home.glob("*-seed0")} == {f"{arm}-seed0" for arm in ablation.ARMS}
    settings = json.loads((home / "clce-projection-2-seed0" / "config.json").read_text())[
        "settings"
    ]
    assert (settings["embedding_dim"], settings["embedding_layers"]) == (128, 2)
    assert image.imread(home / "study.png").ndim == 3


# === Images of a class ===


def test_few_images_make_as_many_epochs_or_steps():
    asked = declared(
        images_per_class, "--limits_per_class=5,20,all,500", "--budget=both", "--epochs=2"
    )
    found = settings_of(asked)
    most = IMAGES.max()
    assert {s.limit_per_class for s in found.values()} == {5, 20, most}
    assert all(s.epochs == 2 for name, s in found.items() if "equal-epochs" in name)
    # 2 * (1259 // 64) = 38 steps; 50 images in batches of 12 make 4 an epoch, 200 in 50s too.
    for limit, epochs in ((5, 10), (20, 10)):
        settings = found[f"clce-equal-steps-limit_per_class={limit}"]
        assert settings.epochs == epochs and settings.warmup_epochs == pytest.approx(epochs / 10)
    assert f"clce-equal-steps-limit_per_class={most}" not in found
    assert asked.notes == {
        "Images": f"all are {IMAGES.min()} to {most} of a class; 500 left out, which no class has"
    }


def test_where_the_curves_cross_is_said(fake, tiny_backbone, tmp_path, capsys):
    ce = {5: 0.30, 20: 0.50, IMAGES.max(): 0.60}
    better = {5: -0.1, 20: -0.05, IMAGES.max(): 0.1}
    fake(
        lambda s: (
            ce[s.limit_per_class]
            + (s.loss == "clce") * (better[s.limit_per_class] + 0.001 * (s.seed == 1))
        )
    )
    more = ("--limits_per_class=5,20,all", "--seeds=0,1,2")
    quick(images_per_class, tiny_backbone, tmp_path, *more)
    printed = " ".join(capsys.readouterr().out.split())
    crossing = f"`clce` crosses `ce` upwards between 20 and {IMAGES.max()}."
    assert crossing in printed
    assert "at most 5 training images of each class kept" in printed
    assert "Plan: ce at limit_per_class 5, 20, " in printed
    assert "[18/18] clce-equal-epochs-limit_per_class=" in printed


def test_each_number_of_images_has_its_own_data(fake, tiny_backbone, tmp_path, capsys):
    fake(lambda settings: 0.5, really=["ce-equal-epochs-limit_per_class=6"])
    more = ("--quick", "--limits_per_class=5,6", "--losses=ce")
    quick(images_per_class, tiny_backbone, tmp_path, *more)
    records, left_out = find_records(tmp_path)
    assert not left_out
    assert [record.data.partition(" train")[0].split()[-1] for record in records] == ["50", "60"]
    assert [record.settings["batch_size"] for record in records] == [12, 15]
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 epoch of 12 to 15 images in two views per step" in printed


# === What is wrong ===


@pytest.mark.parametrize(
    ("recipe", "arguments", "message"),
    [
        (batch_size, ["--batch_sizes=32,x"], "--batch_sizes=32,x: must be a sequence of whole"),
        (batch_size, ["--batch_sizes=1"], "--batch_sizes=1: must be at least 2"),
        (batch_size, ["--batch_sizes=32,32"], "--batch_sizes=32,32: must be different ones"),
        (batch_size, ["--batch_sizes=512"], "at most a fourth of the 1,259 .*batch_sizes=512"),
        (batch_size, ["--budget=minutes"], "--budget=minutes: must be one of: epochs, steps, both"),
        (batch_size, ["--shots=1"], "--shots is for few-shot data sets. Received: dataset=digits"),
        (batch_size, ["--frozen"], "`frozen` is not for the protocol transfer"),
        (
            contrastive_weight,
            ["--over=epochs"],
            "--over=epochs: must be one of: contrastive_weight",
        ),
        (
            contrastive_weight,
            ["--contrastive_weight=0.5"],
            "--contrastive_weight is what this study",
        ),
        (contrastive_weight, ["--contrastive_weights=0"], "must have one above 0. Received: 0"),
        (contrastive_weight, ["--contrastive_weights=2"], "--contrastive_weights=2.0: .*at most 1"),
        (
            contrastive_weight,
            ["--over=contrastive_weight,temperature,hardness"],
            "--over must be one setting or two",
        ),
        (ablation, ["--losses=ce"], "--losses is what this study varies by itself"),
        (ablation, ["--embedding_layers=2"], "--embedding_layers is for a projection"),
        (images_per_class, ["--limits_per_class=5,most"], "must be whole numbers above 0, or all"),
        (images_per_class, ["--limits_per_class=900"], "must have one of at most 128"),
        (images_per_class, ["--limit_per_class=9"], "--limit_per_class is what this study varies"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_trained(recipe, arguments, message):
    with pytest.raises(absl_flags.Error, match=message):
        declared(recipe, *arguments)


@pytest.mark.parametrize("recipe", [ablation, batch_size, contrastive_weight, images_per_class])
def test_help_lists_the_recipes_own_flags_first(recipe, capsys):
    recipe_runs.run(recipe, "--help")
    printed = capsys.readouterr().out
    assert printed.startswith(recipe.__doc__.strip().splitlines()[0])
    for name in getattr(getattr(recipe, "Flags", None), "__annotations__", ()):
        assert printed.index(f"--{name} ") < printed.index("What is trained on:")


def test_batches_that_do_not_fit_the_fewest_images_are_refused_first(tiny_backbone, tmp_path):
    run = functools.partial(quick, images_per_class, tiny_backbone, tmp_path)
    with pytest.raises(SystemExit, match=r"--batch_size must be at most .*, 50. Received: .*=64"):
        run("--limits_per_class=100,5", "--batch_size=64", "--epochs=1")
    assert not [*tmp_path.rglob("config.json")]
