"""What few-shot tasks are classified by: features of an encoder, and those of the base classes."""

import dataclasses
from typing import Any, cast

import keras
import numpy as np

from keras_clce.data import ImageSplit
from keras_clce.data.installed import tensorflow
from keras_clce.evaluate import TASK_CLASSIFIERS
from keras_clce.experiments.errors import told
from keras_clce.experiments.fitted import batch_size_of
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import QUICK_BATCHES, batches
from keras_clce.models import patch_tokens
from keras_clce.train import CLCEModel

# Features of so many images fit in memory whatever the encoder, and are plenty for means and
# covariances of classes.
BASE_IMAGES = 20_000
_SEED = 0


@dataclasses.dataclass(frozen=True)
class BaseImages:
    """Images of the base classes that classifiers of tasks learn from.

    Args:
        images: A `tf.data.Dataset` of batches of images.
        labels: Their classes `(images,)`.
        are_all: Whether no image of the base classes is left out.

    Example:
    ```python
    split = load_dataset("digits", image_size=32).train
    BaseImages.of(split, Settings(batch_size=64)).are_all  # True
    ```
    """

    images: Any
    labels: np.ndarray
    are_all: bool

    @classmethod
    def of(cls, split: ImageSplit, settings: Settings) -> "BaseImages":
        """All images of a split, or a seeded choice of them where they are many.

        Args:
            split: Images of the base classes.
            settings: Settings of a run; of a quick one a few batches are taken.

        Returns:
            The images.
        """
        batch_size = batch_size_of(settings)
        most = QUICK_BATCHES * batch_size if settings.quick else BASE_IMAGES
        images = images_of(split, settings)
        if split.num_examples <= most:
            return cls(images, split.labels, True)
        rng = np.random.default_rng(_SEED)
        rows = np.sort(rng.choice(split.num_examples, most, replace=False))
        chosen = np.zeros(split.num_examples, bool)
        chosen[rows] = True
        tf = tensorflow()
        marks = tf.data.Dataset.from_tensor_slices(chosen).batch(batch_size)
        images = tf.data.Dataset.zip((images, marks)).map(tf.boolean_mask)
        images = images.rebatch(batch_size)
        # Its own count is of what was there before the choice.
        count = tf.data.experimental.assert_cardinality(-(-most // batch_size))
        return cls(images.apply(count), cast(np.ndarray, split.labels)[rows], False)


def needs_base(settings: Settings) -> bool:
    """Whether a classifier of the settings takes features of the base classes.

    Args:
        settings: Settings of a run.

    Returns:
        A bool.

    Example:
    ```python
    needs_base(Settings(classifier=("logistic", "bavardage")))  # True
    ```
    """
    return any(TASK_CLASSIFIERS[name].base_features for name in settings.classifier)


def features_for(settings: Settings, classifier: str) -> tuple[str, ...]:
    """Names of the features that a classifier takes.

    Args:
        settings: Settings of a run.
        classifier: Name of the classifier.

    Returns:
        Those of `settings.features` that it takes.

    Example:
    ```python
    settings = Settings(features=("pooled", "tokens"), classifier=("logistic", "fewture"))
    features_for(settings, "fewture")  # ("tokens",)
    ```
    """
    tokens = TASK_CLASSIFIERS[classifier].tokens
    return tuple(name for name in settings.features if (name == "tokens") == tokens)


def encoder_of(model: CLCEModel, settings: Settings) -> keras.Model:
    """The encoder of a model, with all that the settings classify by.

    Args:
        model: The model, whose layers it shares.
        settings: Settings of a run.

    Returns:
        A model from images to a dict.

    Raises:
        ValueError: If patch tokens are asked for that are not to be found.

    Example:
    ```python
    sorted(encoder_of(model, Settings()).output)  # ["embedding", "pooled"]
    ```
    """
    maps = model.backbone.output
    # Pooled at once, since the maps of all images together may not fit in memory.
    pooled = model.heads.pool(maps) if len(maps.shape) == 4 else maps
    outputs = {"pooled": pooled, "embedding": model.heads(maps)["embedding"]}
    if "tokens" in settings.features:
        with told(ValueError):
            outputs["tokens"] = patch_tokens(model.backbone)
    # One input, and no list of one, with which Keras would warn of each array.
    return keras.Model(model.backbone.input, {name: outputs[name] for name in settings.features})


def images_of(split: ImageSplit, settings: Settings) -> Any:
    """Batches of a split's images, without labels.

    Args:
        split: The split.
        settings: Settings of a run.

    Returns:
        A `tf.data.Dataset`.

    Example:
    ```python
    split = load_dataset("digits", image_size=32).test
    next(iter(images_of(split, Settings(batch_size=4)))).shape.as_list()  # [4, 32, 32, 3]
    ```
    """
    return split.batches(batch_size_of(settings)).map(lambda images, _: images)


def images_at(split: ImageSplit, rows: np.ndarray, settings: Settings) -> np.ndarray:
    """Images of a split at these rows; a split that streams is passed once.

    Args:
        split: The split.
        rows: Numbers of rows, of any shape.
        settings: Settings of a run.

    Returns:
        The images, in the rows' shape.

    Example:
    ```python
    split = load_dataset("digits", image_size=32).test
    images_at(split, np.array([[3, 0]]), Settings(batch_size=64)).shape  # (1, 2, 32, 32, 3)
    ```
    """
    wanted = np.unique(rows)
    found, start = [], 0
    for batch in images_of(split, settings).as_numpy_iterator():
        found.append(batch[wanted[(wanted >= start) & (wanted < start + len(batch))] - start])
        start += len(batch)
    return np.concatenate(found)[np.searchsorted(wanted, rows)]


def mean_features(
    encoder: keras.Model, split: ImageSplit, settings: Settings
) -> dict[str, np.ndarray]:
    """Mean over a split's images of each output; only a batch at a time is in memory.

    Args:
        encoder: What `encoder_of` gave.
        split: The split.
        settings: Settings of a run; of a quick one a few batches are taken.

    Returns:
        Means by the name of the features.

    Example:
    ```python
    split, settings = load_dataset("digits", image_size=32).test, Settings(batch_size=64)
    mean_features(encoder_of(model, settings), split, settings)["pooled"].shape  # (8,)
    ```
    """
    sums: dict[str, Any] = {}
    examples = 0
    for batch, _ in batches(split, settings).as_numpy_iterator():
        examples += len(batch)
        for name, values in encoder.predict_on_batch(batch).items():
            sums[name] = sums.get(name, 0.0) + np.sum(values, axis=0, dtype=np.float64)
    return {name: total / examples for name, total in sums.items()}
