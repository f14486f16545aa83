"""The command of a run, read back by the recipes' own flags."""

import shlex

import pytest
import recipe_runs

from keras_clce.experiments import Settings, command_of
from keras_clce.experiments.resolved import run_settings
from keras_clce.runs import Record

pytestmark = pytest.mark.any_backend

CHANGED = {
    "transfer": {
        "dataset": "digits",
        "backbone": "small_resnet",
        "loss": "hscl",
        "seed": 7,
        "image_size": 24,
        "temperature": 0.07,
        "learning_rate": 2e-3,
        "feature_normalization": None,
        "strict": True,
        "clip_norm": 1.0,
        "label": "tuned+1",
        "epochs": 3,
        "warmup_epochs": 0.5,
        "batch_size": 32,
        "quick": True,
    },
    "few_shot": {
        "dataset": "cifar_fs",
        "backbone": "vit_tiny",
        "loss": "clce",
        "shots": (5,),
        "features": ("embedding",),
        "tasks": 40,
        "contrastive_weight": 0.2,
        "embedding_dim": 128,
    },
}


def record(protocol, **changed):
    settings = Settings(**{**CHANGED[protocol], **changed})
    metrics = {
        "loss": settings.loss,
        "seed": settings.seed,
        "label": settings.label,
        "dataset": settings.dataset,
        "backbone": settings.backbone,
    }
    metrics |= {"few_shot": {}} if protocol == "few_shot" else {}
    return settings, Record(None, run_settings(settings, protocol), metrics, [])


def parsed(command):
    """Environment, recipe and flags of a command."""
    # A shell takes a line that ends so together with the next, and `shlex` does not.
    backend, python, recipe, *flags = shlex.split(command.replace("\\\n", ""))
    assert python == "python"
    return backend, recipe.removeprefix("recipes/").removesuffix(".py"), flags


@pytest.mark.parametrize("protocol", ["transfer", "few_shot"])
def test_the_command_gives_the_settings_again(protocol):
    settings, made = record(protocol)
    command = command_of(made)
    assert max(map(len, command.splitlines())) <= 100
    backend, recipe, flags = parsed(command)
    assert backend == f"KERAS_BACKEND={made.settings['backend']}" and recipe == protocol
    study = recipe_runs.study(recipe, *flags)
    ((again, _),) = study._points()
    assert run_settings(again, protocol) == made.settings
    assert again.label == settings.label and study.protocol == protocol
    # What is the default is not named.
    assert not any(flag.startswith(("--optimizer", "--augmentation", "--ways")) for flag in flags)


def test_what_was_not_recorded_is_said():
    _, made = record("transfer")
    for name in ("positive_sum", "backend"):
        del made.settings[name]
    comment, command = command_of(made).split("\n", 1)
    assert comment == "# Not recorded, so that today's defaults stand: positive_sum"
    assert command.startswith("python recipes/transfer.py --losses=hscl --seeds=7 ")


def test_the_encoder_before_training_has_its_flag():
    _, made = record("few_shot")
    training = ("epochs", "contrastive_weight", "learning_rate", "batch_size")
    settings = {n: v for n, v in made.settings.items() if n not in training}
    frozen = Record(None, {**settings, "loss": "frozen"}, {**made.metrics, "loss": "frozen"}, [])
    command = command_of(frozen)
    assert "--frozen --losses=ce" in command and "--tasks=40" in command
    assert "contrastive_weight" not in command and not command.startswith("#")


def test_a_name_with_signs_of_the_shell_is_quoted():
    _, made = record("transfer")
    made.settings["backbone"] = "my encoder; rm -r.keras"
    assert "'--backbone=my encoder; rm -r.keras'" in command_of(made)


@pytest.mark.parametrize(
    ("changed", "is_said"),
    [
        ({"embedding_dim": None}, True),
        ({"embedding_dim": None, "contrastive_weight": 0.9}, False),
        ({"embedding_dim": None, "loss": "ce"}, False),
        ({}, False),
    ],
)
def test_a_few_shot_run_without_a_projection_is_made_again_without(changed, is_said):
    settings, made = record("few_shot", **changed)
    *_, flags = parsed(command_of(made))
    assert ("--embedding_dim=none" in flags) == is_said
    again = recipe_runs.study("few_shot", *flags)._runs(False)[0].settings
    assert again.embedding_dim == settings.embedding_dim
