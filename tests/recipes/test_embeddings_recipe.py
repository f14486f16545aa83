"""The embeddings recipe, as a user calls it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from recipe_runs import ROOT, environment_alone

from recipes import embeddings

pytestmark = pytest.mark.any_backend


@pytest.fixture
def files(tmp_path):
    rng, labels = np.random.default_rng(0), np.arange(60) % 4
    for name in ("ce", "clce"):
        rows = rng.normal(scale=0.5, size=(60, 5)) + np.eye(4, 5)[labels]
        names = np.array(["cat", "dog", "tulip", "cloud"])
        np.savez(tmp_path / f"{name}.npz", embeddings=rows, labels=labels, class_names=names)
    return f"{tmp_path / 'ce.npz'},{tmp_path / 'clce.npz'}"


def run(*arguments):
    embeddings.main(["embeddings", *map(str, arguments)])


def test_files_become_numbers_a_page_and_pictures(files, tmp_path, capsys):
    run(
        f"--embeddings={files}",
        "--names=one,two",
        "--classes=tulip,cloud",
        "--tsne_classes=cat,tulip,cloud",
        "--quick",
        f"--output_dir={tmp_path / 'out'}",
    )
    folder = tmp_path / "out" / "quick"
    study = json.loads((folder / "embeddings.json").read_text())
    assert [*study["models"]] == ["one", "two"]
    assert study["settings"]["classes"] == ["tulip", "cloud"]
    assert study["settings"]["tsne_classes"] == ["cat", "tulip", "cloud"]
    # Of 15 images in each of four classes.
    pairs = study["models"]["one"]["cosines"]
    assert pairs["all classes"]["positive_pairs"] == 4 * 15 * 14 // 2
    assert pairs["tulip"]["negative_pairs"] == 15 * 45
    page = (folder / "embeddings.md").read_text()
    for name in ("cosines.png", "tsne.png", "pca.png"):
        assert (folder / name).is_file() and f"]({name})" in page
    assert "A quick look" in page
    said = capsys.readouterr().out
    assert "Pairs:    of all classes; of tulip, cloud" in said
    assert said.rstrip().endswith(f"Page:     {folder / 'embeddings.md'}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model=x"], "Unknown command line flag 'model'"),
        (["x"], "Unexpected arguments: x"),
        (["--split=novel"], "flag --split=novel: value should be one of"),
        (["--tsne_images=1"], "flag --tsne_images=1"),
        (["--models=x.keras", "--names=a,b"], "--names=a,b: must be 1 different ones"),
        ([], "`models` or `embeddings` must name at least one"),
        (["--models=x.keras"], "'x.keras', which is no file"),
    ],
)
def test_wrong_flags_end_in_one_line(arguments, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=said) as end:
        run(*arguments)
    assert str(end.value).startswith("Error: ") and "\n" not in str(end.value)


def test_an_unknown_class_ends_in_one_line_with_those_near_it(files):
    with pytest.raises(SystemExit, match=r"Error: `classes`.*'tulips'; near it are tulip$"):
        run(f"--embeddings={files}", "--classes=tulips")


@pytest.mark.parametrize(("flag", "code"), [("--help", 0), ("--modls=x", 1)])
def test_help_and_wrong_flags_need_no_keras(flag, code):
    command = [sys.executable, ROOT / "tests" / "hidden_packages.py", "keras,tensorflow,jax,torch"]
    done = subprocess.run(
        [*map(str, command), str(ROOT / "recipes" / "embeddings.py"), flag],
        capture_output=True,
        text=True,
        env=environment_alone(),
    )
    assert done.returncode == code, done.stderr
    assert ("--tsne_classes" in done.stdout) == (code == 0)
