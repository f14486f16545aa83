"""The one-way flow of imports, and one place for backend code."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

import keras_clce

pytestmark = pytest.mark.any_backend

ROOT = Path(__file__).resolve().parent.parent
# From the top: a package imports what stands on lower floors, and none of its own floor.
FLOORS = (
    {"cli"},
    {"recipes"},
    {"experiments"},
    {"inference", "report"},
    {"train", "data", "runs"},
    {"models", "losses", "views", "evaluate"},
)
# What is open to all, and what each of these rests on.
OPEN_TO_ALL = {"files": {"backend", "checks"}, "backend": {"checks"}, "checks": set()}
MODULES = sorted((ROOT / "keras_clce").rglob("*.py"))
RECIPES = sorted((ROOT / "recipes").glob("*.py"))


def imported(path):
    """Dotted names of all that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(path):
    """Name of the package, or of the module beside the packages, that a file is in."""
    if path.parent == ROOT / "recipes":
        return "recipes"
    return path.relative_to(ROOT / "keras_clce").parts[0].removesuffix(".py")


def allowed_for(package):
    """Packages that one may import, itself included."""
    if package in OPEN_TO_ALL:
        return {package, *OPEN_TO_ALL[package]}
    floor = next(number for number, names in enumerate(FLOORS) if package in names)
    below = {name for names in FLOORS[floor + 1 :] for name in names}
    # A recipe knows no other recipe.
    return {package, *below, *OPEN_TO_ALL} - ({"recipes"} if package == "recipes" else set())


def test_every_package_has_its_floor():
    found = {package_of(path) for path in [*MODULES, *RECIPES]} - {"__init__"}
    assert found <= {*OPEN_TO_ALL, *(name for names in FLOORS for name in names)}


@pytest.mark.parametrize("path", [*MODULES, *RECIPES], ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    package = package_of(path)
    if package == "__init__":
        return
    allowed = allowed_for(package)
    packages = {*OPEN_TO_ALL, *(name for names in FLOORS for name in names)}
    for name in imported(path):
        top, *inner = name.split(".")
        assert top not in {"recipes", *(recipe.stem for recipe in RECIPES)}, f"{path}: {name}"
        if top == "keras_clce" and inner:
            # What is no package is a public name, such as CLCEModel, of the package that made it.
            made_in = keras_clce._MODULES.get(inner[0], "keras_clce.train").rpartition(".")[2]
            needed = inner[0] if inner[0] in packages else made_in
            assert needed in allowed, f"{path.name} imports {name}"


def test_views_inside_the_step_need_keras_alone():
    waiting, seen = [ROOT / "keras_clce" / "views" / "__init__.py"], set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        names = set(imported(path))
        tops = {name.split(".")[0] for name in names}
        assert tops <= {"keras", "keras_clce", "numpy", *sys.stdlib_module_names}, path
        found = {ROOT / f"{name.replace('.', '/')}.py" for name in names}
        waiting += [file for file in found if file.is_file() and file not in seen]
    assert ROOT / "keras_clce" / "views" / "augmenter.py" in seen


@pytest.mark.parametrize("path", [*MODULES, *RECIPES], ids=lambda path: str(path.relative_to(ROOT)))
def test_backend_is_asked_in_one_package(path):
    if path.parent == ROOT / "keras_clce" / "backend":
        return
    reads_files = "checkpoints" in path.parts
    for name in imported(path):
        top = name.split(".")[0]
        assert top != "jax", f"{path} imports {name}"
        assert top != "torch" or reads_files, f"{path} imports {name}"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert not called.endswith(("backend.backend", "config.backend")), f"{path}: {called}"


@pytest.mark.parametrize("path", [*MODULES, *RECIPES], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_reads_code_from_files(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert not called.endswith(
            ("enable_unsafe_deserialization", "extractall", "pickle.load", "pickle.loads")
        ), f"{path}: {called}"
        assert called not in ("eval", "exec"), f"{path}: {called}"
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert given.get("safe_mode", "True") == "True", f"{path}: {called}"
        if called == "torch.load":
            assert given.get("weights_only") == "True", f"{path}: {called}"
        if called == "np.load":
            assert given.get("allow_pickle", "False") == "False", f"{path}: {called}"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_what_a_recipe_imports_is_exported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "keras_clce":
            assert node.module.count(".") <= 1, f"{path.name} imports {node.module}"
            module = importlib.import_module(node.module)
            for alias in node.names:
                public = getattr(module, "__all__", vars(module))
                assert alias.name in public and not alias.name.startswith("_"), alias.name


def test_public_names():
    assert set(keras_clce.__all__) == {
        "CLCELoss",
        "CLCEModel",
        "HSCLLoss",
        "LACLNLoss",
        "SupConLoss",
        "load_model",
        "predict_images",
    }
    for name in keras_clce.__all__:
        assert getattr(keras_clce, name).__doc__
