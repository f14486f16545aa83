"""The same weights and batches give the same loss and updates on every installed backend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import three_steps

pytestmark = pytest.mark.any_backend

BACKENDS = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]
HERE = Path(__file__).resolve().parent


def run_alone(backend, output):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(HERE.parent.parent), str(HERE)]),
    }
    command = [sys.executable, str(HERE / "three_steps.py"), str(output)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    if len(BACKENDS) < 2:
        pytest.skip("only one backend is installed")
    folder = tmp_path_factory.mktemp("backends")
    found = {}
    for backend in BACKENDS:
        output = folder / f"{backend}.npz"
        if backend == keras.backend.backend():
            three_steps.main(output)  # at hand, without another start of it
        else:
            run_alone(backend, output)
        found[backend] = dict(np.load(output))
    return found


@pytest.mark.parametrize("case", ["plain", "batch_norm", "hscl", "augmenter"])
def test_three_steps_agree(results, case):
    first, *others = results.values()
    keys = [key for key in first if key.startswith(f"{case}/")]
    assert len(keys) > 3
    for other in others:
        for key in keys:
            if key.endswith("loss"):
                np.testing.assert_allclose(other[key], first[key], rtol=1e-5)
            else:
                np.testing.assert_allclose(other[key], first[key], rtol=1e-4, atol=1e-4)


def test_dropout_agrees_in_the_mean(results):
    """Masks differ between backends, so losses may only agree within their own spread."""
    losses = [result["dropout/loss"][-10:] for result in results.values()]
    for other in losses[1:]:
        spread = np.std(losses[0]) + np.std(other)
        assert abs(np.mean(other) - np.mean(losses[0])) < spread + 0.05
