"""Recipes on several devices, or in several processes, end where one device ends."""

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import recipe_runs
from absl import flags
from keras_clce.recipes import transfer

from keras_clce.experiments.devices import Devices
from keras_clce.experiments.resolved import run_settings
from keras_clce.experiments.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """An encoder whose normalisation sees all images of a batch, as a file."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    path = tmp_path_factory.mktemp("encoder") / "tiny.keras"
    keras.Model(inputs, keras.layers.ReLU()(x)).save(path)
    return path


settings = functools.partial(recipe_runs.settings, "transfer")


def flags_for(backbone, output, *more):
    """A run whose last batches, of 13 images, do not divide by the devices."""
    return (
        f"--backbone={backbone}",
        "--image_size=16",
        "--batch_size=64",
        "--limit_examples=130",
        "--epochs=2",
        "--warmup_epochs=0",
        "--losses=clce",
        "--keep_checkpoint",
        f"--output_dir={output}",
        *more,
    )


def start(backend, *arguments):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "recipes/transfer.py"), *flags_for(*arguments)],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TF_ENABLE_ONEDNN_OPTS": "0",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    printed, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]
    return printed


def only(folder, pattern):
    (path,) = folder.rglob(pattern)
    return path


def assert_same_result(folder, expected):
    found, wanted = (
        json.loads(only(path, "metrics.json").read_text()) for path in (folder, expected)
    )
    flat = recipe_runs.flat
    assert flat(found["test"]) == pytest.approx(flat(wanted["test"]), abs=0.005)
    assert found["validation"] == pytest.approx(wanted["validation"], abs=0.005)
    histories = [
        json.loads(only(path, "epoch-1.json").read_text())["history"] for path in (folder, expected)
    ]
    for row, other in zip(*histories, strict=True):
        for key in {*row} - {"seconds"}:
            assert row[key] == pytest.approx(other[key], rel=1e-3), key


@pytest.fixture(scope="module")
def one_device_of_jax(backbone, tmp_path_factory):
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("jax")
    finish(start("jax", backbone, folder))
    return folder


@pytest.mark.any_backend
def test_a_killed_run_goes_on_with_eight_devices_of_jax(one_device_of_jax, backbone, tmp_path):
    killed = start("jax", backbone, tmp_path)
    for line in killed.stdout:
        if line.startswith("epoch 1/2"):
            break
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    printed = finish(start("jax", backbone, tmp_path, "--resume", "--num_devices=8"))
    assert "8 devices" in printed
    assert_same_result(tmp_path, one_device_of_jax)


@pytest.mark.any_backend
def test_two_processes_of_jax_write_once_what_one_writes(one_device_of_jax, backbone, tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"--coordinator_address=localhost:{probe.getsockname()[1]}"
    processes = [
        start(
            "jax",
            backbone,
            tmp_path,
            address,
            "--num_processes=2",
            f"--process_id={number}",
            "--num_devices=2",
        )
        for number in range(2)
    ]
    printed = [finish(process) for process in processes]
    assert "4 devices in 2 processes" in printed[0]
    # The library that joins the processes has its own words, which threads write in pieces.
    pieces = r"\[Gloo\] Rank |\d+| is connected to | peer ranks\. |"
    pieces += "Expected number of connected peer ranks is : "
    assert not re.sub(pieces, "", printed[1]).strip()
    assert_same_result(tmp_path, one_device_of_jax)
    names = [
        {path.relative_to(folder) for path in folder.rglob("*")}
        for folder in (tmp_path, one_device_of_jax)
    ]
    assert names[0] == names[1]


@pytest.mark.any_backend("tensorflow")
def test_two_devices_of_tensorflow_end_where_one_ends(backbone, tmp_path):
    two = start("tensorflow", backbone, tmp_path / "two", "--num_devices=2")
    transfer.main(["transfer", *flags_for(backbone, tmp_path / "one")])
    finish(two)
    assert_same_result(tmp_path / "two", tmp_path / "one")
    saved = only(tmp_path / "two", "model.keras")
    model = keras.saving.load_model(saved)
    assert not model.backbone.layers[3].synchronized
    assert model.predict(np.zeros((3, 16, 16, 3)), verbose=0)["logits"].shape == (3, 10)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num_devices=0"], "num_devices"),
        (
            ["--num_devices=7", "--batch_size=64"],
            "--batch_size must divide by .* 7. Received: batch_size=64",
        ),
        (["--num_processes=2"], "need --coordinator_address"),
        (["--coordinator_address=here:1"], "need --coordinator_address"),
        (
            ["--num_processes=2", "--process_id=2", "--coordinator_address=here:1"],
            "process_id=2",
        ),
        (
            [
                "--num_devices=16",
                "--num_processes=8",
                "--coordinator_address=here:1",
                "--batch_size=64",
            ],
            "all processes, 128",
        ),
    ],
)
def test_bad_numbers_of_devices_are_named(arguments, message):
    with pytest.raises(flags.Error, match=message):
        settings(*arguments)


@pytest.mark.any_backend
def test_the_number_of_devices_is_no_setting():
    one, eight = settings(), settings("--num_devices=8")
    assert run_settings(eight, "transfer") == run_settings(one, "transfer")
    assert eight.num_devices == 8


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "arguments",
    [
        ["--mixup_alpha=0.2", "--mix=contrastive"],
        ["--cutmix_alpha=1"],
        ["--augmentation=randaugment", "--stochastic_depth=0.1", "--backbone=vit_tiny_patch4"],
    ],
)
def test_checks_draw_no_numbers_before_devices_are_claimed(arguments, monkeypatch):
    """JAX cannot be divided into devices any more once it has computed something."""

    def started(*_, **__):
        raise AssertionError("a generator of random numbers was made")

    monkeypatch.setattr(keras.random.SeedGenerator, "__init__", started)
    study = recipe_runs.study("transfer", *arguments)
    assert [*study._runs(False)]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX takes several processes")
def test_what_a_backend_does_not_take_is_one_readable_error(tmp_path):
    arguments = ["--num_processes=2", "--coordinator_address=localhost:1"]
    for more in [arguments] + [["--num_devices=2"]] * (keras.backend.backend() == "torch"):
        with pytest.raises(SystemExit, match=r"Error: .*KERAS_BACKEND=jax takes several devices"):
            transfer.main(["transfer", f"--output_dir={tmp_path}", *more])
    assert Devices(Settings()).share() == (0, 1)
