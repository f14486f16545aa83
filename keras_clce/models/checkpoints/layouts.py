"""How a source names the tensors of an architecture, and which of some ways a file follows."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_clce.models.checkpoints.recognition import looks_like


class Layout(NamedTuple):
    """How a source names the tensors of an architecture.

    Args:
        title: What the source is, for messages.
        marks: Tensors that tell a file of this layout.
        parts: Pattern of the path of a Keras layer, or of one of its weights, to the file's module,
            to several whose tensors are joined along the outputs, or to a function of the match
            that gives the module.
        leaves: Name of a Keras weight (`kernel`, `gamma`, …) to the end of the tensor's name.
        dropped: Pattern of tensors that an encoder has no place for.
        keras_order: Whether kernels are stored as Keras stores them, or outputs first.
        unused_positions: Rows of a weight of positions that come before the class token's.
        prepare: Brings tensors under the names of this table, whatever wrapped or joined them; of
            those of other sources it leaves alone what it does not know. Defaults to `None`:
            they have them.
        positions: Pattern of the paths of weights that are learned positions.
        tokens_before: As in `resample_positions`, and so is `antialias`.
        antialias: See `tokens_before`.
    """

    title: str
    marks: tuple[str, ...]
    parts: Mapping[str, str | tuple[str, ...] | Callable[[re.Match], str]]
    leaves: Mapping[str, str]
    dropped: str
    keras_order: bool = False
    unused_positions: int = 0
    prepare: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] | None = None
    positions: str = r".*/positions"
    tokens_before: int = 1
    antialias: bool = True

    def prepared(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The tensors of a file under the names of this table.

        Args:
            tensors: Name to array.

        Returns:
            The same, or renamed.
        """
        return self.prepare(tensors) if self.prepare else tensors


TORCH_LEAVES = {
    "kernel": ".weight",
    "bias": ".bias",
    "gamma": ".weight",
    "beta": ".bias",
    "moving_mean": ".running_mean",
    "moving_variance": ".running_var",
}


def find_layout(
    tensors: dict[str, np.ndarray], layouts: Sequence[Layout], source: str, name: str
) -> Layout:
    """Tell which of some layouts the names of a checkpoint follow.

    Args:
        tensors: Name to array.
        layouts: The layouts that the architecture can be loaded from.
        source: Where the tensors come from, for the message.
        name: The backbone's name, for the message.

    Returns:
        The first layout whose marks are all there.

    Raises:
        ValueError: If none fits; the message says what the file looks like.

    Example:
    ```python
    from keras_clce.models.checkpoints.tensors import read_tensors
    from keras_clce.models.families import vit
    tensors = read_tensors("vit_tiny.safetensors")
    find_layout(tensors, [vit.GOOGLE, vit.TIMM], "my file", "vit_tiny").title  # "timm or MAE"
    ```
    """
    for layout in layouts:
        prepared = layout.prepared(tensors)
        if all(mark in prepared for mark in layout.marks):
            return layout
    wanted = "; or ".join(f"{layout.title}, with {layout.marks[0]}" for layout in layouts)
    raise ValueError(
        f"`weights` must hold {name} as saved by {wanted}. It looks like {looks_like(tensors)}. "
        f"Received: weights={source!r}"
    )
