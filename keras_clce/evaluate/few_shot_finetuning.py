"""Few-shot tasks by fine-tuning a whole encoder on each, as the papers of these classifiers do."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_clce.checks import as_array
from keras_clce.evaluate.feature_transforms import transform_features
from keras_clce.evaluate.task_classifiers.base import check_one_of, check_positive, check_steps

# Classifiers of tasks that have a form with the encoder.
ENCODER_CLASSIFIERS = ("finetuning", "transductive_finetuning")
_OF_QUERIES = -1


def finetune_tasks(
    encoder: keras.Model,
    support: Any,
    queries: Any,
    classifier: str = "transductive_finetuning",
    steps: int = 25,
    learning_rate: float = 5e-5,
    temperature: float = 1.0,
    scores: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Classify the queries of few-shot tasks by an encoder that is fine-tuned on each task.

    A cosine classifier begins with the means of the support's unit features. It and the encoder
    take Adam's steps on the cross-entropy of the support, `"transductive_finetuning"` on the
    Shannon entropy of the queries too, all images of a task in one batch. The encoder runs as in
    inference: batch norms keep their statistics, and nothing is dropped. Afterwards it is as it
    was. What is frozen in it stays frozen.

    Args:
        encoder: A model from images to features `(batch, dim)`.
        support: Images `(tasks, ways, shots, height, width, channels)`, scaled as it takes them.
        queries: Images `(tasks, examples, height, width, channels)`.
        classifier: `"finetuning"`, which is inductive, or `"transductive_finetuning"`. Defaults to
            `"transductive_finetuning"`.
        steps: Number of steps. Defaults to 25.
        learning_rate: Size of a step. Defaults to 5e-5.
        temperature: What cosines are multiplied by. Defaults to 1.
        scores: Whether logits are returned too. Defaults to `False`.

    Returns:
        Number of the class of each query `(tasks, examples)`; with `scores=True` a tuple of it and
        of the logits `(tasks, examples, ways)`.

    Raises:
        ValueError: If images have another shape or do not fit the encoder, or an option is out of
            its range.

    Reference:
        - [A baseline for few-shot image classification](https://arxiv.org/abs/1909.02729)

    Example:
    ```python
    encoder = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    support, queries = np.zeros((1, 2, 1, 8, 8, 3)), np.ones((1, 4, 8, 8, 3))
    support[:, 1] = queries[:, 2:] = [1.0, -1.0, 0.0]
    support[:, 0] = 1.0
    finetune_tasks(encoder, support, queries, steps=2)  # [[0, 0, 1, 1]]
    ```
    """
    check_one_of("classifier", classifier, ENCODER_CLASSIFIERS)
    check_steps(steps=steps)
    check_positive(learning_rate=learning_rate, temperature=temperature)
    support, queries = as_array(support), as_array(queries)
    _check_images(encoder, support, queries)
    transductive = classifier == "transductive_finetuning"
    _, ways, shots, *image = support.shape

    model = _Finetuned(encoder, _Cosines(ways, temperature, name="cosines", dtype="float32"))
    model.build((None, *image))
    model.compile(keras.optimizers.Adam(learning_rate), loss=_loss)
    model.optimizer.build(model.trainable_variables)
    # Set back before each task, so that its graph is compiled once for all of them.
    start = model.get_weights()
    of_optimizer = [ops.convert_to_numpy(value) for value in model.optimizer.variables]

    known = np.repeat(np.arange(ways), shots)
    found = []
    try:
        for shown, asked in zip(support, queries, strict=True):
            model.set_weights(start)
            for variable, value in zip(model.optimizer.variables, of_optimizer, strict=True):
                variable.assign(value)
            images, classes = shown.reshape(-1, *image), known
            rows = transform_features(as_array(encoder.predict(images, verbose=0)), "l2")
            model.cosines.prototypes.assign(rows.reshape(ways, shots, -1).mean(axis=1))
            if transductive:
                images = np.concatenate([images, asked])
                classes = np.concatenate([known, np.full(len(asked), _OF_QUERIES)])
            options = {"batch_size": len(images), "epochs": steps, "shuffle": False, "verbose": 0}
            model.fit(images, classes, **options)
            found.append(model.predict(asked, batch_size=len(asked), verbose=0))
    finally:
        model.set_weights(start)
    logits = np.stack(found)
    predicted = logits.argmax(axis=-1)
    return (predicted, logits) if scores else predicted


class _Finetuned(keras.Model):
    """An encoder and a classifier of its features."""

    def __init__(self, encoder, cosines):
        # A class of one underscore has no name that TensorFlow takes.
        super().__init__(name="finetuned")
        self.encoder, self.cosines = encoder, cosines

    def build(self, input_shape):
        self.cosines.build(self.encoder.output_shape)

    def call(self, images):
        # In a functional model, training would reach the layers whatever is said here.
        return self.cosines(self.encoder(images, training=False))


class _Cosines(keras.layers.Layer):
    """Cosines of features and prototypes, times the temperature."""

    def __init__(self, ways, temperature, **kwargs):
        super().__init__(**kwargs)
        self.ways, self.temperature = ways, temperature

    def build(self, input_shape):
        self.prototypes = self.add_weight((self.ways, input_shape[-1]), "ones", name="prototypes")

    def call(self, features):
        rows, prototypes = (ops.normalize(x, axis=-1) for x in (features, self.prototypes))
        return self.temperature * ops.matmul(rows, ops.transpose(prototypes))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.ways)


def _loss(classes, logits):
    """Cross-entropy of what has a class, plus entropy of the rest, each a mean."""
    classes = ops.reshape(ops.cast(classes, "int32"), (-1,))
    known = ops.cast(classes != _OF_QUERIES, logits.dtype)
    logarithms = ops.log_softmax(logits)
    one_hot = ops.one_hot(ops.maximum(classes, 0), logits.shape[-1], dtype=logits.dtype)
    losses = 0.0
    for of, weights in ((known, one_hot), (1 - known, ops.exp(logarithms))):
        each = -ops.sum(weights * logarithms, axis=-1)
        losses += ops.sum(of * each) / ops.maximum(ops.sum(of), 1.0)
    return losses


def _check_images(encoder, support, queries):
    for name, images, axes in (
        ("support", support, ("tasks", "ways", "shots")),
        ("queries", queries, ("tasks", "examples")),
    ):
        expected = (*axes, "height", "width", "channels")
        numbers = images.dtype.kind in "fiu" and images.size
        if images.ndim != len(expected) or not numbers:
            raise ValueError(
                f"`{name}` must be images of shape ({', '.join(expected)}). "
                f"Received: {name} of shape {images.shape} and dtype {images.dtype}"
            )
    if support.shape[1] < 2:
        raise ValueError(
            f"`support` must have two classes at least. Received: support of shape {support.shape}"
        )
    if len(queries) != len(support) or queries.shape[2:] != support.shape[3:]:
        raise ValueError(
            "`queries` must be as many tasks as `support`, of images of the same shape. "
            f"Received: queries of shape {queries.shape}, support of shape {support.shape}"
        )
    output = getattr(encoder, "output_shape", None)
    if not isinstance(output, tuple) or len(output) != 2:
        raise ValueError(
            "`encoder` must be a keras.Model that gives features (batch, dim). "
            f"Received: an encoder whose output has shape {output}"
        )
