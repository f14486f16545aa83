"""The recipes predict, embed and search, as a user calls them."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from inference_files import colour_model, colours  # noqa: F401
from keras_clce.recipes import embed, predict, search
from PIL import Image
from recipe_runs import ROOT, environment_alone, run

import keras_clce

pytestmark = pytest.mark.any_backend


def lines_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_predict(colours, capsys):  # noqa: F811
    (colours / "red" / "empty.png").touch()
    # A colour between two classes, in the folder of a third.
    Image.fromarray(np.full((9, 9, 3), (200, 200, 0), np.uint8)).save(colours / "blue" / "odd.png")
    run(predict, "--model=model.keras", "--images=colours", "--top_k=2", "--threshold=0.6")
    said = capsys.readouterr().out
    assert "Read:     10 of 11 files" in said
    assert "Skipped:  1: 1 empty\n          red/empty.png: empty\n" in said
    assert "Not sure: 1, with a probability below 0.6" in said
    assert "Accuracy: 90.0 %, 9 of 10 in folders of classes" in said
    folder = Path("runs", "predict", "colours")
    lines = {line["file"]: line for line in lines_of(folder / "predictions.csv")}
    assert len(lines) == 11 and lines["red/empty.png"]["error"] == "empty"
    for name, line in lines.items():
        if "odd" not in name and not line["error"]:
            assert line["class_1"] == line["label"] == name.split("/")[0]
    odd = lines["blue/odd.png"]
    assert {odd["class_1"], odd["class_2"]} == {"green", "red"} and odd["sure"] == "no"
    # Logits are nine times the mean colour.
    scores = np.exp(9 * np.array([200, 200, 0]) / 255)
    assert float(odd["probability_1"]) == pytest.approx(scores[0] / scores.sum(), abs=1e-4)
    assert Image.open(folder / "contact_sheet.png").size[0] > 500


def test_predict_with_names_a_pattern_and_a_limit(colours, capsys):  # noqa: F811
    Path("names.txt").write_text("azure\nlime\nrose\n")
    arguments = ("--images=colours/r*/*.png", "--class_names=names.txt", "--limit=2")
    run(predict, "--model=model.keras", *arguments, "--output_dir=out")
    said = capsys.readouterr().out
    assert "Read:     2 of 2 files" in said and "Accuracy" not in said
    assert [line["class_1"] for line in lines_of("out/predictions.csv")] == ["rose", "rose"]


def test_embed_and_search(colours, capsys):  # noqa: F811
    run(embed, "--model=model.keras", "--images=colours", "--output=c.npz")
    said = capsys.readouterr().out
    assert "Read:     9 of 9 files" in said and "Classes:  3 from class folders" in said
    assert "Written:  c.npz, 9 embeddings of 3 numbers" in said
    run(search, "--query=colours/red/0.png", "--index=c.npz", "--k=3")
    said = capsys.readouterr().out
    folder = Path("runs", "search", "0")
    lines = lines_of(folder / "neighbors.csv")
    # By the angle between colours, without the photograph itself.
    first = np.array([250, 0, 0.0])
    colours_of = {"red/1.png": [249, 20, 20], "red/2.png": [248, 40, 40]}
    for line, (name, colour) in zip(lines, colours_of.items(), strict=False):
        cosine = first @ colour / np.linalg.norm(first) / np.linalg.norm(colour)
        assert (line["file"], line["class"]) == (name, "red")
        assert float(line["cosine"]) == pytest.approx(cosine, abs=1e-5)
    assert [line["rank"] for line in lines] == ["1", "2", "3"]
    assert "red/1.png" in said and "Searched: 1 photograph in" in said and "exact" in said
    assert Image.open(folder / "neighbors.png").size[0] > 500
    # Pictures that are gone leave their place empty.
    (colours / "red" / "1.png").unlink()
    run(search, "--query=colours/red", "--index=c.npz", "--k=2", "--output_dir=out")
    assert len(lines_of("out/neighbors.csv")) == 4


def test_search_tells_of_recall(colours, capsys):  # noqa: F811
    pytest.importorskip("faiss")
    run(embed, "--model=model.keras", "--images=colours", "--output=c.npz")
    run(search, "--query=colours", "--index=c.npz", "--k=2", "--noexact")
    said = capsys.readouterr().out
    assert "approximate; 100.0 % of the true neighbours of 9 queries were found" in said


def test_search_loads_the_model_that_the_index_names_from_a_hub(colours, monkeypatch):  # noqa: F811
    load_model, asked = keras_clce.load_model, []
    monkeypatch.setattr(
        keras_clce, "load_model", lambda path: asked.append(path) or load_model("model.keras")
    )
    run(embed, "--model=hf://me/colours", "--images=colours", "--output=c.npz")
    run(search, "--query=colours/red/0.png", "--index=c.npz", "--k=3")
    assert asked == ["hf://me/colours"] * 2


def test_search_refuses_another_model(colours):  # noqa: F811
    run(embed, "--model=model.keras", "--images=colours", "--output=c.npz")
    other = colour_model()
    other.heads.classifier.bias.assign([1.0, 0.0, 0.0])
    other.save("other.keras")
    asked = ("--query=colours/red", "--index=c.npz")
    with pytest.raises(SystemExit, match=r"--model must be .*model\.keras .*: other\.keras") as end:
        run(search, *asked, "--model=other.keras")
    assert "\n" not in str(end.value)
    Path("model.keras").unlink()
    with pytest.raises(
        SystemExit, match=r"--model must be given: the index was made by .*not there"
    ):
        run(search, *asked)


@pytest.mark.parametrize(
    ("recipe", "arguments", "said"),
    [
        ("predict", (), "flag --model must be given"),
        ("predict", ("--model=x.keras",), "flag --images must be given"),
        ("predict", ("--model=x.keras", "--images=."), "--model=x.keras: must be a saved model"),
        (
            "predict",
            ("--model=y.keras", "--images=no*"),
            r"--images=no\*: must be a folder, a file",
        ),
        ("predict", ("--model=y.keras", "--images=.", "--top_k=0"), "--top_k=0: must be at least"),
        (
            "predict",
            ("--model=y.keras", "--images=.", "--threshold=3"),
            "threshold=3.0: must be at",
        ),
        ("predict", ("--model=y.keras", "--images=.", "--class_names=n"), "class_names=n: must be"),
        ("predict", ("--modle=y.keras",), "Unknown command line flag 'modle'"),
        ("predict", ("y.keras",), "Unexpected arguments: y.keras"),
        ("predict", ("--model=y.keras", "--images=."), "--model must be a whole .keras file"),
        ("embed", ("--model=y.keras", "--images=."), "flag --output must be given"),
        ("embed", ("--model=y.keras", "--images=.", "--output=a"), "output=a: must end in .npz"),
        ("search", ("--query=.",), "flag --index must be given"),
        ("search", ("--query=.", "--index=no.npz"), "index=no.npz: must be a file of embeddings"),
        ("search", ("--query=.", "--index=y.keras"), "--index must be a whole .npz file"),
    ],
)
def test_what_is_wrong_ends_in_one_line(recipe, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("y.keras").write_bytes(b"no model")
    with pytest.raises(SystemExit, match=said) as end:
        run({"predict": predict, "embed": embed, "search": search}[recipe], *arguments)
    assert str(end.value).startswith("Error: ") and "\n" not in str(end.value)


def test_nothing_readable_is_an_error(colours):  # noqa: F811
    Path("empty.png").touch()
    with pytest.raises(SystemExit, match="--images must have one that can be read"):
        run(predict, "--model=model.keras", "--images=empty.png")
    assert lines_of("runs/predict/empty/predictions.csv")[0]["error"] == "empty"


@pytest.mark.parametrize(("flag", "code"), [("--help", 0), ("--images=nowhere", 1)])
def test_help_and_wrong_paths_need_no_keras(flag, code, tmp_path):
    (tmp_path / "model.keras").touch()
    hidden = [ROOT / "tests" / "hidden_packages.py", "keras,tensorflow,jax,torch"]
    command = [*hidden, ROOT / "recipes" / "predict.py", "--model=model.keras", flag]
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        env=environment_alone(),
        cwd=tmp_path,
    )
    assert done.returncode == code, done.stderr
    assert ("--threshold" in done.stdout) == (code == 0)
    assert ("there must be such files" in done.stderr) == (code == 1)
