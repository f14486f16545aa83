"""The memory of a model: filled by training steps, used by the loss, saved with the model."""

import keras
import numpy as np
import pytest
import reference
from keras import ops
from small_models import CLASSES, separable, small_backbone

from keras_clce import CLCELoss, CLCEModel
from keras_clce.losses import ContrastiveLoss, SupConLoss
from keras_clce.train.callbacks import RunCheckpoint
from keras_clce.train.embedding_memory import EmbeddingMemory

SIZE, BATCH = 20, 6  # a batch of 12 rows
LOSS = CLCELoss(0.5, SupConLoss(0.2))


def model_with_memory(rate=0.0, **options):
    keras.utils.set_random_seed(0)
    model = CLCEModel(small_backbone(batch_norm=False), CLASSES, embedding_dim=5)
    options = {"memory_size": SIZE, **options}
    model.compile(keras.optimizers.SGD(rate), loss=options.pop("loss", LOSS), **options)
    return model


def batch(seed):
    images, labels = separable(BATCH, seed)
    return (images, images[:, ::-1].copy()), np.roll(labels, seed)


def train(model, seed):
    views, labels = batch(seed)
    history = model.fit(views, labels, batch_size=BATCH, shuffle=False, verbose=0).history
    return history["contrastive"][0]


def rows_of(model, seed):
    """Embeddings and labels as they stand in a training step, the views of an image together."""
    views, labels = batch(seed)
    outputs = [ops.convert_to_numpy(model(view)["embedding"]) for view in views]
    return np.stack(outputs, axis=1).reshape(2 * BATCH, -1), np.repeat(labels, 2)


def supcon_by_loops(x, labels, rows, classes):
    """SupCon of a batch whose rows are compared with some earlier ones as well."""
    every, of_all = np.concatenate([x, rows]), np.concatenate([labels, classes])
    s = reference.cosines(every)[: len(x)] / 0.2
    values = []
    for i, label in enumerate(labels):
        others = [j for j in range(len(every)) if j != i]
        positives = [j for j in others if of_all[j] == label]
        log_total = np.log(sum(np.exp(s[i, j]) for j in others))
        values.append(np.mean([log_total - s[i, j] for j in positives]))
    return np.mean(values)


@pytest.mark.parametrize("options", [{}, {"memory_start": 2}, {"gradient_cache_size": 5}])
def test_steps_compare_with_the_last_rows(options):
    model = model_with_memory(**options)
    rows, classes = np.zeros((0, 5)), np.zeros(0, int)
    for step in range(4):
        x, labels = rows_of(model, step)
        used = step >= options.get("memory_start", 0)
        past = (rows, classes) if used else (rows[:0], classes[:0])
        assert train(model, step) == pytest.approx(supcon_by_loops(x, labels, *past), rel=1e-4)
        rows = np.concatenate([x, rows])[:SIZE]
        classes = np.concatenate([labels, classes])[:SIZE]
    np.testing.assert_allclose(model.memory.embeddings, rows, atol=1e-5)
    np.testing.assert_array_equal(model.memory.classes, classes)


def test_evaluation_neither_uses_nor_changes_it():
    model = model_with_memory()
    plain = model_with_memory(memory_size=None)
    plain.set_weights(model.get_weights()[:-3])
    train(model, 0)
    before = ops.convert_to_numpy(model.memory.embeddings).copy()
    images, labels = separable(12, 5)
    logs = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert logs["contrastive"] == pytest.approx(
        plain.evaluate(images, labels, verbose=0, return_dict=True)["contrastive"], rel=1e-5
    )
    np.testing.assert_array_equal(model.memory.embeddings, before)


def test_it_is_saved_and_training_goes_on_with_it(tmp_path):
    model = model_with_memory(0.05, memory_start=1)
    train(model, 0)
    model.save(tmp_path / "model.keras")
    checkpoint = RunCheckpoint(tmp_path / "checkpoint")
    views, labels = batch(1)
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    model.fit(views, labels, callbacks=[checkpoint], **options)
    expected = train(model, 2)

    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.memory.size, loaded.memory.start) == (SIZE, 1)
    train(loaded, 1)
    assert train(loaded, 2) == pytest.approx(expected, rel=1e-5)

    resumed = model_with_memory(0.05, memory_start=1)
    RunCheckpoint(tmp_path / "checkpoint").restore(resumed)
    assert train(resumed, 2) == pytest.approx(expected, rel=1e-5)

    # To predict, none is needed.
    predictor = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert predictor.memory is None
    first = loaded.predict(views[0], verbose=0)["logits"].shape
    assert predictor.predict(views[0], verbose=0)["logits"].shape == first


def test_compiled_again_it_is_kept_resized_or_dropped():
    model = model_with_memory(memory_size=None)
    weights = len(model.weights)
    for size, held in ((SIZE, 0), (SIZE, 12), (8, 0), (None, None)):
        model.compile("sgd", loss=LOSS, memory_size=size)
        if size is None:
            assert model.memory is None and len(model.weights) == weights
            continue
        assert len(model.weights) == weights + 3
        assert int((ops.convert_to_numpy(model.memory.classes) >= 0).sum()) == held
        train(model, 0)


class OfOurOwn(ContrastiveLoss):
    def anchor_values(self, y_true, y_pred):
        return ops.sum(y_pred, axis=1), ops.ones_like(y_pred[:, 0])


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"memory_size": 0}, r"`memory_size` must be .*Received: memory_size=0"),
        ({"memory_size": 2.5}, r"`memory_size` must be .*Received: memory_size=2.5"),
        ({"memory_start": -1}, r"`memory_start` must be .*Received: memory_start=-1"),
        ({"memory_start": 0.5}, r"`memory_start` must be .*Received: memory_start=0.5"),
        ({"memory_size": None, "memory_start": 3}, "`memory_start` is for a memory"),
        ({"loss": CLCELoss(0.0)}, "compares no embeddings.*Received: memory_size=20"),
        ({"loss": CLCELoss(0.5, OfOurOwn())}, "takes no `memory`.*Received: memory_size=20"),
    ],
)
def test_what_does_not_go_with_it_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        model_with_memory(**options)


def test_a_larger_batch_than_the_memory():
    memory = EmbeddingMemory(size=3, dim=2)
    memory.remember(np.arange(4), np.eye(4, 2, dtype="float32"))
    assert ops.convert_to_numpy(memory.classes).tolist() == [0, 1, 2]
    assert ops.convert_to_numpy(memory.contents().filled).tolist() == [1, 1, 1]
