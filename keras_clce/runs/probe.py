"""The linear classifier of embeddings that a contrastive loss alone is tested with."""

import dataclasses
from pathlib import Path

import numpy as np

from keras_clce.runs.damage import damaged_arrays


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """A linear classifier of embeddings.

    Args:
        coef: Array `(classes that it knows, dim)`, of two classes one row.
        intercept: Array of as many numbers.
        classes: Numbers of the classes that it knows.

    Example:
    ```python
    Probe(np.eye(3), np.zeros(3), np.arange(3)).logits(np.eye(3), num_classes=4).shape  # (3, 4)
    ```
    """

    coef: np.ndarray
    intercept: np.ndarray
    classes: np.ndarray

    def logits(self, embeddings: np.ndarray, num_classes: int) -> np.ndarray:
        """The logits of its softmax.

        Args:
            embeddings: Array `(examples, dim)`.
            num_classes: How many classes there are; none is predicted that it does not know.

        Returns:
            Array `(examples, num_classes)`.

        Example:
        ```python
        probe = Probe(np.array([[1.0, -1.0]]), np.zeros(1), np.array([0, 1]))
        probe.logits(np.array([[0.6, 0.8]]), num_classes=2)  # [[0.0, -0.2]]
        ```
        """
        scores = embeddings @ self.coef.T + self.intercept
        if len(self.coef) == 1:
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        # Far below all others, but finite.
        logits = np.full((len(embeddings), num_classes), scores.min() - 1e3)
        logits[:, self.classes] = scores
        return logits


def read_probe(path: Path) -> Probe | None:
    """Read a run's `probe.npz`.

    Args:
        path: The file.

    Returns:
        The classifier; `None` where there is none, as in runs whose loss trains the model's own.

    Raises:
        ValueError: If the file is damaged.

    Example:
    ```python
    read_probe(Path("runs/transfer/digits/small_resnet/clce-seed0/probe.npz"))  # None
    ```
    """
    if not path.is_file():
        return None
    try:
        with np.load(path) as file:
            probe = Probe(*(np.asarray(file[name]) for name in ("coef", "intercept", "classes")))
        if probe.coef.ndim != 2 or probe.intercept.shape != probe.coef.shape[:1]:
            raise ValueError(f"`coef` has shape {probe.coef.shape}")
        return probe
    except Exception as error:  # NumPy, archives and their compression raise many kinds of errors
        raise damaged_arrays(path, error) from error
