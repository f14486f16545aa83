"""What is not used is not imported, and need not be installed."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

TESTS = Path(__file__).resolve().parent
PACKAGES = sorted(
    f"keras_clce.{init.parent.name}" for init in TESTS.parent.glob("keras_clce/*/__init__.py")
)
OPTIONAL = {
    "PIL",
    "keras_cv",
    "keras_hub",
    "matplotlib",
    "sklearn",
    "tensorflow_datasets",
    "timm",
    "torchvision",
    "zeromodels",
}
LIST = """
import importlib, json, sys
import keras  # takes in other backends where they are installed; that is Keras's own
before = {*sys.modules}
for name in sys.argv[2:]:
    importlib.import_module(name)
with open(sys.argv[1], "w") as file:
    json.dump(sorted({*sys.modules} - before), file)
"""


def test_imports_bring_nothing_but_the_library(tmp_path):
    file = tmp_path / "added.json"
    # Encoders, too, import the libraries that they are built of when they are built.
    names = (*PACKAGES, "keras_clce.models.backbones")
    subprocess.run([sys.executable, "-c", LIST, file, *names], check=True)
    added = json.loads(file.read_text())
    allowed = {"keras", "keras_clce", *sys.stdlib_module_names}
    assert {name.partition(".")[0] for name in added} <= allowed
    assert len([name for name in added if not name.startswith("keras_clce")]) < 30


def test_the_core_needs_one_backend_alone(tmp_path):
    others = {"tensorflow", "jax", "torch"} - {keras.backend.backend()}
    hidden = ",".join(sorted(OPTIONAL | others))
    command = [TESTS / "hidden_packages.py", hidden, TESTS / "core_with_one_backend.py", tmp_path]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "in few-shot tasks" in done.stdout


@pytest.mark.any_backend
def test_hidden_packages_cannot_be_imported(tmp_path):
    """Else the test of the core would pass whatever it needs."""
    file = tmp_path / "imports.py"
    file.write_text("import json, sklearn.neighbors")
    command = [sys.executable, TESTS / "hidden_packages.py", "sklearn", file]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'sklearn'" in done.stderr


@pytest.mark.any_backend
def test_layers_are_known_once_the_library_is_imported(tmp_path):
    """In every program, even of a folder that bears the name of this project's own."""
    file = tmp_path / "recipes" / "program.py"
    file.parent.mkdir()
    file.write_text(
        "import keras, keras_clce\n"
        "for name in ('CLCEModel', 'RandomResizedCrop', 'Preprocessing', 'CLCELoss'):\n"
        "    assert keras.saving.get_registered_object(f'keras_clce>{name}'), name\n"
    )
    subprocess.run([sys.executable, file], check=True)


@pytest.mark.any_backend
def test_commands_answer_before_keras_is_imported(tmp_path):
    file = tmp_path / "keras-clce"
    file.write_text("import sys, keras_clce.cli\nassert 'keras' not in sys.modules")
    subprocess.run([sys.executable, file], check=True)
