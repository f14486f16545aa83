"""Runs whose contrastive weight moves: what is logged, what picks the epoch, what goes on."""

import json

import numpy as np
import pytest

from keras_clce.experiments import Settings, Study, training


@pytest.mark.any_backend
def test_the_weight_moves_is_logged_and_goes_on_after_a_kill(tiny_backbone, tmp_path, monkeypatch):
    settings = Settings(
        backbone=tiny_backbone,
        image_size=16,
        limit_examples=100,
        batch_size=32,
        epochs=3,
        contrastive_weight=0.8,
        contrastive_schedule="falling",
        output_dir=str(tmp_path),
    )
    study = Study("mine", {"loss": ["ce", "clce"]}, settings=settings)
    reported = training.EpochReport.on_epoch_end

    def broken_off(self, epoch, logs=None):
        reported(self, epoch, logs)
        if epoch == 1 and "contrastive_weight" in logs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.EpochReport, "on_epoch_end", broken_off)
        with pytest.raises(KeyboardInterrupt):
            study.run()
    ce, clce = study.run(resume=True)
    assert not any("contrastive_weight" in row for row in ce.history)
    weights = [row["contrastive_weight"] for row in clce.history]
    np.testing.assert_allclose(weights, [0.8, 0.4, 0.0], atol=1e-9)
    for row in clce.history:
        weight = row["contrastive_weight"]
        joined = (1 - weight) * row["cross_entropy"] + weight * row["contrastive"]
        assert row["loss"] == pytest.approx(joined, rel=1e-4)
        fixed = 0.2 * row["val_cross_entropy"] + 0.8 * row["val_contrastive"]
        # Batches of unequal size count by their images here, and by their anchors there.
        assert row["val_loss"] == pytest.approx(fixed, rel=0.02)
    best = int(np.argmin([row["val_cross_entropy"] for row in clce.history]))
    assert clce.metrics["validation"]["best_epoch"] == best + 1
    assert "contrastive_weight" in (clce.folder / "history.csv").read_text().partition("\n")[0]


@pytest.mark.any_backend
def test_runs_from_before_there_was_a_schedule_go_on_without_one(tiny_backbone, tmp_path):
    settings = Settings(
        backbone=tiny_backbone, loss="clce", quick=True, image_size=16, output_dir=str(tmp_path)
    )
    study = Study("mine", {"loss": ["clce"]}, settings=settings)
    (record,) = study.run()
    for name in ("config.json", "metrics.json"):
        content = json.loads((record.folder / name).read_text())
        assert content["settings"].pop("contrastive_schedule") == "constant"
        (record.folder / name).write_text(json.dumps(content))
    (again,) = study.run(resume=True)
    assert again.settings.contrastive_schedule == "constant"
    assert again.metrics["test"] == record.metrics["test"]
    moving = Settings(**{**vars(settings), "contrastive_schedule": "rising"})
    with pytest.raises(ValueError, match=r"contrastive_schedule: 'constant' then, 'rising' now"):
        Study("mine", {"loss": ["clce"]}, settings=moving).run(resume=True)
