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
        threshold: Probability below which a class is not sure; not used with `score`. Defaults to
            0.5.
        score: Of predictions of enrolled classes, what their scores are, such as `"cosine"`: the
            second column then is the answer, a class or "none of these", and none says whether it
            is sure. Defaults to `None`, probabilities of the model's own classes.
        multi_label: Whether predictions have `labels`: the second column then has them, separated
            by `;` as in a `labels.csv`, and none says whether a class is sure. Defaults to `False`.

    Example:
    ```python
    with PredictionFile("predictions.csv", top_k=2, threshold=0.5) as file:
        for row in iterate_predictions(model, "pets", top_k=2):
            file.write(row)
    Path("predictions.csv").read_text().splitlines()[0]
    # "file,class_1,probability_1,class_2,probability_2,sure,label,error"
    ```
    """

    def __init__(
        self,
        path: str | Path,
        top_k: int,
        threshold: float = 0.5,
        score: str | None = None,
        multi_label: bool = False,
    ) -> None:
        self.path = Path(path)
        self.part = self.path.with_suffix(".part.csv")
        self.top_k, self.threshold, self.score = top_k, threshold, score
        self.multi_label = multi_label

    def __enter__(self) -> "PredictionFile":
        self._file = open(self.part, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        kinds = "class", self.score or "probability"
        classes = [f"{kind}_{k + 1}" for k in range(self.top_k) for kind in kinds]
        said = ["answer", *classes] if self.score else [*classes, "sure"]
        if self.multi_label:
            said = ["labels", *classes]
        self._writer.writerow(["file", *said, "label", "error"])
        self._file.flush()
        return self

    def write(self, row: Prediction) -> None:
        """Write the line of an image."""
        pairs = zip(row.class_names, row.scores or row.probabilities, strict=True)
        cells = [cell for name, share in pairs for cell in (name, f"{share:.6f}")]
        cells += [""] * (2 * self.top_k - len(cells))
        if self.multi_label:
            said = [";".join(row.labels or ()), *cells]
        elif self.score:
            said = [row.class_name or "", *cells]
        else:
            sure = ""
            if not row.error and row.probability is not None:
                sure = "yes" if row.probability >= self.threshold else "no"
            said = [*cells, sure]
        label = row.label or ""
        if self.multi_label:
            label = ";".join(row.photograph.labels or ())
        self._writer.writerow([row.name, *said, label, row.error or ""])
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
