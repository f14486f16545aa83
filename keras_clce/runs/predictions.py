"""What a model predicted on the test split, image by image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_clce.files import write_atomically
from keras_clce.runs.damage import damaged_arrays


@dataclass(frozen=True)
class Predictions:
    """Labels and predictions of the test images, in the order of the split.

    Args:
        labels: Classes `(images,)`.
        classes: Predicted classes `(images,)`, the first of those that share the top probability.
        probabilities: Probabilities of the predicted classes `(images,)`.

    Example:
    ```python
    predictions = Predictions.of(np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.3]]))
    predictions.classes  # [0, 0]
    ```
    """

    labels: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, probabilities: np.ndarray) -> "Predictions":
        """Predictions from the probabilities of all classes.

        Args:
            labels: Classes `(images,)`.
            probabilities: Probabilities `(images, classes)`.

        Returns:
            The predictions.

        Example:
        ```python
        Predictions.of(np.array([1]), np.array([[0.25, 0.75]])).probabilities  # [0.75]
        ```
        """
        classes = probabilities.argmax(axis=1)
        top = np.take_along_axis(probabilities, classes[:, None], axis=1)[:, 0]
        return cls(labels.astype("int32"), classes.astype("int32"), top.astype("float32"))

    def write(self, path: Path) -> None:
        """Write them to a file.

        Args:
            path: The file, `predictions.npz` of a run.

        Example:
        ```python
        Predictions.of(np.array([1]), np.array([[0.25, 0.75]])).write(folder.predictions)
        ```
        """
        write_atomically(path, lambda to: np.savez_compressed(to, **vars(self)))


def read_predictions(path: Path) -> Predictions | None:
    """Read a run's `predictions.npz`.

    Args:
        path: The file.

    Returns:
        The predictions; `None` where there is no file, as in runs of earlier versions.

    Raises:
        ValueError: If the file is damaged.

    Example:
    ```python
    read_predictions(Path("runs/transfer/digits/small_resnet/ce-seed0/predictions.npz"))
    ```
    """
    if not path.is_file():
        return None
    try:
        with np.load(path) as file:
            found = Predictions(file["labels"], file["classes"], file["probabilities"])
        for name, kind in (("labels", "i"), ("classes", "i"), ("probabilities", "f")):
            values = getattr(found, name)
            # NumPy gives the bytes of a member that does not begin as an array.
            if getattr(values, "shape", ()) != (len(found.labels),) or values.dtype.kind != kind:
                raise ValueError(f"`{name}` does not hold one number per image")
        return found
    except Exception as error:  # NumPy, archives and their compression raise many kinds of errors
        raise damaged_arrays(path, error) from error
