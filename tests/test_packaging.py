"""What `pip install` brings: requirements, extras, packages of two folders, the command."""

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_backend

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = CONFIG["project"]
EXTRAS = PROJECT["optional-dependencies"]


def lines_of(name):
    lines = (ROOT / name).read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_requirements_are_the_base_and_all_that_recipes_on_tensorflow_need():
    extras = {line for name in ("tensorflow", "data", "hub", "tune") for line in EXTRAS[name]}
    assert lines_of("requirements.txt") == {*PROJECT["dependencies"], *extras}


def test_the_base_has_no_backend():
    names = {line.partition(">")[0] for line in PROJECT["dependencies"]}
    assert not names & {"tensorflow", "jax", "torch", "keras-cv", "keras-hub"}


def test_one_extra_has_all_others():
    (everything,) = EXTRAS["all"]
    named = everything.removeprefix("keras-clce[").removesuffix("]").split(",")
    assert sorted(named) == sorted(set(EXTRAS) - {"all"})


def test_recipes_are_found_from_any_folder(tmp_path):
    find = "from importlib.util import find_spec\nspec = find_spec('keras_clce.recipes.transfer')\n"
    command = [sys.executable, "-c", f"{find}print(spec.origin)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).read_text() == (ROOT / "recipes" / "transfer.py").read_text()


@pytest.mark.parametrize("package", ["keras_clce", "keras_clce.recipes"])
def test_files_beside_the_code_are_installed(package):
    folder = ROOT / package.rpartition(".")[2]
    patterns = CONFIG["tool"]["setuptools"]["package-data"].get(package, [])
    installed = {file for pattern in patterns for file in folder.glob(pattern)}
    files = {path for path in folder.rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} == installed


def test_the_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="keras-clce")
    assert command.value == "keras_clce.cli:main"
    assert callable(command.load())
