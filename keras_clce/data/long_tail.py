"""CIFAR-100-LT: CIFAR-100 with ever fewer training images from its first class to its last."""

import numpy as np

from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.spec import LoadRequest, Splits
from keras_clce.data.splitting import hold_out
from keras_clce.data.tfds_source import TfdsImages, open_builder

# The largest class has that many times the images of the smallest.
RATIO = 100


def exponential_profile(largest: int, num_classes: int, ratio: float) -> np.ndarray:
    """Numbers of images that fall by the same factor from class to class.

    Args:
        largest: Number of the first class.
        num_classes: Number of classes, at least 2.
        ratio: How many times the number of the last class that is.

    Returns:
        Whole numbers `(classes,)`, rounded down as published, and at least 1.

    Reference:
        Cao et al. 2019, [LDAM](https://arxiv.org/abs/1906.07413).

    Example:
    ```python
    exponential_profile(500, 3, 100)  # [500, 50, 5]
    ```
    """
    numbers = largest * ratio ** (-np.arange(num_classes) / (num_classes - 1))
    # Lest 5 become 4.999….
    return np.maximum(np.floor(numbers + 1e-9).astype(np.int64), 1)


def long_tailed_splits(request: LoadRequest) -> Splits:
    """Draw a long-tailed training split of a balanced TFDS data set, with its whole test split.

    Validation images are held out first, equally many of each class as in the test: of the few
    images of a rare class none can be spared.
    """
    spec, plan = request.spec, request.spec.splits
    builder = open_builder(spec, request.folder)
    label = builder.info.features["label"]
    all_names = [label.int2str(index) for index in range(label.num_classes)]
    whole, test = TfdsImages(builder, plan.train), TfdsImages(builder, plan.test)
    kept, validation = hold_out(whole, plan.holdout, request.seed)
    num_classes = len(all_names)
    profile = exponential_profile(whole.num_examples // num_classes, num_classes, RATIO)
    train = kept.select(drawn_by_profile(kept.read_labels(), profile, request.seed))
    sources, names, note = without_small_classes(
        [train, validation, test], all_names, request.drop_small_classes, [train], "training images"
    )
    how = (
        f"long-tailed by an exponential profile of {profile[0]} to {profile[-1]} images a class "
        f"(seed {request.seed}), drawn from what is left of TFDS's split {plan.train} after "
        f"{100 * plan.holdout:g} % were held out for validation; tested on TFDS's split {plan.test}"
        f"; published without a validation split, {plan.sizes}"
    )
    splits = dict(zip(("train", "validation", "test"), sources, strict=True))
    origin = f"{spec.name} (TFDS {spec.tfds_name} {builder.version})"
    return Splits(names, splits, origin, how + note)


def drawn_by_profile(labels: np.ndarray, profile: np.ndarray, seed: int) -> np.ndarray:
    """Draw as many examples of each class as a profile says.

    Args:
        labels: Integer labels `(examples,)`.
        profile: Most examples of each class `(classes,)`; one that has fewer keeps them.
        seed: Seed of the choice.

    Returns:
        The sorted indices of the drawn examples.

    Example:
    ```python
    labels = np.repeat([0, 1], 5)
    np.bincount(labels[drawn_by_profile(labels, np.array([4, 1]), seed=0)])  # [4, 1]
    ```
    """
    rng = np.random.default_rng(seed)
    drawn = [
        rng.permutation(np.flatnonzero(labels == label))[:number]
        for label, number in enumerate(profile)
    ]
    return np.sort(np.concatenate(drawn))
