"""The patch tokens of an encoder, before it pools them."""

import keras
from keras import ops


def patch_tokens(backbone: keras.Model) -> keras.KerasTensor:
    """Find the tokens of patches that an encoder makes its features of.

    Args:
        backbone: A Vision Transformer, MAE or BEiT-3 of this package, whose tokens follow its
            last block and the norm behind it, without the class token; or an encoder that gives
            feature maps, each place of which is a token.

    Returns:
        Symbolic tokens `(batch, tokens, dim)` in float32, in the graph of the encoder.

    Raises:
        ValueError: If it gives vectors and its tokens are not to be found.

    Reference:
        - [FewTURE](https://arxiv.org/abs/2206.07267), which classifies tasks by them

    Example:
    ```python
    from keras_clce.models import build_backbone

    backbone = build_backbone("vit_tiny_patch4", image_size=16)
    tokens = keras.Model(backbone.input, patch_tokens(backbone))
    tokens.output_shape  # (None, 16, 192)
    ```
    """
    layers = {layer.name: layer for layer in getattr(backbone, "layers", ())}
    if len(backbone.output.shape) == 4:
        dim = backbone.output.shape[-1]
        tokens = keras.layers.Reshape((-1, dim), name="tokens_of_maps")(backbone.output)
    elif "without_class_token" in layers:
        tokens = layers["without_class_token"].output
    elif "class_token" in layers:
        crop = keras.layers.Cropping1D((1, 0), name="patch_tokens")
        tokens = crop(layers["class_token"].input)
    else:
        raise ValueError(
            "`backbone` must give feature maps, or be a vit_, mae_ or beit3_ encoder of this "
            "package: where another pools its tokens is not known. "
            f"Received: backbone={backbone.name}, whose output has shape {backbone.output.shape}"
        )
    return ops.cast(tokens, "float32")
