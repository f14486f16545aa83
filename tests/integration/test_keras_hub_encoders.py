"""Backbones of keras-hub as encoders: made from sizes, trained, saved and loaded."""

import keras
import numpy as np
import pytest

from keras_clce import CLCELoss, CLCEModel, load_model

SIZE, CLASSES = 16, 3


def resnet():
    """Gives maps."""
    from keras_hub.models import ResNetBackbone

    return ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        image_shape=(SIZE, SIZE, 3),
    )


def vit_tokens(size=SIZE):
    from keras_hub.models import ViTBackbone

    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
    return ViTBackbone(image_shape=(size, size, 3), patch_size=8, **sizes)


def vit():
    """Tokens, pooled by their mean."""
    tokens = vit_tokens()
    images = keras.Input((SIZE, SIZE, 3))
    return keras.Model(images, keras.layers.GlobalAveragePooling1D()(tokens(images)))


@pytest.mark.parametrize("make", [resnet, vit])
def test_it_trains_saves_and_loads(make, tmp_path):
    encoder = make()
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(12, SIZE, SIZE, 3)).astype("float32"), np.arange(12) % CLASSES
    model = CLCEModel(encoder, CLASSES)
    pooled = encoder.predict(images, verbose=0)
    pooled = pooled.mean(axis=(1, 2)) if pooled.ndim == 4 else pooled
    # The embedding is the pooled features, with mean 0 and on unit length.
    centred = pooled - pooled.mean(axis=1, keepdims=True)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    found = model.predict(images, verbose=0)["embedding"]
    np.testing.assert_allclose(found, expected, atol=2e-3)
    model.compile(keras.optimizers.SGD(0.01), CLCELoss(0.5))
    before = encoder.get_weights()
    model.fit((images, images[:, :, ::-1]), labels, batch_size=12, epochs=2, verbose=0)
    assert any((a != b).any() for a, b in zip(before, encoder.get_weights(), strict=True))
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    outputs = model.predict(images, verbose=0)
    for name, values in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(values, outputs[name], rtol=1e-5, atol=1e-6)


@pytest.mark.any_backend
def test_tokens_that_nobody_pooled_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"tokens .* by their mean .*GlobalAveragePooling1D.*17"):
        CLCEModel(vit_tokens(32), CLASSES)
