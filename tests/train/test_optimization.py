import math

import keras
import numpy as np
import pytest

from keras_clce.train.optimization import build_optimizer, learning_rate_at


def variables():
    return [
        keras.Variable(np.ones((2, 3), "float32"), name="kernel"),
        keras.Variable(np.ones(3, "float32"), name="bias"),
    ]


def rate_at(optimizer, step):
    return float(optimizer._learning_rate(step))


def test_rate_warms_up_linearly_then_falls_on_a_cosine():
    optimizer = build_optimizer("adamw", 0.2, 0.0, 100, 20, variables())
    for step in (0, 5, 10, 19):
        assert rate_at(optimizer, step) == pytest.approx(0.2 * step / 20, abs=1e-7)
    for step in (20, 40, 60, 99, 100, 500):
        done = min(1, (step - 20) / 80)
        expected = 0.2 * 0.5 * (1 + math.cos(math.pi * done))
        assert rate_at(optimizer, step) == pytest.approx(expected, abs=1e-6)


def test_rates_by_the_step_are_those_of_warmup_and_cosine():
    at = learning_rate_at(build_optimizer("adamw", 0.2, 0.0, 100, 20, variables()))
    for step in (0, 5, 19):
        assert at(step) == pytest.approx(0.2 * step / 20, abs=1e-7)
    for step in (20, 60, 100, 500):
        done = min(1, (step - 20) / 80)
        assert at(step) == pytest.approx(0.1 * (1 + math.cos(math.pi * done)), abs=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="others do not compile it")
def test_a_rate_that_is_asked_for_at_each_step_compiles_nothing_then():
    import jax

    at = learning_rate_at(build_optimizer("adamw", 0.2, 0.0, 100, 20, variables()))
    at(5), at(50)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    for step in range(0, 100, 10):
        at(step)
    assert not compiled


def test_a_constant_rate_is_that_of_each_step_also_where_the_loss_is_scaled():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.25))
    assert learning_rate_at(scaled)(7) == 0.25


def test_rate_without_warmup_starts_at_the_top():
    optimizer = build_optimizer("sgd", 0.2, 0.0, 100, 0, variables())
    assert rate_at(optimizer, 0) == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_decay_reaches_matrices_alone(name):
    kernel, bias = variables()
    optimizer = build_optimizer(name, 0.1, 0.5, 100, 0, [kernel, bias])
    zeros = [keras.ops.zeros((2, 3)), keras.ops.zeros(3)]
    optimizer.apply(zeros, [kernel, bias])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(kernel), 1 - 0.1 * 0.5, rtol=1e-5)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(bias), 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "adam"}, r"`name`.*Received: name=adam"),
        ({"learning_rate": 0.0}, r"`learning_rate`.*Received: learning_rate=0.0"),
        ({"learning_rate": float("nan")}, r"`learning_rate`.*Received"),
        ({"weight_decay": -1.0}, r"`weight_decay`.*Received: weight_decay=-1.0"),
        ({"warmup_steps": 10}, r"`warmup_steps`.*Received: warmup_steps=10"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {
        "name": "adamw",
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "total_steps": 10,
        "warmup_steps": 2,
        "variables": [],
    }
    with pytest.raises(ValueError, match=message):
        build_optimizer(**{**arguments, **change})
