"""The examples in docstrings run, and give what the comment beside a line says."""

import ast
import dataclasses
import fnmatch
import functools
import importlib
import inspect
import json
import math
import re
import textwrap
from decimal import Decimal
from pathlib import Path

import example_objects
import keras
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
# Packages of operations, unless they say that they are TensorFlow's; layers and models are compared
# between backends by tests of their own, and take most of the time there.
ON_ALL_BACKENDS = ("losses", "backend")
PACKAGES = [path.parent.name for path in sorted(ROOT.glob("keras_clce/*/__init__.py"))]
COMMON = {
    "Path": Path,
    "dataclasses": dataclasses,
    "json": json,
    "keras": keras,
    "math": math,
    "np": np,
}
# By the id of the example, what it needs and no test may have.
NOT_RUN = {
    "keras_clce/backend/devices.py::claim_devices": "devices are claimed before any computation",
    "keras_clce/data/tfds_source.py::TfdsImages": "CIFAR-100 is downloaded",
    "keras_clce/data/tfds_source.py::open_builder": "CIFAR-100 is downloaded",
    "keras_clce/models/checkpoints/download.py::downloading": "weights are downloaded",
    "keras_clce/models/checkpoints/download.py::hub_folder": "weights are downloaded",
    "keras_clce/models/checkpoints/download.py::local_weights": "weights are downloaded",
}

# Likewise, what other backends do not have.
RUN_ON_TENSORFLOW = {
    "keras_clce/train/clce_model.py::CLCEModel.export": "JAX exports ONNX by another package",
    "keras_clce/inference/export/exporting.py::ExportedModel": "ONNX",
    "keras_clce/inference/export/exporting.py::check_export": "ONNX",
    "keras_clce/inference/export/exporting.py::export_model": "ONNX",
    "keras_clce/inference/export/formats.py::ExportFormat.check_backend": "ONNX",
}

# What calls a framework by its name, whichever backend runs.
OF_TORCH = "keras_clce/backend/torch_programs.py"


@dataclasses.dataclass(frozen=True)
class Example:
    """The code of one docstring, and the line of its file that it begins after."""

    path: str
    name: str
    text: str
    line: int

    @property
    def id(self):
        return f"{self.path}::{self.name}"

    @property
    def is_on_all_backends(self):
        package = Path(self.path).parts[1]
        source = (ROOT / self.path).read_text(encoding="utf-8")
        is_tensorflows = self.id in RUN_ON_TENSORFLOW or "\nimport tensorflow" in source
        return package in ON_ALL_BACKENDS and not is_tensorflows and self.path != OF_TORCH


def documented(node, name=""):
    """Every documented class and function below a node, with its dotted name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            dotted = f"{name}.{child.name}" if name else child.name
            yield dotted, child
            yield from documented(child, dotted)


def examples_of(path):
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    for name, node in [("module", tree), *documented(tree)]:
        docstring = ast.get_docstring(node, clean=False)
        if docstring is None:
            continue
        begin = node.body[0].lineno - 1
        # As `inspect.cleandoc`, but that lines keep their number.
        first, *rest = docstring.split("\n")
        docstring = f"{first.lstrip()}\n{textwrap.dedent(chr(10).join(rest))}"
        for match in FENCE.finditer(docstring):
            line = begin + docstring[: match.start(1)].count("\n")
            yield Example(str(path.relative_to(ROOT)), name, match[1], line)


def all_examples():
    paths = [path for top in ("keras_clce", "recipes") for path in (ROOT / top).rglob("*.py")]
    return [example for path in sorted(paths) for example in examples_of(path)]


EXAMPLES = all_examples()


def as_parameter(example):
    marks = [] if example.is_on_all_backends else [pytest.mark.any_backend]
    return pytest.param(example, id=example.id, marks=marks)


@pytest.mark.parametrize(
    "example", [as_parameter(example) for example in EXAMPLES if example.id not in NOT_RUN]
)
def test_example(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = ast.parse(example.text)
    names = namespace(example, tree)
    lines = example.text.splitlines()
    for statement in tree.body:
        expected = expected_value(statement, lines)
        ast.increment_lineno(statement, example.line)
        if isinstance(statement, ast.Expr):
            code = compile(ast.Expression(statement.value), example.path, "eval")
            value = eval(code, names)
            if expected is not None:
                assert is_value(value, ast.parse(expected, mode="eval").body, expected), (
                    f"{ast.unparse(statement)} gives {value!r}, not {expected}"
                )
        else:
            exec(compile(ast.Module([statement], []), example.path, "exec"), names)


def namespace(example, tree):
    """What an example may name without importing it."""
    module = example.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    own = vars(importlib.import_module(module))
    names = {**public_names(), **COMMON, **own}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    example_objects.write_files(example.text)
    return {**names, **example_objects.build(used - {*own})}


@functools.cache
def public_names():
    """All that packages export, by the names that a reader would import."""
    modules = [importlib.import_module(f"keras_clce.{package}") for package in PACKAGES]
    names = [(module, name) for module in modules for name in getattr(module, "__all__", ())]
    return {name: getattr(module, name) for module, name in names}


def expected_value(statement, lines):
    """The literal in the comment after an expression; `None` where there is no such one."""
    if not isinstance(statement, ast.Expr):
        return None
    line = statement.end_lineno
    after = lines[line - 1].encode()[statement.end_col_offset :].decode().strip()
    # Where a line is too long, the value stands below it.
    if not after and line < len(lines) and lines[line].startswith("#"):
        after = lines[line]
    text = after.removeprefix("#").strip()
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return text


def is_value(value, literal, text):
    """Whether a value is what a literal says: numbers to the digits shown, "…" for any text."""
    if isinstance(literal, ast.Tuple):
        value = tuple(value) if type(value).__name__ == "TensorShape" else value
        return isinstance(value, tuple) and are_values(value, literal.elts, text)
    if isinstance(literal, ast.List):
        if not isinstance(value, list | tuple):
            value = keras.ops.convert_to_numpy(value).tolist()
        return isinstance(value, list) and are_values(value, literal.elts, text)
    if isinstance(literal, ast.Dict):
        keys = [ast.literal_eval(key) for key in literal.keys]
        return [*value] == keys and are_values([*value.values()], literal.values, text)
    expected = ast.literal_eval(literal)
    if isinstance(expected, float):
        shown = Decimal(ast.get_source_segment(text, literal).lstrip("-").replace("_", ""))
        return abs(float(value) - expected) <= 0.5 * 10.0 ** shown.as_tuple().exponent
    if isinstance(expected, str):
        pattern = fnmatch.translate(expected.replace("[", "[[]").replace("…", "*"))
        return isinstance(value, str) and re.match(pattern, value) is not None
    if expected is None:
        return value is None
    if isinstance(expected, bool):
        return isinstance(value, bool | np.bool_) and bool(value) is expected
    return bool(value == expected)


def are_values(values, literals, text):
    pairs = zip(values, literals, strict=False)
    return len(values) == len(literals) and all(is_value(*pair, text) for pair in pairs)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (0.0497, "0.05", True),
        (0.0497, "0.06", False),
        (2.0, "2.1", False),
        (float("nan"), "1.0", False),
        (True, "True", True),
        (1.0, "True", False),
        ("a, b", '"a, …"', True),
        ("b", '"a…"', False),
        ("(a) [b]?", '"(a) [b]?"', True),
        ((2, 2), "(2, 2)", True),
        ((2, 2), "[2, 2]", False),
        ([2, 2], "(2, 2)", False),
        ((2,), "(2, 2)", False),
        (np.array([0.6, 0.8], "float32"), "[0.6, 0.8]", True),
        (np.array([0.6, 0.8]), "[0.6, 0.7]", False),
        ({"ce": [0, 1]}, '{"ce": [0, 1]}', True),
        ({"ce": [0, 1]}, '{"ce": [0, 2]}', False),
        ({"ce": [0, 1], "clce": []}, '{"ce": [0, 1]}', False),
        (None, "None", True),
        (0, "None", False),
    ],
)
def test_a_value_is_what_a_comment_says(value, text, expected):
    assert is_value(value, ast.parse(text, mode="eval").body, text) is expected


@pytest.mark.any_backend
def test_few_examples_are_left_out_and_each_id_is_one():
    ids = [example.id for example in EXAMPLES]
    assert len({*ids}) == len(ids)
    assert {*NOT_RUN, *RUN_ON_TENSORFLOW} <= {*ids}
    assert len(NOT_RUN) < 15


@pytest.mark.any_backend
def test_what_packages_export_has_an_example():
    without = [
        name
        for name, thing in [*exported_with_methods()]
        if "Args:" in (thing.__doc__ or "") and "```python" not in thing.__doc__
    ]
    assert without == []


def exported_with_methods():
    for name, thing in public_names().items():
        if inspect.isclass(thing):
            yield name, thing
            own = {member: getattr(thing, member) for member in vars(thing) if member[0] != "_"}
            for member, method in own.items():
                if inspect.isroutine(method):
                    yield f"{name}.{member}", method
        elif inspect.isfunction(thing):
            yield name, thing
