"""The study of confusions, on a model of pure colours whose outputs are known by hand."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from inference_files import COLOURS, colour_model
from PIL import Image
from scipy import special
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from keras_clce import CLCEModel
from keras_clce.data import load_dataset
from keras_clce.experiments import Settings, confusion_study
from keras_clce.experiments.confusions import study as confusions
from keras_clce.experiments.settings_json import settings_as_json
from keras_clce.inference import embed_images, predict_images
from keras_clce.runs import RunFolder
from keras_clce.views import Preprocessing

pytestmark = pytest.mark.any_backend

NAMES = sorted(COLOURS)
# By folder, the strongest colours of its images, which the model predicts, and how strong.
IMAGES = {
    "blue": {"blue": [250, 240, 90, 80, 60], "red": [70]},
    "green": {"green": [250, 200, 150], "red": [240, 120, 60]},
    "red": {"red": [250, 220, 200, 60]},
    "yellow": {"green": [40, 30, 90]},
}


def write_images(home):
    for folder, by_colour in IMAGES.items():
        (home / folder).mkdir(parents=True)
        for colour, strengths in by_colour.items():
            for strength in strengths:
                pixels = np.zeros((20, 30, 3), np.uint8)
                pixels[..., COLOURS[colour]] = strength
                pixels[..., (COLOURS[colour] + 1) % 3] = 25
                Image.fromarray(pixels).save(home / folder / f"{colour}-{strength}.png")
    return home


def logits_by_hand(folder):
    """Logits of a folder's images, sorted by file: nine times the colour, classes by name."""
    rows = []
    for path in sorted((Path("images") / folder).glob("*.png")):
        pixels = np.asarray(Image.open(path))[0, 0] / 255
        rows.append([9 * pixels[COLOURS[name]] for name in NAMES])
    return np.array(rows)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images")
    return tmp_path


@pytest.fixture
def pictures():
    """Asked for by tests of pictures, which take most of the time; others draw none."""


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch, request):
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(confusions, "draw_pictures", lambda *_: {})


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "colours.keras"
    colour_model().save(path)
    return path


def test_what_is_confused_is_counted(model_file, pictures, capsys):
    (Path("images") / "red" / "broken.png").write_bytes(b"no image")
    (Path("images") / "loose.png").write_bytes((Path("images/red/red-250.png")).read_bytes())
    study = confusion_study([model_file], "images", output_dir="out")
    found = study.numbers["models"]["colours"]
    assert study.numbers["examples"] == 16 and study.numbers["classes"] == 3
    assert found["right"] == 12 and found["top1"] == 0.75 and found["top5"] is None
    pairs = [(p["label"], p["predicted"], p["count"], p["share"]) for p in found["pairs"]]
    assert pairs == [("green", "red", 3, 0.5), ("blue", "red", 1, 1 / 6)]
    # The surest first.
    assert [one["image"] for one in found["pairs"][0]["examples"]] == [
        f"green/red-{strength}.png" for strength in (240, 120, 60)
    ]
    by_class = {one["label"]: (one["right"], one["examples"]) for one in found["by_class"]}
    assert by_class == {"green": (3, 6), "blue": (5, 6), "red": (4, 4)}
    assert [one["label"] for one in found["by_class"]] == ["green", "blue", "red"]
    assert json.loads((study.folder / "confusions.json").read_text()) == study.numbers
    said = " ".join(capsys.readouterr().out.split())
    assert "`colours` is right on 75.0 % of 16 images" in said
    assert "Most often it takes green for red: 3 of 6." in said
    assert "1 file that lies in no class folder left out" in said
    assert "- red/broken.png: no image format that Pillow knows" in said
    page = (study.folder / "confusions.html").read_text("utf-8")
    assert "yellow" in page and "red/broken.png" in page and 'src="data:image/webp' in page
    assert {path.name for path in study.folder.glob("*.png")} == {
        "confusions.png",
        "matrix.png",
        "reliability.png",
    }


def test_unknown_classes_are_told_by_scores(model_file):
    (Path("others")).mkdir()
    Image.fromarray(np.full((9, 9, 3), 10, np.uint8)).save("others/gray.png")
    study = confusion_study([model_file], "images", unknown="others", output_dir="out")
    found = study.numbers["models"]["colours"]
    known = np.concatenate([logits_by_hand(name) for name in NAMES])
    unknown = np.concatenate([logits_by_hand("yellow"), [[9 * 10 / 255] * 3]])
    assert found["unknown_examples"] == 4
    assert study.numbers["unknown"] == (
        "4 photographs in class folders of other names (yellow) and in others"
    )
    labels = np.repeat([1, 0], [16, 4])
    for name, score in (
        ("maximal logit", lambda rows: rows.max(axis=1)),
        ("maximal probability", lambda rows: special.softmax(rows, axis=1).max(axis=1)),
        ("energy", lambda rows: special.logsumexp(rows, axis=1)),
    ):
        values = np.concatenate([score(known), score(unknown)])
        expected = roc_auc_score(labels, np.round(values, 4))
        assert found["open_set"][name]["auroc"] == pytest.approx(expected, abs=1e-6)
    assert "nearest class mean" not in found["open_set"]


def test_an_index_gives_distances_and_neighbours(model_file, home):
    for colour in NAMES:
        (home / "training" / colour).mkdir(parents=True)
        pixels = np.zeros((9, 9, 3), np.uint8)
        pixels[..., COLOURS[colour]] = 200
        Image.fromarray(pixels).save(home / "training" / colour / "0.png")
    model = keras.saving.load_model(model_file)
    embed_images(model, home / "training", "index.npz", verbose=0)
    study = confusion_study([model_file], "images", index=["index.npz"], output_dir="out")
    found = study.numbers["models"]["colours"]
    assert found["neighbors"]["of"] == "training images" and found["neighbors"]["examples"] == 3
    # The nearest pure colour is the one that the model predicts.
    assert found["neighbors"]["nearest"] == 0.75
    # One image a class is its own mean.
    scores = found["open_set"]
    assert scores["nearest class mean"]["auroc"] == scores["nearest training image"]["auroc"]


def test_a_half_is_fitted_to_and_the_other_measured(model_file):
    study = confusion_study([model_file], "images", seed=3, output_dir="out")
    found = study.numbers["models"]["colours"]["calibration"]
    assert (found["fitted_on"], found["examples"]) == (8, 8)
    assert study.numbers["fitted_on"].startswith("a half of these images, drawn with seed 3")
    again = confusion_study([model_file], "images", seed=3, output_dir="out").numbers
    assert again["models"]["colours"]["calibration"] == found


def test_a_temperature_is_saved_and_predict_uses_it(model_file, home):
    study = confusion_study(
        [model_file], "images", validation="images", save_calibrated="cal.keras", output_dir="out"
    )
    found = study.numbers["models"]["colours"]["calibration"]
    assert (found["fitted_on"], found["examples"]) == (16, 16)
    temperature = found["temperature"]
    assert found["after"]["nll"] < found["before"]["nll"]
    model = keras.saving.load_model("cal.keras")
    assert model.softmax_temperature == temperature
    expected = special.softmax(logits_by_hand("green") / temperature, axis=1).max(axis=1)
    rows = predict_images(model, home / "images" / "green", verbose=0)
    assert [row.probability for row in rows] == pytest.approx(list(expected), abs=1e-4)
    # What is calibrated is told so, and fitted no further.
    again = confusion_study(["cal.keras"], "images", validation="images", output_dir="out")
    found = again.numbers["models"]["cal"]["calibration"]
    assert found["own_temperature"] == temperature
    assert found["temperature"] == pytest.approx(temperature, rel=1e-4)
    assert found["before"]["ece"] == pytest.approx(found["after"]["ece"], abs=1e-5)


def test_where_all_are_right_there_is_no_temperature(model_file, capsys, home):
    for path in (home / "images" / "green").glob("red-*"):
        path.unlink()
    (home / "images" / "blue" / "red-70.png").unlink()
    study = confusion_study(
        [model_file], "images", validation="images", save_calibrated="cal.keras", output_dir="out"
    )
    found = study.numbers["models"]["colours"]
    assert found["pairs"] == [] and found["calibration"]["temperature"] is None
    said = " ".join(capsys.readouterr().out.split())
    assert "Every image is classified rightly." in said
    assert "No temperature could be fitted: 12 examples, all of them classified rightly." in said
    assert "Not saved" in said and not Path("cal.keras").exists()


def test_two_models_are_compared(model_file, capsys):
    other = colour_model()
    # Red is one class too often: its bias takes what is weakly green or blue.
    other.heads.classifier.bias.assign([0.0, 0.0, 3.0])
    other.save("other.keras")
    models = {"first": model_file, "second": "other.keras"}
    study = confusion_study(models, "images", output_dir="out")
    found = study.numbers["compared"]
    first = [row.class_name == row.label for row in predicted(model_file)]
    second = [row.class_name == row.label for row in predicted("other.keras")]
    assert found["top1"]["only_first"] == sum(a > b for a, b in zip(first, second, strict=True))
    assert found["top1"]["only_second"] == 0
    assert found["top1"]["difference"] == pytest.approx((sum(second) - sum(first)) / 16)
    # The embedding is the same: the bias is the classifier's.
    assert found["neighbors"]["difference"] == found["retrieval"]["map@r"]["difference"] == 0
    assert {one["label"] for one in found["by_class"]} == {*NAMES}
    said = " ".join(capsys.readouterr().out.split())
    assert "By top-1 no difference can be told between `second` and `first`" in said
    assert "# What do first and second confuse?" in said


def predicted(path):
    rows = predict_images(keras.saving.load_model(path), "images", verbose=0)
    return [row for row in rows if row.label is not None]


def test_results_are_written_before_pictures(model_file, pictures, monkeypatch):
    from keras_clce.experiments.confusions import pictures as confusion_pictures

    def fails(*_, **__):
        assert Path("out/confusions.json").is_file() and Path("out/confusions.html").is_file()
        raise RuntimeError("no font")

    for name in ("plot_image_grid", "plot_confusion_matrix", "plot_reliability"):
        monkeypatch.setattr(confusion_pictures, name, fails)
    with pytest.warns(UserWarning, match="is missing: RuntimeError: no font"):
        confusion_study([model_file], "images", output_dir="out")


def digits_model():
    """Logits are the products with the mean of each digit, which tells most of them."""
    preprocessing = Preprocessing(8, crop_fraction=1.0)
    data = load_dataset("digits", preprocessing=preprocessing)
    images, labels = data.train.arrays()
    rows = images.reshape(len(images), -1) / 255
    means = np.stack([rows[labels == n].mean(axis=0) for n in range(10)])
    inputs = keras.Input((8, 8, 3))
    encoder = keras.Model(inputs, keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
    names = tuple("0123456789")
    model = CLCEModel(
        encoder, 10, feature_normalization=None, class_names=names, preprocessing=preprocessing
    )
    model.heads.classifier.kernel.assign(means.T)
    model.heads.classifier.bias.assign(-0.5 * (means**2).sum(axis=1))
    return model, data


@pytest.fixture
def digits_run():
    """A run folder of a model that was not trained, with its data."""
    model, data = digits_model()
    folder = RunFolder(Path("runs/transfer/digits/means/ce-seed0"))
    settings = settings_as_json(Settings(dataset="digits", loss="ce"), "transfer", image_size=8)
    folder.start(settings, data=data.split_note)
    model.save(folder.model)
    return folder, model, data


def test_a_run_is_tested_on_its_own_split(digits_run, capsys):
    folder, model, data = digits_run
    study = confusion_study([folder.model], train_examples=200)
    assert study.folder == Path("runs/confusions/digits")
    found = study.numbers["models"]["ce-seed0"]
    images, labels = data.test.arrays()
    logits = model.predict(images.astype("float32"), verbose=0)["logits"]
    assert study.numbers["examples"] == len(labels)
    assert found["top1"] == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    assert found["calibration"]["fitted_on"] == data.validation.num_examples
    assert found["neighbors"]["examples"] == 200
    assert study.numbers["data"].startswith("the test split of digits (scikit-learn digits:")
    assert "open_set" not in found
    assert re.fullmatch(r"test image \d+", found["pairs"][0]["examples"][0]["image"])
    assert "Fitted:   to the validation split of digits" in capsys.readouterr().out


def test_a_limit_draws_from_all_classes(digits_run):
    folder, *_ = digits_run
    study = confusion_study([folder.model], limit=20, train_examples=0, output_dir="out")
    assert study.numbers["examples"] == 20 and study.numbers["classes"] == 10
    assert study.numbers["models"]["ce-seed0"]["neighbors"]["of"] == "the other images"
    assert study.numbers["data"].startswith("the test split of digits, 20 of it (")


def test_images_of_a_run_whose_data_are_gone(model_file, home):
    folder = RunFolder(home / "runs" / "red-seed0")
    settings = settings_as_json(Settings(dataset="image_folder"), "transfer")
    folder.start(settings, data="3 colours", flags={"data_dir": str(home / "gone")})
    folder.model.write_bytes(model_file.read_bytes())
    study = confusion_study([folder.model], "images", output_dir="out")
    assert study.numbers["fitted_on"].startswith("a half of these images")
    assert any("cannot be had" in note for note in study.numbers["notes"])
    with pytest.raises(FileNotFoundError, match=r"`data_dir` must be given: that .*gone, is"):
        confusion_study([folder.model])


def test_a_contrastive_loss_alone_is_tested_by_its_probe(digits_run):
    folder, model, data = digits_run
    parts = []
    for split in (data.train, data.test):
        images, labels = split.arrays()
        outputs = model.predict(images.astype("float32"), verbose=0)
        parts.append((outputs["embedding"], labels))
    probe = LogisticRegression(C=10.0).fit(*parts[0])
    folder.write_probe(probe)
    study = confusion_study([folder.model], train_examples=0, output_dir="out")
    found = study.numbers["models"]["ce-seed0"]
    assert found["top1"] == pytest.approx(probe.score(*parts[1]))
    with pytest.raises(ValueError, match="`save_calibrated` must not be given for a model whose"):
        confusion_study([folder.model], save_calibrated="cal.keras")


def test_a_few_shot_run_has_no_split_of_its_classes(model_file, home):
    folder = RunFolder(home / "few" / "ce-seed0")
    folder.start(settings_as_json(Settings(dataset="cifar_fs"), "few_shot"), data="64 classes")
    folder.model.write_bytes(model_file.read_bytes())
    with pytest.raises(ValueError, match=r"`images` must be given .* trained on cifar_fs"):
        confusion_study([folder.model])
    study = confusion_study([folder.model], "images", output_dir="out")
    assert study.numbers["fitted_on"].startswith("a half of these images")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models": {}}, r"`models` must be one or two\. Received: 0"),
        ({"images": None}, r"`images` must be given for a model without a run folder"),
        ({"images": "nowhere"}, r"`images` must be a folder of class folders"),
        ({"images": "images/red"}, r"`images` must have folders that bear names .* blue, green"),
        ({"validation": "images/red"}, r"`validation` must have folders that bear names"),
        ({"unknown": "nowhere"}, r"nowhere"),
        ({"dataset": "digits"}, r"`dataset` takes the place of `images`"),
        ({"images": None, "dataset": "digits"}, r"`dataset` must have the classes of the models"),
        ({"class_names": ["a", "b"]}, r"`class_names` must be None or a sequence of 3"),
        ({"index": ["a.npz", "b.npz"]}, r"`index` must be one file for each model, 1"),
        ({"save_calibrated": "model.h5"}, r"`save_calibrated` must be a \.keras file"),
        ({"limit": 1}, r"`limit` must be a whole number of at least 2"),
        ({"bins": 0}, r"`bins` must be a whole number of at least 1"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_written(model_file, change, said):
    arguments = {"models": {"colours": model_file}, "images": "images"} | change
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        confusion_study(**arguments)
    assert not Path("runs").exists()


def test_models_that_are_no_classifiers_of_the_same_classes_are_refused(model_file):
    inputs = keras.Input((8, 8, 3))
    encoder = keras.Model(inputs, keras.layers.Flatten()(inputs))
    with pytest.raises(ValueError, match="`models` must be CLCEModels, which have classes"):
        confusion_study({"mine": encoder}, "images")
    with pytest.raises(ValueError, match=r"`class_names` must be given for models that do not"):
        confusion_study({"mine": CLCEModel(encoder, 3)}, "images")
    others = {"one": model_file, "two": CLCEModel(encoder, 4)}
    with pytest.raises(ValueError, match=r"`models` must be of the same classes"):
        confusion_study(others, "images")
    two = {"one": model_file, "two": model_file}
    with pytest.raises(ValueError, match=r"`save_calibrated` is for one model\. Received: 2"):
        confusion_study(two, "images", save_calibrated="cal.keras")
