"""The embedding study, on models and on files of embeddings."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from keras_clce import CLCEModel
from keras_clce.data import Preprocessing, load_dataset
from keras_clce.evaluate import isotropy_score
from keras_clce.experiments import embedding_study
from keras_clce.experiments.embeddings.files import Embedded, read_embeddings
from keras_clce.experiments.embeddings.models import embed, image_batches, shown_images
from keras_clce.experiments.embeddings.results import measure
from keras_clce.experiments.embeddings.sources import Draw, ShownData, load_sources
from keras_clce.runs import RunFolder

NAMES = tuple("0123456789")


def encoder(size=16, seed=0, outputs=None):
    """An encoder from images to eight numbers, random, or to what a function makes of them."""
    pixels = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    start = keras.initializers.GlorotUniform(seed)
    x = keras.layers.Conv2D(8, 4, strides=4, kernel_initializer=start)(x)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, pooled if outputs is None else outputs(x, pooled))


def clce_model(class_names=NAMES, **options):
    shown = Preprocessing(16, crop_fraction=1.0)
    return CLCEModel(
        encoder(**options), len(class_names), class_names=class_names, preprocessing=shown
    )


def arrays(examples=90, classes=3, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % classes
    rows = rng.normal(scale=0.4, size=(examples, dim)) + np.eye(classes, dim)[labels]
    return {"embeddings": rows.astype("float32"), "labels": labels}


@pytest.fixture
def files(tmp_path):
    """Two files of embeddings of the same images."""
    names = np.array(["cat", "dog", "Tulip"])
    for number, name in enumerate(("a", "b")):
        np.savez(tmp_path / f"{name}.npz", class_names=names, **arrays(seed=number))
    return [tmp_path / "a.npz", tmp_path / "b.npz"]


# === On all backends: models ===


@pytest.mark.any_backend
def test_models_are_shown_what_they_were_trained_on(tmp_path, capsys):
    path = tmp_path / "run" / "model.keras"
    RunFolder(path.parent).start({"dataset": "digits", "split_seed": 3, "limit_examples": 300}, "")
    clce = clce_model()
    clce.save(path)
    plain = encoder(seed=1)
    study = embedding_study(
        {"clce": path, "plain": plain},
        max_examples=60,
        train_examples=100,
        tsne_images=4,
        classes=["3"],
        projector=True,
        output_dir=tmp_path / "out",
    )
    digits = load_dataset("digits", image_size=16, split_seed=3, limit_examples=300)
    chosen = Draw("test", 60).of(digits.test, 60)
    images, labels = (part[chosen] for part in digits.test.arrays())
    kept = read_embeddings(tmp_path / "out" / "embeddings-clce.npz")
    np.testing.assert_array_equal(kept.labels, labels)
    assert kept.class_names == NAMES and kept.dataset == "digits" and kept.split == "test"
    expected = clce.predict(images.astype("float32"), verbose=0)["embedding"]
    np.testing.assert_allclose(kept.embeddings, expected, atol=1e-5)
    other = read_embeddings(tmp_path / "out" / "embeddings-plain.npz")
    expected = plain.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(other.embeddings, expected, atol=1e-5)
    assert kept.train[0].shape == (100, 8) and kept.validation[0].shape == (100, 8)

    numbers = study.numbers["models"]["clce"]
    assert numbers["isotropy"] == pytest.approx(isotropy_score(kept.embeddings))
    nearest = KNeighborsClassifier(5, metric="cosine").fit(*kept.train)
    assert numbers["nearest_neighbor"]["5"] == nearest.score(kept.embeddings, labels)
    assert 0 < numbers["linear_probe"] <= 1
    assert [*numbers["cosines"]] == ["all classes", "3"]
    assert json.loads((tmp_path / "out" / "embeddings.json").read_text()) == study.numbers
    found = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"embeddings.md", "cosines.png", "tsne.png", "pca.png", "maps.npz"} <= found
    assert (tmp_path / "out" / "projector" / "sprite.png").is_file()
    said = capsys.readouterr().out
    assert "clce: 60 test images embedded" in said and study.table() in said

    # A later study needs no model.
    again, _ = measure([kept, other], {"3": 3}, Draw("test", 60))
    for numbers in again["models"].values():
        assert numbers.pop("source").endswith(".npz")
    for name, numbers in again["models"].items():
        assert numbers.items() <= study.numbers["models"][name].items()


@pytest.mark.any_backend
def test_feature_maps_are_averaged_and_dicts_read(tmp_path):
    maps = encoder(outputs=lambda features, _: features)
    named = encoder(outputs=lambda _, pooled: {"embedding": pooled, "other": pooled + 1})
    pooled = encoder()
    split = load_dataset("digits", image_size=16).test
    chosen = np.arange(5, 20)
    expected, labels = embed("pooled", pooled, split, chosen, batch_size=4)
    np.testing.assert_array_equal(labels, split.labels[5:20])
    for model in (maps, named):
        assert shown_images("it", model, None) == 16
        got, _ = embed("it", model, split, chosen)
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda _, pooled: {"logits": pooled}, r"mine, which gives \['logits'\]"),
        (lambda _, pooled: [pooled, pooled], "mine, which gives list"),
        (
            lambda _, pooled: keras.layers.Reshape((2, 2, 2, 1))(pooled),
            r"an output of shape \(None, 2, 2, 2, 1\)",
        ),
    ],
)
def test_models_without_an_embedding_are_refused_before_data_is_read(made, said):
    with pytest.raises(ValueError, match=f"a model from images to an embedding.*{said}"):
        embedding_study({"mine": encoder(outputs=made)}, dataset="digits", data_dir="nowhere")


@pytest.mark.any_backend
def test_probabilities_and_zeros_are_refused(tmp_path):
    softmax = encoder(outputs=lambda _, pooled: keras.layers.Softmax()(pooled))
    zeros = encoder(outputs=lambda _, pooled: 0 * pooled)
    for model, said in ((softmax, "gives probabilities"), (zeros, "other than zero.*after 0")):
        with pytest.raises(ValueError, match=f"`models` must.*{said}"):
            embedding_study({"it": model}, dataset="digits", output_dir=tmp_path, quick=True)


@pytest.mark.any_backend
def test_what_takes_no_images_of_a_known_size_is_refused():
    any_size = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)])
    assert shown_images("it", any_size, 24) == 24
    with pytest.raises(ValueError, match="`image_size` must be given for it"):
        shown_images("it", any_size, None)
    numbers = keras.Sequential([keras.Input((7,)), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match=r"RGB images.*it, which takes \(None, 7\)"):
        shown_images("it", numbers, None)
    oblong = keras.Sequential([keras.Input((8, 9, 3)), keras.layers.Conv2D(4, 3)])
    with pytest.raises(ValueError, match="square images"):
        shown_images("it", oblong, None)


# === On one backend ===


@pytest.mark.any_backend
def test_models_of_different_data_are_refused(tmp_path):
    letters = clce_model(tuple("abcdefghij"))
    with pytest.raises(ValueError, match="one of 10 classes: 0, 1, 2, …; two of 10 classes: a, b"):
        load_sources({"one": clce_model(), "two": letters})
    for name, seed in (("one", 0), ("two", 1)):
        folder = RunFolder(tmp_path / name)
        folder.start({"dataset": "digits", "split_seed": seed}, "")
        clce_model().save(folder.model)
    paths = {name: tmp_path / name / "model.keras" for name in ("one", "two")}
    with pytest.raises(ValueError, match="one with split_seed 0, two with 1"):
        load_sources(paths)


@pytest.mark.any_backend
def test_runs_tell_their_data_and_what_is_given_comes_first(tmp_path):
    sources = []
    for name, limit in (("one", 300), ("two", 200)):
        folder = RunFolder(tmp_path / name)
        settings = {"dataset": "digits", "split_seed": 2, "limit_examples": limit}
        folder.start(settings, "", flags={"data_dir": str(tmp_path)})
        clce_model().save(folder.model)
        sources += load_sources({name: folder.model})
    shown = ShownData(sources)
    assert shown.name == "digits" and not shown.is_few_shot
    assert shown.options == {"split_seed": 2, "limit_examples": 200, "data_dir": str(tmp_path)}
    assert ShownData(sources, split_seed=0).options["split_seed"] == 0
    assert ShownData(sources, "cifar_fs").options == {"data_dir": None}
    assert ShownData(sources, "cifar_fs").is_few_shot
    with pytest.raises(ValueError, match="`dataset` must be named"):
        ShownData(load_sources({"mine": encoder()}))


@pytest.mark.any_backend
def test_novel_classes_of_few_shot_data(tmp_path):
    rng = np.random.default_rng(0)
    for part, names in (("train", "ab"), ("val", "cd"), ("test", "efg")):
        for name in names:
            folder = tmp_path / "data" / part / name
            folder.mkdir(parents=True)
            for number in range(6):
                pixels = rng.uniform(0, 255, (20, 24, 3))
                keras.utils.save_img(folder / f"{number}.png", pixels, scale=False)
    run = RunFolder(tmp_path / "run")
    settings = {"dataset": "image_folder", "split_seed": 0, "ways": 2}
    run.start(settings, "", flags={"data_dir": str(tmp_path / "data")})
    clce_model(("a", "b")).save(run.model)
    study = embedding_study([run.model], output_dir=tmp_path / "out")
    assert study.numbers["settings"]["tsne_classes"] == ["e", "f", "g"]
    numbers = study.numbers["models"]["run"]
    assert numbers["examples"] == 18 and numbers["neighbors_of"] == "the other 17 examples"
    assert "linear_probe" not in numbers
    embeddings = read_embeddings(tmp_path / "out" / "embeddings-run.npz")
    search = KNeighborsClassifier(1, metric="cosine")
    search.fit(embeddings.embeddings, embeddings.labels)
    expected = search.score(None, embeddings.labels)
    assert numbers["nearest_neighbor"]["1"] == pytest.approx(expected)


@pytest.mark.any_backend
def test_batches_of_chosen_images_have_one_size():
    split = load_dataset("digits", image_size=8).test
    chosen = np.array([0, 1, 7, 30, 31, 32, 33, 200, 268])
    batches = list(image_batches(split, chosen, 4))
    assert [len(labels) for _, labels in batches] == [4, 4, 1]
    images, labels = split.arrays()
    np.testing.assert_array_equal(np.concatenate([part for _, part in batches]), labels[chosen])
    np.testing.assert_array_equal(np.concatenate([part for part, _ in batches]), images[chosen])
    assert sum(len(labels) for _, labels in image_batches(split, None, 100)) == 269


@pytest.mark.any_backend
def test_a_model_of_other_classes_is_told_of(tmp_path, capsys):
    letters = clce_model(tuple("abcdefghij"))
    options = {"dataset": "digits", "train_examples": 0, "quick": True, "output_dir": tmp_path}
    embedding_study({"it": letters, "plain": encoder()}, tsne_classes=["1", "2"], **options)
    notes = [line for line in capsys.readouterr().out.splitlines() if line[:5] == "Note:"]
    assert notes == ["Note:     it was trained on other classes than those of digits"]
    kept = read_embeddings(tmp_path / "quick" / "embeddings-it.npz")
    # A quick look is at the classes of the pictures alone.
    assert {*kept.labels} == {1, 2} and kept.train is None


@pytest.mark.any_backend
def test_a_draw_is_balanced_and_within_its_classes():
    split = load_dataset("digits", image_size=8).test
    drawn = Draw("test", seed=1).of(split, 40)
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(np.bincount(split.labels[drawn]), np.full(10, 4))
    assert {*split.labels[Draw("test", classes=[2, 5]).of(split, 20)]} == {2, 5}
    assert Draw("test").of(split, 269) is None
    few = Draw("test", classes=[2]).of(split, 10_000)
    np.testing.assert_array_equal(few, np.flatnonzero(split.labels == 2))


@pytest.mark.any_backend
def test_files_alone_need_no_data_and_results_stand_before_pictures(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def fails(*_, **__):
        assert Path("runs/embeddings/arrays/embeddings.json").is_file()
        assert "![" not in Path("runs/embeddings/arrays/embeddings.md").read_text()
        raise RuntimeError("no ink")

    monkeypatch.setattr("keras_clce.experiments.embeddings.results.plot_cosines", fails)
    monkeypatch.setattr("keras_clce.experiments.embeddings.results.plot_maps", fails)
    with pytest.warns(UserWarning, match="picture .* is missing: RuntimeError: no ink"):
        study = embedding_study(embeddings=files)
    assert study.folder == Path("runs/embeddings/arrays")
    assert [*study.numbers["models"]] == ["a", "b"]
    assert study.numbers["settings"]["classes"] == ["cat", "dog"]
    # Maps are results, too.
    with np.load("runs/embeddings/arrays/maps.npz") as maps:
        assert maps["tsne-a"].shape == maps["pca-b"].shape == (90, 2)
        np.testing.assert_array_equal(maps["labels"], np.load(files[0])["labels"][maps["examples"]])


@pytest.mark.any_backend
def test_what_is_written_is_read(tmp_path):
    given = arrays(12)
    about = {"dataset": "digits", "split": "test", "data": "269 images"}
    rows, labels = given["embeddings"], given["labels"]
    parts = {"train": (rows + 1, labels), "validation": (rows + 2, labels)}
    mine = Embedded("mine", "m.keras", rows, labels, ("é", "b", "c"), **about, **parts)
    mine.write(tmp_path / "embeddings-mine.npz")
    got = read_embeddings(tmp_path / "embeddings-mine.npz")
    assert (got.name, got.class_names) == ("mine", ("é", "b", "c"))
    assert {name: getattr(got, name) for name in about} == about
    np.testing.assert_array_equal(got.validation[0], rows + 2)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": None}, "must hold the arrays embeddings and labels. Received: embeddings"),
        ({"embeddings": None}, "must hold the arrays embeddings and labels. Received: labels"),
        ({"labels": np.zeros(5, int)}, r"\(5,\) labels for \(90, 6\) embeddings"),
        ({"labels": np.full(90, 0.5)}, "must be integers from 0. Received: float64, such as"),
        ({"labels": np.full(90, -1)}, "must be integers from 0"),
        ({"embeddings": np.zeros((0, 6)), "labels": np.zeros(0, int)}, r"shape \(0, 6\)"),
        ({"embeddings": np.zeros((90, 6))}, "no zero row.*Received: 90 zero rows"),
        ({"embeddings": np.full((90, 6), np.nan)}, "must be finite"),
        ({"class_names": np.array(["cat"])}, "1 different class_names for labels up to 2"),
        ({"train_labels": np.zeros(3, int)}, "train_embeddings and train_labels"),
        (
            {"train_labels": np.zeros(3, int), "train_embeddings": np.ones((3, 5))},
            "train_embeddings of another dimension",
        ),
        ({"labels": np.array([{}] * 90)}, "whole .npz files of numbers"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, change, said):
    given = {name: value for name, value in (arrays() | change).items() if value is not None}
    np.savez(tmp_path / "it.npz", **given)
    with pytest.raises(ValueError, match=said) as error:
        read_embeddings(tmp_path / "it.npz")
    assert "it.npz" in str(error.value)


@pytest.mark.any_backend
def test_files_of_other_images_or_none_are_refused(files, tmp_path):
    np.savez(tmp_path / "c.npz", class_names=np.array(["cat", "dog", "Tulip"]), **arrays(60))
    with pytest.raises(ValueError, match=r"of the same images.*a and c with 90 and 60 labels"):
        embedding_study(embeddings=[files[0], tmp_path / "c.npz"])
    np.savez(tmp_path / "d.npz", **arrays())
    with pytest.raises(ValueError, match=r"a and d with classes cat, dog, Tulip \(3\) and 0, 1, 2"):
        embedding_study(embeddings=[files[0], tmp_path / "d.npz"])
    (tmp_path / "e.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"whole .npz files.*e.npz"):
        embedding_study(embeddings=[tmp_path / "e.npz"])
    with pytest.raises(FileNotFoundError, match=r"f.npz', which is no file"):
        embedding_study(embeddings=[tmp_path / "f.npz"])
    with pytest.raises(FileNotFoundError, match=r"f.keras', which is no file"):
        embedding_study([tmp_path / "f.keras"])
    (tmp_path / "g.keras").write_text("no archive")
    with pytest.raises(ValueError, match=r"whole .keras files.*g.keras"):
        embedding_study([tmp_path / "g.keras"])


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"classes": ["tulip"]},
            "`classes` must be names of classes. Received: 'tulip'; near.*Tulip",
        ),
        ({"tsne_classes": ["xyz"]}, "`tsne_classes`.*'xyz'; 3 classes: cat, dog, Tulip"),
        ({"classes": ["cat", "cat"]}, "`classes` must be different names"),
        ({"split": "novel"}, "`split` must be one of"),
        ({"tsne_images": 1}, "`tsne_images` must be a whole number of at least 2"),
        ({"max_examples": 0}, "`max_examples`"),
        ({"train_examples": -1}, "`train_examples`"),
        ({"seed": None}, "`seed`"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_written(files, tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        embedding_study(embeddings=files, output_dir=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.any_backend
def test_classes_without_pairs_and_one_class_are_refused(tmp_path):
    given = arrays()
    given["labels"] = np.where(np.arange(90) == 7, 1, 0)
    np.savez(tmp_path / "it.npz", class_names=np.array(["cat", "dog", "fox"]), **given)
    for name, count in (("dog", 1), ("fox", 0)):
        with pytest.raises(ValueError, match=rf"two images or more. Received: {name} \({count}\)"):
            embedding_study(embeddings=[tmp_path / "it.npz"], classes=[name])
    np.savez(tmp_path / "one.npz", embeddings=given["embeddings"], labels=np.zeros(90, int))
    with pytest.raises(ValueError, match=r"two classes or more. Received: 90 of 0"):
        embedding_study(embeddings=[tmp_path / "one.npz"])


@pytest.mark.any_backend
def test_names_must_differ(files):
    with pytest.raises(ValueError, match="`models` or `embeddings` must name at least one"):
        embedding_study()
    with pytest.raises(ValueError, match="Names must differ"):
        embedding_study(embeddings=[files[0], files[0]])
    with pytest.raises(ValueError, match="must be a list or a mapping"):
        embedding_study(embeddings=files[0])
    with pytest.raises(ValueError, match=r"Names must differ. Received: a, a, b"):
        embedding_study({"a": encoder()}, files)


@pytest.mark.any_backend
def test_a_folder_that_cannot_be_written_is_named(files, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ValueError, match="`output_dir` must be a folder that can be written"):
        embedding_study(embeddings=files, output_dir=tmp_path / "taken")
