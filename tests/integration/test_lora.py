"""LoRA inside encoders: the base stays, the adapters learn, and a saved model predicts alike."""

import keras
import numpy as np
import pytest

from keras_clce import CLCELoss, CLCEModel, load_model
from keras_clce.models.architectures.vit import vision_transformer

SIZE, CLASSES = 16, 3


def own_transformer():
    images = keras.Input((SIZE, SIZE, 3))
    features = vision_transformer(images, patch_size=8, hidden_dim=8, num_layers=1, num_heads=2)
    return keras.Model(images, features)


def layers_of_keras():
    """Dense and, inside the attention, EinsumDense."""
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 8, strides=8)(images)
    x = keras.layers.Reshape((4, 8))(x)
    x = x + keras.layers.MultiHeadAttention(2, 4)(x, x)
    x = keras.layers.Dense(8, activation="gelu")(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling1D()(x))


def adapt(encoder):
    """Freeze all of an encoder but adapters of rank 2; count them."""
    encoder.trainable = False
    layers = [
        each
        for each in encoder._flatten_layers()
        if isinstance(each, (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Conv2D))
    ]
    for layer in layers:
        layer.trainable = True
        layer.enable_lora(2)
        if layer.bias is not None:
            layer.bias.trainable = False
    return len(layers)


@pytest.mark.parametrize(
    ("make", "count", "options"),
    [(own_transformer, 5, {}), (layers_of_keras, 6, {"gradient_cache_size": 4})],
    ids=["own transformer", "layers of Keras, in chunks"],
)
def test_adapters_alone_learn(make, count, options, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(12, SIZE, SIZE, 3)).astype("float32"), np.arange(12) % CLASSES
    encoder = make()
    model = CLCEModel(encoder, CLASSES)
    plain = model.predict(images, verbose=0)["logits"]
    assert adapt(encoder) == count
    model.compile(keras.optimizers.SGD(0.05), CLCELoss(0.5), **options)
    # The second matrix of an adapter is zero at first.
    np.testing.assert_allclose(model.predict(images, verbose=0)["logits"], plain, atol=1e-5)
    before = [keras.ops.convert_to_numpy(each).copy() for each in encoder.weights]
    history = model.fit(
        (images, images[:, :, ::-1]), labels, batch_size=12, epochs=8, verbose=0
    ).history["loss"]
    assert history[-1] < history[0]
    moved = [
        weight.path.split("/")[-1]
        for weight, old in zip(encoder.weights, before, strict=True)
        if (keras.ops.convert_to_numpy(weight) != old).any()
    ]
    assert {*moved} == {"lora_kernel_a", "lora_kernel_b"} and len(moved) == 2 * count
    outputs = model.predict(images, verbose=0)
    assert np.abs(outputs["logits"] - plain).max() > 1e-3
    model.save(tmp_path / "model.keras")
    for name, values in load_model(tmp_path / "model.keras").predict(images, verbose=0).items():
        np.testing.assert_allclose(values, outputs[name], rtol=1e-4, atol=1e-5)
