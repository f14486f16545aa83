"""A model of several labels an image: trained, evaluated, saved, and what it refuses."""

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score
from small_models import CLASSES, SHAPE, flips, small_backbone

from keras_clce import CLCEModel, load_model, losses
from keras_clce.evaluate import MeanAveragePrecision
from keras_clce.losses import CLCELoss
from keras_clce.train import ImageMixing


def pictures(examples=48, seed=0):
    """Images each of whose labels shows in one quarter, some without any."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, (examples, CLASSES))
    images = 0.3 * rng.normal(size=(examples, *SHAPE)).astype("float32")
    for number in range(CLASSES):
        top, left = 6 * (number // 2), 6 * (number % 2)
        images[:, top : top + 6, left : left + 6] += 2.0 * rows[:, number, None, None, None]
    return images, rows


def backbone():
    """With a feature map for each quarter to be told apart by."""
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, keras.layers.Flatten()(keras.layers.AveragePooling2D(6)(inputs)))


def model_of(encoder=None, **kwargs):
    keras.utils.set_random_seed(0)
    return CLCEModel(encoder or backbone(), CLASSES, multi_label=True, **kwargs)


def metrics():
    return [
        MeanAveragePrecision(CLASSES),
        keras.metrics.F1Score("macro", threshold=0.5, name="f1_macro"),
    ]


def test_it_trains_and_its_metrics_are_scikit_learns(tmp_path):
    images, rows = pictures()
    model = model_of(augmenter=flips(), feature_normalization=None)
    model.compile(keras.optimizers.Adam(0.05), "clce", metrics=metrics())
    held_out = pictures(40, seed=1)
    history = model.fit(
        images, rows, validation_data=held_out, epochs=6, batch_size=16, verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0]
    scores = model.predict(held_out[0], verbose=0)["probabilities"]
    logits = model.predict(held_out[0], verbose=0)["logits"].astype("float64")
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    want = average_precision_score(held_out[1], scores, average="macro")
    assert history["val_mean_average_precision"][-1] == pytest.approx(want, abs=5e-3)
    want = f1_score(held_out[1], scores >= 0.5, average="macro")
    assert history["val_f1_macro"][-1] == pytest.approx(want, abs=1e-5)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    assert again.multi_label and again.loss.multi_label
    np.testing.assert_allclose(again.predict(held_out[0], verbose=0)["probabilities"], scores)
    found = again.evaluate(*held_out, verbose=0, return_dict=True)
    last = history["val_mean_average_precision"][-1]
    assert found["mean_average_precision"] == pytest.approx(last, abs=1e-6)


def test_the_gradient_cache_gives_the_same_step():
    images, rows = pictures(16)
    weights = []
    for chunk in (None, 4):
        keras.utils.set_random_seed(1)
        model = model_of(small_backbone(batch_norm=False))
        loss = losses.get("clce", contrastive_weight=0.5, multi_label=True)
        model.compile(keras.optimizers.SGD(0.1), loss, gradient_cache_size=chunk)
        model.fit(images, rows, batch_size=16, epochs=1, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for whole, chunked in zip(*weights, strict=True):
        np.testing.assert_allclose(whole, chunked, rtol=1e-4, atol=1e-6)


def test_half_precision_stays_finite():
    images, rows = pictures(16)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = model_of(small_backbone())
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", losses.get("clce", temperature=0.05, multi_label=True))
    logs = model.fit(images, rows, batch_size=8, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert model.predict(images, verbose=0)["probabilities"].dtype == "float32"


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": CLCELoss()}, "`loss` must have multi_label=True, as the model has"),
        ({"mixing": ImageMixing(0.2)}, "`mixing` must be None with multi_label=True"),
        ({"memory_size": 8}, "`memory_size` must be None with multi_label=True"),
        ({"metrics": ["accuracy"]}, "`metrics` must be of several labels.*'accuracy'"),
    ],
)
def test_compile_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        model_of().compile("sgd", **options)


@pytest.mark.any_backend
def test_a_model_of_one_label_refuses_the_loss_of_several():
    with pytest.raises(ValueError, match="`loss` must have multi_label=False"):
        CLCEModel(backbone(), CLASSES).compile("sgd", CLCELoss(multi_label=True))


@pytest.mark.any_backend
def test_labels_of_another_kind():
    model, (images, rows) = model_of(), pictures(8)
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"`y` must hold rows of 0 and 1, of shape \(8, 4\)"):
        model.fit(images, np.arange(8) % CLASSES)
    with pytest.raises(ValueError, match=r"`y` must hold 0 and 1 alone.*y=\[\[0.5"):
        model.fit(images, rows * 0.5 + 0.5 * (1 - rows))


def test_a_stream_of_other_labels_ends_with_the_cause():
    class Stream(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, number):
            images, rows = pictures(8)
            return images, rows * 0.5

    model = model_of()
    model.compile("sgd")
    with pytest.raises(FloatingPointError, match="labels other than rows of 0 and 1"):
        model.fit(Stream(), verbose=0)


@pytest.mark.any_backend
def test_arguments_of_the_model():
    with pytest.raises(ValueError, match="`softmax_temperature` must be None with multi_label"):
        model_of(softmax_temperature=2.0)
    with pytest.raises(ValueError, match="`softmax_temperature` must be None with multi_label"):
        model_of().softmax_temperature = 2.0
    with pytest.raises(ValueError, match="`multi_label` must be True or False"):
        CLCEModel(backbone(), CLASSES, multi_label=1)
    config = CLCEModel(backbone(), CLASSES).get_config()
    # Of a version that knew one label an image.
    del config["multi_label"]
    assert not CLCEModel.from_config(config).multi_label
