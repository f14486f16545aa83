"""Predictions as a CSV file that grows with them."""

import csv
import os
from pathlib import Path
from types import TracebackType

from keras_clce.inference.predictions import Prediction


class PredictionFile:
    """Writes predictions to a CSV file, a line an image.

    Lines go to `NAME.part.csv` as they come, and the file gets its name when it is whole. After a
    kill the part file has all images that were reported; an earlier file of the name stays.

    Args:
        path: The file, `.csv`.
        top_k: Classes an image.
        threshold: Probability below which a class is not sure.

    Example:
    ```python
    with PredictionFile("predictions.csv", top_k=2, threshold=0.5) as file:
        for row in iterate_predictions(model, "pets", top_k=2):
            file.write(row)
    Path("predictions.csv").read_text().splitlines()[0]
    # "file,class_1,probability_1,class_2,probability_2,sure,label,error"
    ```
    """

    def __init__(self, path: str | Path, top_k: int, threshold: float) -> None:
        self.path = Path(path)
        self.part = self.path.with_suffix(".part.csv")
        self.top_k, self.threshold = top_k, threshold

    def __enter__(self) -> "PredictionFile":
        self._file = open(self.part, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        classes = [
            f"{kind}_{k + 1}" for k in range(self.top_k) for kind in ("class", "probability")
        ]
        self._writer.writerow(["file", *classes, "sure", "label", "error"])
        self._file.flush()
        return self

    def write(self, row: Prediction) -> None:
        """Write the line of an image."""
        pairs = zip(row.class_names, row.probabilities, strict=True)
        cells = [cell for name, share in pairs for cell in (name, f"{share:.6f}")]
        cells += [""] * (2 * self.top_k - len(cells))
        sure = "" if row.error else "yes" if row.probability >= self.threshold else "no"
        self._writer.writerow([row.name, *cells, sure, row.label or "", row.error or ""])
        # So that a kill takes no line that was written.
        self._file.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if kind is None:
            os.replace(self.part, self.path)
