"""Model cards: what they say of a run, what they leave out, and whether the hub reads them."""

import dataclasses
import re

import numpy as np
import pytest
from inference_files import colour_model
from run_folders import few_shot_run, transfer_run
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from keras_clce.data import list_datasets
from keras_clce.report import model_card, write_model_card
from keras_clce.report.model_card_facts import escaped
from keras_clce.runs import find_records

pytestmark = pytest.mark.any_backend

hub = pytest.importorskip("huggingface_hub")


def card_of(folder, *others, **options):
    """The card of a run folder as the hub reads it."""
    siblings = [other.record() for other in others]
    return hub.ModelCard(model_card(folder.record(), siblings, **options))


def section(card, title):
    return card.text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_metadata_is_the_hubs(tmp_path):
    run = transfer_run(tmp_path, "clce", 0, 0.7, dataset="cifar100", weights="imagenet")
    data = card_of(run, licence="cc-by-4.0", name="My flowers").data
    assert (data.license, data.library_name) == ("cc-by-4.0", "keras")
    assert (data.pipeline_tag, data.datasets) == ("image-classification", ["uoft-cs/cifar100"])
    assert data.tags == ["keras-clce", "image-classification", "clce"]
    assert data.model_name == "My flowers" and "language" not in data.to_dict()
    found = {one.metric_name: one.metric_value for one in data.eval_results}
    assert found == {"top-1 accuracy": 0.7, "top-5 accuracy": 0.9, "1-NN accuracy": 0.8}
    first = data.eval_results[0]
    assert (first.task_type, first.dataset_type) == ("image-classification", "cifar100")
    assert (first.metric_type, first.dataset_split) == ("accuracy", "test")


def test_one_seed_has_the_interval_of_its_images(tmp_path):
    card = card_of(transfer_run(tmp_path, "ce", 3, 0.7))
    # The helper's runs have ten test images.
    low, high = proportion_confint(7, 10, method="wilson")
    results = section(card, "Results")
    assert f"| top-1 | 70.00 ({100 * low:.2f} to {100 * high:.2f}) |\n" in results
    assert "seed 3" in results and "One seed alone was run" in results
    assert "one seed: another one may give more or less" in section(card, "Limits")


def test_seeds_have_the_interval_over_seeds(tmp_path):
    values = [0.7, 0.8, 0.6]
    runs = [transfer_run(tmp_path, "clce", seed, value) for seed, value in enumerate(values)]
    # Runs of other settings, losses and labels are no repetitions of it, nor are quick ones.
    more = tmp_path / "more"
    others = [
        transfer_run(tmp_path, "ce", 0, 0.1),
        transfer_run(tmp_path, "clce", 7, 0.1, label="tuned"),
        transfer_run(more, "clce", 8, 0.1, epochs=9),
        transfer_run(more, "clce", 9, 0.1, data="other images"),
    ]
    card = card_of(runs[1], *runs, *others)
    half = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    row = next(line for line in card.text.splitlines() if line.startswith("| top-1 "))
    assert row.endswith(f"| {100 * np.mean(values):.2f} ± {100 * half:.2f} |")
    assert row.startswith("| top-1 | 80.00 (")
    assert "mean of 3 seeds ± 95 % interval" in card.text and "(0, 1, 2)" in card.text
    assert card.data.eval_results[0].metric_value == 0.8
    assert "one seed" not in section(card, "Limits")


def test_few_shot_results(tmp_path):
    rng = np.random.default_rng(0)
    tasks = [{"5w1s": rng.uniform(0.4, 0.8, 30)} for _ in range(2)]
    runs = [few_shot_run(tmp_path, "clce", seed, one) for seed, one in enumerate(tasks)]
    card = card_of(runs[0], *runs)
    means = [one["5w1s"].mean() for one in tasks]
    half = stats.t.ppf(0.975, 1) * np.std(means, ddof=1) / np.sqrt(2)
    row = f"| 5-way 1-shot, pooled features, l2 | {100 * means[0]:.2f} ± 1.00 "
    assert f"{row}| {100 * np.mean(means):.2f} ± {100 * half:.2f} |" in card.text
    assert "On 30 tasks of classes that it was not trained on" in card.text
    assert "knows the base classes" in section(card, "Limits")
    assert card.data.eval_results[0].metric_value == round(means[0], 4)


def test_an_untested_run_has_no_results(tmp_path):
    run = transfer_run(tmp_path, "clce", 0, 0.7)
    record = run.record()
    metrics = {key: value for key, value in record.metrics.items() if key != "test"}
    validation = {"best_epoch": 2, "top1": 0.75}
    run.write_metrics({**metrics, "tested": False, "validation": validation}, record.settings)
    card = card_of(run)
    assert "not known: they were not read.** On validation images it was 75.00 %." in card.text
    assert card.data.eval_results is None and "model-index" not in card.content


def test_nothing_tells_of_the_machine(tmp_path):
    paths = {"weights": str(tmp_path / "somebody" / "private" / "vit.safetensors")}
    run = transfer_run(tmp_path, "clce", 0, 0.7, backbone=r"C:\private\tiny.keras", **paths)
    (run.path / ".process").write_text("1 on secret-host")
    card = model_card(run.record(), command=lambda record: repr(record.settings))
    assert "vit.safetensors" in card and "tiny.keras" in card
    for secret in ("private", "somebody", "secret-host", str(tmp_path), "/home", "C:"):
        assert secret not in card, secret
    assert not re.search(r"(?<![\w/:.])/(?!details|summary)\w+/", card)


@pytest.mark.parametrize(
    ("settings", "said", "base"),
    [
        ({"weights": None}, "Training of `vit_tiny` began with random weights", None),
        (
            {"weights": "imagenet"},
            r"starting weights: Apache-2\.0 \(hf://timm/vit_tiny_patch16_224",
            "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k",
        ),
        (
            {"weights": "imagenet", "backbone": "mae_base"},
            r"starting weights: CC-BY-NC-4\.0",
            "timm/vit_base_patch16_224.mae",
        ),
        (
            {"weights": "hf://owner/encoder"},
            "starting weights: not recorded .`hf://owner/encoder`",
            "owner/encoder",
        ),
        (
            {"backbone": "hub:hf://owner/preset"},
            "starting weights: not recorded .`hub:hf://owner/preset`",
            "owner/preset",
        ),
        (
            {"backbone": "gone.keras"},
            "starting weights: not recorded .`gone.keras`",
            None,
        ),
    ],
)
def test_licence_and_origin_of_weights(settings, said, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = transfer_run(tmp_path, "clce", 0, 0.7, **{"backbone": "vit_tiny", **settings})
    card = card_of(run)
    assert re.search(said, card.text)
    assert card.data.base_model == base
    assert card.data.license == "unknown"
    assert "Nobody has said under which licence" in section(card, "Licence")


@pytest.mark.parametrize("spec", list_datasets(), ids=lambda spec: spec.name)
def test_licence_of_each_data_set(spec, tmp_path):
    card = card_of(transfer_run(tmp_path, "clce", 0, 0.7, dataset=spec.name))
    said = "not recorded: ask whoever" if spec.name == "image_folder" else spec.licence
    assert said in section(card, "Licence")
    assert card.data.datasets == ([spec.hub_name] if spec.hub_name else None)


def test_an_unknown_data_set_is_said_to_be_so(tmp_path):
    card = card_of(transfer_run(tmp_path, "clce", 0, 0.7, dataset="mine_of_1999"))
    assert "data: not recorded" in section(card, "Licence")


def test_a_loss_without_a_classifier_is_told_of(tmp_path):
    run = transfer_run(tmp_path, "supcon", 0, 0.7)
    np.savez(run.probe, coef=np.zeros((2, 2)))
    assert "its probabilities say nothing" in section(card_of(run), "Limits")


def test_software_time_and_classes(tmp_path):
    run = transfer_run(tmp_path, "clce", 0, 0.7)
    card = card_of(run, model=colour_model(), command=lambda record: "python recipes/…")
    training = section(card, "Training")
    assert re.search(r"trained in 60 seconds with keras 3\.\S+, jax \S+, numpy", training)
    assert "```sh\npython recipes/…\n```" in training
    assert section(card, "Classes").strip() == "blue, green, red"
    # A dense layer from three channels to three classes.
    assert "12 parameters and 3 classes, and sees 16 x 16 pixels" in card.text
    assert "2402.14551" in section(card, "Citation")


def test_a_calibrated_model_is_said_to_be_so(tmp_path):
    run, model = transfer_run(tmp_path, "clce", 0, 0.7), colour_model()
    assert "it was not calibrated" in section(card_of(run, model=model), "Limits")
    model.softmax_temperature = 1.5
    assert "calibrated, by a temperature of 1.5" in section(card_of(run, model=model), "Limits")


def test_names_are_shown_as_they_are(tmp_path):
    hostile = "<script>alert(1)</script> | **x**\n# y"
    run = transfer_run(tmp_path, "clce", 0, 0.7, data=f"image_folder {hostile}", dataset=hostile)
    card = card_of(run, name=hostile)
    assert "<script" not in re.sub(r"\\<", "", card.text)
    assert card.data.model_name == hostile
    assert escaped("a_b _c_ *d* <e>") == r"a_b \_c\_ \*d\* \<e\>"


@pytest.mark.parametrize("licence", ["CC BY 4.0", "", None, "-mit"])
def test_a_licence_is_an_abbreviation(licence, tmp_path):
    record = transfer_run(tmp_path, "clce", 0, 0.7).record()
    with pytest.raises(ValueError, match=r"`licence` must be an abbreviation.*Received: licence="):
        model_card(record, licence=licence)


def test_a_card_is_written_with_its_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = transfer_run(tmp_path / "runs", "clce", 0, 0.7)
    record, model = run.record(), colour_model()
    assert write_model_card(record) == run.path / "README.md"
    assert write_model_card(record, preset="colours", model=model).name == "README.md"
    card = hub.ModelCard.load("colours/README.md")
    assert "keras_clce.load_model('colours')" in section(card, "How to use it")
    assert write_model_card(record, "card.md", "more", model=model).read_text() == (
        (tmp_path / "more" / "README.md").read_text()
    )
    with pytest.raises(ValueError, match="`preset` must be None where there is no model"):
        write_model_card(record, preset="colours")
    with pytest.raises(ValueError, match="`output` must be a file in a folder"):
        write_model_card(record, "no/such/card.md")
    records, left_out = find_records(tmp_path / "runs")
    assert dataclasses.replace(records[0], folder=run.path) == record and not left_out
