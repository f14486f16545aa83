"""How a model trains on two views of every image: its loss, its steps and its logs."""

import contextlib
from typing import Any

import keras
from keras import ops

from keras_clce import backend, losses
from keras_clce.checks import check_whole_number
from keras_clce.losses import CLCELoss
from keras_clce.losses.labels import without_unlabelled
from keras_clce.models.fast_operations import fast_operations
from keras_clce.train.array_checks import check_labelled
from keras_clce.train.contrastive_schedule import CurrentWeight
from keras_clce.train.embedding_memory import EmbeddingMemory, check_memory
from keras_clce.train.metric_labels import are_rows, in_form
from keras_clce.train.mixing import ImageMixing, MixedLabels, check_mixing, mix_batch, parts_of_loss
from keras_clce.train.multi_label import check_loss_of_labels, check_metrics_of_labels
from keras_clce.train.optimization import by_public_names
from keras_clce.train.view_stacking import stack_views


class TwoViewTraining(keras.Model):
    """Base class of models with an encoder, an embedding and logits that train on two views.

    A subclass sets `backbone`, `heads`, `augmenter` and `num_classes`; its outputs are those of
    `keras_clce.models.heads.EmbeddingAndLogits`.

    Args:
        **kwargs: As in `keras.Model`.
    """

    multi_label = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gradient_cache_size: int | None = None
        self.memory: EmbeddingMemory | None = None
        self.mixing: ImageMixing | None = None
        self._evaluations = 0
        self._metrics_take_rows: bool | None = None
        self.cross_entropy_tracker = keras.metrics.Mean(name="cross_entropy")
        self.contrastive_tracker = keras.metrics.Mean(name="contrastive")
        self.feature_norm_tracker = keras.metrics.Mean(name="feature_norm")
        self.current_weight = CurrentWeight()

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: CLCELoss | str = "clce",
        metrics: Any = None,
        weighted_metrics: Any = None,
        gradient_cache_size: int | None = None,
        memory_size: int | None = None,
        memory_start: int = 0,
        mixing: ImageMixing | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure training, as `keras.Model.compile` does.

        Args:
            optimizer: As in Keras. Defaults to `"rmsprop"`.
            loss: A `CLCELoss`, which covers cross-entropy alone (`contrastive_weight=0`) and a
                contrastive loss alone (`contrastive_weight=1`), or a name that
                `keras_clce.losses.get` takes. Defaults to `"clce"`, `CLCELoss()`.
            metrics: As in Keras, of the probabilities `(batch, num_classes)`. Defaults to `None`.
            weighted_metrics: As in Keras. Defaults to `None`.
            gradient_cache_size: Views that go through the encoder at a time, on each device, at
                the memory of as many and the price of a second forward pass. The loss and its
                gradients are those of the whole batch; batch normalisation takes the statistics
                of each chunk, as if it were a batch, and on JAX those of all devices' chunks
                together. There are no gradients of the images, and on torch none by
                `torch.autograd.grad`; there Python's garbage collector pauses within each chunk,
                and collects its youngest generation after it. On TensorFlow the model is not
                compiled by XLA. Defaults to `None`, all views at once.
            memory_size: Embeddings of earlier training batches, two an image, that the contrastive
                loss compares a batch with as well: further positives and negatives, which pass no
                gradient. They are the model's state and saved with it. Labels must be classes or
                one-hot: soft labels give NaN. Evaluation compares a batch with itself alone.
                Defaults to `None`, no memory.
            memory_start: Training steps that fill the memory before it is used, since embeddings
                move fast at first. Defaults to 0.
            mixing: A `keras_clce.train.ImageMixing`, which mixes the images of a training batch
                with each other. Metrics of training are then of the class that has the largest
                share of an image. Defaults to `None`.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile` and `auto_scale_loss`,
                as in Keras, but that JAX compiles Keras's layers of random geometry
                (`RandomTranslation`, …) too. `loss_weights` is refused: there is one loss.

        Raises:
            ValueError: If `loss` is not a `CLCELoss` that reduces to a scalar, `loss_weights`
                are given, or `gradient_cache_size` is no whole number above 0 or comes with
                `jit_compile=True` on TensorFlow; if `memory_size` is no whole number above 0, or
                the loss compares no embeddings; if `mixing` does not fit the loss or the memory; if
                the loss has another `multi_label` than the model, or a memory, `mixing` or
                `"accuracy"` comes with it.

        Reference:
            - [Gradient cache](https://arxiv.org/abs/2101.06983)
            - [Cross-batch memory](https://arxiv.org/abs/1912.06798)

        Example:
        ```python
        model.compile(keras.optimizers.AdamW(1e-3), loss=CLCELoss(), metrics=["accuracy"])
        ```
        """
        if loss is None or loss in losses.LOSSES:
            # Not all take it.
            several = {"multi_label": True} if self.multi_label else {}
            loss = losses.get(loss or "clce", **several)
        if not isinstance(loss, CLCELoss) or loss.reduction in (None, "none"):
            raise ValueError(
                f"`loss` must be one of {losses.LOSSES}, or a keras_clce.losses.CLCELoss that "
                "reduces to a scalar: CLCELoss(contrastive_weight=0) is cross-entropy alone, "
                f"CLCELoss(1, contrastive=…) a contrastive loss alone. Received: loss={loss!r}"
            )
        if kwargs.get("loss_weights") is not None:
            raise ValueError(
                "`loss_weights` must be None: CLCELoss(contrastive_weight=…) weights the parts. "
                f"Received: loss_weights={kwargs['loss_weights']!r}"
            )
        check_loss_of_labels(self.multi_label, loss, memory_size, mixing)
        check_metrics_of_labels(self.multi_label, metrics, weighted_metrics)
        gradient_cache_size = check_whole_number(
            "gradient_cache_size", gradient_cache_size, optional=True
        )
        chunked = gradient_cache_size is not None
        if chunked and kwargs.get("jit_compile") is True and not backend.xla_has_loop_gradients():
            raise ValueError(
                "`jit_compile` must be False or 'auto' with `gradient_cache_size` on TensorFlow, "
                "whose XLA has no gradient of its loop. Received: jit_compile=True"
            )
        memory_size, memory_start = check_memory(memory_size, memory_start, loss)
        check_mixing(mixing, loss, memory_size)
        if loss.ignore_unlabelled:
            # Weights alone leave rows out of a metric.
            both = [*_flat(metrics), *_flat(weighted_metrics)]
            metrics, weighted_metrics = None, both or None
        jit_compile = kwargs.get("jit_compile", "auto")
        if jit_compile and not kwargs.get("run_eagerly"):
            backend.let_jax_compile(self)
        # Keras would flatten the outputs and look for a loss of each; `compute_loss` gives all
        # of them to the one loss instead.
        super().compile(
            optimizer=optimizer,
            loss=None,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            **kwargs,
        )
        self.loss = loss
        self._metrics_take_rows = None
        self._jit_compile_asked = jit_compile
        self._remember(memory_size, memory_start)
        if mixing is not self.mixing:
            self._give_state("mixing", lambda: mixing)
        self.current_weight.update_state(loss.contrastive_weight)
        self.gradient_cache_size = gradient_cache_size
        if chunked and not backend.xla_has_loop_gradients():
            self.jit_compile = False

    def get_compile_config(self) -> dict[str, Any] | None:
        """Arguments of `compile`, serialized, for a saved model."""
        config = super().get_compile_config()
        if config:
            config["loss"] = keras.saving.serialize_keras_object(self.loss)
            # Keras's own config has what "auto" stands for on this backend, as False on a CPU.
            config["jit_compile"] = self._jit_compile_asked
            config["gradient_cache_size"] = self.gradient_cache_size
            if self.memory is not None:
                config["memory_size"] = self.memory.size
                config["memory_start"] = self.memory.start
            if self.mixing is not None:
                config["mixing"] = keras.saving.serialize_keras_object(self.mixing)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` gave, optimizer variables included."""
        config = keras.saving.deserialize_keras_object(by_public_names(config))
        config.pop("loss_weights", None)
        # Others may not take what was asked for on the backend that saved.
        if config.get("jit_compile"):
            config["jit_compile"] = "auto"
        self.compile(**config)
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def train_step(self, *args: Any) -> Any:
        """Keras's own training step, on both views stacked into one batch."""
        # Here as well as in `call`: some backends compute layers again on the way backward.
        with fast_operations(self.backbone):
            return backend.train_on_prepared(self, super().train_step, self._prepare, args)

    def test_step(self, *args: Any) -> Any:
        """Keras's own test step, its work divided where every device has the whole batch."""
        *state, data = args
        with self._without_feature_norm():
            return super().test_step(*state, backend.shard_rows(data))

    def predict_step(self, *args: Any) -> Any:
        """Keras's own prediction step, its work divided where every device has the whole batch."""
        *state, data = args
        return backend.replicate_rows(super().predict_step(*state, backend.shard_rows(data)))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss of `compile` plus the layers' own losses; updates the logged parts."""
        check_labelled(y)
        memory = self.memory if training else None
        contents = None if memory is None else memory.contents()
        # Logits of evaluation are those that predict.
        parts, *compared = parts_of_loss(self.loss, y, y_pred, sample_weight, contents, training)
        if memory is not None:
            memory.remember(*compared)
        self.cross_entropy_tracker.update_state(*parts["cross_entropy"])
        self.contrastive_tracker.update_state(*parts["contrastive"])
        if "feature_norm" in y_pred:
            self.feature_norm_tracker.update_state(y_pred["feature_norm"])
        # A loss of one part stays one whose other part needs no gradient.
        moves = training and 0 < self.loss.contrastive_weight < 1
        total = self.loss.join(parts, self.current_weight.result() if moves else None)
        for loss in self.losses:
            total = total + ops.sum(ops.cast(loss, total.dtype))
        # Every replica has the whole loss, and Keras sums their gradients.
        return total / backend.num_replicas()

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Metrics of `compile`, on the probabilities."""
        # Keras comes here first where it builds metrics.
        check_labelled(y)
        rows = y
        if isinstance(y, MixedLabels):
            y, rows = y.of_metrics, y.rows
        if self.loss.ignore_unlabelled:
            labelled = without_unlabelled(rows)[1]
            y = without_unlabelled(y)[0]
            if sample_weight is None:
                sample_weight = labelled
            else:
                sample_weight = ops.reshape(ops.cast(sample_weight, labelled.dtype), (-1,))
                sample_weight = labelled * sample_weight
        # Data of training and of validation may have labels of different forms.
        if self._metrics_take_rows is None:
            self._metrics_take_rows = are_rows(y)
        y = in_form(y, self._metrics_take_rows, self.num_classes)
        return super().compute_metrics(x, y, y_pred["probabilities"], sample_weight)

    def reset_metrics(self) -> None:
        """Reset metrics; training has the loss's own weight again, unless a callback sets it."""
        super().reset_metrics()
        if self.compiled and not self._evaluations:
            self.current_weight.update_state(self.loss.contrastive_weight)

    def get_metrics_result(self) -> dict[str, Any]:
        """Logs by name; `feature_norm` of training alone, the weight where a callback moves it."""
        logs = super().get_metrics_result()
        logs.pop(self.current_weight.name)
        if self._evaluations:
            logs.pop(self.feature_norm_tracker.name)
        return logs

    def _remember(self, size, start):
        """Have a memory of that size, or none; one that fits is kept with what it holds."""
        if self.memory is not None and (size, start) == (self.memory.size, self.memory.start):
            return

        def make():
            if size is None:
                return None
            features = self.backbone.compute_output_shape(self.backbone.input_shape)
            dim = self.heads.compute_output_shape(features)["embedding"][-1]
            return EmbeddingMemory(size, dim, start)

        self._give_state("memory", make)

    def _give_state(self, name, make):
        """Have a layer beside encoder and heads, or none, in place of the one before."""
        # Keras has no public way to give a model that is built further state.
        if getattr(self, name) is not None:
            self._tracker.untrack(getattr(self, name))
            setattr(self, name, None)
        self._tracker.unlock()
        setattr(self, name, make())
        self._tracker.lock()

    def _prepare(self, data):
        """The batch to train on, with two views of every image, mixed if images are."""
        stacked = stack_views(self, data)
        if self.mixing is None:
            return stacked
        views = 1 if stacked is data else 2
        return mix_batch(self.mixing, self.loss, self.num_classes, stacked, views)

    @contextlib.contextmanager
    def _without_feature_norm(self):
        self._evaluations += 1  # a step within `evaluate`, and replicas that take turns
        try:
            yield
        finally:
            self._evaluations -= 1


def _flat(metrics):
    return [] if metrics is None else keras.tree.flatten(metrics)
