"""A package that reading data needs, and that is not installed, is named with its command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_backend

HIDE = Path(__file__).resolve().parent.parent / "hidden_packages.py"
CALLS = """
import sys
import numpy as np
from keras_clce.data import ImageSplit, load_dataset, load_few_shot
from keras_clce.data.decoding import decode_image

split = ImageSplit(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4), image_size=8)
assert split.arrays()[0].shape == (4, 8, 8, 3)
for call in sys.argv[1:]:
    try:
        eval(call)
    except ImportError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("package", "backend", "calls"),
    [
        (
            "tensorflow",
            "jax",
            [
                "load_dataset('digits', image_size=8)",
                "load_few_shot('image_folder', image_size=8, data_dir='.')",
                "split.view_pairs(2)",
                "split.batches(2)",
            ],
        ),
        ("tensorflow_datasets", "tensorflow", ["load_dataset('cifar10', image_size=8)"]),
        ("PIL", "jax", ["decode_image('photo.jpg')"]),
    ],
)
def test_the_package_and_its_command_are_named(package, backend, calls, tmp_path):
    pytest.importorskip(backend)
    file = tmp_path / "calls.py"
    file.write_text(CALLS)
    command = [sys.executable, HIDE, package, file, *calls]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    said = f'needs {package}, which is not installed. Install it with: pip install "keras-clce[data'
    assert done.stdout.count(said) == len(calls)
