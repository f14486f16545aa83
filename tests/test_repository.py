"""Files that a host, a citation manager or an editor reads parse and agree with the package."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

pytestmark = pytest.mark.any_backend

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = CONFIG["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
YAML_FILES = [
    *WORKFLOWS,
    *sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")),
    ROOT / ".pre-commit-config.yaml",
    ROOT / "CITATION.cff",
]


def read_yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps_of(workflow):
    return [step for job in read_yaml(workflow)["jobs"].values() for step in job["steps"]]


def hooks():
    repositories = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    return [hook for repository in repositories for hook in repository["hooks"]]


def lower_bound(requirement):
    (bound,) = [each.version for each in requirement.specifier if each.operator == ">="]
    return bound


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_parses(path):
    assert read_yaml(path)


def test_the_development_container_parses():
    config = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    command = config["postCreateCommand"]
    files = re.findall(r"-r (\S+)", command)
    assert files and all((ROOT / file).is_file() for file in files)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_pin_actions_by_hash_and_may_only_read(path):
    workflow = read_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    actions = [step["uses"] for step in steps_of(path) if "uses" in step]
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
    # The version stands beside the hash, for people.
    lines = [line for line in path.read_text().splitlines() if "uses:" in line]
    assert all(re.search(r"# v\d+\.\d+\.\d+$", line) for line in lines)


def test_an_action_has_one_hash():
    used = {step["uses"] for path in WORKFLOWS for step in steps_of(path) if "uses" in step}
    names = [action.partition("@")[0] for action in used]
    assert len(names) == len(set(names))


def test_tests_run_on_all_backends_with_the_oldest_and_the_newest_versions():
    matrix = read_yaml(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]["strategy"][
        "matrix"
    ]
    assert matrix["backend"] == ["tensorflow", "jax", "torch"]
    rows = {row["versions"]: row for row in matrix["include"]}
    assert sorted(rows) == sorted(matrix["versions"]) == ["newest", "oldest"]
    supported = SpecifierSet(PROJECT["requires-python"])
    oldest = rows["oldest"]["python"]
    assert str(supported) == f">={oldest}"
    assert all(row["python"] in supported for row in rows.values())
    assert rows["oldest"]["resolution"] == "lowest-direct"
    # "lowest-direct" takes the lower bounds, so each direct requirement must have one.
    groups = PROJECT["optional-dependencies"].values()
    for line in [*PROJECT["dependencies"], *(line for group in groups for line in group)]:
        requirement = Requirement(line)
        if requirement.name != PROJECT["name"]:
            assert lower_bound(requirement)


def test_every_python_of_the_workflows_is_supported():
    supported = SpecifierSet(PROJECT["requires-python"])
    for path in WORKFLOWS:
        for step in steps_of(path):
            version = step.get("with", {}).get("python-version", "")
            assert version.startswith("${{") or not version or version in supported


def test_ruff_is_the_same_in_hooks_and_requirements():
    lines = (ROOT / "requirements-test.txt").read_text().splitlines()
    (required,) = [line for line in lines if line.startswith("ruff")]
    pins = {pin for hook in hooks() for pin in hook.get("additional_dependencies", ())}
    assert pins == {required}


def test_hooks_name_tests_that_exist():
    named = [
        word for hook in hooks() for word in hook["entry"].split() if word.startswith("tests/")
    ]
    assert named and all((ROOT / word).exists() for word in named)


def test_the_citation_is_of_this_version():
    citation = read_yaml(ROOT / "CITATION.cff")
    # Keys that the Citation File Format 1.2.0 requires.
    assert {"cff-version", "message", "title", "authors"} <= {*citation}
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= {*paper}
    assert all({"given-names", "family-names"} == {*author} for author in paper["authors"])
    assert paper["url"] in (ROOT / "README.md").read_text()


def test_the_changelog_names_the_version():
    import keras_clce

    assert keras_clce.__version__ == PROJECT["version"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["version"] in text
    assert text.startswith("# Changelog\n") and "\n## [Unreleased]\n" in text
