"""Files of embeddings, and the search of them."""

import json
import sys

import numpy as np
import pytest
from photographs import make_model, write_photographs

from keras_clce import load_model
from keras_clce.experiments.embeddings.files import read_embeddings
from keras_clce.inference import EmbeddingIndex, embed_images, predict_images

pytestmark = pytest.mark.any_backend


def units(count, dim, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32")


def cosine_order(queries, rows, k):
    return np.argsort(-(queries.astype("float64") @ rows.T.astype("float64")), axis=1)[:, :k]


def test_a_file_has_what_was_predicted(tmp_path):
    folder, model = write_photographs(tmp_path / "pets"), make_model()
    (folder / "bee" / "empty.png").touch()
    done = embed_images(model, folder, tmp_path / "pets.npz", batch_size=5, model_path="m.keras")
    assert (done.count, done.dim, done.class_names) == (12, 6, ("ant", "bee", "cat"))
    assert [row.name for row in done.unreadable] == ["bee/empty.png"]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["pets.npz"]
    expected = predict_images(model, folder, embeddings=True)
    index = EmbeddingIndex.load(tmp_path / "pets.npz")
    assert index.files == [row.name for row in expected]
    assert index.embeddings.dtype == np.float32
    np.testing.assert_allclose(index.embeddings, expected.embeddings, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(index.embeddings, axis=1), 1, atol=1e-5)
    assert index.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert index.class_of(5) == "bee"
    assert index.path_of(0) == folder / "ant" / "0.png"
    # A study of embeddings takes the file, too.
    read = read_embeddings(tmp_path / "pets.npz")
    assert (read.class_names, read.dataset) == (("ant", "bee", "cat"), "pets")


def test_images_without_class_folders_have_no_labels(tmp_path):
    folder, model = write_photographs(tmp_path / "pets", names=("ant",)), make_model()
    for number, images in enumerate((folder, [folder / "ant" / "0.png", np.zeros((9, 9, 3))])):
        path = tmp_path / f"{number}.npz"
        assert embed_images(model, images, path).class_names is None
        assert "labels" not in np.load(path).files
    assert EmbeddingIndex.load(path).class_of(0) is None


def test_an_index_knows_its_model(tmp_path):
    folder, model = write_photographs(tmp_path / "pets", count=1), make_model()
    embed_images(model, folder, tmp_path / "pets.npz", model_path=tmp_path / "mine.keras")
    index = EmbeddingIndex.load(tmp_path / "pets.npz")
    model.save(tmp_path / "again.keras")
    index.check_model(load_model(tmp_path / "again.keras"), "again.keras")
    other = make_model()
    with pytest.raises(ValueError, match=r"made the index, .*mine\.keras \(\w{16}\).*other\.keras"):
        index.check_model(other, "other.keras")
    # The same weights that look at images in another way.
    cut = make_model(preprocessing=False)
    cut.set_weights(model.get_weights())
    with pytest.raises(ValueError, match="whose embeddings are others"):
        index.check_model(cut, "cut.keras")
    EmbeddingIndex(np.eye(3)).check_model(other, "any")


def test_exact_search(tmp_path):
    rows, queries = units(300, 8), units(20, 8, seed=1)
    found = EmbeddingIndex(rows).search(queries, k=7)
    np.testing.assert_array_equal(found.rows, cosine_order(queries, rows, 7))
    np.testing.assert_allclose(
        found.cosines, np.take_along_axis(queries @ rows.T, found.rows, 1), atol=1e-6
    )
    assert found.recall is None
    assert EmbeddingIndex(rows[:3]).search(queries, k=7).rows.shape == (20, 3)
    # Lengths do not matter.
    scaled = EmbeddingIndex(rows * np.linspace(1, 9, 300)[:, None]).search(3.0 * queries, k=7)
    np.testing.assert_array_equal(scaled.rows, found.rows)


def test_approximate_search_measures_its_recall():
    pytest.importorskip("faiss")
    rows, queries = units(4000, 16), units(150, 16, seed=1)
    index = EmbeddingIndex(rows)
    found = index.search(queries, k=5, exact=False)
    true = cosine_order(queries, rows, 5)
    recalls = [len({*a} & {*b}) / 5 for a, b in zip(found.rows, true, strict=True)]
    assert found.recall_queries == 100
    # Of a sample of the queries; noise without clusters is the hardest case.
    assert 0.95 <= found.recall <= 1
    assert abs(found.recall - np.mean(recalls)) < 0.1
    np.testing.assert_allclose(
        found.cosines, np.take_along_axis(queries @ rows.T, found.rows, 1), atol=1e-5
    )


@pytest.mark.parametrize(
    ("rows", "queries", "exact"), [(50, 20, True), (51, 19, True), (51, 20, False)]
)
def test_many_queries_of_many_rows_are_approximate(rows, queries, exact, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr("keras_clce.inference.embedding_index.APPROXIMATE_ROWS", 50)
    monkeypatch.setattr("keras_clce.inference.embedding_index.APPROXIMATE_QUERIES", 20)
    found = EmbeddingIndex(units(rows, 4)).search(units(queries, 4, seed=1), k=3)
    assert (found.recall is None) == exact
    assert EmbeddingIndex(units(rows, 4)).search(units(queries, 4), 3, exact=True).recall is None


def test_few_rows_are_one_list():
    pytest.importorskip("faiss")
    found = EmbeddingIndex(np.eye(3)).search(np.eye(3)[:2], k=3, exact=False)
    assert found.rows[:, 0].tolist() == [0, 1] and found.recall == 1


def test_a_missing_faiss_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install \"keras-clce\[search\]\""):
        EmbeddingIndex(units(50, 4)).search(units(2, 4), exact=False)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"other": np.eye(3)}, "must hold the array embeddings.*with other"),
        ({"embeddings": np.eye(3)[0]}, r"`embeddings` must be numbers of shape \(examples, dim\)"),
        ({"embeddings": np.zeros((2, 3))}, "no zero row"),
        ({"embeddings": np.full((2, 3), np.inf)}, "must be finite"),
        ({"embeddings": np.eye(3), "files": np.array(["a"])}, "`files` must have one .* 3 emb"),
        ({"embeddings": np.eye(3), "labels": np.zeros(2, int)}, "`labels` must have one"),
        ({"embeddings": np.eye(3), "labels": np.zeros(3)}, "`labels` must be integers"),
        (
            {"embeddings": np.eye(3), "labels": np.arange(3), "class_names": np.array(["a"])},
            "`class_names` must have a name for each class up to 2. Received: 1",
        ),
        ({"embeddings": np.eye(3), "about": np.array("{")}, "must be a whole .npz file"),
    ],
)
def test_files_that_are_no_index(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        EmbeddingIndex.load(tmp_path / "a.npz")


def test_other_files_and_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz', which is no file"):
        EmbeddingIndex.load("nowhere.npz")
    (tmp_path / "a.npz").write_bytes(b"PK some bytes")
    with pytest.raises(ValueError, match=r"must be a whole \.npz file"):
        EmbeddingIndex.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", embeddings=np.eye(3), about=np.array(json.dumps([1])))
    index = EmbeddingIndex.load(tmp_path / "b.npz")
    assert index.files == ["0", "1", "2"] and index.model == {}
    for arguments, message in (
        (([[1.0, 2.0]],), "must have 3 dimensions, as the index. Received: 2"),
        ((np.eye(3), 0), "`k` must be"),
        (([[np.nan, 1.0, 2.0]],), "must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            index.search(*arguments)
    for output in ("a.txt", "nowhere/a.npz"):
        with pytest.raises(ValueError, match=r"`output` must be a \.npz file"):
            embed_images(make_model(), np.zeros((9, 9, 3)), output)
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match=r"1 that cannot, such as .*empty.png \(empty\)"):
        embed_images(make_model(), tmp_path / "empty.png", tmp_path / "c.npz")
    assert not [*tmp_path.glob("*c.npz")]
