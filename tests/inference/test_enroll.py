"""New classes without training: what is kept, how it is scored, and what is refused."""

import json

import numpy as np
import pytest
from photographs import NAMES, make_model, write_photographs
from sklearn.linear_model import LogisticRegression

from keras_clce import predict_images
from keras_clce.inference import (
    ENROLL_CLASSIFIERS,
    NONE_OF_THESE,
    Enrolled,
    PhotographAnswers,
    closest_classes,
    enroll,
    model_fingerprint,
)
from keras_clce.inference.demo import _about, _shares, _verdict


def rows_around(classes=4, each=6, dim=8, seed=0, spread=0.3):
    """Unit rows around one direction a class, and their classes."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    rows = np.eye(classes, dim)[labels] + spread * rng.normal(size=(len(labels), dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def test_enrolled_photographs_are_recognised(tmp_path):
    """On every backend: embeddings of the model, cosines to means of classes, by hand."""
    model, folder = make_model(), write_photographs(tmp_path / "photographs")
    enrolled = enroll(model, folder, verbose=0)
    assert enrolled.class_names == NAMES and enrolled.counts == (4, 4, 4)
    assert enrolled.model["fingerprint"] == model_fingerprint(model)
    embedded = predict_images(model, folder, embeddings=True, verbose=0)
    means = np.stack(
        [embedded.embeddings[[row.label == name for row in embedded]].mean(0) for name in NAMES]
    )
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    expected = embedded.embeddings @ means.T
    found = predict_images(model, folder, top_k=3, enrolled=enrolled, verbose=0)
    for row, cosines in zip(found, expected, strict=True):
        best = np.argsort(-cosines)
        assert row.class_names == tuple(NAMES[number] for number in best)
        np.testing.assert_allclose(row.scores, cosines[best], atol=1e-5)
        assert row.probabilities == () and row.probability is None
        assert row.is_rejected == (cosines.max() < enrolled.threshold)
        assert row.class_name == (NONE_OF_THESE if row.is_rejected else row.class_names[0])


@pytest.mark.any_backend
def test_a_mapping_equals_folders_and_limits_count(tmp_path):
    model, folder = make_model(), write_photographs(tmp_path / "photographs")
    by_name = enroll(model, {name: folder / name for name in NAMES}, limit=2, verbose=0)
    assert by_name.counts == (2, 2, 2)
    np.testing.assert_allclose(
        by_name.embeddings, enroll(model, folder, limit=2, verbose=0).embeddings, atol=1e-6
    )


@pytest.mark.any_backend
def test_what_cannot_be_read_is_listed(tmp_path):
    model, folder = make_model(), write_photographs(tmp_path / "photographs")
    (folder / "ant" / "empty.png").touch()
    (folder / "loose.png").write_bytes((folder / "bee" / "0.png").read_bytes())
    enrolled = enroll(model, folder, verbose=0)
    assert sorted(enrolled.unreadable) == [
        ("ant/empty.png", "empty"),
        ("loose.png", "in no class folder"),
    ]
    assert enrolled.counts == (4, 4, 4)


@pytest.mark.any_backend
def test_adding_renaming_and_removing_equal_enrolling_at_once(tmp_path):
    model, folder = make_model(), write_photographs(tmp_path / "photographs")
    other = write_photographs(tmp_path / "other", seed=1, names=("ant", "dog"))
    both = {
        "ant": [folder / "ant", other / "ant"],
        "bee": folder / "bee",
        "cat": folder / "cat",
        "dog": other / "dog",
    }
    at_once = enroll(model, both, verbose=0)
    added = enroll(model, other, enrolled=enroll(model, folder, verbose=0), verbose=0)
    assert added.class_names == at_once.class_names and added.counts == at_once.counts
    rows, _ = rows_around(dim=added.embeddings.shape[1])
    np.testing.assert_allclose(added.scores(rows), at_once.scores(rows), atol=1e-5)
    assert added.threshold == pytest.approx(at_once.threshold, abs=1e-4)
    # The same photographs once more change nothing.
    again = enroll(model, other, enrolled=added, verbose=0)
    assert again.counts == added.counts
    changed = added.renamed("dog", "hound").without(["bee", "cat"])
    assert changed.class_names == ("ant", "hound")
    np.testing.assert_allclose(changed.scores(rows), at_once.scores(rows)[:, [0, 3]], atol=1e-5)
    alone = enroll(model, {"ant": both["ant"], "hound": both["dog"]}, verbose=0)
    assert changed.threshold == pytest.approx(alone.threshold, abs=1e-4)


@pytest.mark.any_backend
def test_logistic_is_that_of_scikit_learn():
    rows, labels = rows_around()
    queries, _ = rows_around(seed=1)
    enrolled = Enrolled(rows, labels, tuple("abcd"), "logistic")
    expected = LogisticRegression(max_iter=1000).fit(rows, labels).predict_proba(queries)
    np.testing.assert_allclose(enrolled.scores(queries), expected, atol=1e-4)
    assert enrolled.score_name == "probability"


@pytest.mark.any_backend
def test_a_zero_embedding_is_like_no_class():
    enrolled = Enrolled(np.eye(2), np.array([0, 1]), ("a", "b"))
    np.testing.assert_array_equal(enrolled.scores(np.zeros((1, 2))), [[0, 0]])


@pytest.mark.any_backend
@pytest.mark.parametrize("classifier", [*ENROLL_CLASSIFIERS])
def test_a_file_keeps_everything(tmp_path, classifier):
    rows, labels = rows_around()
    unknown, _ = rows_around(classes=2, seed=5)
    about = {"path": "m.keras", "fingerprint": "abc", "image_size": 32}
    enrolled = Enrolled(
        rows, labels, ("née", "b b", "c,d", "x=y"), classifier, None, 0.1, unknown, about
    ).with_threshold()
    enrolled.save(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        assert {*file.files} == {"embeddings", "labels", "class_names", "unknown", "about"}
        assert json.loads(str(file["about"]))["rejection"]["source"] == "unknown photographs"
    loaded = Enrolled.load(tmp_path / "e.npz")
    for name in ("class_names", "classifier", "rejection", "false_accept_rate", "model", "counts"):
        assert getattr(loaded, name) == getattr(enrolled, name)
    for name in ("embeddings", "unknown"):
        np.testing.assert_allclose(getattr(loaded, name), getattr(enrolled, name), atol=1e-7)
    np.testing.assert_allclose(loaded.scores(unknown), enrolled.scores(unknown), atol=1e-6)


@pytest.mark.any_backend
def test_the_threshold_follows_the_classes_unless_it_was_given():
    rows, labels = rows_around()
    new, _ = rows_around(classes=1, each=3, seed=2)
    enrolled = Enrolled(rows, labels, tuple("abcd"), unknown=new).with_threshold()
    # What was unknown is a class now, and its own photographs are the most like it.
    assert enrolled.with_examples(new, "eee").threshold > enrolled.threshold
    given = enrolled.with_threshold(0.5)
    assert given.with_examples(new, "eee").threshold == 0.5
    assert given.without(["a"]).rejection.source == "given"
    assert given.with_threshold().threshold == enrolled.threshold


@pytest.mark.any_backend
def test_the_closest_class_by_loops():
    rows, labels = rows_around(spread=0.6)
    means = [rows[labels == number].mean(axis=0) for number in range(4)]
    for own, (other, cosine) in enumerate(closest_classes(rows, labels)):
        cosines = {
            number: mean @ means[own] / np.linalg.norm(mean) / np.linalg.norm(means[own])
            for number, mean in enumerate(means)
            if number != own
        }
        assert other == max(cosines, key=cosines.get)
        assert cosine == pytest.approx(cosines[other])
    assert closest_classes(rows[:3], labels[:3]) == (None,)


@pytest.mark.any_backend
def test_the_demo_answers_with_enrolled_classes(tmp_path):
    model, folder = make_model(), write_photographs(tmp_path / "photographs")
    enrolled = enroll(model, folder, threshold=0.999, verbose=0)
    (row,) = predict_images(model, folder / "bee" / "0.png", enrolled=enrolled, verbose=0)
    answer = PhotographAnswers(model, enrolled=enrolled)(folder / "bee" / "0.png")
    assert (answer.class_names, answer.is_sure) == (row.class_names, False)
    assert answer.probabilities == pytest.approx(row.scores, abs=1e-6)
    said = _verdict(answer, enrolled.threshold)
    assert "None of these" in said and "No class has a cosine of 1.00 or more" in said
    assert min(_shares(answer).values()) >= 0
    sure = PhotographAnswers(model, enrolled=enrolled.with_threshold(-1.0))
    answer = sure(folder / "bee" / "0.png")
    assert answer.is_sure
    assert f"with a cosine of {row.scores[0]:.2f}" in _verdict(answer, -1.0)
    assert "knows 3 classes: ant, bee, cat" in _about(sure)


@pytest.mark.any_backend
def test_another_model_is_refused(tmp_path):
    model, folder = make_model(), write_photographs(tmp_path / "photographs")
    enrolled, other = enroll(model, folder, verbose=0), make_model()
    for call in (
        lambda: predict_images(other, folder, enrolled=enrolled),
        lambda: enroll(other, folder, enrolled=enrolled),
    ):
        with pytest.raises(ValueError, match="`model` must be the one that the classes were enr"):
            call()


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"images_by_class": "nowhere"}, "`images_by_class` must be a folder of class folders"),
        ({"images_by_class": None}, "`images_by_class` must be a folder of class folders"),
        ({"images_by_class": {}}, "`class_names` must be different names.*Received: none"),
        ({"images_by_class": {NONE_OF_THESE: "photographs"}}, 'none of them "none of these"'),
        ({"images_by_class": {" ": "photographs"}}, "`class_names` must be different names"),
        ({"images_by_class": "photographs/ant"}, "has 4 files and no folder"),
        ({"classifier": "svm"}, "`classifier` must be one of cosine, logistic.*'svm'"),
        ({"images_by_class": {"a": "photographs/ant"}, "classifier": "logistic"}, "2 classes or"),
        ({"false_accept_rate": 1.5}, r"`false_accept_rate` must be .* within \(0, 1\)"),
        ({"threshold": "high"}, "`threshold` must be a finite number"),
        ({"limit": 0}, "`limit` must be None or a whole number above 0"),
        ({"unknown": "broken"}, "`unknown` must have a photograph that can be read"),
        (
            {"images_by_class": {"a": "photographs", "b": "broken"}},
            "can be read. Received: none of b",
        ),
    ],
)
def test_what_is_wrong_is_named(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photographs(tmp_path / "photographs")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.png").touch()
    with pytest.raises(ValueError, match=said):
        enroll(make_model(), **{"images_by_class": "photographs", "verbose": 0, **options})


@pytest.mark.any_backend
def test_wrong_arrays_and_names_are_refused():
    rows, labels = rows_around()
    enrolled = Enrolled(rows, labels, tuple("abcd"))
    for call, said in (
        (
            lambda: Enrolled(rows, labels, tuple("abc")),
            "`labels` must have an example of each of 3",
        ),
        (lambda: Enrolled(rows, labels + 1, tuple("abcd")), "`labels` must have an example"),
        (lambda: Enrolled(rows, labels, tuple("abca")), "`class_names` must be different"),
        (lambda: Enrolled(rows, labels, tuple("abcd"), unknown=[[1.0]]), "`unknown` must have 8"),
        (lambda: enrolled.scores(np.eye(3)), "`embeddings` must have 8 dimensions"),
        (lambda: enrolled.with_examples(np.eye(3), "abc"), "`embeddings` must be rows of 8"),
        (lambda: enrolled.renamed("z", "y"), "`rename` must name enrolled classes, a, b, c, d"),
        (lambda: enrolled.renamed("a", "b"), "`class_names` must be different"),
        (lambda: enrolled.without(["z"]), "`remove` must name enrolled classes"),
        (lambda: enrolled.without("abcd"), "`remove` must leave 1"),
        (
            lambda: predict_images(make_model(), "x", class_names=NAMES, enrolled=enrolled),
            "must be",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            call()


@pytest.mark.any_backend
def test_damaged_files_are_refused(tmp_path):
    rows, labels = rows_around()
    Enrolled(rows, labels, tuple("abcd")).save(tmp_path / "e.npz")
    whole = (tmp_path / "e.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:-100])
    np.savez(tmp_path / "other.npz", embeddings=rows)
    np.savez(tmp_path / "pickled.npz", about=np.array([{}], object))
    with np.load(tmp_path / "e.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "short.npz", **{**arrays, "labels": labels[:-1]})
    for name in ("cut", "other", "pickled", "short"):
        with pytest.raises(
            ValueError, match=r"`enrolled` must be a whole .*file of enrolled classes"
        ):
            Enrolled.load(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError, match="`enrolled` must be a file"):
        Enrolled.load(tmp_path / "no.npz")
    with pytest.raises(ValueError, match=r"`path` must be a \.npz file in a folder"):
        Enrolled(rows, labels, tuple("abcd")).save(tmp_path / "nowhere" / "e.npz")
