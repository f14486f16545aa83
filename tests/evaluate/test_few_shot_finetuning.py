"""Encoders that are fine-tuned on each task, against steps of torch."""

import keras
import numpy as np
import pytest
import torch

from keras_clce.evaluate import finetune_tasks

STEPS, RATE = 6, 0.02


@pytest.fixture
def encoder():
    """A linear layer behind a batch norm and a dropout, which training would change."""
    norm = keras.layers.BatchNormalization()
    layers = [keras.layers.Flatten(), norm, keras.layers.Dropout(0.5), keras.layers.Dense(5)]
    model = keras.Sequential([keras.Input((2, 2, 3)), *layers])
    rng = np.random.default_rng(1)
    norm.set_weights([rng.uniform(0.5, 2, 12) for _ in range(4)])
    return model


def tasks(count=2, ways=3, shots=2, queries=4):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(count, ways, 1, 2, 2, 3))
    support = centers + rng.normal(size=(count, ways, shots, 2, 2, 3))
    asked = centers + rng.normal(size=(count, ways, queries, 2, 2, 3))
    return support, asked.reshape(count, ways * queries, 2, 2, 3)


def torch_logits(encoder, support, queries, with_entropy, temperature):
    """Logits of one task after steps of torch's Adam, the batch norm in inference."""
    _, norm, _, dense = encoder.layers
    arrays = [keras.ops.convert_to_numpy(x) for x in (*norm.weights, *dense.weights)]
    gamma, beta, mean, variance, kernel, bias = (torch.tensor(x.astype("float64")) for x in arrays)
    trained = [gamma, beta, kernel, bias]
    for value in trained:
        value.requires_grad_()

    def features(images):
        rows = torch.tensor(images.reshape(-1, 12))
        rows = (rows - mean) / torch.sqrt(variance + norm.epsilon) * gamma + beta
        return rows @ kernel + bias

    unit = torch.nn.functional.normalize
    ways, shots = support.shape[:2]
    known = torch.arange(ways).repeat_interleave(shots)
    with torch.no_grad():
        prototypes = unit(features(support)).reshape(ways, shots, -1).mean(dim=1)
    prototypes.requires_grad_()

    def logits(images):
        return temperature * unit(features(images)) @ unit(prototypes).T

    adam = torch.optim.Adam([*trained, prototypes], RATE, eps=1e-7)
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(logits(support), known)
        if with_entropy:
            shares = logits(queries).softmax(dim=1)
            loss = loss - (shares * shares.log()).sum(dim=1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return logits(queries).detach().numpy()


@pytest.mark.parametrize("classifier", ["finetuning", "transductive_finetuning"])
def test_logits_equal_the_steps_of_torch_and_the_encoder_is_left_as_it_was(encoder, classifier):
    support, queries = tasks()
    before = encoder.get_weights()
    options = {"steps": STEPS, "learning_rate": RATE, "temperature": 4.0, "scores": True}
    predicted, found = finetune_tasks(encoder, support, queries, classifier, **options)
    for a, b in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    transductive = classifier == "transductive_finetuning"
    for task in range(len(support)):
        expected = torch_logits(encoder, support[task], queries[task], transductive, 4.0)
        np.testing.assert_allclose(found[task], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(predicted, found.argmax(axis=2))


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier": "tim"}, "`classifier` must be one of finetuning, transductive_finetuning"),
        ({"steps": 0}, "`steps`.*Received: steps=0"),
        ({"learning_rate": 0}, "`learning_rate` must be a finite number above 0"),
        ({"support": np.zeros((1, 2, 3))}, r"`support` must be images of shape \(tasks, ways"),
        ({"support": np.zeros((2, 1, 2, 2, 2, 3))}, "`support` must have two classes at least"),
        ({"queries": np.zeros((1, 4, 2, 2, 3))}, "`queries` must be as many tasks as `support`"),
        ({"queries": np.zeros((2, 4, 3, 3, 3))}, "of images of the same shape"),
        ({"encoder": None}, "`encoder` must be a keras.Model that gives features"),
    ],
)
def test_bad_input(encoder, change, message):
    support, queries = tasks()
    arguments = {"encoder": encoder, "support": support, "queries": queries}
    with pytest.raises(ValueError, match=message):
        finetune_tasks(**{**arguments, **change})
