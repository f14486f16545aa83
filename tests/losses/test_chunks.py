"""The losses in chunks of anchors: against the loops, and without a table of all pairs."""

import cases
import keras
import numpy as np
import pytest
from keras import ops

from keras_clce.losses import HSCLLoss, LACLNLoss, SupConLoss, chunks

CONFIGURATIONS = {
    "lacln": ("lacln", {}),
    "lacln, hardness 2.5": ("lacln", {"hardness": 2.5, "temperature": 0.3}),
    "supcon, inside": ("lacln", {"hardness": 0.0, "positive_sum": "inside"}),
    # Exponents that float32 does not hold with one shift for all.
    "lacln, cold": ("lacln", {"temperature": 0.01}),
    "lacln, cold, inside": ("lacln", {"temperature": 0.02, "positive_sum": "inside"}),
    "hscl": ("hscl", {}),
    "hscl, cold": ("hscl", {"temperature": 0.01}),
    "hscl, threshold": ("hscl", {"threshold": 0.1}),
    "hscl, threshold, cold": ("hscl", {"threshold": 0.97, "temperature": 0.02}),
}
BATCHES = {
    "mixed": ("mixed", "mixed"),
    "one class": ("one class", "random"),
    "no positives": ("all distinct", "random"),
    "duplicates": ("unbalanced", "duplicated rows"),
    "narrow cone": ("balanced", "narrow cone"),
    "opposites": ("one positive pair", "opposite rows"),
}
LOSSES = {
    "lacln": LACLNLoss(0.1),
    "supcon": SupConLoss(0.1, "inside"),
    "hscl": HSCLLoss(threshold=0.2),
}


@pytest.mark.parametrize(
    ("configuration", "batch"),
    [
        *((configuration, "mixed") for configuration in CONFIGURATIONS),
        *((configuration, "one class") for configuration in CONFIGURATIONS),
        *(("lacln", batch) for batch in BATCHES if batch not in ("mixed", "one class")),
        *(("hscl, threshold", batch) for batch in BATCHES if batch not in ("mixed", "one class")),
    ],
)
def test_chunks_equal_the_loops(configuration, batch):
    name, options = CONFIGURATIONS[configuration]
    labels, x = BATCHES[batch]
    # 16 anchors leave a last chunk of one that is not full.
    cases.check_against_oracle(
        name, cases.labels(labels), cases.embeddings(x), chunk_size=5, **options
    )


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_many_chunks_equal_the_table_of_all_pairs(configuration):
    name, options = CONFIGURATIONS[configuration]
    # Four chunks and a part of one; the last anchor is alone in its class.
    labels, x = np.append(np.arange(299) ** 2 % 23, 23), cases.embeddings(n=300, dim=16)
    got, want = (
        cases.gradients.value_and_gradient(
            cases.objective(name, chunk_size=chunk_size, **options), labels, x
        )
        for chunk_size in (64, None)
    )
    cases.assert_values_close(got.auxiliary[0], want.auxiliary[0])
    np.testing.assert_array_equal(got.auxiliary[1], want.auxiliary[1])
    cases.assert_gradient_close(got.gradient, want.gradient)


@pytest.mark.parametrize("chunk_size", [1, 16, 1000])
def test_any_size_of_chunks(chunk_size):
    cases.check_against_oracle(
        "lacln", cases.labels("mixed"), cases.embeddings("mixed"), chunk_size=chunk_size
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["lacln", "hscl"])
def test_half_precision_embeddings(name, dtype):
    cases.check_against_oracle(
        name, cases.labels("mixed"), cases.embeddings("mixed"), dtype, chunk_size=5
    )


@pytest.mark.parametrize("name", ["lacln", "hscl"])
def test_classes_too_large_for_32_bits_stay_apart(name):
    labels = np.array([2**40, 1, 2**40 + 1, 1, 2**40, 2**40 + 1], dtype="int64")
    x = cases.embeddings(n=6)
    values, counted = cases.FUNCTIONS[name](labels, x, chunk_size=4)
    wanted, _ = cases.ORACLE[name][0](np.array([0, 1, 2, 1, 0, 2]), x)
    cases.assert_values_close(ops.convert_to_numpy(values), wanted)
    assert ops.convert_to_numpy(counted).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_sample_weights_reach_the_gradient(weighted):
    labels, x = cases.labels("mixed"), cases.embeddings("mixed")
    weights = np.linspace(0, 2, len(labels)) if weighted else np.ones(len(labels))
    loss = LACLNLoss(0.1, chunk_size=5, reduction="sum")
    got = cases.gradients.value_and_gradient(
        lambda labels, x: (loss(labels, x, sample_weight=weights.astype("float32")), ()), labels, x
    )
    oracle, gradient = cases.ORACLE["lacln"]
    values, counted = oracle(labels, x, temperature=0.1)
    cases.assert_values_close(got.value, (values * counted) @ weights)
    cases.assert_gradient_close(
        got.gradient, gradient(labels, x, temperature=0.1, anchor_weights=weights * counted)
    )


@pytest.mark.parametrize("name", LOSSES)
def test_a_large_batch_has_no_table_of_all_pairs(name):
    assert largest_tensor(LOSSES[name], 1536) < 1536 * 1536 / 2
    # The measure sees a table where there is one.
    assert largest_tensor(LOSSES[name], 1000) >= 1000 * 1000


def test_chunks_of_a_very_large_batch_have_fewer_anchors(monkeypatch):
    assert largest_tensor(LOSSES["lacln"], 1536) >= 128 * 1536
    monkeypatch.setattr(chunks, "_LARGEST_CHUNK", 32 * 1536 + 1)
    assert largest_tensor(LOSSES["lacln"], 1536) == 32 * 1536


@pytest.mark.parametrize("chunk_size", [0, -1, 2.0, "auto", True])
@pytest.mark.parametrize("loss", [LACLNLoss, SupConLoss, HSCLLoss])
def test_a_wrong_size_is_refused(loss, chunk_size):
    with pytest.raises(ValueError, match=r"`chunk_size` must be .*Received: chunk_size="):
        loss(chunk_size=chunk_size)


@pytest.mark.parametrize("loss", [LACLNLoss, SupConLoss, HSCLLoss])
def test_a_size_is_kept_as_a_number_of_python(loss):
    assert type(loss(chunk_size=np.int64(3)).get_config()["chunk_size"]) is int


# === Entries of the largest tensor of a forward and backward pass ===


def largest_tensor(loss, n):
    labels, x = np.arange(n) % 40, np.random.default_rng(0).normal(size=(n, 8)).astype("float32")
    of = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    return of(loss, labels, x)


def _tensorflow(loss, labels, x):
    import tensorflow as tf

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(labels, x)
        return tape.gradient(value, x)

    graph = gradient.get_concrete_function(tf.constant(x)).graph
    functions = [function.graph for function in graph._functions.values()]
    shapes = [
        output.shape
        for each in [graph, *functions]
        for operation in each.get_operations()
        for output in operation.outputs
    ]
    return max(shape.num_elements() or 0 for shape in shapes if shape.rank is not None)


def _jax(loss, labels, x):
    import re

    import jax

    gradient = jax.jit(jax.grad(lambda x: loss(labels, x)))
    text = gradient.lower(x).as_text()
    shapes = re.findall(r"tensor<((?:\d+x)+)", text)
    return max(np.prod([int(side) for side in shape[:-1].split("x")]) for shape in shapes)


def _torch(loss, labels, x):
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for each in result if isinstance(result, tuple) else [result]:
                if isinstance(each, torch.Tensor):
                    sizes.append(each.numel())
            return result

    with Sizes():
        loss(labels, torch.tensor(x, requires_grad=True)).backward()
    return max(sizes)
