import keras
import numpy as np
import pytest
import reference
from marks import on_any_backend
from small_models import SHAPE, flips, separable, small_model

import keras_clce
from keras_clce import CLCELoss, LACLNLoss
from keras_clce.train import ContrastiveWeightSchedule
from keras_clce.train.callbacks import RunCheckpoint

IMAGES, LABELS = separable(24)
# Five epochs: of the own weight 0.8.
WEIGHTS = {"falling": [0.8, 0.6, 0.4, 0.2, 0.0], "rising": [0.0, 0.2, 0.4, 0.6, 0.8]}


def fixed_model(**options):
    model = small_model(**options)
    rng = np.random.default_rng(7)
    for layer in (model.backbone.get_layer("conv"), model.heads.classifier):
        layer.set_weights([rng.normal(scale=0.3, size=w.shape) for w in layer.get_weights()])
    return model


def fit(model, epochs, schedule=None, first=0, callbacks=()):
    schedules = [ContrastiveWeightSchedule(schedule)] if schedule else []
    return model.fit(
        IMAGES,
        LABELS,
        batch_size=24,
        shuffle=False,
        epochs=epochs,
        initial_epoch=first,
        validation_data=(IMAGES, LABELS),
        callbacks=[*schedules, *callbacks],
        verbose=0,
    ).history


def parts_of(model):
    """Cross-entropy and the contrastive part of all images as one batch, in loops."""
    outputs = model.predict(IMAGES, verbose=0)
    entropy = np.mean(reference.cross_entropy(LABELS, outputs["logits"]))
    values = reference.lacln(LABELS, outputs["embedding"])
    return entropy, reference.mean_over_counted(*values)


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        ("falling", {}),
        ("rising", {"jit_compile": True}),
        *on_any_backend(("rising", {}), ("falling", {"gradient_cache_size": 8})),
    ],
)
def test_loss_of_each_epoch_has_its_weight(schedule, options):
    if options.get("jit_compile") and keras.backend.backend() == "torch":
        options = {"run_eagerly": True}
    model = fixed_model(batch_norm=False)
    loss = CLCELoss(0.8, LACLNLoss(chunk_size=5))
    model.compile(keras.optimizers.SGD(0.0), loss=loss, **options)
    entropy, contrastive = parts_of(model)
    logs = fit(model, 5, schedule)
    weights = WEIGHTS[schedule]
    np.testing.assert_allclose(logs["contrastive_weight"], weights, atol=1e-9)
    expected = [(1 - weight) * entropy + weight * contrastive for weight in weights]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    # Losses that pick an epoch are those of one weight.
    fixed = [0.2 * entropy + 0.8 * contrastive] * 5
    np.testing.assert_allclose(logs["val_loss"], fixed, rtol=1e-5)
    assert "val_contrastive_weight" not in logs
    assert model.evaluate(IMAGES, LABELS, batch_size=24, verbose=0, return_dict=True)[
        "loss"
    ] == pytest.approx(fixed[0], rel=1e-5)


@pytest.mark.any_backend
def test_training_is_that_of_one_loss_after_the_other():
    scheduled, one_by_one = fixed_model(), fixed_model()
    scheduled.compile(keras.optimizers.SGD(0.1), loss=CLCELoss(0.8))
    fit(scheduled, 3, "falling")
    for weight in (0.8, 0.4, 0.0):
        one_by_one.compile(keras.optimizers.SGD(0.1), loss=CLCELoss(weight))
        fit(one_by_one, 1)
    moved = [np.abs(a - b).max() for a, b in weights_of(scheduled, fixed_model())]
    assert max(moved) > 0.01
    for a, b in weights_of(scheduled, one_by_one):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def weights_of(a, b):
    return zip(a.get_weights(), b.get_weights(), strict=True)


@pytest.mark.any_backend
def test_the_own_weight_is_back_after_a_schedule():
    model = fixed_model(batch_norm=False)
    model.compile(keras.optimizers.SGD(0.0), loss=CLCELoss(0.8))
    entropy, contrastive = parts_of(model)
    own = 0.2 * entropy + 0.8 * contrastive

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, 5, "rising", callbacks=[Break()])
    assert model.train_on_batch(IMAGES, LABELS, return_dict=True)["loss"] == pytest.approx(own)
    fit(model, 2, "falling")
    logs = fit(model, 1)
    assert logs["loss"] == pytest.approx([own], rel=1e-5)
    # Without a schedule nothing is logged of the weight.
    assert "contrastive_weight" not in logs


@pytest.mark.any_backend
def test_constant_and_a_single_epoch_have_the_own_weight():
    model = fixed_model()
    model.compile(keras.optimizers.SGD(0.0), loss=CLCELoss(0.8))
    assert fit(model, 2, "constant")["contrastive_weight"] == [0.8, 0.8]
    for schedule in WEIGHTS:
        assert fit(model, 1, schedule)["contrastive_weight"] == [0.8]


def test_training_goes_on_as_if_it_had_never_stopped(tmp_path):
    def compiled():
        model = small_model(flips(), dropout=0.3)
        model.compile(keras.optimizers.Adam(1e-2), loss=CLCELoss(0.8), metrics=["accuracy"])
        return model

    whole, broken, resumed = compiled(), compiled(), compiled()
    broken.set_weights(whole.get_weights())
    first, second = (RunCheckpoint(tmp_path / name, "val_cross_entropy") for name in "ab")
    fit(whole, 3, "falling", callbacks=[first])

    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(broken, 3, "falling", callbacks=[second, Break()])
    second = RunCheckpoint(tmp_path / "b", "val_cross_entropy")
    fit(resumed, 3, "falling", first=second.restore(resumed), callbacks=[second])
    for a, b in zip(first.history, second.history, strict=True):
        assert a["contrastive_weight"] == b["contrastive_weight"]
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
    weights = [row["contrastive_weight"] for row in second.history]
    np.testing.assert_allclose(weights, [0.8, 0.4, 0.0], atol=1e-9)
    for a, b in weights_of(whole, resumed):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.any_backend
def test_lowest_cross_entropy_is_the_best(tmp_path):
    model = small_model()
    model.compile(keras.optimizers.Adam(1e-2), loss=CLCELoss(0.8))
    checkpoint = RunCheckpoint(tmp_path, "val_cross_entropy")
    logs = fit(model, 4, "falling", callbacks=[checkpoint])
    assert checkpoint.best_epoch == int(np.argmin(logs["val_cross_entropy"]))


@pytest.mark.any_backend
def test_a_saved_model_holds_nothing_of_the_schedule(tmp_path):
    model, plain = fixed_model(), fixed_model()
    for each in (model, plain):
        each.compile(keras.optimizers.SGD(0.1), loss=CLCELoss(0.8))
    fit(model, 2, "falling")
    assert len(model.weights) == len(plain.weights)
    model.save(tmp_path / "model.keras")
    loaded = keras_clce.load_model(tmp_path / "model.keras")
    assert loaded.loss.contrastive_weight == 0.8
    for a, b in weights_of(model, loaded):
        np.testing.assert_array_equal(a, b)
    again, other = fit(model, 3, "rising"), fit(loaded, 3, "rising")
    np.testing.assert_allclose(again["loss"], other["loss"], rtol=1e-5)
    assert other["contrastive_weight"] == [0.0, 0.4, 0.8]


def test_mixed_precision_and_sample_weights():
    keras.config.set_dtype_policy("mixed_float16")
    model = fixed_model(batch_norm=False)
    model.compile(keras.optimizers.SGD(0.0), loss=CLCELoss(0.8))
    entropy, contrastive = parts_of(model)
    logs = model.fit(
        IMAGES,
        LABELS,
        sample_weight=np.full(24, 0.5),
        batch_size=24,
        epochs=2,
        callbacks=[ContrastiveWeightSchedule("falling")],
        verbose=0,
    ).history
    expected = [0.5 * (0.2 * entropy + 0.8 * contrastive), 0.5 * entropy]
    np.testing.assert_allclose(logs["loss"], expected, rtol=2e-2)


@pytest.mark.any_backend
def test_bad_schedules():
    with pytest.raises(ValueError, match=r"`schedule`.*'falling'.*Received: schedule='cosine'"):
        ContrastiveWeightSchedule("cosine")
    for weight in (0, 1):
        model = small_model()
        model.compile("sgd", loss=CLCELoss(weight))
        with pytest.raises(ValueError, match=f"both parts.*contrastive_weight={weight}"):
            fit(model, 1, "falling")
    other = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])
    other.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"must be a CLCEModel.*Received: loss=str"):
        other.fit(
            IMAGES,
            np.zeros((24, SHAPE[0] * SHAPE[1] * SHAPE[2])),
            callbacks=[ContrastiveWeightSchedule("rising")],
            verbose=0,
        )
