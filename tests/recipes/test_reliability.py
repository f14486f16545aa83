"""Runs that are killed, that meet each other or a full disk, and files that were damaged since."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import recipe_runs
from keras_clce.recipes import transfer
from recipe_runs import flags_for, flat, only

from benchmarks.kill_and_resume import in_a_write_after, kill, result
from keras_clce.runs import RunFolder

ROOT = Path(__file__).resolve().parents[2]
run = functools.partial(recipe_runs.run, transfer)


def test_a_killed_run_resumes_to_the_same_result(tiny_backbone, tmp_path):
    def arguments(output, *more):
        return *flags_for(tiny_backbone, output, "--losses=clce", *more), "--epochs=6"

    run(*arguments(tmp_path / "whole"))
    killed = tmp_path / "killed"
    # A process takes longest to start.
    for epochs in (1, 3) if keras.backend.backend() == "torch" else (2,):
        seen = kill(killed, arguments(killed), in_a_write_after(epochs))
        assert not seen["ended"], seen["printed"]
        assert epochs <= seen["saved"] < 6
        assert not list(killed.rglob("metrics.json"))
    run(*arguments(killed, "--resume"))
    (metrics, history), (other, other_history) = result(tmp_path / "whole"), result(killed)
    assert [row["epoch"] for row in other_history] == [str(epoch) for epoch in range(1, 7)]
    for a, b in zip(history, other_history, strict=True):
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-3)
    for part in ("test", "validation"):
        assert flat(other[part]) == pytest.approx(flat(metrics[part]), abs=0.01)


@pytest.mark.any_backend
def test_the_second_run_in_a_folder_refuses(tiny_backbone, tmp_path):
    arguments = flags_for(tiny_backbone, tmp_path, "--losses=ce", "--quick")
    home = tmp_path / "transfer" / "digits" / tiny_backbone.replace("/", "_") / "quick"
    folder = RunFolder(home / "ce-seed0")
    with (
        folder.lock(),
        pytest.raises(SystemExit, match=rf"Error: .*ce-seed0 is in use by .*process {os.getpid()}"),
    ):
        run(*arguments)
    assert not folder.config.is_file()
    run(*arguments)
    assert folder.metrics.is_file()


@pytest.mark.any_backend
def test_resume_goes_on_from_the_epoch_before_a_damaged_one(tiny_backbone, tmp_path):
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce", "--epochs=3")
    arguments += ("--keep_checkpoint",)
    run(*arguments)
    before = result(tmp_path / "runs")
    only(tmp_path / "runs", "metrics.json").unlink()
    newest = only(tmp_path / "runs", "epoch-2.npz")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    with pytest.warns(UserWarning, match="epoch-2 differ; going on after epoch 2"):
        run(*arguments, "--resume")
    (metrics, history), (other, other_history) = before, result(tmp_path / "runs")
    for a, b in zip(history, other_history, strict=True):
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-3)
    assert flat(other["test"]) == pytest.approx(flat(metrics["test"]), abs=0.01)
    only(tmp_path / "runs", "metrics.json").unlink()
    for file in (tmp_path / "runs").rglob("epoch-*.npz"):
        file.write_bytes(b"")
    with pytest.raises(SystemExit, match=r"Error: Every checkpoint in .* is damaged"):
        run(*arguments, "--resume")


@pytest.mark.any_backend
def test_damaged_metrics_are_computed_again_where_they_are_deleted(tiny_backbone, tmp_path):
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce", "--quick")
    arguments += ("--keep_checkpoint",)
    run(*arguments)
    file = only(tmp_path / "runs", "metrics.json")
    metrics = json.loads(file.read_text())
    file.write_text(file.read_text()[:-20])
    with pytest.raises(SystemExit, match=r"Error: .*metrics\.json is damaged .*Delete it"):
        run(*arguments, "--resume")
    file.unlink()
    run(*arguments, "--resume")
    assert json.loads(file.read_text()) == metrics


@pytest.mark.any_backend
def test_deleted_metrics_come_again_without_a_checkpoint(tiny_backbone, tmp_path):
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=ce", "--quick")
    run(*arguments)
    file = only(tmp_path / "runs", "metrics.json")
    metrics = json.loads(file.read_text())
    assert not list((tmp_path / "runs").rglob("checkpoint"))
    file.unlink()
    run(*arguments, "--resume")
    again = json.loads(file.read_text())
    assert {**again, "seconds": 0} == {**metrics, "seconds": 0}


@pytest.mark.any_backend
def test_a_loss_of_nan_ends_the_program_in_one_line(tiny_backbone, tmp_path):
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--losses=clce", "--learning_rate=999")
    # With a small weight the first loss that is not finite is that of validation.
    arguments += ("--contrastive_weight=0.9", "--temperature=0.5")
    with pytest.raises(SystemExit, match=r"Error: loss became (nan|inf) in step .* learning rate"):
        run(*arguments, "--optimizer=sgd", "--epochs=20")


FULL = """
mount -t tmpfs -o size={size}k tmpfs {folder} || exit 99
{python} {recipe} --output_dir={folder} && exit 98
ls -A {folder}/*/*/*/*/checkpoint
mount -o remount,size=1g {folder}
{python} {recipe} --output_dir={folder} --resume || exit 97
cat {folder}/*/*/*/*/metrics.json > {copy}
"""


@pytest.mark.any_backend
def test_a_full_disk_is_one_line_and_leaves_the_last_good_epoch(tiny_backbone, tmp_path):
    """On a small file system of its own; each epoch takes 1.9 of its 5 MB."""
    folder, copy = tmp_path / "small", tmp_path / "metrics.json"
    folder.mkdir()
    arguments = flags_for(tiny_backbone, "unused", "--losses=ce", "--epochs=4")
    recipe = [str(ROOT / "recipes" / "transfer.py"), *arguments, "--embedding_dim=20000"]
    script = FULL.format(
        size=5_000,
        folder=folder,
        python=sys.executable,
        recipe=" ".join(recipe),
        copy=copy,
    )
    command = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=recipe_runs.environment_alone()
        )
    except FileNotFoundError:
        pytest.skip("unshare, which gives the test a file system of its own, is not installed")
    if done.returncode in (1, 99) and not done.stdout:
        pytest.skip(f"no file system of its own is allowed here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith(("Error", "Trace"))]
    assert len(errors) == 1 and errors[0].startswith("Error: [Errno 28] No space left on device")
    assert "epoch-1.sha256" in done.stdout and ".writing" not in done.stdout
    assert "going on after epoch 2" in done.stdout
    assert np.isfinite(json.loads(copy.read_text())["test"]["top1"])
