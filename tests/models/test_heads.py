"""Feature normalization of the heads, against NumPy."""

import json
import zipfile

import keras
import numpy as np
import pytest

from keras_clce import CLCEModel
from keras_clce.models.heads import EmbeddingAndLogits

RNG = np.random.default_rng(0)
FEATURES = np.abs(RNG.normal(size=(6, 5))).astype("float32")
WIDE = np.abs(RNG.normal(size=(6, 400))).astype("float32")


def at_most_16_long(x):
    """Rows of deviation 1 are as long as the root of their size."""
    return x * min(1, 16 / np.sqrt(x.shape[1]))


def by_layer(x):
    return at_most_16_long((x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6))


def by_batch(x):
    return at_most_16_long((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-6))


def to_length_16(x):
    return 16 * x / np.linalg.norm(x, axis=1, keepdims=True)


def outputs_of(heads, features, training=False):
    outputs = heads(features, training=training)
    return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}


@pytest.mark.parametrize("features", [FEATURES, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("embedding_dim", [None, 3])
@pytest.mark.parametrize(
    ("kind", "oracle"),
    [(None, lambda x: x), ("layer", by_layer), ("batch", by_batch), ("unit", to_length_16)],
)
def test_both_heads_read_what_is_normalized(kind, oracle, embedding_dim, features):
    heads = EmbeddingAndLogits(4, embedding_dim, kind)
    outputs = outputs_of(heads, features, training=True)
    read = oracle(features.astype("float64"))
    kernel, bias = heads.classifier.get_weights()
    np.testing.assert_allclose(outputs["logits"], read @ kernel + bias, rtol=1e-4, atol=1e-5)
    if embedding_dim:
        read = read @ heads.projection.get_weights()[0]
    unit = read / np.linalg.norm(read, axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["embedding"], unit, rtol=1e-4, atol=1e-5)
    lengths = np.linalg.norm(features, axis=1)
    np.testing.assert_allclose(outputs["feature_norm"], lengths, rtol=1e-5)
    assert set(outputs_of(heads, features)) == {"embedding", "logits", "probabilities"}


def test_a_projection_of_two_layers_has_a_relu_between_them():
    heads = EmbeddingAndLogits(4, 3, None, embedding_layers=2)
    outputs = outputs_of(heads, FEATURES, training=True)
    kernel, bias = heads.projection_hidden.get_weights()
    assert kernel.shape == (5, 5)
    read = np.maximum(FEATURES.astype("float64") @ kernel + bias, 0)
    read = read @ heads.projection.get_weights()[0]
    # Where no hidden value is above 0, the embedding is 0 too.
    unit = read / np.maximum(np.linalg.norm(read, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(outputs["embedding"], unit, rtol=1e-4, atol=1e-5)
    # The classifier reads the features, not what is projected.
    kernel, bias = heads.classifier.get_weights()
    np.testing.assert_allclose(outputs["logits"], FEATURES @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [(3, 0), (3, 3), (3, 1.5), (None, 2)])
def test_other_projections_are_refused(options):
    dim, layers = options
    with pytest.raises(ValueError, match=rf"`embedding_layers`.*Received: .*={layers}, .*={dim}"):
        EmbeddingAndLogits(4, dim, embedding_layers=layers)


def test_averages_of_the_batches_serve_in_inference():
    heads = EmbeddingAndLogits(4, feature_normalization="batch")
    first = outputs_of(heads, FEATURES)  # averages 0 and 1 at the start
    np.testing.assert_allclose(
        first["embedding"], FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True), rtol=1e-4
    )
    for _ in range(200):
        heads(FEATURES, training=True)
    read = by_batch(FEATURES.astype("float64"))
    unit = read / np.linalg.norm(read, axis=1, keepdims=True)
    np.testing.assert_allclose(outputs_of(heads, FEATURES)["embedding"], unit, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["layer", "unit"])
def test_size_of_features_does_not_matter(kind):
    heads = EmbeddingAndLogits(4, feature_normalization=kind)
    usual, small = outputs_of(heads, FEATURES), outputs_of(heads, FEATURES * 0.1)
    for name in usual:
        np.testing.assert_allclose(small[name], usual[name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind", ["layer", "batch", "unit"])
def test_features_that_are_all_alike_stay_finite(kind):
    heads = EmbeddingAndLogits(4, feature_normalization=kind)
    for features in (np.zeros((3, 5), "float32"), np.ones((3, 5), "float32")):
        for value in outputs_of(heads, features, training=True).values():
            assert np.isfinite(value).all()


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"`feature_normalization`.*'layer'.*Received: .*'group'"):
        EmbeddingAndLogits(4, feature_normalization="group")


def small_model(**options):
    inputs = keras.Input((6, 6, 3))
    features = keras.layers.ReLU()(keras.layers.Conv2D(5, 3)(inputs))
    return CLCEModel(keras.Model(inputs, features), 4, **options)


@pytest.mark.parametrize("kind", [None, "layer", "batch", "unit"])
def test_a_saved_model_keeps_its_kind(tmp_path, kind):
    model = small_model(feature_normalization=kind)
    images = RNG.normal(size=(4, 6, 6, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.feature_normalization == kind
    before, after = (each.predict(images, verbose=0) for each in (model, loaded))
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-5, atol=1e-6)


def test_a_saved_model_keeps_its_projection(tmp_path):
    model = small_model(embedding_dim=3, embedding_layers=2)
    images = RNG.normal(size=(4, 6, 6, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.embedding_layers == loaded.heads.embedding_layers == 2
    before, after = (each.predict(images, verbose=0) for each in (model, loaded))
    np.testing.assert_allclose(after["embedding"], before["embedding"], rtol=1e-5, atol=1e-6)


def test_a_file_from_before_the_choice_loads_as_it_was(tmp_path):
    model = small_model(feature_normalization=None)
    images = RNG.normal(size=(4, 6, 6, 3)).astype("float32")
    model.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                del config["config"]["feature_normalization"]
                del config["config"]["embedding_layers"]
                content = json.dumps(config)
            old.writestr(name, content)
    loaded = keras.saving.load_model(tmp_path / "old.keras")
    assert loaded.feature_normalization is None
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["logits"],
        model.predict(images, verbose=0)["logits"],
        rtol=1e-5,
        atol=1e-6,
    )


def test_summary_has_the_shapes_of_the_heads():
    lines = []
    small_model(embedding_dim=3).summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "(None, 3)" in text
    assert "(None, 4)" in text
