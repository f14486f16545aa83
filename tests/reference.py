"""The losses once more, as float64 NumPy loops that follow the formulas word for word.

Nothing here is shared with the package. The formulas are written as they stand on paper, with plain
exponentials: in float64 they hold down to a temperature of 0.01. The gradients are derived by hand,
and `test_oracle.py` compares them with central differences.

    LACLN_i = -1/|P| sum_p [ s_ip - log D_i ],  D_i = sum_q e^{s_iq} + sum_k w_ik e^{s_ik}
    w_ik    = e^{beta s_ik} / mean_m e^{beta s_im}
    H-SCL_i = -1/|P| sum_p [ s_ip - log(e^{s_ip} + (N - 2) sum_k w'_ik e^{s_ik}) ],  sum_k w'_ik = 1
"""

import math

import numpy as np


def class_ids(labels):
    """Classes `(N,)` of labels `(N,)`, `(N, 1)` or one-hot `(N, C)`."""
    ids = []
    for row in np.asarray(labels):
        row = np.atleast_1d(row)
        ids.append(int(row[0]) if len(row) == 1 else int(np.argmax(row)))
    return ids


def unit_rows(x):
    """Rows over their norm; a zero row stays zero."""
    rows = []
    for row in np.asarray(x, dtype="float64"):
        norm = math.sqrt(sum(float(value) ** 2 for value in row))
        rows.append(row / norm if norm > 0 else row)
    return np.array(rows)


def cosines(x):
    """Cosine similarity of each pair of rows."""
    z = unit_rows(x)
    table = np.zeros((len(z), len(z)))
    for i in range(len(z)):
        for j in range(i + 1):
            table[i, j] = table[j, i] = z[i] @ z[j]
    return table


def positives_and_negatives(labels):
    """For each anchor, the list of its positives and the list of its negatives."""
    ids = class_ids(labels)
    positives, negatives = [], []
    for i, anchor in enumerate(ids):
        positives.append([j for j, other in enumerate(ids) if other == anchor and j != i])
        negatives.append([j for j, other in enumerate(ids) if other != anchor])
    return positives, negatives


def lacln(labels, x, temperature=0.5, hardness=1.0, positive_sum="outside"):
    """Value of each anchor (0 without a positive), and which anchors have a positive."""
    values, counted, _ = _lacln(labels, x, temperature, hardness, positive_sum)
    return values, counted


def lacln_gradient(
    labels, x, temperature=0.5, hardness=1.0, positive_sum="outside", anchor_weights=None
):
    """Gradient with respect to `x` of the sum of the anchors' values times `anchor_weights`.

    Without weights, of the mean over the anchors that have a positive.
    """
    _, counted, slopes = _lacln(labels, x, temperature, hardness, positive_sum)
    return _embedding_gradient(slopes, x, temperature, counted, anchor_weights)


def hscl(labels, x, temperature=0.5, hardness=1.0, threshold=None):
    """Value of each anchor (0 without a positive), and which anchors have a positive."""
    values, counted, _ = _hscl(labels, x, temperature, hardness, threshold)
    return values, counted


def hscl_gradient(labels, x, temperature=0.5, hardness=1.0, threshold=None, anchor_weights=None):
    """As `lacln_gradient`."""
    _, counted, slopes = _hscl(labels, x, temperature, hardness, threshold)
    return _embedding_gradient(slopes, x, temperature, counted, anchor_weights)


def mean_over_counted(values, counted):
    """Mean over the anchors that have a positive, 0 if there is none."""
    included = [value for value, counts in zip(values, counted, strict=True) if counts]
    return sum(included) / len(included) if included else 0.0


def cross_entropy(labels, logits, label_smoothing=0.0):
    """Softmax cross-entropy of each row."""
    values = []
    for label, row in zip(class_ids(labels), np.asarray(logits, dtype="float64"), strict=True):
        log_total = max(row) + math.log(sum(math.exp(value - max(row)) for value in row))
        value = 0.0
        for column, logit in enumerate(row):
            share = (1.0 - label_smoothing) * (column == label) + label_smoothing / len(row)
            value -= share * (logit - log_total)
        values.append(value)
    return np.array(values)


def cross_entropy_gradient(labels, logits, label_smoothing=0.0):
    """Gradient of the mean cross-entropy with respect to the logits."""
    gradient = np.zeros(np.shape(logits))
    for i, (label, row) in enumerate(
        zip(class_ids(labels), np.asarray(logits, dtype="float64"), strict=True)
    ):
        total = sum(math.exp(value - max(row)) for value in row)
        for column, logit in enumerate(row):
            share = (1.0 - label_smoothing) * (column == label) + label_smoothing / len(row)
            gradient[i, column] = (math.exp(logit - max(row)) / total - share) / len(gradient)
    return gradient


def central_differences(function, x, step=1e-6):
    """Gradient of a scalar function of `x`, one entry at a time."""
    x = np.array(x, dtype="float64")
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + step
        above = function(x)
        x[index] = kept - step
        below = function(x)
        x[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient


def _lacln(labels, x, temperature, hardness, positive_sum):
    s = cosines(x) / temperature
    values, counted, slopes = np.zeros(len(s)), np.zeros(len(s), dtype=bool), np.zeros_like(s)
    for i, (positives, negatives) in enumerate(zip(*positives_and_negatives(labels), strict=True)):
        if not positives:
            continue
        counted[i] = True
        row = s[i].tolist()
        tilt = {k: math.exp(hardness * row[k]) for k in negatives}
        total_tilt = sum(tilt.values())
        # w_ik e^{s_ik} of each negative.
        terms = {k: len(negatives) * tilt[k] / total_tilt * math.exp(row[k]) for k in negatives}
        total_terms = sum(terms.values())
        total_positives = sum(math.exp(row[q]) for q in positives)
        denominator = total_positives + total_terms
        if positive_sum == "outside":
            values[i] = -sum(row[p] - math.log(denominator) for p in positives) / len(positives)
        else:
            values[i] = -math.log(total_positives / len(positives) / denominator)
        for p in positives:
            attraction = 1 / len(positives)
            if positive_sum == "inside":
                attraction = math.exp(row[p]) / total_positives
            slopes[i, p] = math.exp(row[p]) / denominator - attraction
        for k in negatives:
            # d/ds_ik of sum_m w_im e^{s_im}: the weights' normaliser depends on s_ik too.
            slope = (1 + hardness) * terms[k] - hardness * tilt[k] / total_tilt * total_terms
            slopes[i, k] = slope / denominator
    return values, counted, slopes


def _hscl(labels, x, temperature, hardness, threshold):
    cosine = cosines(x)
    s = cosine / temperature
    if threshold is not None:
        hardness = 0.0  # the weights are constants: they have no slope of their own
    values, counted, slopes = np.zeros(len(s)), np.zeros(len(s), dtype=bool), np.zeros_like(s)
    for i, (positives, negatives) in enumerate(zip(*positives_and_negatives(labels), strict=True)):
        if not positives:
            continue
        counted[i] = True
        row = s[i].tolist()
        if threshold is None:
            tilt = {k: math.exp(hardness * row[k]) for k in negatives}
        else:
            reaching = [k for k in negatives if cosine[i, k] >= threshold] or negatives
            tilt = {k: float(k in reaching) for k in negatives}
        total_tilt = sum(tilt.values())
        terms = {k: (len(s) - 2) * tilt[k] / total_tilt * math.exp(row[k]) for k in negatives}
        total_terms = sum(terms.values())
        for p in positives:
            denominator = math.exp(row[p]) + total_terms
            values[i] -= (row[p] - math.log(denominator)) / len(positives)
            slopes[i, p] = (math.exp(row[p]) / denominator - 1) / len(positives)
            for k in negatives:
                slope = (1 + hardness) * terms[k] - hardness * tilt[k] / total_tilt * total_terms
                slopes[i, k] += slope / denominator / len(positives)
    return values, counted, slopes


def _embedding_gradient(slopes, x, temperature, counted, anchor_weights):
    """From dL_i/ds_ij, `slopes`, to the gradient with respect to the rows before normalisation."""
    x = np.asarray(x, dtype="float64")
    if anchor_weights is None:
        anchor_weights = [counts / max(sum(counted), 1) for counts in counted]
    weighted = slopes * np.asarray(anchor_weights, dtype="float64")[:, None]
    z = unit_rows(x)
    gradient = np.zeros_like(x)
    for i in range(len(x)):
        norm = math.sqrt(sum(float(value) ** 2 for value in x[i]))
        if norm == 0:
            continue
        towards = np.zeros(x.shape[1])
        for j in range(len(x)):
            # s_ij is in row i as the anchor's and in row j as the other's.
            towards += (weighted[i, j] + weighted[j, i]) * z[j] / temperature
        gradient[i] = (towards - (towards @ z[i]) * z[i]) / norm
    return gradient
