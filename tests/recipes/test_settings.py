"""The settings of the paper's encoders: all there, and each says and sets what it is for."""

import functools
from pathlib import Path

import pytest
import recipe_flags
import recipe_runs
import transfer
from absl import flags

from keras_clce.data import list_datasets
from keras_clce.data.catalog import get_spec
from keras_clce.models.backbones import backbone_spec

pytestmark = pytest.mark.any_backend

FLAGS = flags.FLAGS
parse = functools.partial(recipe_runs.parse, transfer)
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "recipes" / "settings"
ENCODERS = {  # name of the files: (--backbone, optimizer, rate of the first block over the last)
    "resnet101": ("resnet101_in21k", "sgd", 1.0),
    "vit_base": ("vit_base", "adamw", 0.75),
    "mae_base": ("mae_base", "adamw", 0.65),
    "beit3_base": ("beit3_base", "adamw", 0.65),
}
DATASETS = [
    spec.name
    for spec in list_datasets()
    if spec.paper_row and spec.name != "oxford_flowers102_large"
]


def test_there_is_a_file_for_every_encoder_and_data_set():
    expected = {"paper.flags"} | {f"{encoder}.flags" for encoder in ENCODERS}
    expected |= {f"{encoder}_{dataset}.flags" for encoder in ENCODERS for dataset in DATASETS}
    assert len(DATASETS) == 12
    assert {path.name for path in SETTINGS.iterdir()} == expected


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_file_sets_what_its_name_says(encoder, dataset, monkeypatch):
    monkeypatch.chdir(ROOT)
    parse(f"--flagfile=recipes/settings/{encoder}_{dataset}.flags")
    backbone, optimizer, layer_decay = ENCODERS[encoder]
    assert (FLAGS.backbone, FLAGS.optimizer, FLAGS.layer_decay) == (
        backbone,
        optimizer,
        layer_decay,
    )
    assert FLAGS.dataset == dataset and FLAGS.weights == "imagenet"
    assert (FLAGS.losses, FLAGS.batch_size, FLAGS.seeds) == (["ce", "clce"], 64, ["0", "1", "2"])
    assert (FLAGS.contrastive_weight, FLAGS.temperature, FLAGS.hardness) == (0.9, 0.5, 1.0)
    text = (SETTINGS / f"{encoder}_{dataset}.flags").read_text()
    recipe = {"transfer": "transfer", "few-shot": "few_shot"}[get_spec(dataset).task]
    command = f"python recipes/{recipe}.py --flagfile=recipes/settings/{encoder}_{dataset}.flags"
    assert command in text


@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_encoder_says_source_licence_and_memory(encoder):
    text = (SETTINGS / f"{encoder}.flags").read_text()
    spec = backbone_spec(ENCODERS[encoder][0])
    assert spec.weights.removeprefix("hf://") in text
    assert spec.licence in text
    assert "Memory: " in text and "GiB" in text


def test_flags_after_the_file_change_what_it_sets(monkeypatch):
    monkeypatch.chdir(ROOT)
    file = "--flagfile=recipes/settings/vit_base_cifar100.flags"
    parse(file, "--weights=none", "--epochs=7", "--learning_rate=ce=1e-5,clce=2e-5")
    settings = recipe_flags.settings("clce", 0)
    assert settings["weights"] is None
    assert (settings["epochs"], settings["learning_rate"]) == (7, 2e-5)
    assert (settings["layer_decay"], settings["clip_norm"]) == (0.75, 1.0)
