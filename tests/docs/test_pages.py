"""Pages of the site: Python blocks run, commands have flags that exist, links lead somewhere."""

import ast
import functools
import importlib
import re
import textwrap
from pathlib import Path

import example_objects
import keras
import pytest
import yaml
from test_examples import COMMON, expected_value, is_value

pytestmark = pytest.mark.any_backend

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
# Pages that the site makes of files elsewhere (docs/theme/hooks.py and tutorials.py).
MADE = {
    **{f"tutorials/{path.stem}.md": path for path in ROOT.glob("notebooks/*.ipynb")},
    **{f"results/{path.parent.name}/index.md": path for path in ROOT.glob("results/*/README.md")},
    "results/index.md": ROOT / "results" / "README.md",
    "changelog.md": ROOT / "CHANGELOG.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
}
MADE_OF_CODE = {"guides/settings.md", "results/runs.md"}
# An encoder that compiles at once, and a study of seconds.
SHORTER = {
    '"small_resnet"': '"encoder.keras"',
    '"digits", image_size=32)': '"digits", image_size=32, limit_examples=128)',
    'dataset="digits", epochs=10)': 'backbone="encoder.keras", image_size=32, quick=True)',
}


def id_of(path):
    return str(path.relative_to(DOCS))


def fences(path, language):
    """`(line, title, code)` of each block of a language, without its indentation."""
    text = path.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match[2] == language:
            line = text[: match.start(4)].count("\n")
            yield line, match[3].strip(), textwrap.dedent(match[4])


def runs(path):
    return [(line, code) for line, title, code in fences(path, "python") if not title]


RUNNING = [path for path in PAGES if runs(path)]


@pytest.mark.parametrize("path", RUNNING, ids=id_of)
def test_python_of_a_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keras.Model, "fit", in_one_epoch(keras.Model.fit))
    code = "\n".join(code for _, code in runs(path))
    for long, short in SHORTER.items():
        code = code.replace(long, short)
    tree = ast.parse(code)
    example_objects.write_files(code)
    write_page_files(code)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    # What a page uses without making it: data and models, as in the examples of docstrings.
    names = {**COMMON, **example_objects.build(used)}
    lines = code.splitlines()
    for statement in tree.body:
        expected = expected_value(statement, lines)
        if not isinstance(statement, ast.Expr):
            exec(compile(ast.Module([statement], []), id_of(path), "exec"), names)
            continue
        value = eval(compile(ast.Expression(statement.value), id_of(path), "eval"), names)
        if expected is not None:
            assert is_value(value, ast.parse(expected, mode="eval").body, expected), (
                f"{ast.unparse(statement)} gives {value!r}, not {expected}"
            )


def in_one_epoch(fit):
    """`fit` that goes over the data once, without compiling, and says nothing."""

    @functools.wraps(fit)
    def shorter(model, *args, **given):
        model.run_eagerly = True
        return fit(model, *args, **{**given, "epochs": 1, "verbose": 0})

    return shorter


def write_page_files(code):
    """What pages read and examples of docstrings do not."""
    if '"labels.csv"' in code:
        names = ("ant", "bee", "cat", "dog", "eel")
        rows = [f"pets/{name}/{number}.png,{name}" for name in names for number in range(4)]
        Path("labels.csv").write_text("\n".join(["file,class", *rows]) + "\n")


@pytest.mark.parametrize("path", PAGES, ids=id_of)
def test_blocks_that_do_not_run_say_that_they_are_sketches(path):
    for line, title, code in fences(path, "python"):
        assert not title or re.fullmatch(r'title="Sketch: [^"]+"', title), f"line {line}"
        ast.parse(code)


# === Commands ===


def commands(path):
    """The words of each `keras-clce` command of a page, in blocks and in the text."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for match in re.finditer(r"keras-clce ([a-z_]+)([^\n`|]*)", text):
        yield match[1], match[2].partition(" #")[0]


def is_flag(flag, code):
    """Whether the code of recipes declares a flag; absl brings some itself."""
    declared = rf"^    {flag.removeprefix('no')}: |^    {flag}: |\"{flag}\""
    return flag in ("help", "flagfile") or re.search(declared, code, re.MULTILINE)


def code_of(*patterns):
    return "".join(path.read_text() for pattern in patterns for path in ROOT.glob(pattern))


def test_commands_and_their_flags_exist():
    shared = code_of("keras_clce/experiments/**/*.py")
    for path in PAGES:
        for recipe, rest in commands(path):
            file = ROOT / "recipes" / f"{recipe}.py"
            assert file.is_file(), f"{id_of(path)}: keras-clce {recipe}"
            for flag in re.findall(r"--([a-z_0-9]+)", rest):
                found = is_flag(flag, file.read_text() + shared)
                assert found, f"{id_of(path)}: keras-clce {recipe} --{flag}"


def test_flags_of_the_text_exist():
    everywhere = code_of("keras_clce/experiments/**/*.py", "recipes/*.py")
    for path in PAGES:
        for flag in re.findall(r"`--([a-z_0-9]+)", path.read_text(encoding="utf-8")):
            assert is_flag(flag, everywhere), f"{id_of(path)}: --{flag}"


# === Links ===


def slug(heading):
    """The anchor that a heading gets, as Python-Markdown's `toc` makes it."""
    heading = re.sub(r"[`*]", "", heading).strip().lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading))


def anchors(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)}


@pytest.mark.parametrize("path", PAGES, ids=id_of)
def test_links_lead_to_pages_and_headings(path):
    for is_picture, target in LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        place = str(found.relative_to(DOCS))
        if is_picture:
            assert found.is_file() or (ROOT / place).is_file(), target
            continue
        if place in MADE_OF_CODE:
            continue
        found = MADE.get(place, found)
        assert found.is_file(), target
        assert not anchor or anchor in anchors(found), target


def test_every_page_is_in_the_navigation():
    # Without the tags of Python that only MkDocs knows.
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def pages(part):
        if isinstance(part, str):
            yield part
        for inner in part.values() if isinstance(part, dict) else part * isinstance(part, list):
            yield from pages(inner)

    listed = [*pages(config["nav"])]
    assert len(listed) == len(set(listed))
    # Folders of results get their places by the hook.
    made = {page for page in MADE if not re.fullmatch(r"results/[^/]+/index.md", page)}
    assert {*listed} == {*map(id_of, PAGES), *made, *MADE_OF_CODE}
    assert config["strict"] is True


# === The reference ===


def test_every_public_name_is_in_the_reference_once():
    text = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    directives = re.findall(r"^::: (\S+)$", text, re.M)
    assert len(directives) == len(set(directives))
    packages = [f"keras_clce.{init.parent.name}" for init in ROOT.glob("keras_clce/*/__init__.py")]
    for package in ["keras_clce", *packages]:
        if package == "keras_clce.backend":
            continue
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            # Two packages may export one name, or two things by the same name.
            found = [each for each in directives if each.rpartition(".")[2] == name]
            assert any(resolve(each) is thing or resolve(each) == thing for each in found), (
                f"{package}.{name}"
            )


def resolve(dotted):
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)
