"""Small models and data that the training tests share."""

import keras
import numpy as np

from keras_clce import CLCELoss, CLCEModel

CLASSES = 4
SHAPE = (12, 12, 3)


def small_backbone(batch_norm=True, dropout=0.0):
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, strides=2, name="conv")(inputs)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.8, name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=3, name="dropout")(x)
    return keras.Model(inputs, x, name="small_backbone")


def flips():
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal", seed=1),
            keras.layers.RandomTranslation(0.1, 0.1, seed=2),
        ]
    )


def small_model(augmenter=None, **kwargs):
    return CLCEModel(small_backbone(**kwargs), CLASSES, augmenter=augmenter)


def separable(examples=64, seed=0):
    """Images whose class shows in their brightness and in one corner."""
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % CLASSES
    images = rng.normal(size=(examples, *SHAPE)).astype("float32")
    images += labels[:, None, None, None].astype("float32")
    images[:, :6, :6] += (labels % 2)[:, None, None, None]
    return images, labels


def compiled(model, learning_rate=1e-2, **kwargs):
    model.compile(
        keras.optimizers.Adam(learning_rate), loss=CLCELoss(), metrics=["accuracy"], **kwargs
    )
    return model
