"""How evenly embeddings fill their space."""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from keras_clce.checks import finite_array

# At 768 dimensions a table of so many rows takes 25 MB, of which a few exist at a time.
_ROWS = 4096


def isotropy_score(embeddings: Any) -> float:
    """How evenly embeddings point in all directions, by their partition function.

    With Z(c) = Σ exp(c · v) over the embeddings v, the score is the smallest Z over the largest,
    c running over the eigenvectors of VᵀV in both directions. 1 is a cloud without a preferred
    direction. A few thousand rows are read at a time, so that beside the embeddings themselves
    memory grows with their dimension alone.

    Args:
        embeddings: Array `(examples, dim)`, usually of unit rows.

    Returns:
        A number within (0, 1].

    Raises:
        ValueError: If the array is of another shape or holds values that are not finite.

    Reference:
        - [Mu and Viswanath 2018](https://arxiv.org/abs/1702.01417), which
          [CLCE](https://arxiv.org/abs/2402.14551) takes it from

    Example:
    ```python
    isotropy_score(np.concatenate([np.eye(3), -np.eye(3)]))  # 1.0
    ```
    """
    embeddings = finite_array("embeddings", embeddings, ndim=2)
    dim = embeddings.shape[1]
    moments = np.zeros((dim, dim))
    for rows in _chunks(embeddings):
        moments += rows.T @ rows
    _, directions = np.linalg.eigh(moments)
    log_partition = np.full((2, dim), -np.inf)
    for rows in _chunks(embeddings):
        projections = rows @ directions
        for way, sign in enumerate((1, -1)):
            of_rows = logsumexp(sign * projections, axis=0)
            log_partition[way] = np.logaddexp(log_partition[way], of_rows)
    return float(np.exp(log_partition.min() - log_partition.max()))


def _chunks(embeddings):
    for start in range(0, len(embeddings), _ROWS):
        yield embeddings[start : start + _ROWS].astype("float64")
