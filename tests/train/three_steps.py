"""Trains a fixed model for three steps and writes what came out; run once per backend.

Usage: KERAS_BACKEND=... python three_steps.py OUTPUT.npz
"""

import sys

import keras
import numpy as np
from small_models import CLASSES, SHAPE, separable

from keras_clce import CLCELoss, CLCEModel, HSCLLoss, LACLNLoss


class Brighten(keras.layers.Layer):
    """An augmenter whose changes are its seed's own numbers, not what a backend draws from them."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, images, training=False):
        state = keras.ops.cast(self.seed_generator.next(), "float32")
        return images * (1.0 + 0.05 * state[1])


def fixed_model(batch_norm, augmenter=None, dropout=0.0):
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, strides=2)(inputs)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.Dropout(dropout, seed=5)(keras.layers.ReLU()(x))
    model = CLCEModel(keras.Model(inputs, x), CLASSES, augmenter=augmenter)
    rng = np.random.default_rng(7)
    for layer in (*model.backbone.layers, model.heads.classifier):
        drawn = [rng.normal(scale=0.3, size=w.shape) for w in layer.get_weights()]
        if isinstance(layer, keras.layers.BatchNormalization):
            drawn = [1 + 0.1 * np.abs(w) for w in drawn]
        layer.set_weights(drawn)
    return model


CASES = {
    "plain": ({"batch_norm": False}, CLCELoss()),
    "batch_norm": ({"batch_norm": True}, CLCELoss(0.5, LACLNLoss(0.2, 2.0, "inside"))),
    "hscl": ({"batch_norm": True}, CLCELoss(contrastive=HSCLLoss(threshold=0.2))),
    "augmenter": ({"batch_norm": True, "augmenter": Brighten()}, CLCELoss()),
    "dropout": ({"batch_norm": True, "dropout": 0.5}, CLCELoss()),
}


def main(output):
    images, labels = separable(48)
    views = images, images[:, :, ::-1] + 0.05
    results = {}
    for name, (options, loss) in CASES.items():
        model = fixed_model(**options)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss=loss, metrics=["accuracy"])
        x = images if name == "augmenter" else views
        steps = 40 if name == "dropout" else 1
        logs = model.fit(x, labels, batch_size=16, epochs=steps, shuffle=False, verbose=0).history
        results[f"{name}/loss"] = np.array(logs["loss"])
        for number, weight in enumerate(model.get_weights()):
            if weight.dtype == np.float32:
                results[f"{name}/{number}"] = weight
    np.savez(output, **results)


if __name__ == "__main__":
    main(sys.argv[1])
