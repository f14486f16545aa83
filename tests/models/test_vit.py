"""The Vision Transformer itself: what its options change, on every backend."""

import keras
import numpy as np
import pytest
from backbone_checks import assert_close, random_pixels

from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.models.backbones import backbone_spec, build_backbone

SIZE = 16


def small_vit(**options):
    images = keras.Input((SIZE, SIZE, 3))
    features = vision_transformer(
        images, patch_size=4, hidden_dim=16, num_layers=3, num_heads=2, **options
    )
    return keras.Model(images, features)


def a_step(model, images, targets):
    """Weights after one step of plain gradient descent."""
    model.compile(keras.optimizers.SGD(1.0), loss="mse")
    model.train_on_batch(images, targets)
    return [np.array(value) for value in model.get_weights()]


@pytest.mark.parametrize("sub_norm", [False, True])
def test_save_and_load(tmp_path, sub_norm):
    model = small_vit(sub_norm=sub_norm, pool="mean", fc_norm=True, stochastic_depth=0.5)
    images = random_pixels(SIZE)
    model.save(tmp_path / "vit.keras")
    loaded = keras.saving.load_model(tmp_path / "vit.keras")
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0)
    )
    drops = [layer for layer in loaded.layers if isinstance(layer, keras.layers.Dropout)]
    # Linear over the blocks from none in the first, the same for both branches.
    assert [layer.rate for layer in drops] == [0.25, 0.25, 0.5, 0.5]


def test_stochastic_depth_skips_whole_branches_of_an_image():
    model = small_vit(stochastic_depth=0.5)
    drop = model.get_layer("block2_mlp_drop")
    branch = np.ones((400, 5, 16), "float32")
    kept = keras.ops.convert_to_numpy(drop(branch, training=True))
    values = kept.reshape(400, -1)
    assert (values == values[:, :1]).all()
    assert set(np.unique(values)) == {0.0, 2.0}
    assert 0.4 < (values[:, 0] == 0).mean() < 0.6
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(drop(branch)), branch)


def test_rematerialised_training_is_the_same():
    images, targets = random_pixels(SIZE, batch=4) / 255, np.ones((4, 16), "float32")
    results = []
    for remat in (False, True):
        keras.utils.set_random_seed(0)
        model = small_vit(stochastic_depth=0.5, remat=remat)
        keras.utils.set_random_seed(1)
        results.append(a_step(model, images, targets))
    for plain, rematerialised in zip(*results, strict=True):
        np.testing.assert_allclose(rematerialised, plain, rtol=1e-4, atol=1e-5)


# Rounding of 8 and 11 bits through three blocks.
@pytest.mark.parametrize(("policy", "bound"), [("mixed_bfloat16", 3e-2), ("mixed_float16", 4e-3)])
def test_half_precision_stays_near(policy, bound):
    model = small_vit()
    images = random_pixels(SIZE) / 255
    expected = model.predict(images, verbose=0)
    keras.config.set_dtype_policy(policy)
    half = small_vit()
    half.set_weights(model.get_weights())
    actual = half.predict(images, verbose=0).astype("float32")
    assert_close(actual, expected, bound)
    assert np.abs(actual - expected).max() > 0


def test_patch_size_in_the_name():
    model = build_backbone("vit_tiny_patch4", 32)
    assert model.get_layer("patch").kernel.shape == (4, 4, 3, 192)
    assert model.get_layer("tokens").positions.shape == (1, 65, 192)
    assert model.output_shape == (None, 192)
    assert backbone_spec("vit_tiny_patch4").name == "vit_tiny_patch4"


@pytest.mark.any_backend
def test_bad_arguments_are_named():
    for name, size, options, text in (
        ("vit_tiny", 30, {}, "multiple of the patch size, 16 px"),
        ("vit_tiny", 32, {"stochastic_depth": 1.0}, r"within \[0, 1\)"),
        ("resnet18", 32, {"stochastic_depth": 0.1}, "`stochastic_depth` is for .*vit_base"),
        ("app:MobileNetV2", 32, {"stochastic_depth": 0.1}, "`stochastic_depth` is for"),
        ("resnet101_in21k", 32, {"remat": True}, "`remat` is for vit_tiny"),
        ("resnet18_patch4", 32, {}, "must be a backbone"),
        ("vit_tiny_patch4", 32, {"weights": "imagenet"}, "no public ImageNet weights"),
    ):
        with pytest.raises(ValueError, match=rf"(?s){text}.*Received: "):
            build_backbone(name, size, **options)
    with pytest.raises(ValueError, match=r"one of token, mean\. Received: pool='max'"):
        small_vit(pool="max")
    with pytest.raises(ValueError, match=r"must divide .* 16\. Received: num_heads=3"):
        images = keras.Input((SIZE, SIZE, 3))
        vision_transformer(images, patch_size=4, hidden_dim=16, num_layers=1, num_heads=3)


@pytest.mark.any_backend
@pytest.mark.parametrize("name", ["vit_small", "beit3_base", "resnet101_in21k"])
def test_parameter_counts(name):
    size = 224 if name != "resnet101_in21k" else 32
    millions = build_backbone(name, size).count_params() / 1e6
    assert backbone_spec(name).parameters == pytest.approx(millions, abs=0.06)
