"""Freeze, compile, unfreeze, compile: what shall move moves, and nothing else does."""

import keras
from train.small_models import separable, small_model

from keras_clce import CLCELoss


def values(model):
    return {each.path: keras.ops.convert_to_numpy(each).copy() for each in model.weights}


def moved(model, **options):
    """Names of the weights that two epochs change, each without the model's own name."""
    images, labels = separable(32)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), CLCELoss(0.5), **options)
    before = values(model)
    model.fit((images, images[:, :, ::-1]), labels, batch_size=16, epochs=2, verbose=0)
    after = values(model)
    return {
        "/".join(path.split("/")[-2:]) for path in before if (before[path] != after[path]).any()
    }


HEADS = {"classifier/kernel", "classifier/bias"}
CONV = {"conv/kernel"}  # a bias before a normalization gets no gradient but rounding
AFFINE, STATISTICS = {"norm/gamma", "norm/beta"}, {"norm/moving_mean", "norm/moving_variance"}


def without_rounding(names):
    return names - {"conv/bias"}


def test_frozen_then_whole_then_frozen_again():
    model = small_model()
    model.backbone.trainable = False
    assert moved(model) == HEADS
    assert len(model.optimizer.variables) == 2 + 2  # iterations, rate, and a momentum of each
    model.backbone.trainable = True
    assert without_rounding(moved(model)) == HEADS | CONV | AFFINE | STATISTICS
    model.backbone.trainable = False
    assert moved(model) == HEADS


def test_normalization_that_stays_frozen_keeps_its_statistics():
    model = small_model()
    model.backbone.get_layer("norm").trainable = False
    found = moved(model)
    assert found - {"conv/bias"} == HEADS | CONV
    # With statistics that stand still a bias before them has a gradient.
    assert "conv/bias" in found


def test_statistics_move_where_they_alone_are_left_to():
    model = small_model()
    model.backbone.get_layer("conv").trainable = False
    assert moved(model) == HEADS | AFFINE | STATISTICS


def test_it_holds_in_chunks():
    model = small_model()
    model.backbone.trainable = False
    assert moved(model, gradient_cache_size=8) == HEADS
    model.backbone.trainable = True
    found = without_rounding(moved(model, gradient_cache_size=8))
    assert found == HEADS | CONV | AFFINE | STATISTICS
