"""The recipe suspects, as a user calls it."""

import csv
from pathlib import Path

import pytest
from inference_files import colours  # noqa: F401
from keras_clce.recipes import suspects
from PIL import Image
from recipe_runs import run

from keras_clce.evaluate.label_suspects import SUSPECT_BY
from keras_clce.experiments import find_suspects, load_source
from keras_clce.experiments.setting import fields_of

pytestmark = pytest.mark.any_backend

MODEL = "--model=model.keras"


def lines_of(path):
    with open(path, newline="") as file:
        return [*csv.DictReader(file)]


def test_a_photograph_in_the_wrong_folder_comes_first(colours, capsys):  # noqa: F811
    (colours / "green" / "0.png").rename(colours / "red" / "9.png")
    (colours / "red" / "empty.png").touch()
    run(suspects, MODEL, "--images=colours", "--k=2")
    said = " ".join(capsys.readouterr().out.split())
    assert "Images: 10 files of 3 classes in colours" in said
    assert "Skipped: red/empty.png: empty" in said
    assert "Others: 1 images (11.1 %) whose neighbours have another label" in said
    folder = Path("runs", "suspects", "colours")
    first, *rest = lines_of(folder / "suspects.csv")
    assert first["file"] == "red/9.png" and first["label"] == "red"
    assert first["neighbors_say"] == first["classifier_says"] == "green"
    assert float(first["neighbor_share"]) == 0 and float(first["suspicion"]) > 0.9
    # Two of three greens are left, so that of two neighbours one is another.
    assert len(rest) == 8 and all(float(line["suspicion"]) < 0.3 for line in rest)
    assert Image.open(folder / "suspects.png").size[0] > 300


def test_folders_of_other_classes_have_neighbours_alone(colours, capsys):  # noqa: F811
    (colours / "green").rename(colours / "lime")
    run(suspects, MODEL, "--images=colours", "--output_dir=out", "--limit=6", "--k=1")
    assert "not the model's classes, whose classifier is not asked" in capsys.readouterr().out
    lines = lines_of("out/suspects.csv")
    with pytest.raises(SystemExit, match="--by must be neighbors for images of other classes"):
        run(suspects, MODEL, "--images=colours", "--by=both")
    assert len(lines) == 6 and {line["confidence"] for line in lines} == {""}
    assert {line["label"] for line in lines} == {"blue", "lime", "red"}


def test_a_data_set_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from test_enroll_recipe import digits_model

    digits_model().save("model.keras")
    found = find_suspects(load_source("model.keras"), dataset="digits", limit=60)
    assert len(found.labels) == 60 and found.found.confidence is not None
    assert found.names(found.found.ranked[:1])[0].startswith("train image ")
    assert found.thumbnails(found.found.ranked[:2])[1].shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--images=colours",), "flag --model must be given"),
        ((MODEL,), "--images must be given for a model without a run folder"),
        ((MODEL, "--images=nowhere"), "images=nowhere: must be a folder"),
        ((MODEL, "--images=colours/red"), "--images must be a folder with two class folders"),
        ((MODEL, "--images=colours", "--dataset=digits"), "--dataset takes the place of --images"),
        ((MODEL, "--images=colours", "--by=votes"), "by=votes: .*neighbors, classifier, both"),
        ((MODEL, "--images=colours", "--k=0"), "--k=0: must be at least"),
        ((MODEL, "--dataset=digits", "--split=new"), "split=new: "),
    ],
)
def test_what_is_wrong_ends_in_one_line(arguments, said, colours):  # noqa: F811
    with pytest.raises(SystemExit, match=said) as end:
        run(suspects, *arguments)
    assert str(end.value).startswith("Error: ") and "\n" not in str(end.value)


def test_the_flag_names_all_that_may_decide():
    assert fields_of(suspects.SuspectFlags)["by"].about.choices == SUSPECT_BY
