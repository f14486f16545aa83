"""The paper's encoders and data sets by name: all there, and each sets what it is for."""

import functools
import json

import pytest
import recipe_runs
from absl import flags

from keras_clce.data import list_datasets
from keras_clce.data.catalog import get_spec
from keras_clce.experiments.paper_settings import (
    DATASETS,
    ENCODERS,
    named_settings,
    paper_in_words,
)
from keras_clce.experiments.resolved import run_settings
from keras_clce.models.backbones import backbone_spec

pytestmark = pytest.mark.any_backend

study = functools.partial(recipe_runs.study, "transfer")
EXPECTED = {  # name: (--backbone, optimizer, rate of the first block over the last)
    "resnet101": ("resnet101_in21k", "sgd", 1.0),
    "vit_base": ("vit_base", "adamw", 0.75),
    "mae_base": ("mae_base", "adamw", 0.65),
    "beit3_base": ("beit3_base", "adamw", 0.65),
}
PAPERS = [
    spec.name
    for spec in list_datasets()
    if spec.paper_row and spec.name != "oxford_flowers102_large"
]


def test_there_are_settings_for_every_encoder_and_data_set():
    assert len(PAPERS) == 12
    assert set(DATASETS) == set(PAPERS)
    assert set(ENCODERS) == set(EXPECTED)


@pytest.mark.parametrize("dataset", PAPERS)
@pytest.mark.parametrize("encoder", EXPECTED)
def test_names_set_what_they_say(encoder, dataset):
    recipe = {"transfer": "transfer", "few-shot": "few_shot"}[get_spec(dataset).task]
    asked = recipe_runs.study(recipe, f"--settings={encoder},{dataset}")
    found = asked.settings
    assert (found.backbone, found.optimizer, found.layer_decay) == EXPECTED[encoder]
    assert found.dataset == dataset and found.weights == "imagenet"
    assert asked.vary["loss"] == ("ce", "clce")
    assert (found.batch_size, asked.seeds) == (64, (0, 1, 2))
    assert (found.contrastive_weight, found.temperature, found.hardness) == (0.9, 0.5, 1.0)
    assert found.feature_normalization is None


@pytest.mark.parametrize("encoder", EXPECTED)
def test_each_encoder_says_its_memory_and_weights_are_known(encoder):
    assert "Memory: " in ENCODERS[encoder]["note"] and "GiB" in ENCODERS[encoder]["note"]
    assert backbone_spec(EXPECTED[encoder][0]).licence


def test_flags_change_what_names_set():
    names = "--settings=vit_base,cifar100"
    asked = study(names, "--weights=none", "--epochs=7", "--learning_rate=ce=1e-5,clce=2e-5")
    runs = {of_run.loss: of_run for of_run, _ in asked._points()}
    found = run_settings(runs["clce"], "transfer")
    assert found["weights"] is None
    assert (found["epochs"], found["learning_rate"]) == (7, 2e-5)
    assert (found["layer_decay"], found["clip_norm"]) == (0.75, 1.0)


@pytest.mark.parametrize("flag", ["--settings=paper", "--preset=paper"])
def test_paper_alone_is_what_all_share(flag):
    asked = study(flag, "--backbone=vit_tiny", "--temperature=0.1")
    found = asked.settings
    assert asked.vary["loss"] == ("ce", "clce") and asked.seeds == (0, 1, 2)
    assert (found.contrastive_weight, found.temperature, found.hardness) == (0.9, 0.1, 1.0)
    assert (found.feature_normalization, found.augmentation) == (None, "randaugment")
    # The encoder, the data and what follows them stay the user's.
    plain = study("--backbone=vit_tiny").settings
    for name in ("backbone", "weights", "image_size", "batch_size", "dataset", "learning_rate"):
        assert getattr(found, name) == getattr(plain, name)


def test_batches_of_128_have_twice_the_rate():
    found = study("--settings=batch128,beit3_base,cub200").settings
    assert (found.batch_size, found.learning_rate) == (128, 8.8e-5)


@pytest.mark.parametrize("names", ["beit3", "vit_base,mae_base", "cub200,cub200", "cub200,paper"])
def test_wrong_names_are_refused(names):
    with pytest.raises(flags.Error, match=f"--settings={names}: must be of an encoder"):
        study(f"--settings={names}")


def test_the_plan_says_the_paper_s_figures():
    text = paper_in_words(["beit3_base", "cifar_fs"])
    assert "ce 83.68 and 93.01, clce 87.00 and 93.77" in text
    assert "at 64 images ce 83.68, clce 84.59; at 128 images ce 83.39, clce 87.00" in text
    assert "no figure" in paper_in_words(["vit_base", "cifar_fs"])
    assert named_settings(["cub200"])["epochs"] == 50


@pytest.mark.parametrize("batch", ["batch64", "batch128"])
def test_every_name_states_the_paper_s_figures_of_its_own_data_and_encoder(batch, shared_data):
    rows = json.loads((shared_data.parent / "paper" / "results.json").read_text())["rows"]
    told = 0
    for encoder, (backbone, *_) in EXPECTED.items():
        for dataset in PAPERS:
            text = paper_in_words([encoder, dataset, batch])
            mine = [r for r in rows if (r["encoder"], r["dataset"]) == (backbone, dataset)]
            of = {
                loss: [r["accuracy"] for r in mine if r["table"] < 3 and r["method"] == loss]
                for loss in ("ce", "clce")
            }
            if not of["ce"]:
                assert "no figure for this encoder on this data set" in text
                continue
            told += 1
            for loss, figures in of.items():
                assert f"{loss} {' and '.join(f'{value:.2f}' for value in figures)}" in text
            at = {(r["batch_size"], r["method"]): r["accuracy"] for r in mine if r["table"] == 3}
            assert ("at 64 images" in text) == bool(at)
            for size in (64, 128) if at else ():
                figures = f"ce {at[size, 'ce']:.2f}, clce {at[size, 'clce']:.2f}"
                assert f"at {size} images {figures}" in text
    # Four encoders on eight data sets, and BEiT-3 on four few-shot ones.
    assert told >= 32 + 4
