"""The report recipe, on run folders written by hand."""

import functools
import subprocess
import sys

import numpy as np
import pytest
from keras_clce.recipes import report as report_recipe
from PIL import Image
from recipe_runs import ROOT, environment_alone, run_alone, run_here
from scipy import stats

from keras_clce.files import write_json
from keras_clce.report import RunFolder

pytestmark = pytest.mark.any_backend
report = functools.partial(run_here, report_recipe)
TOP1 = {"ce": [0.70, 0.72, 0.71], "clce": [0.74, 0.75, 0.77]}


def write_run(path, loss, seed, top1):
    folder = RunFolder(path)
    folder.start({}, "digits, 10 images")
    history = [{"epoch": k, "loss": 1.0 / (k + 1), "val_loss": 1.0, "seconds": 1} for k in (0, 1)]
    folder.write_history(history)
    if top1 is not None:
        test = {"top1": top1, "top5": 0.9, "nearest_neighbor": 0.8, "examples": 10}
        validation = {"best_epoch": 2}
        named = {"loss": loss, "seed": seed, "seconds": 12.0}
        write_json(folder.metrics, {**named, "test": test, "validation": validation})


def write_few_shot_run(path, loss, seed, accuracies, drawn_from="a1", label=None):
    folder = RunFolder(path)
    folder.start({}, "faces, 20 novel classes")
    if loss != "frozen":
        folder.write_history([{"epoch": 0, "loss": 1.0, "val_few_shot": 0.5, "seconds": 1}])
    np.savez(folder.few_shot, **{"5w1s": accuracies})
    result = {
        "mean": float(np.mean(accuracies)),
        "ci95": 0.01,
        "tasks": len(accuracies),
        "queries": 15,
        "classifier": "logistic",
        "features": "pooled",
        "transform": "l2",
        "drawn_from": drawn_from,
    }
    named = {"loss": loss, "seed": seed, "accuracies": f"{path.name}/few_shot.npz"}
    named |= {"label": label} if label else {}
    write_json(folder.metrics, {**named, "few_shot": {"5w1s": result}})


def test_report_gives_scipys_figures_and_names_what_it_left_out(tmp_path):
    home = tmp_path / "runs" / "transfer" / "digits" / "small_resnet"
    for loss, values in TOP1.items():
        for seed, top1 in enumerate(values):
            write_run(home / f"{loss}-seed{seed}", loss, seed, top1)
    write_run(home / "clce-seed3", "clce", 3, None)
    done = run_alone("report", "--runs", tmp_path / "runs", "--output_dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert f"Left out, not finished: {home / 'clce-seed3'}" in done.stdout
    text = (tmp_path / "out" / "report.md").read_text()
    assert "## transfer/digits/small_resnet" in text
    assert "digits, 10 images" in text
    test = stats.ttest_rel(TOP1["clce"], TOP1["ce"])
    assert f"p = {test.pvalue:.2g}" in text
    assert f"{100 * np.mean(TOP1['clce']):.2f} ± " in text
    with Image.open(tmp_path / "out" / "curves-1.png") as picture:
        assert picture.format == "PNG"

    done = report("--runs", home / "ce-seed0", "--output_dir", tmp_path / "one")
    assert done.returncode == 0 and "## small_resnet" in done.stdout, done.stderr
    done = report("--runs", home, "--output_dir", tmp_path / "out" / "report.md")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: --output_dir must be a folder")


def test_few_shot_runs_are_reported_on_the_same_tasks_alone(tmp_path):
    home = tmp_path / "runs" / "few_shot" / "faces" / "vit_tiny"
    rng = np.random.default_rng(0)
    ce, clce, frozen, tuned = rng.uniform(0.5, 0.8, (4, 40))
    for loss, values in (("ce", ce), ("clce", clce), ("frozen", frozen)):
        write_few_shot_run(home / f"{loss}-seed0", loss, 0, values)
    write_few_shot_run(home / "clce-tuned-seed0", "clce", 0, tuned, label="tuned")
    done = report("--runs", tmp_path / "runs", "--output_dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "report.md").read_text()
    assert "## few_shot/faces/vit_tiny" in text
    assert "Accuracy on the novel classes in %, faces, 20 novel classes" in text
    assert "5w1s: pooled features, l2; 40 tasks, 15 queries a class, logistic" in text
    assert f"{stats.ttest_rel(clce, ce).pvalue:.2g}" in text
    assert f"{100 * np.mean(frozen - ce):+.2f}" in text
    (row,) = (line for line in text.splitlines() if "clce, tuned " in line)
    assert f" {100 * np.mean(tuned):.2f} ± " in row and f"{100 * np.mean(tuned - ce):+.2f}" in row
    for name in ("curves-1.png", "few_shot-1.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.format == "PNG"

    lost = home / "frozen-seed0" / "few_shot.npz"
    lost.unlink()
    done = report("--runs", tmp_path / "runs", "--output_dir", tmp_path / "out")
    assert done.returncode == 0 and f"Left out, {lost} is damaged" in done.stdout
    table = (tmp_path / "out" / "report.md").read_text().split("median ± seeds  the")[0]
    assert "frozen" not in table and f"{100 * ce.mean():.2f}" in table

    write_few_shot_run(home / "clce-seed1", "clce", 1, clce, drawn_from="b2")
    done = report("--runs", tmp_path / "runs", "--output_dir", tmp_path / "out")
    assert done.returncode == 1
    assert "were not tested on the same tasks" in done.stderr
    assert "on other 5w1s tasks clce, seed 1" in done.stderr


def test_without_a_finished_run_it_says_so(tmp_path):
    done = report("--runs", tmp_path)
    assert done.returncode == 1
    assert "Error: --runs must hold at least one finished run" in done.stderr


def without(packages, *arguments):
    """The recipe in an environment that lacks packages."""
    command = [sys.executable, ROOT / "tests" / "hidden_packages.py", packages]
    command += [ROOT / "recipes" / "report.py", *arguments]
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, env=environment_alone()
    )


def test_without_matplotlib_the_tables_are_there_and_the_command_that_installs_it(tmp_path):
    write_run(tmp_path / "runs" / "ce-seed0", "ce", 0, 0.5)
    paths = ("--runs", tmp_path / "runs", "--output_dir", tmp_path / "out")
    done = without("matplotlib,sklearn,tensorflow,keras_cv,tensorflow_datasets", *paths)
    assert done.returncode == 0, done.stderr
    assert "50.00" in (tmp_path / "out" / "report.md").read_text()
    assert "curves-1.png is missing" in done.stderr
    assert "pip install matplotlib" in done.stderr
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["report.html", "report.md"]


def test_two_folders_are_compared_and_the_page_is_named(tmp_path, capsys):
    for name, shift in (("before", 0), ("after", 0.05)):
        for seed, top1 in enumerate(TOP1["clce"]):
            write_run(tmp_path / name / f"clce-seed{seed}", "clce", seed, top1 + shift * (seed + 1))
    folders = [str(tmp_path / name) for name in ("before", "after")]
    for number, asked in enumerate((["--compare", *folders], [f"--compare={','.join(folders)}"])):
        out = tmp_path / f"out{number}"
        report_recipe.main(["report", *asked, f"--output_dir={out}"])
        printed = capsys.readouterr().out
        # Of 5, 10 and 15 points the standard error is 2.89, which t of 2 degrees takes 4.303 times.
        said = "No difference beyond chance (after minus before: +10.0 ± 12.4 points, 3 seeds, p ="
        assert said in " ".join(printed.split())
        assert "<details>" not in printed
        assert printed.splitlines()[-1] == f"Page:   {out / 'report.html'}"
        assert (out / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "--[no]include_quick"),
        (["--run=x"], 1, "Error: Unknown command line flag 'run'"),
        (["x"], 1, "Error: Unexpected arguments: x"),
        (
            ["--compare=x"],
            1,
            "Error: --compare must have two folders, and takes the place of --runs",
        ),
        (["--compare", "x", "y", "z"], 1, "Received: compare=x,y,z"),
        (["--compare=.,x", "--runs=x"], 1, "Received: compare=.,x, runs=x"),
        (["--compare", ".", "nowhere"], 1, "Error: --compare must be a folder with finished runs."),
        (["--runs=nowhere"], 1, "Error: --runs must be a folder with finished runs. Received:"),
    ],
)
def test_help_and_wrong_flags_need_no_keras(arguments, code, said):
    done = without("keras,tensorflow,jax,torch", *arguments)
    assert done.returncode == code and said in done.stdout + done.stderr


def test_quick_runs_are_reported_where_they_are_asked_for(tmp_path):
    write_run(tmp_path / "runs" / "ce-seed0", "ce", 0, 0.5)
    folder = RunFolder(tmp_path / "runs" / "ce-seed0")
    write_json(folder.metrics, {**folder.finished(), "quick": True})
    paths = ("--runs", tmp_path / "runs", "--output_dir", tmp_path / "out")
    done = report(*paths)
    assert done.returncode == 1
    assert "Left out, 1 quick run: with --include_quick it is reported" in done.stderr
    done = report(*paths, "--include_quick")
    assert done.returncode == 0 and "ce (quick)" in done.stdout, done.stderr
