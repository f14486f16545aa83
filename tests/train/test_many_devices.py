"""Several devices and processes train as one does, each seeing positives and negatives of all.

The devices are virtual ones of one processor. The compiled step is read too: what each holds.
"""

import importlib.util
import math
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from many_devices import BATCH, CACHE, CASES, CHUNK, SAME_ON_TENSORFLOW, WIDE
from small_models import SHAPE

pytestmark = pytest.mark.any_backend

HERE = Path(__file__).resolve().parent
DEVICES = 8
MAPS = "{},{},8".format(*((side - 1) // 2 for side in SHAPE[:2]))  # of an image
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)


def start(output, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, str(HERE / "many_devices.py"), str(output), *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE.parent.parent), str(HERE)]),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed[-3000:]


def assert_same(found, expected):
    assert len(expected) > 4
    assert all(np.isfinite(value).all() for value in expected.values())
    assert found.keys() >= expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-5, err_msg=key)


def largest_shape(text):
    """Most numbers in one of the shapes of a compiled program."""
    shapes = re.findall(r"\[(\d[\d,]*)\]", text)
    return max(math.prod(map(int, shape.split(","))) for shape in shapes)


def of(results, devices, case):
    prefix = f"{devices}/{case}/"
    return {key[len(prefix) :]: results[key] for key in results if key.startswith(prefix)}


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory):
    """What one device and eight give, and the programs that the eight ran."""
    folder = tmp_path_factory.mktemp("jax")
    options = (
        # No less effort than this: the same draws of the views must come out.
        "--xla_backend_optimization_level=0",
        f"--xla_dump_to={folder}",
        "--xla_dump_hlo_as_text",
        "--xla_dump_hlo_module_re=.*(train|test|predict)_step.*",
    )
    finish(start(folder / "found.npz", KERAS_BACKEND="jax", XLA_FLAGS=" ".join(options)))
    programs = {
        step: [
            text
            for path in sorted(folder.glob(f"*{step}_step.cpu_after_optimizations.txt"))
            if f"num_partitions={DEVICES}" in (text := path.read_text())
        ]
        for step in ("train", "test", "predict")
    }
    return dict(np.load(folder / "found.npz")), programs


@pytest.fixture(scope="module")
def on_tensorflow(tmp_path_factory):
    output = tmp_path_factory.mktemp("tensorflow") / "found.npz"
    # oneDNN's convolution gives a batch of no images, a replica's part of a last batch, a wrong
    # shape.
    finish(start(output, KERAS_BACKEND="tensorflow", TF_ENABLE_ONEDNN_OPTS="0"))
    return dict(np.load(output))


@needs_jax
@pytest.mark.parametrize("case", [*CASES, "wide_head"])
def test_eight_devices_of_jax_train_as_one(on_jax, case):
    results, _ = on_jax
    assert_same(of(results, "several", case), of(results, "one", case))


@needs_jax
def test_two_processes_of_jax_train_as_one(on_jax, tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    options = {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2",
    }
    output = tmp_path / "found.npz"
    processes = [start(output, address, number, **options) for number in range(2)]
    for process in processes:
        finish(process)
    found = dict(np.load(output))
    assert_same(of(found, "processes", "batch_norm"), of(on_jax[0], "one", "batch_norm"))


@needs_jax
@pytest.mark.parametrize("case", [case for case in CASES if case != "mixed"])
def test_no_device_holds_all_similarities_and_no_image_moves(on_jax, case):
    program = on_jax[1]["train"][list(CASES).index(case)]
    rows = CASES[case][2] * BATCH
    if case == "in_blocks":
        assert f"f32[{CHUNK},{rows // DEVICES}]" in program
        assert f"[{CHUNK},{rows}]" not in program
    else:
        assert f"f32[{rows // DEVICES},{rows}]" in program
    assert f"[{rows},{rows}]" not in program
    if "cache" in CASES[case][0]:
        assert f"f32[{CACHE},{MAPS}]" in program
        assert f"f32[{DEVICES * CACHE},{MAPS}]" not in program
    own_images = BATCH // DEVICES * math.prod(SHAPE)
    assert own_images <= largest_shape(program) < DEVICES * own_images
    moved = re.findall(r"= (.*) (?:all-\w+|reduce-scatter|collective-permute)\(", program)
    assert 0 < largest_shape(" ".join(moved)) < own_images


@needs_jax
@pytest.mark.parametrize("step", ["test", "predict"])
def test_evaluation_divides_whole_batches_where_it_can(on_jax, step):
    divided, rest = on_jax[1][step]
    assert f"f32[{BATCH // DEVICES},{MAPS}]" in divided
    assert f"f32[{BATCH},{MAPS}]" not in divided
    assert f"f32[1,{MAPS}]" in rest


@needs_jax
def test_a_wide_head_is_divided(on_jax):
    results, programs = on_jax
    found = of(results, "several", "wide_head")
    assert tuple(found["kernel"]) == tuple(found["momentum"]) == (2, WIDE)
    assert f"f32[8,{WIDE}]" not in programs["train"][-1]


@pytest.mark.parametrize("case", SAME_ON_TENSORFLOW)
def test_two_replicas_of_tensorflow_train_as_one(on_tensorflow, case):
    one, several = (of(on_tensorflow, devices, case) for devices in ("one", "several"))
    assert one["evaluated_loss"].shape == ()
    assert_same(several, one)
