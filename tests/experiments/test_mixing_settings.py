"""Settings of mixup and cutmix, and of images without a class."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_clce.data import ImageSplit
from keras_clce.experiments import Settings
from keras_clce.experiments.class_balance import training_counts
from keras_clce.experiments.resolved import (
    build_loss,
    build_mixing,
    mixing_in_words,
    unread_settings,
)
from keras_clce.experiments.rules import check_run
from keras_clce.experiments.unlabelled import check_labelled_data

pytestmark = pytest.mark.any_backend


def test_they_reach_the_layer():
    assert build_mixing(Settings()) is None and mixing_in_words(Settings()) == ""
    settings = Settings(mixup_alpha=0.2, cutmix_alpha=1.0, mix="contrastive", seed=3)
    mixing = build_mixing(settings)
    assert (mixing.mixup_alpha, mixing.cutmix_alpha) == (0.2, 1.0)
    assert (mixing.part, mixing.seed) == ("contrastive", 3)
    assert mixing_in_words(settings).startswith("mixup (0.2) or cutmix (1), of all images;")
    of_half = mixing_in_words(Settings(cutmix_alpha=1.0))
    assert of_half.startswith("cutmix (1), of every second image, for the cross-entropy alone")


def test_a_loss_reads_what_changes_it():
    assert build_loss(Settings(ignore_unlabelled=True)).ignore_unlabelled
    for loss in ("ce", "clce", "supcon"):
        assert "ignore_unlabelled" not in unread_settings(loss)
        assert ("mix" in unread_settings(loss)) == (loss == "ce")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mixup_alpha": -0.1}, "`mixup_alpha` must be at least 0"),
        ({"mix": "both"}, "`mix` must be one of: cross_entropy, contrastive"),
        ({"mix": "contrastive"}, "of which one must be above 0. Received: mix=contrastive"),
        ({"loss": "supcon", "mixup_alpha": 0.2}, "take --mix=contrastive. Received: mix=cross"),
        (
            {"loss": "core_tuning", "mixup_alpha": 0.2, "mix": "contrastive"},
            "does not take: take --mix=cross_entropy. Received: mix=contrastive, loss=core_tuning",
        ),
        (
            {"negatives": "class_mean", "mixup_alpha": 0.2, "mix": "contrastive"},
            "loss=clce, negatives=class_mean",
        ),
        (
            {"memory_size": 64, "cutmix_alpha": 0.2, "mix": "contrastive"},
            "--memory_size keeps one class of each row: take --mix=cross_entropy",
        ),
        ({"images_per_class": 2, "mixup_alpha": 0.2}, "--images_per_class must be at least 4"),
        ({"loss": "core_tuning", "ignore_unlabelled": True}, "takes no `present`"),
    ],
)
def test_what_does_not_go_together_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        check_run(Settings(**values))


def test_what_goes_together():
    for values in (
        {"loss": "ce", "images_per_class": 2, "mixup_alpha": 0.2},
        {"loss": "supcon", "mixup_alpha": 0.2, "mix": "contrastive"},
        {"memory_size": 64, "cutmix_alpha": 0.2},
        {"images_per_class": 4, "cutmix_alpha": 0.2},
    ):
        check_run(Settings(**values))


def split_of(labels):
    return ImageSplit(np.zeros((len(labels), 8, 8, 3), np.uint8), np.array(labels), image_size=8)


def test_images_without_a_class_are_refused_before_training_unless_they_are_to_be_left_out():
    labelled, some = split_of([0, 1, 1, 0]), split_of([0, -1, 1, -1])
    data = SimpleNamespace(train=some, validation=labelled, test=labelled, num_classes=2)
    asked = Settings(ignore_unlabelled=True)
    with pytest.raises(ValueError, match=r"2 of the 4 train images have no class \(-1\)\."):
        check_labelled_data(Settings(), data)
    check_labelled_data(asked, data)
    assert training_counts(asked, data).tolist() == [1, 1]
    data = SimpleNamespace(train=labelled, validation=labelled, test=some)
    with pytest.raises(ValueError, match="2 of the 4 test images have no class"):
        check_labelled_data(asked, data)
