"""The recipe card, as a user calls it."""

import json
from pathlib import Path

import pytest
from inference_files import colour_model, colours  # noqa: F401
from keras_clce.recipes import card
from recipe_runs import run

from keras_clce.runs import RunFolder

pytestmark = pytest.mark.any_backend

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def finished(colours):  # noqa: F811
    """Two runs beside each other, of which the first has its model."""
    home = Path("runs", "transfer", "digits", "small_resnet")
    for seed in (0, 1):
        folder = RunFolder(home / f"clce-seed{seed}")
        settings = {"loss": "clce", "seed": seed, "dataset": "digits", "backbone": "small_resnet"}
        folder.start(settings, "digits, 1,257 training images")
        test = {"top1": 0.5 + 0.1 * seed, "top5": 1.0, "nearest_neighbor": 0.6, "examples": 10}
        metrics = {"loss": "clce", "seed": seed, "seconds": 9.0, "validation": {"best_epoch": 3}}
        folder.write_metrics({**metrics, "test": test}, settings)
    colour_model().save(home / "clce-seed0" / "model.keras")
    return home


def test_a_card_beside_its_run(finished, capsys):
    run(card, f"--run={finished / 'clce-seed0'}")
    said = capsys.readouterr().out
    path = finished / "clce-seed0" / "README.md"
    assert f"Card:     {path}\n" in said and "Licence:  unknown; --licence says" in said
    text = path.read_text()
    assert "mean of 2 seeds" in text and "blue, green, red" in text
    assert "python recipes/transfer.py --losses=clce --seeds=0" in text
    assert hub.ModelCard(text).data.license == "unknown"
    # A run without its model has a card, too.
    run(card, f"--run={finished / 'clce-seed1'}", "--output=card.md", "--licence=mit")
    assert "## Classes" not in Path("card.md").read_text()
    assert "Licence" not in capsys.readouterr().out


def test_the_folder_that_is_shared(finished, capsys):
    run(card, f"--run={finished / 'clce-seed0'}", "--preset=colour", "--licence=cc-by-4.0")
    said = capsys.readouterr().out
    assert "Share:    hf upload OWNER/NAME colour" in said
    assert json.loads(Path("colour/config.json").read_text())["class_name"] == "CLCEModel"
    text = Path("colour/README.md").read_text()
    assert hub.ModelCard(text).data.license == "cc-by-4.0"
    # The lines of the card run.
    code = text.split("```python\n")[1].split("```")[0].replace("my_photographs", "colours")
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and lines[0].startswith("blue/0.png blue ")
    run(card, f"--run={finished / 'clce-seed0'}", "--preset=colour", "--name=other")
    assert "# other" in Path("colour/README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "flag --run must be given"),
        (("--run=nowhere",), "--run=nowhere: must be the folder of a finished run"),
        (("--run=RUN", "--output=no/such/card.md"), "must be a file in a folder that is there"),
        (("--run=RUN", "--preset=colours"), "must be a folder that is new, empty or a preset"),
        (("--run=RUN", "--licence=all rights"), "--licence must be an abbreviation"),
        (("--run=OTHER", "--preset=new"), "--preset needs the run's model"),
    ],
)
def test_what_is_wrong_ends_in_one_line(finished, arguments, said):
    places = {"RUN": finished / "clce-seed0", "OTHER": finished / "clce-seed1"}
    for name, place in places.items():
        arguments = [argument.replace(name, str(place)) for argument in arguments]
    with pytest.raises(SystemExit, match=said) as end:
        run(card, *arguments)
    assert str(end.value).startswith("Error: ") and "\n" not in str(end.value)
    assert not Path("new").exists()
