"""The recipe demo: what its flags make of the page."""

import numpy as np
import pytest
from inference_files import colour_model, colours  # noqa: F401
from keras_clce.recipes import demo, embed
from PIL import Image
from recipe_runs import run

import keras_clce.inference

pytestmark = pytest.mark.any_backend


@pytest.fixture
def served(monkeypatch):
    """What would be served, in place of a server."""
    found = []
    monkeypatch.setattr(keras_clce.inference, "check_demo", lambda host, port: None)
    monkeypatch.setattr(
        keras_clce.inference, "launch_demo", lambda answers, **where: found.append((answers, where))
    )
    return found


def test_it_is_for_this_computer_alone(colours, served, capsys):  # noqa: F811
    run(demo, "--model=model.keras")
    ((answers, where),) = served
    assert where == {"host": "127.0.0.1", "port": None}
    assert (answers.threshold, answers.index) == (0.5, None)
    assert capsys.readouterr().out == "Model:    model.keras, 3 classes\n"
    run(demo, "--model=model.keras", "--host=0.0.0.0", "--port=8123")
    assert served[1][1] == {"host": "0.0.0.0", "port": 8123}
    assert "Open to:  all who reach 0.0.0.0" in capsys.readouterr().out


def test_known_photographs(colours, served, capsys):  # noqa: F811
    run(embed, "--model=model.keras", "--images=colours", "--output=c.npz")
    colour_model().save_to_preset("preset")
    (colours / "red" / "letter.png").write_text("a letter")
    for model, index in (("model.keras", "c.npz"), ("preset", "colours")):
        run(demo, f"--model={model}", f"--index={index}", "--k=2", "--threshold=0.9")
        answers, _ = served.pop()
        answer = answers(colours / "green" / "1.png")
        assert answer.class_names[0] == "green" and answer.is_sure
        assert [one.class_name for one in answer.similar] == ["green", "green"]
        assert all(one.picture for one in answer.similar)
    said = capsys.readouterr().out
    assert (
        "Index:    colours, 9 photographs" in said and "Skipped:  red/letter.png: no image" in said
    )


def test_names_of_classes_from_a_file(colours, served, tmp_path):  # noqa: F811
    (tmp_path / "names.txt").write_text("azure\nlime\nrose\n")
    run(demo, "--model=model.keras", "--class_names=names.txt", "--top_k=1")
    ((answers, _),) = served
    Image.fromarray(np.full((9, 9, 3), (0, 0, 255), np.uint8)).save("blue.png")
    assert answers("blue.png").class_names == ("azure",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "flag --model must be given"),
        (("--model=no.keras",), "no.keras: must be a saved model: a .keras file, the folder of"),
        (("--model=colours",), "--model=colours: must be a saved model"),
        (("--model=model.keras", "--index=no.npz"), "must be a file of embeddings or a folder"),
        (("--model=model.keras", "--index=model.keras"), "--index must hold the array embeddings"),
        (("--model=model.keras", "--threshold=2"), "threshold=2.0: must be at"),
        (("--model=model.keras", "--port=70000"), "--port=70000: must be at most"),
    ],
)
def test_what_is_wrong_ends_in_one_line(colours, served, arguments, said):  # noqa: F811
    with pytest.raises(SystemExit, match=said) as end:
        run(demo, *arguments)
    assert str(end.value).startswith("Error: ") and "\n" not in str(end.value)
    assert not served
