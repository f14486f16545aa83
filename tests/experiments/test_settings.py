"""Settings: one value with checks, JSON and the names that `--help` shows."""

import dataclasses
import json

import pytest

from keras_clce.experiments import Settings, rules
from keras_clce.experiments.choices import find_choices, read_choices
from keras_clce.experiments.setting import PARTS
from keras_clce.experiments.settings import fields
from keras_clce.experiments.settings_json import settings_as_json, settings_from_json
from keras_clce.models import build_backbone

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0}, "`temperature` must be above 0. Received: temperature=0"),
        ({"temperature": float("inf")}, "must be a finite number"),
        ({"temperature": "hot"}, "must be a number. Received: temperature='hot'"),
        ({"epochs": 2.5}, "must be a whole number"),
        ({"epochs": True}, "must be a whole number"),
        ({"quick": 1}, "must be True or False"),
        ({"contrastive_weight": 1.1}, "must be at most 1"),
        ({"optimizer": "adam"}, "must be one of: adamw, sgd"),
        ({"shots": (1, 1)}, "must be different whole numbers"),
        ({"shots": 5}, "must be a sequence of whole numbers"),
        ({"learning_rate": {"ce": 1e-3, "cee": 1e-3}}, "or one for each loss"),
        ({"learning_rate": 0}, "must be a number above 0"),
        ({"dataset": "cifar1000"}, "must be one of digits"),
        ({"epochs": 2, "warmup_epochs": 2}, "--warmup_epochs must be below --epochs"),
        ({"freeze_backbone": True, "unfreeze_last": 1}, "exclude each other"),
        ({"label": "two words"}, "without spaces"),
        (
            {"layer_decay": 0.5, "backbone": "vit_tiny", "freeze_backbone": True, "loss": "ce"},
            "--layer_decay is for blocks that are trained and excludes --freeze_backbone",
        ),
        (
            {"finetune_encoder": 5, "classifier": ("finetuning",), "lora_rank": 4}
            | {"backbone": "vit_tiny"},
            "--finetune_encoder moves the whole encoder, which --lora_rank freezes",
        ),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Settings(**values)


def test_two_ways_to_save_memory_exclude_each_other_where_one_cannot_hold_the_other(monkeypatch):
    both = {"backbone": "vit_tiny", "remat": True, "gradient_cache_size": 8}
    monkeypatch.setattr(rules.backend, "remat_can_nest", lambda: True)
    assert Settings(**both).remat
    monkeypatch.setattr(rules.backend, "remat_can_nest", lambda: False)
    with pytest.raises(ValueError, match="--gradient_cache_size excludes --remat on TensorFlow"):
        Settings(**both)


def test_blocks_are_looked_for_in_a_saved_encoder(tiny_backbone, tmp_path):
    with pytest.raises(ValueError, match=r"--layer_decay is for a Vision.*tiny\.keras, which has"):
        Settings(backbone=tiny_backbone, layer_decay=0.5)
    path = tmp_path / "vit.keras"
    build_backbone("vit_tiny_patch8", 16).save(path)
    assert Settings(backbone=str(path), layer_decay=0.5).layer_decay == 0.5


def test_settings_cannot_be_changed_but_replaced():
    settings = Settings(epochs=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.epochs = 4
    assert dataclasses.replace(settings, temperature=0.1).epochs == 3
    with pytest.raises(ValueError, match="temperature"):
        dataclasses.replace(settings, temperature=-1)


def test_json_holds_what_decides_the_result_and_comes_back():
    settings = Settings(dataset="cifar_fs", shots=[1, 3], data_dir=None, output_dir="elsewhere")
    transfer = settings_as_json(settings, "transfer")
    few_shot = json.loads(json.dumps(settings_as_json(settings, "few_shot", backend="jax")))
    # As flags of earlier versions had them, so that their runs go on.
    assert few_shot["shots"] == ["1", "3"] and few_shot["features"] == ["pooled", "embedding"]
    assert set(few_shot) - set(transfer) == {
        *("ways", "shots", "queries", "query_distribution", "tasks", "classifier"),
        *("features", "finetune_encoder", "backend"),
    }
    place = {"output_dir", "data_dir", "label", "num_devices", "keep_checkpoint", "process_id"}
    assert not (place | {"log", "verbose"}) & set(few_shot)
    again = settings_from_json(few_shot)
    assert again == dataclasses.replace(settings, output_dir="runs")


def test_every_setting_says_its_part_and_help():
    for name, field in fields().items():
        assert field.about.part in PARTS, name
        assert field.about.help.endswith("."), name
        assert name in Settings.describe()


def test_the_names_in_the_help_are_those_of_the_tables():
    assert read_choices() == find_choices()
