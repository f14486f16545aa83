import keras
import numpy as np
import pytest

from keras_clce.evaluate import FewShotCallback, NormalInverseWishart, few_shot_accuracy


def data(seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), 12)
    centers = rng.normal(size=(6, 10))
    return (centers[labels] + rng.normal(size=(72, 10))).astype("float32"), labels


def test_what_it_logs_picks_the_checkpoint(tmp_path):
    images, labels = data(0)
    others, other_labels = data(1)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4), keras.layers.Dense(6)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    options = {"ways": 3, "shots": 2, "queries": 5, "tasks": 60}
    seen = []

    class Remember(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            expected = few_shot_accuracy(
                self.model.predict(others, verbose=0), other_labels, **options
            )
            seen.append((expected.mean, logs["val_few_shot"]))

    best = tmp_path / "best.keras"
    callbacks = [
        FewShotCallback(others, other_labels, **options),
        keras.callbacks.ModelCheckpoint(
            best, monitor="val_few_shot", mode="max", save_best_only=True
        ),
        Remember(),
    ]
    history = model.fit(images, labels, epochs=4, verbose=0, callbacks=callbacks).history
    expected, logged = zip(*seen, strict=True)
    assert logged == pytest.approx(expected)
    assert history["val_few_shot"] == pytest.approx(expected)
    kept = keras.saving.load_model(best).predict(others, verbose=0)
    assert few_shot_accuracy(kept, other_labels, **options).mean == pytest.approx(max(expected))


def test_averages_are_evaluated_and_training_goes_on_as_without():
    images, labels = data(0)
    others, other_labels = data(1)
    options = {"ways": 3, "shots": 1, "queries": 6, "tasks": 60}

    def fit(*callbacks, epochs):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4), keras.layers.Dense(6)])
        optimizer = keras.optimizers.Adam(0.3, use_ema=True, ema_momentum=0.9)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        # A prediction in between takes from the random numbers that torch shuffles with.
        options = {"epochs": epochs, "shuffle": False, "verbose": 0}
        return model, model.fit(images, labels, callbacks=[*callbacks], **options).history

    averaged = FewShotCallback(others, other_labels, name="averaged", averages=True, **options)
    plain = FewShotCallback(others, other_labels, name="plain", **options)
    for epochs in (1, 3):
        model, history = fit(averaged, plain, epochs=epochs)
        # Keras leaves the averages in the model at the end.
        expected = few_shot_accuracy(model.predict(others, verbose=0), other_labels, **options)
        assert history["averaged"][-1] == pytest.approx(expected.mean)
    assert history["plain"] != history["averaged"]
    alone, history_alone = fit(epochs=3)
    assert history["loss"] == pytest.approx(history_alone["loss"])
    for a, b in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_another_encoder_with_the_same_layers_is_evaluated():
    images, labels = data(0)
    others, other_labels = data(1)
    options = {"ways": 3, "shots": 2, "queries": 5, "tasks": 60}
    inputs = keras.Input((10,))
    hidden = keras.layers.Dense(4)
    model = keras.Model(inputs, keras.layers.Dense(6)(hidden(inputs)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def encoder(trained):
        return keras.Model(trained.inputs, {"hidden": hidden(trained.inputs[0])})

    few_shot = FewShotCallback(others, other_labels, output="hidden", encoder=encoder, **options)
    history = model.fit(images, labels, epochs=2, verbose=0, callbacks=[few_shot]).history
    kernel, bias = hidden.get_weights()
    expected = few_shot_accuracy(others @ kernel + bias, other_labels, **options).mean
    assert history["val_few_shot"][-1] == pytest.approx(expected)
    output = few_shot_accuracy(model.predict(others, verbose=0), other_labels, **options).mean
    assert output != pytest.approx(expected)


def test_base_images_are_evaluated_with_the_weights_of_every_epoch():
    images, labels = data(0)
    others, other_labels = data(1)
    options = {
        "ways": 3,
        "shots": 2,
        "queries": 5,
        "tasks": 60,
        "classifier": "bavardage",
        "classifier_options": {"balanced": False},
        "query_distribution": "dirichlet",
    }
    others, other_labels = np.concatenate([others, others + 0.1]), np.tile(other_labels, 2)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(6)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss)
    expected = []

    class Remember(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            features, base = (model.predict(some, verbose=0) for some in (others, images))
            result = few_shot_accuracy(
                features, other_labels, **options, base_features=base, base_labels=labels
            )
            expected.append(result.mean)

    few_shot = FewShotCallback(
        others, other_labels, base_images=images, base_labels=labels, **options
    )
    history = model.fit(images, labels, epochs=2, verbose=0, callbacks=[Remember(), few_shot])
    assert history.history["val_few_shot"] == pytest.approx(expected)
    assert expected[0] != expected[1]


@pytest.mark.any_backend
def test_what_a_classifier_lacks_is_refused_at_once():
    images, labels = data(0)
    sizes = {"ways": 3, "queries": 5}
    prior = NormalInverseWishart(np.zeros(4), 1.0, 6.0, np.eye(4))
    FewShotCallback(
        images, labels, **sizes, classifier="meta_qda", classifier_options={"prior": prior}
    )
    FewShotCallback(images, labels, **sizes, transform="cl2", center=np.zeros(4))
    for change, message in (
        ({"classifier": "bavardage"}, r"bavardage needs `base_features`"),
        ({"classifier": "tim", "classifier_options": {"rate": 1}}, r"Received: rate=1"),
        ({"base_features": images, "base_labels": labels}, r"give `base_images`"),
        ({"classifier": "bavardage", "base_images": images}, r"`base_images`.*each of 0 labels"),
        ({"query_distribution": "even"}, r"`query_distribution` must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            FewShotCallback(images, labels, **sizes, **change)


@pytest.mark.any_backend
def test_tasks_that_cannot_be_drawn_are_refused_at_once():
    images, labels = data(0)
    with pytest.raises(ValueError, match=r"shots \+ queries = 16"):
        FewShotCallback(images, labels, shots=1, queries=15)


def test_what_would_fail_after_an_epoch_fails_before():
    images, labels = data(0)
    with pytest.raises(ValueError, match=r"`images` must hold one image for each of 72 labels"):
        FewShotCallback(images[:-1], labels, ways=3, queries=5)
    for wrong in (None, "images.npy"):
        with pytest.raises(ValueError, match=r"`images` must be an array.*Received: images of"):
            FewShotCallback(wrong, labels, ways=3, queries=5)
    for tasks in (0, "9"):
        with pytest.raises(ValueError, match=r"`tasks`.*Received: tasks="):
            FewShotCallback(images, labels, ways=3, queries=5, tasks=tasks)

    inputs = keras.Input((10,))
    hidden = keras.layers.Dense(4)(inputs)
    outputs = {"embedding": hidden, "logits": keras.layers.Dense(6)(hidden)}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    epochs = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    for options, message in (
        ({"output": "pooled"}, r"`output` must be one of 'embedding', 'logits'.*'pooled'"),
        ({"averages": True}, r"`averages` needs an optimizer with use_ema=True"),
    ):
        few_shot = FewShotCallback(images, labels, ways=3, queries=5, tasks=9, **options)
        with pytest.raises(ValueError, match=message):
            model.fit(images, {"logits": labels}, verbose=0, callbacks=[count, few_shot])
    assert not epochs
