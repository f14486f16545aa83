"""Tutorials: scripts run, notebooks are theirs and have outputs, links and commands exist."""

import functools
import importlib.util
import re
from pathlib import Path

import keras
import matplotlib
import nbformat
import numpy as np
import pytest

from keras_clce import CLCEModel

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"


def load_build():
    spec = importlib.util.spec_from_file_location("notebooks_build", FOLDER / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load_build()
SCRIPTS = build.SCRIPTS
of_each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def notebook_of(script):
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def words_of(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


# === They run ===


@pytest.fixture
def run_quickly(tmp_path, tiny_backbone, monkeypatch):
    """Run a script in an empty folder; gives its names, and the number of its pictures."""
    # A whole run in one process; what a tutorial starts itself has to find the package.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTORIAL_QUICK", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    pictures = []
    monkeypatch.setattr(plt, "show", lambda: pictures.append(plt.gcf().canvas.draw()))

    def run(name):
        (script,) = FOLDER.glob(f"{name}_*.py")
        source = script.read_text(encoding="utf-8")
        source = source.replace('"small_resnet", None, 32', f"{tiny_backbone!r}, None, 16")
        names = {"__name__": script.stem}
        exec(compile(source, str(script), "exec"), names)
        return names, len(pictures)

    yield run
    plt.close("all")


@pytest.fixture
def few_graphs(monkeypatch):
    """On TensorFlow, the graphs of so few steps would take most of the time."""
    if keras.backend.backend() == "tensorflow":
        eager = functools.partialmethod(CLCEModel.compile, run_eagerly=True)
        monkeypatch.setattr(CLCEModel, "compile", eager)


def test_photographs_become_a_model_an_index_and_answers(run_quickly, few_graphs):
    names, pictures = run_quickly("02")
    # Parts that are 160 x 360, 240 x 240, 240 x 280, 280 x 160, and 200 x 80 with 280 x 120.
    tiles = 4 * 9 + 6 * 6 + 6 * 7 + 7 * 4 + 5 * 2 + 7 * 3
    assert len(names["index"]) == tiles
    assert names["model"].class_names == ("leaves", "pagoda", "petals", "sky", "trees")
    assert [Path(row.name).stem for row in names["rows"]] == [*names["new"]]
    assert sum(names["answer"].probabilities) == pytest.approx(1, abs=1e-5)
    assert pictures == 2


def test_few_shot_losses_meet_the_same_tasks(run_quickly, few_graphs):
    names, pictures = run_quickly("03")
    results = names["results"]
    assert [*results] == [(loss, seed) for loss in ("ce", "clce") for seed in (0, 1)]
    assert len({result.drawn_from for result in results.values()}) == 1
    by_hand = np.mean(results["clce", 0].accuracies - results["ce", 0].accuracies)
    assert names["pairs"][0].mean_difference == pytest.approx(by_hand)
    assert pictures == 2


def test_a_step_in_chunks_is_the_step_at_once(run_quickly):
    names, pictures = run_quickly("04")
    assert names["moved"] > 1e-4
    assert names["apart"] < 1e-2 * names["moved"]
    # So small a batch may stay below what importing took at its peak.
    (row,) = names["found"].values()
    assert row["MB"] >= 0 and row["seconds"] > 0
    assert pictures == 1


def test_four_devices_give_what_one_gives(run_quickly):
    names, _ = run_quickly("05")
    four = names["four"]
    assert four["devices"] == 4
    np.testing.assert_allclose(four["embeddings"], names["outputs"]["embedding"], atol=1e-4)
    one = names["model"].evaluate(
        names["images"][names["test"]], names["labels"][names["test"]], batch_size=64, verbose=0
    )
    assert four["losses"][0] == pytest.approx(one[0], abs=1e-4)


def test_a_study_is_answered(run_quickly, few_graphs):
    names, pictures = run_quickly("06")
    runs = sorted((record.settings.loss, record.settings.seed) for record in names["records"])
    assert runs == [("ce", 0), ("ce", 1), ("clce", 0), ("clce", 1)]
    assert [*names["top1"]] == ["ce", "clce 0.9"]
    by_hand = np.mean(names["differences"])
    assert names["test"].mean_difference == pytest.approx(by_hand)
    assert names["page"].with_suffix(".html").is_file()
    assert pictures == 2


def test_new_classes_are_enrolled_and_unknown_ones_refused(run_quickly, few_graphs):
    names, pictures = run_quickly("07")
    enrolled = names["enrolled"]
    assert enrolled.class_names == names["NAMES"][:9]
    assert enrolled.counts[7:] == (20, 20)
    # At most a tenth of the sixty unknown images that chose it reach the threshold.
    passed = enrolled.scores(enrolled.unknown).max(axis=1) >= enrolled.threshold
    assert len(passed) == 60 and passed.sum() <= 6
    refused = names["scores"] < enrolled.threshold
    np.testing.assert_array_equal(refused, names["refused"])
    assert pictures == 2


# === What is committed ===


@pytest.mark.any_backend
@of_each_script
def test_a_notebook_is_its_script(script):
    written = [(cell.cell_type, cell.source) for cell in build.read_script(script).cells]
    kept = [(cell.cell_type, cell.source) for cell in notebook_of(script).cells]
    told = f"they differ: run `python notebooks/build.py {script.name[:2]}`"
    assert kept == written, told


@pytest.mark.any_backend
def test_every_notebook_has_a_script():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {path.stem for path in SCRIPTS}


@pytest.mark.any_backend
@of_each_script
def test_outputs_are_committed_and_small(script):
    notebook = notebook_of(script)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert outputs and not any(output.output_type == "error" for output in outputs)
    assert script.with_suffix(".ipynb").stat().st_size < 220_000
    # Names of folders of the machine that ran it.
    text = "".join(str(output.get("text", "")) for output in outputs)
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/", text)


@pytest.mark.any_backend
@of_each_script
def test_a_tutorial_says_what_is_learnt_and_what_comes_next(script):
    words = words_of(build.read_script(script))
    assert words[0].startswith("# ")
    assert "you will learn" in " ".join(" ".join(words[:2]).split()).lower()
    assert "## What next" in words[-1]


# === Links and commands ===


@pytest.mark.any_backend
@of_each_script
def test_links_lead_to_files(script):
    for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(words_of(build.read_script(script)))):
        if not target.startswith("https://"):
            assert (FOLDER / target).is_file(), target


@pytest.mark.any_backend
@of_each_script
def test_commands_exist(script):
    for name in re.findall(r"`keras-clce (\w+)", script.read_text(encoding="utf-8")):
        assert (ROOT / "recipes" / f"{name}.py").is_file(), name


# === keras.io's format ===


@pytest.mark.any_backend
def test_one_is_a_code_example_of_keras_io():
    """By the rules of keras.io's `scripts/tutobooks.py`."""
    (script,) = FOLDER.glob("07_*.py")
    lines = script.read_text(encoding="utf-8").splitlines()
    header = ("Title", "Author", "Date created", "Last modified", "Description", "Accelerator")
    assert lines[0] == '"""' and lines[7] == '"""'
    fields = dict(line.split(": ", 1) for line in lines[1:7])
    assert tuple(fields) == header
    for name in ("Date created", "Last modified"):
        assert re.fullmatch(r"\d{4}/\d\d/\d\d", fields[name])
    description = fields["Description"]
    assert description[0].isupper() and description[-1] == "." and len(description) <= 100
    assert fields["Accelerator"] in ("GPU", "TPU", "None")
    assert not any(line.endswith(" ") for line in lines)
    assert not any(re.fullmatch(r'""".*"""', line) for line in lines)
    assert all(len(line) <= 90 for line in lines)
    # Every second part stands between two fences, and is words; the others are code.
    code = "\n".join(script.read_text(encoding="utf-8").split('"""')[2::2])
    compile(code, script.name, "exec")
    headings = re.findall(r"^## (.+)$", "\n".join(lines), re.MULTILINE)
    assert headings[:2] == ["Introduction", "Setup"]
