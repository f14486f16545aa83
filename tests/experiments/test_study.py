"""A study from Python: its grid, its folders, its records."""

import json
import logging

import keras
import pytest

from keras_clce.experiments import Settings, Study, run, run_one


def names(study):
    return [f"{name}-{settings.seed}" for settings, name in study._points()]


@pytest.mark.any_backend
def test_the_grid_has_each_seed_and_leaves_out_what_a_loss_does_not_read():
    vary = {"loss": ["ce", "clce"], "contrastive_weight": [0.2, 0.9]}
    assert names(Study("mine", vary, [3, 1])) == [
        *("ce-3", "clce-contrastive_weight=0.2-3", "clce-contrastive_weight=0.9-3"),
        *("ce-1", "clce-contrastive_weight=0.2-1", "clce-contrastive_weight=0.9-1"),
    ]
    # β is read by every contrastive loss but SupCon, the place of the sum not by H-SCL.
    vary = {"loss": ["supcon", "hscl"], "hardness": [0, 1], "positive_sum": ["inside"]}
    assert sorted(names(Study("mine", vary))) == [
        "hscl-hardness=0-0",
        "hscl-hardness=1-0",
        "supcon-positive_sum=inside-0",
    ]
    # Cross-entropy reads nothing of the contrastive part; a weight that is fixed does not move.
    vary = {"loss": ["ce", "supcon", "clce"], "contrastive_schedule": ["constant", "falling"]}
    vary |= {"temperature": [0.1], "label_smoothing": [0.2]}
    assert sorted(names(Study("mine", vary))) == [
        "ce-label_smoothing=0.2-0",
        "clce-contrastive_schedule=constant-label_smoothing=0.2-temperature=0.1-0",
        "clce-contrastive_schedule=falling-label_smoothing=0.2-temperature=0.1-0",
        "supcon-temperature=0.1-0",
    ]
    vary = {"epochs": [1, 2]}
    settings = Settings(loss="ce", label="short", warmup_epochs=0)
    assert names(Study("mine", vary, settings=settings)) == [
        "ce-short-epochs=1-0",
        "ce-short-epochs=2-0",
    ]
    assert names(Study("mine")) == ["ce-0", "clce-0"]
    assert names(Study("mine", settings=Settings(freeze_backbone=True))) == ["ce-0"]


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vary": {"temprature": [1]}}, "`vary` must name settings.*temprature"),
        ({"vary": {"seed": [1]}}, "`seeds` is for"),
        ({"vary": {"temperature": [0.1, -1]}}, "`temperature` must be above 0"),
        ({"vary": {"loss": ["clce"]}, "settings": Settings(freeze_backbone=True)}, "nothing to"),
        (
            {
                "vary": {"contrastive_weight": [0.5, 1.0]},
                "settings": Settings(contrastive_schedule="falling"),
            },
            "above 0 and below 1 for it.*contrastive_weight=1.0",
        ),
        ({"seeds": [0, 0]}, "`seeds` must be different"),
        ({"protocol": "segmentation"}, "`protocol` must be one of transfer, few_shot"),
        ({"frozen": True}, "`frozen` is not for the protocol transfer"),
    ],
)
def test_what_cannot_become_a_study_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Study("mine", **options)


@pytest.mark.any_backend
def test_the_data_set_says_the_protocol_and_folders_say_the_data(tmp_path):
    assert Study("mine", settings=Settings(dataset="cifar_fs")).protocol == "few_shot"
    settings = Settings(dataset="image_folder", data_dir=str(tmp_path / "birds"), output_dir="out")
    home = Study("mine", settings=settings).home()
    assert home.parts == ("out", "mine", "image_folder-birds", "small_resnet")
    quick = Settings(quick=True)
    assert Study("mine", settings=quick).home().parts[-1] == "quick"


@pytest.mark.any_backend
def test_a_study_trains_its_grid_and_its_records_come_back(tiny_backbone, tmp_path, capsys):
    settings = Settings(
        backbone=tiny_backbone,
        image_size=16,
        limit_examples=100,
        batch_size=32,
        epochs=1,
        output_dir=str(tmp_path / "out"),
    )
    study = Study("mine", {"loss": ["ce", "clce"], "contrastive_weight": [0.2, 0.9]}, [1], settings)
    before = keras.config.dtype_policy().name
    records = study.run()
    assert [record.settings.loss for record in records[:3]] == ["ce", "clce", "clce"]
    assert [record.settings.contrastive_weight for record in records[1:3]] == [0.2, 0.9]
    assert [record.seed for record in records] == [1, 1, 1]
    assert len(records[0].history) == 1 and 0 <= records[0].metrics["test"]["top1"] <= 1
    printed = capsys.readouterr().out
    assert "clce, contrastive_weight=0.9" in records.table() and records.table() in printed
    assert "[3/3] clce-contrastive_weight=0.9, seed 1" in printed
    assert "1 epoch of 32 images" in " ".join(printed.split())
    folder = records[2].folder
    assert folder.name == "clce-contrastive_weight=0.9-seed1"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["settings"]["contrastive_weight"] == 0.9
    assert not (folder / "checkpoint").exists()
    model = keras.saving.load_model(folder / "model.keras")
    assert model.class_names == tuple("0123456789")
    assert model.preprocessing.image_size == 16
    assert keras.config.dtype_policy().name == before
    with pytest.raises(ValueError, match="already holds a run"):
        study.run()
    again = study.run(resume=True)
    assert [record.metrics for record in again] == [record.metrics for record in records]


@pytest.mark.any_backend
def test_run_one_gives_a_record(tiny_backbone, tmp_path):
    settings = Settings(
        backbone=tiny_backbone, loss="ce", quick=True, image_size=16, output_dir=str(tmp_path)
    )
    record = run_one(settings)
    assert record.settings.loss == "ce" and record.quick
    assert record.folder.parent.name == "quick"


@pytest.mark.any_backend
def test_runs_that_trace_anew_are_no_reason_to_warn(caplog):
    logger = logging.getLogger("tensorflow")
    with run._traced_anew():
        logger.warning("5 out of the last 5 calls triggered tf.function retracing")
        logger.warning("something else")
    logger.warning("retracing outside of a run")
    assert [record.getMessage() for record in caplog.records] == [
        "something else",
        "retracing outside of a run",
    ]
