"""Labels of every dtype, shape and value, given to all that takes labels."""

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import reference
from mutations import outcome

from keras_clce import CLCELoss, CLCEModel, HSCLLoss, LACLNLoss, SupConLoss
from keras_clce.data import ClassBalancedBatches
from keras_clce.data.image_split import ImageSplit
from keras_clce.evaluate import (
    few_shot_accuracy,
    linear_probe,
    nearest_neighbor_accuracy,
    top_k_accuracy,
)

ROWS, CLASSES, DIM = 8, 5, 4
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
OTHERS = ("bool", "float16", "float32", "float64", "complex64", "object", "str", "datetime64[s]")
ODD = (-1, CLASSES, 127, -128, 0.5, 1e-9, np.nan, np.inf, -np.inf, 2.0**31, 2.0**53, 1e300)


def labels_of(rng: np.random.Generator) -> np.ndarray:
    """Labels that are often right, and else of another dtype, shape or value."""
    rows = ROWS if rng.random() < 0.85 else int(rng.integers(0, 12))
    values = rng.integers(0, rng.integers(1, CLASSES + 1), rows).astype(float)
    if rows and rng.random() < 0.3:
        values[rng.integers(rows, size=rng.integers(1, 3))] = rng.choice(ODD)
    shape = rng.choice(["rows", "column", "one-hot", "other"], p=[0.4, 0.15, 0.3, 0.15])
    if shape == "column":
        values = values[:, None]
    elif shape == "one-hot":
        columns = CLASSES if rng.random() < 0.8 else int(rng.integers(0, 9))
        values = (values[:, None] == np.arange(columns)).astype(float)
        if values.size and rng.random() < 0.3:
            values.flat[rng.integers(values.size)] = rng.choice((0.5, 1, 2, -1, np.nan))
    elif shape == "other":
        forms = [values[None], values[:, None, None], np.empty(0), np.array(1.0)]
        values = forms[rng.integers(len(forms))]
    with np.errstate(all="ignore"):
        return values.astype(str(rng.choice(INTEGERS if rng.random() < 0.6 else OTHERS)))


def classes_of(labels: np.ndarray) -> list[int] | None:
    """The classes that labels of a loss mean, or `None` if they are not as documented."""
    if labels.dtype.kind not in "biuf" or labels.shape[:1] != (ROWS,) or labels.ndim > 2:
        return None
    if labels.ndim == 2 and labels.shape[1] != 1:
        hot = [row.tolist() for row in labels]
        right = all(sorted(map(float, row)) == [0.0] * (len(row) - 1) + [1.0] for row in hot)
        return [row.index(1) for row in hot] if right and labels.shape[1] else None
    values = labels.reshape(-1).tolist()
    whole = all(np.isfinite(float(value)) and float(value).is_integer() for value in values)
    return [int(value) for value in values] if whole else None


def integers(labels: np.ndarray) -> bool:
    """Whether labels are whole numbers, one a row."""
    return labels.dtype.kind in "iu" and labels.shape == (ROWS,)


def make(folder: Path) -> Callable[[np.random.Generator], str]:
    """The cases of this domain."""
    # NumPy's and scikit-learn's remarks on values that are refused in the next line.
    warnings.simplefilter("ignore")
    inputs = keras.Input((6, 6, 3))
    model = CLCEModel(keras.Model(inputs, keras.layers.Conv2D(DIM, 3)(inputs)), CLASSES)
    model.compile("sgd", loss=CLCELoss(), run_eagerly=True)
    images = np.random.default_rng(0).normal(size=(ROWS, 6, 6, 3)).astype("float32")
    pixels = np.zeros((ROWS, 6, 6, 3), np.uint8)

    def contrastive(labels, rng):
        rows = rng.normal(size=(ROWS, DIM))
        loss, oracle = (
            (LACLNLoss(), reference.lacln),
            (SupConLoss(), lambda y, x: reference.lacln(y, x, hardness=0.0)),
            (HSCLLoss(), reference.hscl),
        )[rng.integers(3)]
        given = labels.tolist() if rng.random() < 0.3 else labels
        kind, value = outcome(lambda: float(loss(given, rows.astype("float32"))), ValueError)
        classes = classes_of(np.asarray(given))
        assert (kind == "ok") == (classes is not None), f"{kind} for {given!r}"
        if kind == "ok" and min(classes) < 0:
            assert np.isnan(value), f"{value} for a negative class, {given!r}"
        elif kind == "ok":
            expected = reference.mean_over_counted(*oracle(classes, rows))
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
        return kind

    def joined(labels, rng):
        outputs = {
            "embedding": rng.normal(size=(ROWS, DIM)),
            "logits": rng.normal(size=(ROWS, CLASSES)),
        }
        given = {name: value.astype("float32") for name, value in outputs.items()}
        kind, value = outcome(lambda: float(CLCELoss()(labels, given)), ValueError)
        classes = classes_of(labels)
        if classes is not None and labels.ndim == 2 and labels.shape[1] not in (1, CLASSES):
            classes = None
        assert (kind == "ok") == (classes is not None), f"{kind} for {labels!r}"
        if kind != "ok":
            return kind
        if not all(0 <= c < CLASSES for c in classes):
            assert np.isnan(value), f"{value} for a class out of range, {labels!r}"
            return "NaN, for a class out of range"
        part = reference.mean_over_counted(*reference.lacln(classes, outputs["embedding"]))
        entropy = np.mean(reference.cross_entropy(classes, outputs["logits"]))
        np.testing.assert_allclose(value, 0.1 * entropy + 0.9 * part, rtol=1e-4, atol=1e-5)
        return kind

    def fit(labels, rng):
        before = model.get_weights()
        kind, history = outcome(
            lambda: model.fit(images, labels, batch_size=ROWS, verbose=0), ValueError
        )
        if kind == "ok":
            classes = classes_of(labels)
            assert classes and all(0 <= c < CLASSES for c in classes), f"fit took {labels!r}"
            assert np.isfinite(history.history["loss"][0])
        model.set_weights(before)
        return kind

    def split(labels, rng):
        kind, made = outcome(lambda: ImageSplit(pixels, labels, image_size=6), ValueError)
        if labels.ndim == 2:  # of several labels
            right = labels.dtype.kind in "biuf" and len(labels) == ROWS and labels.shape[1] > 1
            right = right and all(value in (0, 1) for row in labels.tolist() for value in row)
        else:
            right = labels.dtype.kind in "iuf" and labels.shape == (ROWS,)
            right = right and all(
                np.isfinite(value) and value == int(value) and abs(value) < 2**63
                for value in labels.tolist()
            )
        assert (kind == "ok") == right, f"{kind} for {labels!r}"
        if kind == "ok":
            np.testing.assert_array_equal(made.labels, labels)
        return kind

    def balanced(labels, rng):
        kind, batches = outcome(
            lambda: ClassBalancedBatches(pixels, labels, batch_size=4, images_per_class=2),
            ValueError,
        )
        assert kind != "ok" or integers(labels), f"{kind} for {labels!r}"
        if kind == "ok":
            _, drawn = batches[0]
            assert sorted(np.unique(drawn, return_counts=True)[1]) == [2, 2]
        return kind

    def top_k(labels, rng):
        scores = rng.normal(size=(ROWS, CLASSES))
        kind, value = outcome(lambda: top_k_accuracy(labels, scores), ValueError)
        right = integers(labels) and all(0 <= label < CLASSES for label in labels.tolist())
        assert (kind == "ok") == right, f"{kind} for {labels!r}"
        if kind == "ok":
            assert value == np.mean(scores.argmax(1) == labels)
        return kind

    def neighbors(labels, rng):
        if labels.dtype.kind == "c":
            return "left to scikit-learn, which prints all of them"
        rows = rng.normal(size=(ROWS, DIM))
        right = np.arange(ROWS) % 2
        both = [(labels, right), (right, labels)][rng.integers(2)]
        search = [
            lambda: nearest_neighbor_accuracy(rows, both[0], rows, both[1]),
            lambda: linear_probe(rows, both[0], rows, both[1]).score(rows, right),
        ][rng.integers(2)]
        kind, value = outcome(search, ValueError, TypeError)
        assert kind != "ok" or 0 <= value <= 1
        return kind

    def few_shot(labels, rng):
        rows = rng.normal(size=(ROWS, DIM))
        options = {"ways": 2, "shots": 1, "queries": 1, "tasks": 3}
        kind, value = outcome(lambda: few_shot_accuracy(rows, labels, **options), ValueError)
        assert kind != "ok" or (integers(labels) and 0 <= value.mean <= 1)
        return kind

    targets = {
        "contrastive losses": (contrastive, 0.25),
        "CLCELoss": (joined, 0.25),
        "CLCEModel.fit": (fit, 0.1),
        "ImageSplit": (split, 0.1),
        "ClassBalancedBatches": (balanced, 0.05),
        "top_k_accuracy": (top_k, 0.1),
        "probes": (neighbors, 0.05),
        "few_shot_accuracy": (few_shot, 0.1),
    }

    def case(rng: np.random.Generator) -> str:
        names = list(targets)
        name = names[rng.choice(len(names), p=[share for _, share in targets.values()])]
        return f"{name}: {targets[name][0](labels_of(rng), rng)}"

    return case
