"""`CLCEModel`: an encoder with two heads that trains on two views of every image."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from keras_clce.models.backbones import build_backbone
from keras_clce.models.encoder_checks import check_encoder
from keras_clce.models.fast_operations import fast_operations
from keras_clce.models.heads import EmbeddingAndLogits
from keras_clce.models.quantization import quantize_layers, quantized_layers
from keras_clce.train import inputs
from keras_clce.train.gradient_cache import call_in_chunks
from keras_clce.train.layerwise import freeze_layers, frozen_layers
from keras_clce.train.lora import LoRAModel
from keras_clce.train.model_description import (
    check_class_names,
    check_multi_label,
    check_preprocessing,
    check_softmax_temperature,
)
from keras_clce.train.presets import PresetModel
from keras_clce.train.saved_augmenter import saved_augmenter
from keras_clce.train.two_view_training import TwoViewTraining
from keras_clce.views.preprocessing import Preprocessing


@keras.saving.register_keras_serializable(package="keras_clce")
class CLCEModel(PresetModel, LoRAModel, TwoViewTraining):
    """An image encoder with an embedding and a softmax head, trained on two views an image.

    Training stacks both views of a batch into one batch of twice the size and hands it to
    Keras's own training step, so compiled steps, mixed precision, callbacks and distribution work
    as for any Keras model. Logs have `loss`, `cross_entropy`, `contrastive` and what `metrics` of
    `compile` adds, each with `val_` for validation data, and of training `feature_norm`, the mean
    length of the pooled features. Prediction and evaluation use one view.

    While the model computes, layers of the encoder that Keras computes slowly on the running
    backend have another `call`: `Conv2D`, `DepthwiseConv2D`, poolings and normalizations of
    exactly Keras's own classes. They are what they were afterwards, also where the encoder is used
    elsewhere, and give the same values. `compile` says what `gradient_cache_size` does to the
    process.

    Args:
        backbone: A Keras model from images `(batch, height, width, channels)` to feature maps or
            to vectors `(batch, channels)`.
        num_classes: Number of classes, at least 1.
        augmenter: A Keras layer from images to randomly changed ones of the encoder's size, called
            twice on every training batch, as `keras_clce.data.two_view_augmenter` makes it. Not
            used where the data holds pairs. Defaults to `None`: images are trained on as they
            come, once, and an anchor's positives are the other images of its class.
        embedding_dim: Size of a linear projection before the embedding's norm. Defaults to `None`,
            no projection, as in the paper.
        embedding_layers: Dense layers of that projection: 1 is linear, 2 have a hidden layer of the
            features' size with a ReLU. Defaults to 1.
        feature_normalization: What is done to the pooled features before both heads read them:
            `"layer"`, `"batch"`, `"unit"` or `None`, as in
            `keras_clce.models.heads.EmbeddingAndLogits`. `None` is the paper's. Defaults to
            `"layer"`.
        class_names: `num_classes` different strings, in the order of the labels. They are saved
            with the model; `fit` and `evaluate` warn of a data set whose `class_names` differ.
            Defaults to `None`: not known.
        preprocessing: `keras_clce.views.Preprocessing`, how an image file becomes the encoder's
            input. It is saved with the model for those that predict on image files; `fit` and
            `predict` take images that are prepared already. Defaults to `None`: not known.
        softmax_temperature: A number above 0 that logits are divided by before the softmax of
            prediction, as `keras_clce.inference.calibrate` fits it. `"logits"`, the loss and
            training do not change. Defaults to `None`: they are taken as they are.
        classifier: `"linear"` or `"cosine"`, as in `keras_clce.models.heads.EmbeddingAndLogits`.
            Defaults to `"linear"`.
        logit_scale: Scale of the cosines. Defaults to `None`: it is learned, from 16 on.
        multi_label: Whether an image has several labels, or none: labels are rows
            `(batch, num_classes)` of 0 and 1, probabilities a sigmoid of each logit, and losses
            those of `multi_label=True`, binary cross-entropy and pairs by the overlap of their
            labels. Defaults to `False`.
        **kwargs: As in `keras.Model`.

    Call arguments:
        inputs: Images `(batch, height, width, channels)`, or a pair of views of which the
            first is used.
        training: Whether layers such as dropout behave as in training. Defaults to `False`.

    Returns:
        A dict: `"embedding"` `(batch, dim)` unit rows, `"logits"` and `"probabilities"`
        `(batch, num_classes)`; in training also `"feature_norm"` `(batch,)`.

    Raises:
        ValueError: If an argument is out of its range, if labels lie outside `[0, num_classes)`,
            or if arrays given to `fit` or `evaluate` are empty or hold values that are not finite.
            Labels and images that stream from a data set are not searched: a class out of range, a
            row of labels that does not sum to 1 or a pixel that is not finite makes the
            loss NaN, at which `fit` stops. An empty batch in a stream, and an
            augmenter that changes the number of images where the batch size is not known
            beforehand, end in the backend's own error.

    Reference:
        - [CLCE](https://arxiv.org/abs/2402.14551)

    Example:
    ```python
    model = CLCEModel.from_backbone(
        "small_resnet", num_classes=10, image_size=32, augmenter=two_view_augmenter(32)
    )
    model.compile("adam", loss=CLCELoss(), metrics=["accuracy"])
    model.fit(images, labels, validation_data=(val_images, val_labels))
    embeddings = model.predict(images)["embedding"]
    ```
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        augmenter: keras.layers.Layer | None = None,
        embedding_dim: int | None = None,
        feature_normalization: str | None = "layer",
        class_names: Sequence[str] | None = None,
        preprocessing: Preprocessing | None = None,
        embedding_layers: int = 1,
        softmax_temperature: float | None = None,
        classifier: str = "linear",
        logit_scale: float | None = None,
        multi_label: bool = False,
        **kwargs: Any,
    ) -> None:
        # Half precision is for the layers: it is too coarse for pixels.
        super().__init__(**{"autocast": False, **kwargs})
        check_encoder(backbone)
        if augmenter is not None and not isinstance(augmenter, keras.Layer):
            raise ValueError(
                "`augmenter` must be None or a Keras layer, such as `two_view_augmenter` builds. "
                f"Received: augmenter={augmenter!r}"
            )
        heads = EmbeddingAndLogits(
            num_classes,
            embedding_dim,
            feature_normalization,
            embedding_layers,
            classifier,
            logit_scale,
            check_multi_label(multi_label, softmax_temperature),
            name="heads",
        )
        check_preprocessing(preprocessing, backbone.input_shape[1:])
        self.class_names = check_class_names(class_names, num_classes)
        self.preprocessing = preprocessing
        self.multi_label = multi_label
        self.softmax_temperature = softmax_temperature
        self.backbone = backbone
        self.heads = heads
        self.num_classes = num_classes
        self.augmenter = augmenter
        self.embedding_dim = embedding_dim
        self.embedding_layers = embedding_layers
        self.feature_normalization = feature_normalization
        self._building = False
        self.build(backbone.input_shape)

    @classmethod
    def from_backbone(
        cls,
        name: str,
        num_classes: int,
        image_size: int = 224,
        weights: str | None = None,
        augmenter: keras.layers.Layer | None = None,
        embedding_dim: int | None = None,
        stochastic_depth: float = 0.0,
        remat: bool = False,
        feature_normalization: str | None = "layer",
        class_names: Sequence[str] | None = None,
        preprocessing: Preprocessing | None = None,
        embedding_layers: int = 1,
        classifier: str = "linear",
        multi_label: bool = False,
    ) -> "CLCEModel":
        """Build the model on a named encoder.

        Args:
            name: A name of `keras_clce.models.list_backbones`, `app:NAME` for a class of
                `keras.applications`, `hub:PRESET` for a keras-hub image backbone, `zero:NAME` for
                one of ZeroModels, or the path of a `.keras` file.
            num_classes: Number of classes, at least 1.
            image_size: Height and width of the images in pixels. Defaults to 224.
            weights: `"imagenet"` or the path of the encoder's weights. Defaults to `None`, random.
            augmenter: As in the constructor. Defaults to `None`.
            embedding_dim: As in the constructor. Defaults to `None`.
            stochastic_depth: Share of the images that skip the last residual branch in training,
                for transformers and BiT. Defaults to 0.
            remat: Whether blocks are computed anew in the backward pass, which saves memory, for
                transformers. Defaults to `False`.
            feature_normalization: As in the constructor. Defaults to `"layer"`.
            class_names: As in the constructor. Defaults to `None`.
            preprocessing: As in the constructor. Defaults to `None`.
            embedding_layers: As in the constructor. Defaults to 1.
            classifier: As in the constructor. Defaults to `"linear"`.
            multi_label: As in the constructor. Defaults to `False`.

        Returns:
            A `CLCEModel` that takes RGB images in 0..255; the encoder's own scaling is inside.

        Raises:
            ValueError: If an argument is not valid; the message lists what is.

        Example:
        ```python
        model = CLCEModel.from_backbone(
            "vit_tiny", num_classes=102, image_size=32, weights="vit_tiny.safetensors"
        )
        ```
        """
        backbone = build_backbone(name, image_size, weights, stochastic_depth, remat)
        return cls(
            backbone,
            num_classes,
            augmenter=augmenter,
            embedding_dim=embedding_dim,
            feature_normalization=feature_normalization,
            class_names=class_names,
            preprocessing=preprocessing,
            embedding_layers=embedding_layers,
            classifier=classifier,
            multi_label=multi_label,
        )

    @property
    def softmax_temperature(self) -> float | None:
        """What logits are divided by before the softmax of prediction, or `None`.

        Example:
        ```python
        model.softmax_temperature = 2.0
        model.predict(images)["probabilities"].shape  # (240, 10)
        ```
        """
        return self._softmax_temperature

    @softmax_temperature.setter
    def softmax_temperature(self, temperature: float | None) -> None:
        check_multi_label(self.multi_label, temperature)
        self._softmax_temperature = check_softmax_temperature(temperature)
        # Compiled functions hold the one before.
        self.train_function = self.test_function = self.predict_function = None

    def build(self, input_shape: tuple | Sequence[tuple]) -> None:
        """Create the weights for images, or pairs of views, of this shape."""
        if input_shape and isinstance(input_shape[0], (tuple, list)):
            input_shape = input_shape[0]
        self.heads.build(self.backbone.compute_output_shape(input_shape))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Embedding, logits and probabilities of a batch of images."""
        images = inputs[0] if isinstance(inputs, (tuple, list)) else inputs
        if self._building and self.augmenter is not None:
            # Of the size that the augmenter will give.
            sides = zip(self.backbone.input_shape[1:], images.shape[1:], strict=True)
            images = ops.zeros((images.shape[0], *(own or given for own, given in sides)))
        chunk_size = self.gradient_cache_size
        with fast_operations(self.backbone):
            if chunk_size is None or not training or keras.backend.is_keras_tensor(images):
                outputs = self.heads(self.backbone(images, training=training), training=training)
                if self.softmax_temperature is None or training:
                    return outputs
                scaled = outputs["logits"] / self.softmax_temperature
                return {**outputs, "probabilities": ops.softmax(scaled)}
            return call_in_chunks([self.backbone, self.heads], images, chunk_size)

    def _symbolic_build(self, *args, **kwargs):
        # Private, for want of a public hook: Keras builds metrics by a call on the shapes of a
        # first batch, before views are made of it. Sizes for the augmenter alone would fail.
        self._building = True
        try:
            super()._symbolic_build(*args, **kwargs)
        finally:
            self._building = False

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train, as `keras.Model.fit` does, after a look at the data.

        Arrays of validation are taken in an order that depends on the images alone, as in
        `evaluate`. Warnings tell of pixels on another scale than the encoder's, also in streams,
        and of features that shrink to a hundredth of their first mean length.

        Args:
            x: Images `(examples, height, width, channels)`, a pair of such arrays, or anything
                that Keras trains on and that yields `(images, labels)` or
                `((view_1, view_2), labels)`, optionally with sample weights.
            y: Labels `(examples,)`, `(examples, 1)` or one-hot or soft `(examples, num_classes)`,
                with `multi_label` rows of 0 and 1, where `x` is not a data set. Defaults to `None`.
            *args: As in Keras.
            **kwargs: As in Keras.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: If arrays are empty, hold values that are not finite, labels lie outside
                `[0, num_classes)`, or `class_weight` comes where an image is not of one class.
            FloatingPointError: If the loss becomes NaN; the message has the likely causes.

        Example:
        ```python
        history = model.fit(images, labels, validation_split=0.1, epochs=2)
        ```
        """
        given = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        return super().fit(**inputs.for_fit(self, given))

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate one view of every image, as `keras.Model.evaluate` does, after a look at it.

        Arrays of more than a batch are taken in an order that depends on the images alone, so that
        the contrastive loss does not depend on how they were sorted.
        """
        given = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs).arguments
        given.update(given.pop("kwargs", {}))
        given = inputs.for_evaluate(self, given)
        with self._without_feature_norm():
            return super().evaluate(**given)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Outputs of one view of every image, as `keras.Model.predict` gives them."""
        return super().predict(inputs.for_predict(self, x), *args, **kwargs)

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Export inference, as `keras.Model.export` does, whether or not the model was called.

        Args:
            filepath: Where to.
            format: As in Keras. Defaults to `"tf_saved_model"`.
            verbose: As in Keras. Defaults to `None`.
            input_signature: As in Keras. Defaults to `None`, batches of any size of the images
                that the encoder takes.
            **kwargs: As in Keras.

        Raises:
            ValueError: If Keras has no such format on this backend.

        Example:
        ```python
        model.export("model.onnx", format="onnx")
        ```
        """
        if input_signature is None:
            shape = (None, *self.backbone.input_shape[1:])
            # Not the policy's, whose half precision would refuse pixels as they come.
            input_signature = [keras.InputSpec(shape=shape, dtype="float32", name="images")]
        super().export(filepath, format, verbose, input_signature, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the model."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "backbone": serialize(self.backbone),
            "num_classes": self.num_classes,
            "augmenter": None if self.augmenter is None else serialize(self.augmenter),
            "embedding_dim": self.embedding_dim,
            "embedding_layers": self.embedding_layers,
            "feature_normalization": self.feature_normalization,
            "class_names": None if self.class_names is None else list(self.class_names),
            "preprocessing": serialize(self.preprocessing),
            "softmax_temperature": self.softmax_temperature,
            "classifier": self.heads.kind_of_classifier,
            "logit_scale": self.heads.logit_scale,
            "multi_label": self.multi_label,
            "quantized_heads": quantized_layers(self.heads),
            "frozen_heads": frozen_layers(self.heads),
            **self._lora_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CLCEModel":
        """Rebuild the model from `get_config`'s dict."""
        # Files from before there was a choice hold nothing of it.
        config = {"feature_normalization": None, **config}
        later = ("quantized_heads", "frozen_heads", "lora")
        quantized, frozen, lora = (config.pop(name, {}) for name in later)
        parts = {
            "backbone": keras.saving.deserialize_keras_object(config["backbone"]),
            "augmenter": saved_augmenter(config["augmenter"]),
            "preprocessing": keras.saving.deserialize_keras_object(config.get("preprocessing")),
        }
        model = cls(**{**config, **parts})
        quantize_layers(model.heads, quantized)
        freeze_layers(model.heads, frozen)
        model._enable_saved_lora(lora)
        return model
