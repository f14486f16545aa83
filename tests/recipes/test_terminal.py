"""What a run shows on a terminal, and what stays hidden."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import recipe_runs
from keras_clce.recipes import transfer
from recipe_runs import ROOT, environment_alone, flags_for
from terminals import as_standard_output, screen

from keras_clce import CLCEModel
from keras_clce.experiments import Settings
from keras_clce.experiments.protocols import few_shot_features


def shown(tiny_backbone, tmp_path, *more):
    """Lines of a terminal of 60 columns, and all that was written to it."""
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce", *more)
    with as_standard_output(columns=60) as written:
        recipe_runs.run(transfer, *arguments, "--limit_examples=96")
    return screen(written[0]), written[0]


def test_a_run_takes_one_line_of_a_terminal(tiny_backbone, tmp_path):
    lines, written = shown(tiny_backbone, tmp_path)
    (run,) = [number for number, line in enumerate(lines) if line.startswith("-> ")]
    assert lines[run + 1].startswith("2 epochs in ") and "  best " in lines[run + 1]
    assert lines[run + 2].startswith("test: top-1 ")
    for text in ("epoch 1/2  starting", "epoch 2/2", "images/s", "s left"):
        assert text in written
    # Neither colours nor Keras's bar.
    assert "\x1b" not in written and "\b" not in written
    # The plan, where paths may be longer.
    plan = [line for line in lines[: run - 1] if str(tmp_path) not in line]
    assert plan and max(map(len, plan)) < 60


@pytest.mark.any_backend
def test_a_verbose_run_has_the_progress_bars_of_keras(tiny_backbone, tmp_path):
    _, written = shown(tiny_backbone, tmp_path, "--verbose")
    assert "Epoch 1/2" in written and "feature_norm: " in written
    assert "epoch 1/2" not in written


def test_few_shot_features_are_computed_without_a_warning(tiny_backbone):
    model = CLCEModel(keras.saving.load_model(tiny_backbone, compile=False), num_classes=3)
    encoder = few_shot_features.encoder_of(model, Settings())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        features = encoder.predict_on_batch(np.zeros((2, 16, 16, 3), "float32"))
    assert {*features} == {"pooled", "embedding"}


@pytest.mark.any_backend
def test_what_frameworks_print_at_their_start_is_hidden_unless_asked_for(tmp_path):
    environment = {**environment_alone(), "KERAS_BACKEND": "tensorflow"}
    # With its level of messages the tests hide them, too.
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    environment["TF_ENABLE_ONEDNN_OPTS"] = "1"
    # An error that is found after Keras has started.
    study = ["transfer.py", "--epochs=2", "--warmup_epochs=2"]

    def errors(*more, command=study):
        done = subprocess.run(
            [sys.executable, ROOT / "recipes" / command[0], *command[1:], *more],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == 1 and not done.stdout
        return done.stderr.splitlines()

    (line,) = errors()
    assert line.startswith("Error: --warmup_epochs must be below --epochs")
    loud = errors("--verbose")
    assert len(loud) > 1 and loud[-1] == line
    (tmp_path / "model.keras").write_text("no model")
    tool = ["embed.py", "--model=model.keras", "--images=.", "--output=mine.npz"]
    (line,) = errors(command=tool)
    assert line.startswith("Error: --model must be")
    loud = errors("--verbose", command=tool)
    assert len(loud) > 1 and loud[-1] == line
