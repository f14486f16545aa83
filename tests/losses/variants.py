"""The losses with weights of pairs in place of classes, as float64 loops.

    a_ij: how much j is a positive of i;  b_ij: how much it is a negative;  0 for what is neither
    LACLN_i  = -1/sum_p a_ip  sum_p a_ip [ s_ip - log D_i ]
    D_i      = sum_q a_iq e^{s_iq} + sum_k b_ik w_ik e^{s_ik}
    w_ik     = e^{beta s_ik} sum_m b_im / sum_m b_im e^{beta s_im}
    H-SCL_i  = -1/sum_p a_ip  sum_p a_ip [ s_ip - log(e^{s_ip} + M sum_k w'_ik e^{s_ik}) ]
    w'_ik    = b_ik e^{beta s_ik} / sum_m b_im e^{beta s_im},  M = N - 2, or sum_m b_im for SINCERE

Gradients are central differences; weights that pass no gradient stay as they were.
"""

import math

import numpy as np
import reference


def by_class(labels, others=None):
    """Tables of positives and negatives of classes; `others`, classes of a memory, follow."""
    every = [*labels, *([] if others is None else others)]
    a, b = np.zeros((len(labels), len(every))), np.zeros((len(labels), len(every)))
    for i, mine in enumerate(labels):
        for j, other in enumerate(every):
            if i != j and other >= 0:
                (a if mine == other else b)[i, j] = 1.0
    return a, b


def by_view(labels):
    """Of the positives the other of the rows 2k and 2k + 1 alone."""
    a, b = by_class(labels)
    for i in range(len(a)):
        for j in range(len(a)):
            if i // 2 != j // 2:
                a[i, j] = 0.0
    return a, b


def by_overlap(rows):
    """Of soft labels."""
    a, b = np.zeros((len(rows),) * 2), np.zeros((len(rows),) * 2)
    for i, mine in enumerate(rows):
        for j, other in enumerate(rows):
            if i != j:
                a[i, j] = sum(float(p) * float(q) for p, q in zip(mine, other, strict=True))
                b[i, j] = 1.0 - a[i, j]
    return a, b


def lacln(s, tables, hardness=1.0, positive_sum="outside", tilts_of=None):
    """Value of each anchor, 0 without a positive; weights are made of `tilts_of`, if given."""
    values = np.zeros(len(s))
    for i, (a, b) in enumerate(zip(*tables, strict=True)):
        total = sum(a)
        if not total:
            continue
        denominator = sum(a[q] * math.exp(s[i, q]) for q in range(len(a)))
        denominator += sum(b) * _mean_of_negatives(s, tilts_of, i, b, hardness)
        if positive_sum == "outside":
            terms = (a[p] * (s[i, p] - math.log(denominator)) for p in range(len(a)))
            values[i] = -sum(terms) / total
        else:
            inside = sum(a[p] / total * math.exp(s[i, p]) for p in range(len(a)))
            values[i] = -math.log(inside / denominator)
    return values


def hscl(s, tables, hardness=1.0, times=None, reaching=None, tilts_of=None):
    """Value of each anchor; `times` is M, by default the sum of the negatives."""
    values = np.zeros(len(s))
    for i, (a, b) in enumerate(zip(*tables, strict=True)):
        total = sum(a)
        if not total:
            continue
        if reaching is not None:
            some = b * reaching[i]
            b = some if sum(some) else b
        hard = _mean_of_negatives(s, tilts_of, i, b, hardness)
        hard *= sum(b) if times is None else times
        for p in range(len(a)):
            if a[p]:
                denominator = math.exp(s[i, p]) + hard
                values[i] -= a[p] / total * (s[i, p] - math.log(denominator))
    return values


def similarities(x, temperature, memory=None):
    """Cosines over the temperature, of the rows with themselves and with those of a memory."""
    z = reference.unit_rows(x)
    every = z if memory is None else np.concatenate([z, reference.unit_rows(memory)])
    return np.array([[float(mine @ other) for other in every] for mine in z]) / temperature


def mean(values, tables):
    """Mean over the anchors that have a positive."""
    return reference.mean_over_counted(values, tables[0].sum(axis=1) > 0)


def _mean_of_negatives(s, tilts_of, i, b, hardness):
    tilts = (s if tilts_of is None else tilts_of)[i]
    weights = [b[k] * math.exp(hardness * tilts[k]) if b[k] else 0.0 for k in range(len(b))]
    if not sum(weights):
        return 0.0
    weighted = sum(w * math.exp(s[i, k]) for k, w in enumerate(weights) if w)
    return weighted / sum(weights)
