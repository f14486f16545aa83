"""The one-way flow of imports, and one place for backend code."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_backend

ROOT = Path(__file__).resolve().parent.parent
FLOW = ("views", "data", "models", "losses", "train", "evaluate", "report")
OPEN_TO_ALL = {"backend", "files"}
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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_leftward_only(path):
    package = path.relative_to(ROOT / "keras_clce").parts[0]
    if package not in FLOW:
        return
    allowed = {*FLOW[: FLOW.index(package) + 1], *OPEN_TO_ALL}
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "keras_clce" and len(parts) > 1:
            assert parts[1] in allowed, f"{path.name} imports {name}"
        assert parts[0] != "recipes"


def test_views_inside_the_step_need_keras_alone():
    for path in (ROOT / "keras_clce" / "views").glob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        assert tops <= {"keras", "keras_clce", "math"}, f"{path} imports {tops}"


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


def test_public_names():
    import keras_clce

    assert set(keras_clce.__all__) == {
        "CLCELoss",
        "CLCEModel",
        "HSCLLoss",
        "LACLNLoss",
        "SupConLoss",
        "load_model",
    }
    for name in keras_clce.__all__:
        assert getattr(keras_clce, name).__doc__
