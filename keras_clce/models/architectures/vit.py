"""Vision Transformers: ViT, MAE's encoder and BEiT-3's vision branch, one graph with few flags."""

from typing import Any

import keras
from keras import ops

from keras_clce import backend
from keras_clce.models.quantization import quantize_layers, quantized_layers

POOLS = ("token", "mean")

# === Layers ===


@keras.saving.register_keras_serializable(package="keras_clce")
class ClassTokenAndPositions(keras.layers.Layer):
    """Puts a learned class token before the patches and adds learned positions.

    Args:
        **kwargs: As in `keras.layers.Layer`.

    Call arguments:
        patches: Patch embeddings `(batch, patches, dim)`.

    Returns:
        Tokens `(batch, 1 + patches, dim)`, the class token first.

    Reference:
        - [ViT](https://arxiv.org/abs/2010.11929)

    Example:
    ```python
    ClassTokenAndPositions()(np.zeros((2, 196, 768))).shape  # (2, 197, 768)
    ```
    """

    def build(self, input_shape: tuple) -> None:
        """Create the token and a position for it and for each patch."""
        _, patches, dim = input_shape
        self.class_token = self.add_weight(
            (1, 1, dim), keras.initializers.RandomNormal(stddev=1e-6), name="class_token"
        )
        self.positions = self.add_weight((1, 1 + patches, dim), _normal(), name="positions")

    def call(self, patches: Any) -> Any:
        """Tokens of a batch of patches."""
        token = ops.cast(self.class_token, patches.dtype)
        tokens = ops.broadcast_to(token, (ops.shape(patches)[0], *token.shape[1:]))
        positions = ops.cast(self.positions, patches.dtype)
        return ops.concatenate([tokens, patches], axis=1) + positions

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """One token more than patches."""
        batch, patches, dim = input_shape
        return (batch, 1 + patches, dim)


class _Branch(keras.layers.Layer):
    """What one residual connection adds: a layer of its own, so that it can be rematerialised.

    Random layers stay outside of it. Some backends run a rematerialised layer twice, and the second
    run would draw other random numbers.
    """

    def __init__(self, epsilon: float = 1e-6, sub_norm: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.sub_norm = sub_norm
        policy = self.dtype_policy
        self.norm = keras.layers.LayerNormalization(epsilon=epsilon, name="norm", dtype=policy)
        self.inner_norm = None
        if sub_norm:
            self.inner_norm = keras.layers.LayerNormalization(
                epsilon=epsilon, name="inner_norm", dtype=policy
            )

    def _freeze_inner_layers(self):
        # A branch that is loaded frozen was so before it had layers to pass it on to.
        for layer in self._flatten_layers(include_self=False):
            layer.trainable = self.trainable

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Shape of the tokens, unchanged."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the layer."""
        return {**super().get_config(), "epsilon": self.epsilon, "sub_norm": self.sub_norm}

    def get_build_config(self) -> dict[str, Any]:
        """Shape of the tokens, and which of the inner layers are quantised."""
        quantized = quantized_layers(self)
        return {**super().get_build_config(), **({"quantized": quantized} if quantized else {})}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Create the weights that a saved branch had."""
        super().build_from_config(config)
        quantize_layers(self, config.get("quantized", {}))


@keras.saving.register_keras_serializable(package="keras_clce")
class AttentionBranch(_Branch):
    """Self-attention over normalised tokens: `projection(inner_norm(attention(norm(x))))`.

    Args:
        num_heads: Number of heads; divides the tokens' dimension.
        epsilon: Of the layer norms. Defaults to 1e-6.
        sub_norm: Whether the attended tokens are normalised before the projection, as in BEiT-3.
            Defaults to `False`.
        **kwargs: As in `keras.layers.Layer`.

    Call arguments:
        tokens: Tokens `(batch, tokens, dim)`.

    Returns:
        What the residual connection adds, `(batch, tokens, dim)`.

    Raises:
        ValueError: If `num_heads` does not divide the dimension.

    Reference:
        - [ViT](https://arxiv.org/abs/2010.11929)
        - [BEiT-3](https://arxiv.org/abs/2208.10442)

    Example:
    ```python
    AttentionBranch(num_heads=12)(np.zeros((2, 197, 768))).shape  # (2, 197, 768)
    ```
    """

    def __init__(self, num_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def build(self, input_shape: tuple) -> None:
        """Create the weights for tokens of this shape."""
        dim = input_shape[-1]
        if dim % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the dimension of the tokens, {dim}. "
                f"Received: num_heads={self.num_heads}"
            )
        self.qkv = _dense(3 * dim, "qkv", self.dtype_policy)
        self.projection = _dense(dim, "projection", self.dtype_policy)
        for layer in (self.norm, self.qkv, self.projection, self.inner_norm):
            if layer is not None:
                layer.build(input_shape)
        self._freeze_inner_layers()

    def call(self, tokens: Any) -> Any:
        """What attention adds to a batch of tokens."""
        length, dim = tokens.shape[1:]
        heads = (3, self.num_heads, dim // self.num_heads)
        qkv = ops.reshape(self.qkv(_rows(self.norm(tokens))), (-1, length, *heads))
        attended = backend.dot_product_attention(*ops.unstack(qkv, 3, axis=2))
        attended = ops.reshape(attended, (-1, dim))
        if self.inner_norm is not None:
            attended = self.inner_norm(attended)
        return ops.reshape(self.projection(attended), (-1, length, dim))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the layer."""
        return {**super().get_config(), "num_heads": self.num_heads}


@keras.saving.register_keras_serializable(package="keras_clce")
class MLPBranch(_Branch):
    """Two dense layers over normalised tokens: `fc2(inner_norm(gelu(fc1(norm(x)))))`.

    Args:
        hidden_dim: Units of the first dense layer.
        epsilon: Of the layer norms. Defaults to 1e-6.
        sub_norm: Whether the hidden units are normalised, as in BEiT-3. Defaults to `False`.
        **kwargs: As in `keras.layers.Layer`.

    Call arguments:
        tokens: Tokens `(batch, tokens, dim)`.

    Returns:
        What the residual connection adds, `(batch, tokens, dim)`.

    Reference:
        - [ViT](https://arxiv.org/abs/2010.11929)
        - [BEiT-3](https://arxiv.org/abs/2208.10442)

    Example:
    ```python
    MLPBranch(hidden_dim=3072)(np.zeros((2, 197, 768))).shape  # (2, 197, 768)
    ```
    """

    def __init__(self, hidden_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim

    def build(self, input_shape: tuple) -> None:
        """Create the weights for tokens of this shape."""
        hidden_shape = (*input_shape[:-1], self.hidden_dim)
        self.fc1 = _dense(self.hidden_dim, "fc1", self.dtype_policy)
        self.fc2 = _dense(input_shape[-1], "fc2", self.dtype_policy)
        self.norm.build(input_shape)
        self.fc1.build(input_shape)
        self.fc2.build(hidden_shape)
        if self.inner_norm is not None:
            self.inner_norm.build(hidden_shape)
        self._freeze_inner_layers()

    def call(self, tokens: Any) -> Any:
        """What the dense layers add to a batch of tokens."""
        hidden = backend.gelu(self.fc1(_rows(self.norm(tokens))))
        if self.inner_norm is not None:
            hidden = self.inner_norm(hidden)
        return ops.reshape(self.fc2(hidden), (-1, *tokens.shape[1:]))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the layer."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


def _rows(tokens):
    # XLA's CPU takes half as long again for the gradient of a product with three axes.
    return ops.reshape(tokens, (-1, tokens.shape[-1]))


def _normal():
    return keras.initializers.TruncatedNormal(stddev=0.02)


def _dense(units, name, policy):
    return keras.layers.Dense(units, kernel_initializer=_normal(), name=name, dtype=policy)


# === Functional model ===


def vision_transformer(
    images: keras.KerasTensor,
    *,
    patch_size: int,
    hidden_dim: int,
    num_layers: int,
    num_heads: int,
    epsilon: float = 1e-6,
    sub_norm: bool = False,
    final_norm: bool = True,
    pool: str = "token",
    fc_norm: bool = False,
    stochastic_depth: float = 0.0,
    remat: bool = False,
) -> keras.KerasTensor:
    """Build the graph of a Vision Transformer, from images to one vector each.

    Args:
        images: Symbolic images `(batch, side, side, 3)`, scaled as the weights expect.
        patch_size: Side of a patch in pixels; divides the side of the images.
        hidden_dim: Dimension of the tokens.
        num_layers: Number of blocks.
        num_heads: Heads of each attention.
        epsilon: Of the layer norms. Defaults to 1e-6; BEiT-3 has 1e-5.
        sub_norm: Whether attention and MLP have a second layer norm inside, as in BEiT-3. Defaults
            to `False`.
        final_norm: Whether a layer norm follows the last block. Defaults to `True`.
        pool: `"token"` gives the class token, `"mean"` the mean of the patches. Defaults to
            `"token"`.
        fc_norm: Whether a layer norm follows the pooling. Defaults to `False`.
        stochastic_depth: Share of the images that skip a residual branch of the last block in
            training, growing linearly from 0 at the first. Defaults to 0.
        remat: Whether attention and MLP of each block are computed anew in the backward pass, so
            that only what lies between them stays in memory. Defaults to `False`. It is a matter
            of this process: a model that was saved and loaded does not do it.

    Returns:
        Symbolic vectors `(batch, hidden_dim)`.

    Raises:
        ValueError: If the patches do not divide the images, or an argument is out of its range.

    Reference:
        - [ViT](https://arxiv.org/abs/2010.11929)
        - [MAE](https://arxiv.org/abs/2111.06377)
        - [BEiT-3](https://arxiv.org/abs/2208.10442)
        - [Stochastic depth](https://arxiv.org/abs/1603.09382)

    Example:
    ```python
    images = keras.Input((224, 224, 3))
    features = vision_transformer(
        images, patch_size=16, hidden_dim=192, num_layers=12, num_heads=3
    )
    model = keras.Model(images, features)
    ```
    """
    _check(images, patch_size, pool, stochastic_depth)
    patches = keras.layers.Conv2D(
        hidden_dim,
        patch_size,
        strides=patch_size,
        kernel_initializer=keras.initializers.LecunNormal(),
        name="patch",
    )(images)
    x = keras.layers.Reshape((-1, hidden_dim), name="patches")(patches)
    x = ClassTokenAndPositions(name="tokens")(x)
    flags = {"epsilon": epsilon, "sub_norm": sub_norm}
    names = [f"block{n}_{name}" for n in range(num_layers) for name in ("attention", "mlp")]
    for block in range(num_layers):
        rate = stochastic_depth * block / max(num_layers - 1, 1)
        attention, mlp = names[2 * block : 2 * block + 2]
        with keras.RematScope("list_of_layers", layer_names=names if remat else []):
            branches = [
                AttentionBranch(num_heads, **flags, name=attention),
                MLPBranch(4 * hidden_dim, **flags, name=mlp),
            ]
        for branch in branches:
            added = branch(x)
            if rate:
                drop = f"{branch.name}_drop"
                added = keras.layers.Dropout(rate, noise_shape=(None, 1, 1), name=drop)(added)
            x = keras.layers.Add(name=f"{branch.name}_add")([x, added])
    if final_norm:
        x = keras.layers.LayerNormalization(epsilon=epsilon, name="norm")(x)
    if pool == "token":
        x = keras.layers.Cropping1D((0, x.shape[1] - 1), name="class_token")(x)
        x = keras.layers.Flatten(name="pooled")(x)
    else:
        x = keras.layers.Cropping1D((1, 0), name="without_class_token")(x)
        x = keras.layers.GlobalAveragePooling1D(name="pooled")(x)
    if fc_norm:
        x = keras.layers.LayerNormalization(epsilon=epsilon, name="fc_norm")(x)
    return x


def _check(images, patch_size, pool, stochastic_depth):
    side = images.shape[1]
    if side % patch_size:
        raise ValueError(
            f"`image_size` must be a multiple of the patch size, {patch_size} px. "
            f"Received: image_size={side}"
        )
    if pool not in POOLS:
        raise ValueError(f"`pool` must be one of {', '.join(POOLS)}. Received: pool={pool!r}")
    if not 0 <= stochastic_depth < 1:
        raise ValueError(
            "`stochastic_depth` must be within [0, 1). "
            f"Received: stochastic_depth={stochastic_depth}"
        )
