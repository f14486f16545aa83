"""The recipe confusions, as a user calls it."""

import json
from pathlib import Path

import pytest
from inference_files import colour_model, colours  # noqa: F401
from keras_clce.recipes import confusions, predict
from recipe_runs import run

pytestmark = pytest.mark.any_backend


def test_one_model(colours, capsys):  # noqa: F811
    # One of each colour in the folder of another.
    for name, other in (("red", "green"), ("green", "blue"), ("blue", "red")):
        (colours / name / "2.png").rename(colours / other / "3.png")
    arguments = ("--images=colours", "--validation=colours", "--bins=5")
    run(confusions, "--model=model.keras", *arguments, "--save_calibrated=calibrated.keras")
    said = capsys.readouterr().out
    folder = Path("runs", "confusions", "colours")
    (found,) = json.loads((folder / "confusions.json").read_text())["models"].values()
    assert found["top1"] == pytest.approx(6 / 9)
    assert len(found["calibration"]["before"]["counts"]) == 5
    temperature = found["calibration"]["temperature"]
    assert temperature > 1  # a third is wrong, and the model sure
    assert f"Saved:    calibrated.keras, with temperature {temperature:.3f}" in said
    assert "Page:     runs/confusions/colours/confusions.html" in said
    run(predict, "--model=model.keras", "--images=colours", "--output_dir=before")
    run(predict, "--model=calibrated.keras", "--images=colours", "--output_dir=after")
    lines = [Path(name, "predictions.csv").read_text().splitlines() for name in ("before", "after")]
    for before, after in list(zip(*lines, strict=True))[1:]:
        before, after = before.split(","), after.split(",")
        assert before[:2] == after[:2] and float(before[2]) > float(after[2])


def test_two_models_have_names_and_the_flags_of_classes(colours, capsys):  # noqa: F811
    other = colour_model()
    other.class_names = None
    other.save("other.keras")
    Path("names.txt").write_text("blue\ngreen\nred\n")
    run(
        confusions,
        "--models=model.keras,other.keras",
        "--names=ce,clce",
        "--images=colours",
        "--class_names=names.txt",
        "--output_dir=out",
    )
    assert "# What do ce and clce confuse?" in capsys.readouterr().out
    assert [*json.loads(Path("out/confusions.json").read_text())["models"]] == ["ce", "clce"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--model or --models must be given, and not both"),
        (("--model=model.keras", "--models=model.keras"), "--model or --models must be given"),
        (("--model=no.keras",), "--model=no.keras: must be a saved model"),
        (("--model=model.keras",), "--images must be given for a model without a run folder"),
        (("--model=model.keras", "--images=no"), "--images=no: must be a folder"),
        (("--model=model.keras", "--images=.", "--unknown=no"), "--unknown=no: must be a folder"),
        (("--model=model.keras", "--images=.", "--bins=0"), "--bins=0: must be at least 1"),
        (("--model=model.keras", "--images=colours/red"), "--images must have folders that bear"),
        (("--models=model.keras,no.keras", "--images=colours"), "--models must be paths of saved"),
        (("--models=a.keras,b.keras,c.keras",), "--models must be one or two"),
        (
            ("--models=model.keras,other.keras", "--names=ce", "--images=colours"),
            "--names must be 2 different ones. Received: ce",
        ),
        (("--model=broken.keras", "--images=colours"), "--model must be whole .keras files"),
        (
            ("--model=model.keras", "--images=colours", "--save_calibrated=no/cal.keras"),
            "--save_calibrated must be a .keras file in a folder that is there",
        ),
        (("--model=model.keras", "--images=colours", "--index=no.npz"), "--index must be a file"),
        (("--model=model.keras", "--images=colours", "x"), "Unexpected arguments: x"),
    ],
)
def test_what_is_wrong_ends_in_one_line(arguments, said, colours):  # noqa: F811
    Path("broken.keras").write_bytes(b"no model")
    with pytest.raises(SystemExit) as end:
        run(confusions, *arguments)
    message = str(end.value)
    assert message.startswith("Error: ") and said in message and "\n" not in message
    assert not Path("runs").exists()


def test_help_lists_the_flags(capsys):
    run(confusions, "--help")
    said = capsys.readouterr().out
    for flag in ("--images", "--unknown", "--save_calibrated", "--names", "--validation"):
        assert flag in said
