"""The recipe enroll, and predict with enrolled classes, as a user calls them."""

import csv
from pathlib import Path

import keras
import numpy as np
import pytest
from inference_files import colour_model, colours  # noqa: F401
from keras_clce.recipes import enroll, predict
from PIL import Image
from recipe_runs import run

from keras_clce import CLCEModel
from keras_clce.data import load_dataset
from keras_clce.experiments import Settings
from keras_clce.experiments.setting import fields_of
from keras_clce.experiments.settings_json import settings_as_json
from keras_clce.inference import ENROLL_CLASSIFIERS, Enrolled
from keras_clce.runs import RunFolder
from keras_clce.views import Preprocessing

pytestmark = pytest.mark.any_backend

MODEL = "--model=model.keras"


def write(folder, name, *rgb):
    """Write a picture of one colour, whose direction is its embedding."""
    path = Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 20, 3), rgb, np.uint8)).save(path)


def digits_model():
    """A model of digits whose embedding is the picture itself, made small."""
    inputs = keras.Input((16, 16, 3))
    encoder = keras.Model(inputs, keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(inputs)))
    view = Preprocessing(16, crop_fraction=1.0)
    return CLCEModel(encoder, 10, class_names=[*map(str, range(10))], preprocessing=view)


def lines_of(path):
    with open(path, newline="") as file:
        return {line["file"]: line for line in csv.DictReader(file)}


def test_enroll_predict_and_change(colours, capsys):  # noqa: F811
    (colours / "red" / "empty.png").touch()
    for number, rgb in enumerate([(0, 200, 200), (0, 150, 200), (0, 200, 170)]):
        write("unknown", f"{number}.png", *rgb)
    asked = ("--images=colours", "--output=e.npz", "--unknown=unknown")
    run(enroll, MODEL, *asked, "--false_accept_rate=0.5")
    said = " ".join(capsys.readouterr().out.split())
    assert "Skipped: red/empty.png: empty" in said
    assert "Enrolled: 3 classes, 9 photographs Classifier: cosine" in said
    # One of three may pass: 2 / 4 are promised.
    assert "chosen on 3 unknown photographs, for a false-accept rate of 50 %" in said
    assert "1 of 3 are accepted, 33.3 % (95 %: 6.1 to 79.2 %)" in said
    assert "Recognised: of 9 enrolled photographs, each without itself their class 9, 100" in said
    assert "Next: python recipes/predict.py --model model.keras --enrolled e.npz" in said

    write("asked", "red/1.png", 240, 10, 0)
    write("asked", "yellow/2.png", 200, 200, 0)
    run(predict, MODEL, "--images=asked", "--enrolled=e.npz", "--output_dir=out")
    said = capsys.readouterr().out
    assert "Enrolled: e.npz, 3 classes by 9 photographs" in said
    assert "Accuracy: 100.0 %, 1 of 1 in folders of classes" in said
    assert "Others:   1 of 1 in folders of other names are none of these" in said
    found = lines_of("out/predictions.csv")
    assert [*found["red/1.png"]] == [
        *("file", "answer", "class_1", "cosine_1", "class_2", "cosine_2"),
        *("class_3", "cosine_3", "label", "error"),
    ]
    assert found["red/1.png"]["answer"] == found["red/1.png"]["class_1"] == "red"
    assert found["yellow/2.png"]["answer"] == "none of these"
    # The mean direction of the three reds, by hand.
    reds = np.array([[250 - n, 20 * n, 20 * n] for n in range(3)], float)
    mean = (reds / np.linalg.norm(reds, axis=1, keepdims=True)).mean(axis=0)
    for name, rgb in (("red/1.png", (240, 10, 0)), ("yellow/2.png", (200, 200, 0))):
        line = found[name]
        cosines = {line[f"class_{k}"]: float(line[f"cosine_{k}"]) for k in (1, 2, 3)}
        expected = mean @ rgb / np.linalg.norm(mean) / np.linalg.norm(rgb)
        assert cosines["red"] == pytest.approx(expected, abs=1e-5)
    assert Image.open("out/contact_sheet.png").size[0] > 300
    threshold = Enrolled.load("e.npz").threshold
    assert f"1 are none of these, below a cosine of {threshold:.3f}" in said
    # Another threshold for once.
    arguments = (MODEL, "--images=asked", "--enrolled=e.npz", "--output_dir=low")
    run(predict, *arguments, "--threshold=0.1")
    assert lines_of("low/predictions.csv")["yellow/2.png"]["answer"] in ("red", "green")

    write("more", "yellow/3.png", 220, 210, 0)
    run(enroll, "--enrolled=e.npz", "--add=more", "--rename=red=crimson", "--remove=blue")
    assert "Enrolled:   3 classes, 7 photographs" in capsys.readouterr().out
    run(predict, MODEL, "--images=asked", "--enrolled=e.npz", "--output_dir=out")
    found = lines_of("out/predictions.csv")
    assert found["yellow/2.png"]["answer"] == found["yellow/2.png"]["label"] == "yellow"
    assert found["red/1.png"]["answer"] == "crimson" and found["red/1.png"]["label"] == ""


def test_show_validation_and_thresholds(colours, capsys):  # noqa: F811
    run(enroll, MODEL, "--images=colours", "--output=e.npz", "--limit=2", "--threshold=0.9")
    said = " ".join(capsys.readouterr().out.split())
    assert "Enrolled: 3 classes, 6 photographs" in said
    assert '"none of these" below a cosine of 0.900 given' in said
    before = Path("e.npz").read_bytes()
    write("validation", "red/a.png", 250, 0, 0)
    write("validation", "red/b.png", 0, 250, 0)
    write("validation", "red/c.png", 200, 200, 200)
    write("validation", "grey/c.png", 200, 200, 200)
    run(enroll, "--enrolled=e.npz", "--validation=validation")
    said = " ".join(capsys.readouterr().out.split())
    assert "Recognised: of 3 photographs of validation their class 1, 33.3 %" in said
    assert "another class 1, 33.3 %" in said and "none of these 1, 33.3 %" in said
    assert "Written" not in said and Path("e.npz").read_bytes() == before
    run(enroll, "--enrolled=e.npz", "--classifier=logistic", "--output=l.npz")
    said = " ".join(capsys.readouterr().out.split())
    assert "below a probability of" in said and "Classifier: logistic" in said
    assert "6 are too few to promise 5 %: all of them are rejected" in said
    assert Enrolled.load("e.npz").classifier == "cosine"
    run(predict, MODEL, "--images=colours", "--enrolled=l.npz", "--output_dir=out")
    assert "probability_1" in lines_of("out/predictions.csv")["red/0.png"]


def test_one_class_rejects_nothing_without_a_threshold(colours, capsys):  # noqa: F811
    write("mine", "red/1.png", 250, 0, 0)
    run(enroll, MODEL, "--images=mine", "--output=e.npz")
    assert "nothing is rejected. Give --unknown or --threshold" in capsys.readouterr().out
    run(predict, MODEL, "--images=colours", "--enrolled=e.npz")
    said = capsys.readouterr().out
    assert "no threshold was chosen, so that every photograph is one of the classes" in said


def test_trained_classes_stand_beside(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, names = digits_model(), tuple(map(str, range(10)))
    settings = Settings(dataset="digits", backbone="small_resnet", image_size=16)
    about = settings_as_json(settings, "transfer", learning_rate=1e-3, backend="jax")
    folder = RunFolder(tmp_path / "run")
    folder.start(about, data="digits")
    model.save("run/model.keras")
    write("mine", "red/1.png", 250, 0, 0)
    arguments = ("--model=run/model.keras", "--images=mine", "--output=e.npz")
    run(enroll, *arguments, "--trained_images=3")
    enrolled = Enrolled.load("e.npz")
    assert enrolled.class_names == ("red", *names)
    assert enrolled.counts == (1, *[3] * 10)
    # They are training images: their embeddings are among those of the whole split.
    images, labels = next(
        iter(load_dataset("digits", preprocessing=model.preprocessing).train.batches(2000))
    )
    rows = np.asarray(model.predict(images, verbose=0)["embedding"])
    for number in range(10):
        own = enrolled.embeddings[enrolled.labels == 1 + number]
        of_class = rows[np.asarray(labels) == number]
        np.testing.assert_allclose((own @ of_class.T).max(axis=1), 1, atol=1e-5)


def test_another_model_is_refused(colours):  # noqa: F811
    run(enroll, MODEL, "--images=colours", "--output=e.npz")
    other = colour_model()
    other.heads.classifier.bias.assign([1.0, 0.0, 0.0])
    other.save("other.keras")
    with pytest.raises(SystemExit, match=r"--model must be the one that the classes were enrolled"):
        run(predict, "--model=other.keras", "--images=colours", "--enrolled=e.npz")
    Path("model.keras").unlink()
    with pytest.raises(SystemExit, match=r"--model must be given: .*model\.keras, which is not"):
        run(enroll, "--enrolled=e.npz", "--add=colours")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--images must be given to enroll classes"),
        (("--images=.",), "--output must be given to enroll classes"),
        (("--images=.", "--output=e.npz"), "--model must be given"),
        (("--images=.", "--output=e.txt"), "output=e.txt: must end in .npz"),
        (("--images=.", "--output=e.npz", "--classifier=svm"), "classifier=svm: .*cosine"),
        (("--images=.", "--output=e.npz", "--false_accept_rate=1"), "must be within"),
        (("--add=.",), "--enrolled must be given, the file that --add changes"),
        (("--enrolled=y.npz", "--images=."), "--images makes a new file; --add adds"),
        (("--enrolled=y.npz",), "--enrolled must be a whole .npz file of enrolled classes"),
        (("--enrolled=no.npz",), "enrolled=no.npz: must be a file of enrolled classes"),
        (("--enrolled=e.npz", "--rename=a"), "--rename must be OLD=NEW"),
        (("--enrolled=e.npz", "--rename=z=y"), "--rename must name enrolled classes, a, b=c"),
        (("--enrolled=e.npz", "--remove=z"), "--remove must name enrolled classes, a, b=c"),
        (("--enrolled=e.npz", "--add=."), "--model must be given"),
    ],
)
def test_what_is_wrong_ends_in_one_line(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("y.npz").write_bytes(b"no file")
    Enrolled(np.eye(2), np.array([0, 1]), ("a", "b=c")).save("e.npz")
    with pytest.raises(SystemExit, match=said) as end:
        run(enroll, *arguments)
    assert str(end.value).startswith("Error: ") and "\n" not in str(end.value)


def test_names_with_commas_and_equals_signs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Enrolled(np.eye(3), np.arange(3), ("a", "b=c", "d,e")).save("e.npz")
    run(enroll, "--enrolled=e.npz", "--rename=b=c=f", "--remove=d,e")
    assert Enrolled.load("e.npz").class_names == ("a", "f")


def test_the_flag_and_its_help_name_all_classifiers():
    field = fields_of(enroll.EnrollFlags)["classifier"]
    assert field.about.choices == (*ENROLL_CLASSIFIERS,)
    # There is a setting of this name with other choices.
    help = field.help_in_words({"classifier": ("tim", "cosine")})
    assert help.endswith(" One of: cosine, logistic.")
