"""Mixup and cutmix inside the training step: which images are mixed, and what their labels are."""

import math
from numbers import Real
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from scipy import special

from keras_clce.losses import CLCELoss
from keras_clce.losses.labels import classes_and_validity, without_unlabelled
from keras_clce.losses.pairs import Memory

MIXES = ("cross_entropy", "contrastive")
_QUANTILES = 4096


class Mixture(NamedTuple):
    """What each row of a batch is mixed of.

    Attributes:
        shares: Float32 `[rows]`, how much of a row stays its own.
        partners: Integers `[rows]`, the rows that give the rest.
    """

    shares: Any
    partners: Any

    def of(self, values: Any) -> Any:
        """Mixed rows of numbers, `[rows]` or `[rows, columns]`."""
        shares = ops.reshape(self.shares, (-1, *(1 for _ in values.shape[1:])))
        return shares * values + (1.0 - shares) * ops.take(values, self.partners, axis=0)


@keras.saving.register_keras_serializable("keras_clce")
class ImageMixing(keras.layers.Layer):
    """Mixup and cutmix of training images with soft labels, for `CLCEModel.compile(mixing=…)`.

    Image i of a batch of B becomes λ_i x_i + (1 - λ_i) x_j(i) in mixup; in cutmix a box of x_j(i),
    which lies inside the image and has the share 1 - λ_i of its pixels, covers x_i. Its label is
    λ_i y_i + (1 - λ_i) y_j(i). λ_i is drawn from Beta(α, α) for each image, and j(i) = i + r
    modulo B with a random r for each batch, so that no image meets itself. Both views of an image
    are mixed with those of one other image, with one λ_i and one box: they keep one label.

    With `part="contrastive"` both parts of the loss see mixed images. Two of them are positives of
    each other by the overlap of their labels y_i · y_j, and negatives by the rest, as
    `keras_clce.losses` has it for soft labels. With `part="cross_entropy"` every second image is
    mixed, and trains the classifier alone, while the contrastive part compares the others, which
    are as they were: both of their views, so that none loses its positive. Cross-entropy is the
    mean over all. A loss without a contrastive part has all images mixed either way.

    Keras's own `MixUp` and `CutMix` serve in a `tf.data` pipeline of one view. They do not compile
    with XLA on TensorFlow, and `CutMix` has no α.

    Args:
        mixup_alpha: α of mixup, at least 0; 0 is no mixup. Defaults to 0.0.
        cutmix_alpha: α of cutmix, at least 0; 0 is no cutmix. Where both are above 0 a batch has
            one of the two by chance. Defaults to 0.0.
        part: `"cross_entropy"` or `"contrastive"`. Defaults to `"cross_entropy"`.
        seed: Seed of the draws. Defaults to 0.
        **kwargs: As in `keras.layers.Layer`.

    Call arguments:
        images: Of shape `(batch * views, height, width, channels)`, the views of an image side by
            side.
        views: How many views an image has. Defaults to 1.
        alternate: Whether every second image stays as it is. Defaults to `False`.

    Returns:
        The mixed images, and the `Mixture` of their rows.

    Raises:
        ValueError: If an argument is out of its range, or both α are 0.

    Reference:
        - [mixup](https://arxiv.org/abs/1710.09412)
        - [CutMix](https://arxiv.org/abs/1905.04899)

    Example:
    ```python
    mixing = ImageMixing(mixup_alpha=0.2, cutmix_alpha=1.0)
    model.compile("adam", loss=CLCELoss(0.2), metrics=["accuracy"], mixing=mixing)
    model.fit(images, labels)
    ```
    """

    def __init__(
        self,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        part: str = "cross_entropy",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        alphas = {"mixup_alpha": mixup_alpha, "cutmix_alpha": cutmix_alpha}
        for name, alpha in alphas.items():
            if not isinstance(alpha, Real) or isinstance(alpha, bool) or not 0 <= alpha < math.inf:
                raise ValueError(
                    f"`{name}` must be a finite number of at least 0. Received: {name}={alpha!r}"
                )
        if not any(alphas.values()):
            raise ValueError(
                "`mixup_alpha` or `cutmix_alpha` must be above 0. "
                f"Received: mixup_alpha={mixup_alpha}, cutmix_alpha={cutmix_alpha}"
            )
        if part not in MIXES:
            raise ValueError(f"`part` must be one of {MIXES}. Received: part={part!r}")
        # Pixels keep the dtype in which they come.
        super().__init__(**{"name": "mixing", "dtype": "float32", "autocast": False, **kwargs})
        self.mixup_alpha, self.cutmix_alpha = float(mixup_alpha), float(cutmix_alpha)
        self.part = part
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images: Any, views: int = 1, alternate: bool = False) -> tuple[Any, Mixture]:
        """Mix the images of a batch with each other."""
        batch = ops.shape(images)[0] // views
        by_mixup = bool(self.mixup_alpha)
        if self.mixup_alpha and self.cutmix_alpha:
            by_mixup = self._uniform(()) < 0.5
        drawn = self._betas(batch, by_mixup)
        weights, shares = ops.reshape(drawn, (-1, 1, 1, 1)), drawn
        if self.cutmix_alpha:
            kept, kept_shares = self._boxes(drawn, *ops.shape(images)[1:3])
            weights = ops.where(by_mixup, weights, kept)
            shares = ops.where(by_mixup, shares, kept_shares)
        if alternate:
            whole = ops.arange(batch) % 2 == 0
            weights = ops.where(ops.reshape(whole, (-1, 1, 1, 1)), 1.0, weights)
            shares = ops.where(whole, 1.0, shares)
        step = 1 + ops.cast(self._uniform(()) * (ops.cast(batch, "float32") - 1.0), "int32")
        partners = (ops.arange(batch, dtype="int32") + step) % batch
        mixture = Mixture(ops.repeat(shares, views), _rows_of(partners, views))
        weights = ops.cast(ops.repeat(weights, views, axis=0), images.dtype)
        others = ops.take(images, mixture.partners, axis=0)
        return weights * images + (1.0 - weights) * others, mixture

    def _betas(self, batch, by_mixup):
        """λ of each image, by the quantiles of its distribution: XLA has no gamma to make it of."""
        levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        tables = [
            ops.convert_to_tensor(special.betaincinv(alpha, alpha, levels).astype("float32"))
            for alpha in (self.mixup_alpha, self.cutmix_alpha)
            if alpha
        ]
        table = tables[0] if len(tables) == 1 else ops.where(by_mixup, *tables)
        places = ops.cast(self._uniform((batch,)) * _QUANTILES, "int32")
        return ops.take(table, ops.minimum(places, _QUANTILES - 1))

    def _boxes(self, drawn, height, width):
        """1 where an image stays and 0 in its box, and the share of its pixels that stay."""
        ratios = ops.sqrt(1.0 - drawn)
        inside, sizes = [], []
        for side in (height, width):
            pixels = ops.cast(side, "float32")
            size = ops.round(ratios * pixels)
            start = ops.floor(self._uniform(ops.shape(drawn)) * (pixels - size + 1.0))
            place = ops.cast(ops.arange(side), "float32") - ops.expand_dims(start, 1)
            inside.append(ops.logical_and(place >= 0, place < ops.expand_dims(size, 1)))
            sizes.append(size / pixels)
        box = ops.logical_and(ops.expand_dims(inside[0], 2), ops.expand_dims(inside[1], 1))
        return 1.0 - ops.cast(ops.expand_dims(box, 3), "float32"), 1.0 - sizes[0] * sizes[1]

    def _uniform(self, shape):
        return keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the layer."""
        return {
            **super().get_config(),
            "mixup_alpha": self.mixup_alpha,
            "cutmix_alpha": self.cutmix_alpha,
            "part": self.part,
            "seed": self.seed,
        }


class MixedLabels(NamedTuple):
    """The labels of a batch that was mixed, in place of those of its data set.

    Attributes:
        rows: Soft labels `[rows, classes]`.
        of_metrics: The same where rows were given, else the class with the largest share, in the
            form in which classes were given.
        unmixed: Numbers of the rows that the contrastive part compares, or `None` for all.
        given: The labels of these rows as they came, or `None`.
    """

    rows: Any
    of_metrics: Any
    unmixed: Any = None
    given: Any = None


def mix_batch(
    mixing: ImageMixing, loss: CLCELoss, num_classes: int, batch: tuple, views: int
) -> tuple:
    """A batch with mixed images, labels and weights.

    Args:
        mixing: How they are mixed.
        loss: What is trained.
        num_classes: Number of classes.
        batch: Images, labels and, if there are any, weights, the views of an image side by side.
        views: How many views an image has.

    Returns:
        `(images, labels, weights)`, the labels as `MixedLabels`.

    Example:
    ```python
    x, y, _ = mix_batch(ImageMixing(0.2), CLCELoss(), 10, (images, labels), views=1)
    y.rows.shape  # (240, 10)
    ```
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    x = ops.convert_to_tensor(x)
    if "float" not in keras.backend.standardize_dtype(x.dtype):
        x = ops.cast(x, "float32")
    y = ops.convert_to_tensor(y)
    alternate = mixing.part == "cross_entropy" and loss.trains_embedding
    x, mixture = mixing(x, views=views, alternate=alternate)
    own = _soft_rows(y, num_classes, loss.ignore_unlabelled)
    rows = mixture.of(own)
    if loss.ignore_unlabelled:
        # What is mixed with an image without a class has none.
        whole = ops.cast(ops.any(own != 0, axis=1), "float32")
        rows = rows * ops.expand_dims(ops.cast(mixture.of(whole) >= 1, "float32"), 1)
    if sample_weight is not None:
        sample_weight = mixture.of(ops.cast(sample_weight, "float32"))
    of_metrics = rows
    if len(y.shape) == 1 or y.shape[1] == 1:
        of_metrics = ops.reshape(ops.cast(ops.argmax(rows, axis=1), y.dtype), ops.shape(y))
    if not alternate:
        return x, MixedLabels(rows, of_metrics), sample_weight
    images = ops.shape(y)[0] // views
    unmixed = _rows_of(2 * ops.arange((images + 1) // 2, dtype="int32"), views)
    labels = MixedLabels(rows, of_metrics, unmixed, ops.take(y, unmixed, axis=0))
    return x, labels, sample_weight


def parts_of_loss(
    loss: CLCELoss,
    y: Any,
    y_pred: dict[str, Any],
    sample_weight: Any,
    memory: Memory | None,
    training: bool,
) -> tuple[dict[str, tuple[Any, Any]], Any, Any]:
    """Both parts of a loss, each of the rows that it is to see.

    Args:
        loss: The loss.
        y: Labels of a data set, or `MixedLabels`.
        y_pred: Outputs of the model.
        sample_weight: Weights, or `None`.
        memory: As in `CLCELoss.parts`.
        training: As there.

    Returns:
        What `CLCELoss.parts` gives, and the labels and embeddings that the contrastive part
        compared.
    """
    if not isinstance(y, MixedLabels):
        parts = loss.parts(y, y_pred, sample_weight, memory, training)
        return parts, y, y_pred["embedding"]
    if y.unmixed is None:
        return loss.parts(y.rows, y_pred, sample_weight), y.rows, y_pred["embedding"]
    embedding = ops.take(y_pred["embedding"], y.unmixed, axis=0)
    weight = None if sample_weight is None else ops.take(sample_weight, y.unmixed, axis=0)
    parts = {
        "cross_entropy": loss.cross_entropy_part(y.rows, y_pred["logits"], sample_weight),
        "contrastive": loss.contrastive_part(y.given, embedding, weight, memory),
    }
    return parts, y.given, embedding


def check_mixing(mixing: ImageMixing | None, loss: CLCELoss, memory_size: int | None) -> None:
    """Refuse what does not go together in `compile`.

    Args:
        mixing: The argument of `compile`.
        loss: The loss.
        memory_size: The argument of `compile`.

    Raises:
        ValueError: If `mixing` is something else, mixes for a part that the loss has not, or makes
            soft labels for a loss or a memory that takes none.

    Example:
    ```python
    check_mixing(ImageMixing(0.2), CLCELoss(), memory_size=None)
    ```
    """
    if mixing is None:
        return
    if not isinstance(mixing, ImageMixing):
        raise ValueError(
            f"`mixing` must be None or a keras_clce.train.ImageMixing. Received: mixing={mixing!r}"
        )
    if mixing.part == "cross_entropy" and not loss.trains_classifier:
        raise ValueError(
            "`mixing` must have part='contrastive' for a loss without cross-entropy. "
            f"Received: part={mixing.part!r}, contrastive_weight={loss.contrastive_weight}"
        )
    if mixing.part == "contrastive" and loss.trains_embedding:
        if not loss.contrastive.takes_soft_labels:
            raise ValueError(
                "`mixing` must have part='cross_entropy' for a contrastive loss that takes no soft "
                f"labels. Received: part={mixing.part!r}, contrastive={loss.contrastive!r}"
            )
    if mixing.part == "contrastive" and memory_size is not None:
        raise ValueError(
            "`mixing` must have part='cross_entropy' beside a memory, which holds one class for "
            f"each embedding. Received: part={mixing.part!r}, memory_size={memory_size}"
        )


def _soft_rows(labels, num_classes, ignore_unlabelled):
    """Labels as shares of classes: of NaN where they are none, of 0 where a row has no class."""
    labelled = None
    if ignore_unlabelled:
        labels, labelled = without_unlabelled(labels)
    classes, known = classes_and_validity(labels)
    if len(classes.shape) == 1:
        known = ops.logical_and(known, classes < num_classes)
        rows = ops.one_hot(ops.clip(classes, 0, num_classes - 1), num_classes, dtype="float32")
    else:
        rows = classes
    rows = ops.where(ops.expand_dims(known, 1), rows, float("nan"))
    return rows if labelled is None else rows * ops.expand_dims(labelled, 1)


def _rows_of(images, views):
    """Numbers of the rows that have the views of some images."""
    rows = ops.expand_dims(images * views, 1) + ops.expand_dims(ops.arange(views, dtype="int32"), 0)
    return ops.reshape(rows, (-1,))
