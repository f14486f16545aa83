"""The recipe explain, as a user calls it."""

import csv
from pathlib import Path

import numpy as np
import pytest
from inference_files import colours  # noqa: F401
from keras_clce.recipes import embed, explain
from PIL import Image
from recipe_runs import run

pytestmark = pytest.mark.any_backend


def lines_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write_half(path):
    """A picture that is red at the left and blue at the right."""
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :32, 0], pixels[:, 32:, 2] = 255, 200
    Image.fromarray(pixels).save(path)


def test_a_map_for_each_photograph_and_its_neighbours(colours, capsys):  # noqa: F811
    (colours / "red" / "empty.png").touch()
    run(embed, "--model=model.keras", "--images=colours", "--output=c.npz")
    write_half(colours / "blue" / "half.png")
    capsys.readouterr()
    asked = ("--images=colours", "--index=c.npz", "--k=2", "--cells=4", "--limit=20")
    run(explain, "--model=model.keras", *asked)
    said = capsys.readouterr().out
    assert "Index:    c.npz, 9 embeddings" in said
    assert "Read:     10 of 11 files" in said and "Skipped:  red/empty.png: empty" in said
    folder = Path("runs", "explain", "colours")
    lines = {line["file"]: line for line in lines_of(folder / "explanations.csv")}
    assert len(lines) == 11 and lines["red/empty.png"]["error"] == "empty"
    half = lines["blue/half.png"]
    assert (half["class"], half["target"], half["label"]) == ("red", "red", "blue")
    # Of 64 x 32 pixels the view shows the middle 28, but for a resize in whole pixels.
    box = [float(half[side]) for side in ("top", "left", "bottom", "right")]
    np.testing.assert_allclose(box, [1.8, 17.8, 30.2, 46.2], atol=0.5)
    assert lines["red/0.png"]["neighbor_1"] == "red/1.png"
    assert lines["red/0.png"]["neighbor_class_2"] == "red"
    maps = np.load(folder / "explanations.npz")
    assert maps["files"].tolist() == [name for name in lines if name != "red/empty.png"]
    assert maps["saliency"].shape == (10, 4, 4) and maps["boxes"].shape == (10, 4)
    (number,) = np.flatnonzero(maps["files"] == "blue/half.png")
    left, right = np.split(maps["saliency"][number], 2, axis=1)
    assert (left[:, :1] > 0).all() and (right[:, 1:] < 0).all()
    np.testing.assert_allclose(maps["boxes"][number], box, atol=0.06)
    assert maps["probabilities"][number] == pytest.approx(float(half["probability"]), abs=1e-5)
    assert Image.open(folder / "explanations.png").size[0] > 500


def test_another_class_and_no_index(colours, capsys):  # noqa: F811
    write_half("half.png")
    names = Path("names.txt")
    names.write_text("azure\nlime\nrose\n")
    asked = ("--images=half.png", "--target=azure", "--class_names=names.txt", "--output_dir=out")
    run(explain, "--model=model.keras", *asked)
    (line,) = lines_of("out/explanations.csv")
    assert (line["class"], line["target"]) == ("rose", "azure")
    assert "neighbor_1" not in line
    maps = np.load("out/explanations.npz")["saliency"][0]
    assert (maps[:, 0] < 0).all() and (maps[:, -1] > 0).all()
    assert Image.open("out/explanations.png").size[0] > 300
    assert "azure" in capsys.readouterr().out


def test_what_was_explained_before_a_stop_is_kept(colours, monkeypatch):  # noqa: F811
    import keras_clce.inference.explanations as explanations

    seen, whole = [], explanations._outputs

    def stops(*args):
        seen.append(args)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(explanations, "_outputs", stops)
    with pytest.raises(SystemExit, match="Stopped"):
        run(explain, "--model=model.keras", "--images=colours", "--cells=3", "--output_dir=out")
    assert len(lines_of("out/explanations.csv")) == 2
    assert np.load("out/explanations.npz")["saliency"].shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--images=no",), "--images=no: must be a folder, a file"),
        (("--images=colours", "--cells=2"), "--cells=2: must be at least 3"),
        (("--images=colours", "--index=no.npz"), "--index=no.npz: must be a file of embeddings"),
        (("--images=colours", "--index=model.keras"), "--index must "),
        (
            ("--images=colours", "--target=rad"),
            "--target must be a class of the model, such as red",
        ),
    ],
)
def test_what_is_wrong_ends_in_one_line(arguments, said, colours):  # noqa: F811
    with pytest.raises(SystemExit, match=said) as end:
        run(explain, "--model=model.keras", *arguments)
    assert str(end.value).startswith("Error: ") and "\n" not in str(end.value)
