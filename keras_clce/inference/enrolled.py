"""Classes that a model learned from a few photographs without training, as one small file."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.checks import class_labels, finite_array
from keras_clce.data.splitting import named
from keras_clce.evaluate import nearest_neighbors
from keras_clce.inference.descriptions import check_maker
from keras_clce.inference.embedding_index import float32_units
from keras_clce.inference.enroll_classifiers import ENROLL_CLASSIFIERS
from keras_clce.inference.enrolled_files import (
    check_enrolled_names,
    read_enrolled,
    write_enrolled,
)
from keras_clce.inference.rejection import (
    GIVEN,
    LEFT_OUT,
    Recognition,
    Rejection,
    check_false_accept_rate,
    cross_validated_recognition,
    given_rejection,
    rejection_threshold,
    scores_of_left_out_classes,
)
from keras_clce.train import CLCEModel

# Cosine from which on two embeddings are those of one photograph.
_SAME = 1 - 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Enrolled:
    """Classes of a few photographs each, by their embeddings; a value that changes make anew.

    The embeddings are kept, a few kilobytes a photograph, so that a class can be added, renamed or
    removed, and classifier and threshold follow.

    Args:
        embeddings: Embeddings `(photographs, dim)`.
        labels: Their classes `(photographs,)`, from 0 on, none without a photograph.
        class_names: Names of the classes.
        classifier: `"cosine"`, to the mean embedding of a class, or `"logistic"`, a logistic
            regression. Defaults to `"cosine"`.
        rejection: The threshold of "none of these". Defaults to `None`: nothing is rejected.
        false_accept_rate: Share of unknown photographs that may be accepted when it is chosen.
            Defaults to 0.05.
        unknown: Embeddings of unknown photographs `(unknown, dim)` that it is chosen on. Defaults
            to `None`: classes are left out in turn.
        model: Where the model is saved (`"path"`), its `"fingerprint"` and its `"image_size"`.
            Defaults to nothing.
        unreadable: Name and reason of each photograph that was passed over. It is not saved.
            Defaults to none.

    Raises:
        ValueError: If an argument is wrong.

    Example:
    ```python
    enrolled = enroll(model, "pets")
    enrolled.class_names[:2], enrolled.counts[0]  # (("ant", "bee"), 4)
    ```
    """

    embeddings: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    classifier: str = "cosine"
    rejection: Rejection | None = None
    false_accept_rate: float = 0.05
    unknown: np.ndarray | None = None
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        set_field = functools.partial(object.__setattr__, self)
        embeddings = float32_units(finite_array("embeddings", self.embeddings, 2))
        set_field("embeddings", embeddings)
        labels = class_labels("labels", self.labels, len(embeddings), "embeddings")
        set_field("labels", labels.astype("int64"))
        set_field("class_names", check_enrolled_names(self.class_names))
        if not np.array_equal(np.unique(labels), np.arange(len(self.class_names))):
            raise ValueError(
                f"`labels` must have an example of each of {len(self.class_names)} classes. "
                f"Received: labels of {len(np.unique(labels))} classes, up to {labels.max()}"
            )
        if self.classifier not in ENROLL_CLASSIFIERS:
            raise ValueError(
                f"`classifier` must be one of {', '.join(ENROLL_CLASSIFIERS)}. Received: "
                f"classifier={self.classifier!r}"
            )
        least = self._kind.least_classes
        if len(self.class_names) < least:
            raise ValueError(
                f"`classifier` {self.classifier} needs {least} classes or more. Received: "
                f"{', '.join(self.class_names)}"
            )
        check_false_accept_rate(self.false_accept_rate)
        if self.unknown is not None:
            unknown = float32_units(finite_array("unknown", self.unknown, 2))
            if unknown.shape[1] != embeddings.shape[1]:
                raise ValueError(
                    f"`unknown` must have {embeddings.shape[1]} dimensions, as `embeddings`. "
                    f"Received: unknown of shape {unknown.shape}"
                )
            set_field("unknown", unknown)

    @property
    def _kind(self):
        return ENROLL_CLASSIFIERS[self.classifier]

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of photographs of each class."""
        return tuple(np.bincount(self.labels).tolist())

    @property
    def threshold(self) -> float | None:
        """Score below which a photograph is none of the classes; `None`: nothing is rejected."""
        return None if self.rejection is None else self.rejection.threshold

    @property
    def score_name(self) -> str:
        """What a score is: `"cosine"` or `"probability"`."""
        return self._kind.score

    @functools.cached_property
    def _fitted(self):
        return self._kind.fit(self.embeddings.astype("float64"), self.labels)

    def scores(self, embeddings: Any) -> np.ndarray:
        """Score classes for embeddings of the same model.

        Args:
            embeddings: Rows `(photographs, dim)`.

        Returns:
            Scores `(photographs, classes)`; a photograph is of the class with the highest one, if
            that reaches `threshold`.

        Raises:
            ValueError: If they have another dimension or are not finite.

        Example:
        ```python
        Enrolled(np.eye(2), np.array([0, 1]), ("ant", "bee")).scores([[0.6, 0.8]])  # [[0.6, 0.8]]
        ```
        """
        rows = finite_array("embeddings", embeddings, 2).astype("float64")
        if rows.shape[1] != self.embeddings.shape[1]:
            raise ValueError(
                f"`embeddings` must have {self.embeddings.shape[1]} dimensions, as those of the "
                f"enrolled classes. Received: {rows.shape[1]}"
            )
        # A photograph without any feature has no direction, and is like no class.
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return self._fitted(rows / np.maximum(lengths, np.finfo("float32").tiny))

    def with_threshold(self, threshold: float | None = None) -> "Enrolled":
        """Choose the threshold of "none of these", or set one.

        Args:
            threshold: The score. Defaults to `None`: chosen on `unknown` at `false_accept_rate`, or
                where there are no unknown photographs on those of enrolled classes that are left
                out in turn. With a single class there is none.

        Returns:
            Enrolled classes with that threshold.

        Example:
        ```python
        mine = Enrolled(np.eye(2), np.array([0, 1]), ("ant", "bee"), unknown=[[0.6, 0.8]])
        mine.with_threshold().threshold  # 0.8
        mine.with_threshold(0.9).rejection.source  # "given"
        ```
        """
        rate, unknown, source = self.false_accept_rate, None, None
        if self.unknown is not None:
            unknown = self.scores(self.unknown).max(axis=1)
        if threshold is not None:
            return dataclasses.replace(self, rejection=given_rejection(threshold, rate, unknown))
        if unknown is None:
            rows = self.embeddings.astype("float64")
            unknown, source = scores_of_left_out_classes(self._kind, rows, self.labels), LEFT_OUT
        found = None if unknown is None else rejection_threshold(unknown, rate)
        if found is not None and source:
            found = dataclasses.replace(found, source=source)
        return dataclasses.replace(self, rejection=found)

    def with_examples(self, embeddings: Any, names: Sequence[str]) -> "Enrolled":
        """Add embeddings to new classes or to those that are there; the threshold follows.

        Args:
            embeddings: Rows `(photographs, dim)`. What a class has already is left out.
            names: Name of the class of each `(photographs,)`.

        Returns:
            Enrolled classes with these.

        Example:
        ```python
        mine = Enrolled(np.eye(2), np.array([0, 1]), ("ant", "bee"))
        mine.with_examples([[0.6, 0.8]], ["cat"]).class_names  # ("ant", "bee", "cat")
        ```
        """
        rows = float32_units(finite_array("embeddings", embeddings, 2))
        if len(names) != len(rows) or rows.shape[1] != self.embeddings.shape[1]:
            raise ValueError(
                f"`embeddings` must be rows of {self.embeddings.shape[1]} numbers, one for each of "
                f"{len(names)} names. Received: embeddings of shape {rows.shape}"
            )
        known = (*self.class_names, *sorted({*names} - {*self.class_names}))
        numbers = {name: number for number, name in enumerate(known)}
        labels = np.array([numbers[name] for name in names], np.int64)
        nearest, cosines = nearest_neighbors(rows, self.embeddings, 1)
        is_new = (cosines[:, 0] < _SAME) | (self.labels[nearest[:, 0]] != labels)
        return self._changed(
            embeddings=np.concatenate([self.embeddings, rows[is_new]]),
            labels=np.concatenate([self.labels, labels[is_new]]),
            class_names=known,
        )

    def renamed(self, old: str, new: str) -> "Enrolled":
        """Give a class another name.

        Args:
            old: Its name.
            new: Its new name.

        Returns:
            Enrolled classes with that name.

        Example:
        ```python
        mine = Enrolled(np.eye(2), np.array([0, 1]), ("ant", "bee"))
        mine.renamed("bee", "wasp").class_names  # ("ant", "wasp")
        ```
        """
        self._check_known("rename", [old])
        names = tuple(new if name == old else name for name in self.class_names)
        return dataclasses.replace(self, class_names=names)

    def without(self, names: Sequence[str]) -> "Enrolled":
        """Remove classes; the threshold follows.

        Args:
            names: Their names.

        Returns:
            Enrolled classes without these.

        Example:
        ```python
        mine = Enrolled(np.eye(2), np.array([0, 1]), ("ant", "bee"))
        mine.without(["ant"]).class_names  # ("bee",)
        ```
        """
        self._check_known("remove", names)
        kept = [number for number, name in enumerate(self.class_names) if name not in names]
        if len(kept) < self._kind.least_classes:
            raise ValueError(
                f"`remove` must leave {self._kind.least_classes} of the enrolled classes or more. "
                f"Received: {', '.join(names)}, which leaves {len(kept)}"
            )
        rows = np.isin(self.labels, kept)
        return self._changed(
            embeddings=self.embeddings[rows],
            labels=np.searchsorted(kept, self.labels[rows]),
            class_names=tuple(self.class_names[number] for number in kept),
        )

    def recognition(self) -> Recognition | None:
        """What becomes of the enrolled photographs, each scored without itself.

        Returns:
            Counts; `None` where no class has two photographs.

        Example:
        ```python
        Enrolled(embeddings, labels, tuple("abcdefghij")).recognition().photographs  # 240
        ```
        """
        rows = self.embeddings.astype("float64")
        return cross_validated_recognition(self._kind, rows, self.labels, self.threshold)

    def check_model(self, model: CLCEModel, name: str | Path = "this one") -> None:
        """Refuse a model that did not make these embeddings.

        Args:
            model: The model that embeds photographs.
            name: What it is called. Defaults to `"this one"`.

        Raises:
            ValueError: If it has other weights or another preprocessing. Where the model is not
                known nothing is refused.

        Example:
        ```python
        enroll(model, "pets").check_model(model)
        ```
        """
        check_maker(self.model, model, "that the classes were enrolled with", name)

    def save(self, path: str | Path) -> None:
        """Write a `.npz` file, which `Enrolled.load` reads.

        Args:
            path: The file: `embeddings`, `labels`, `class_names`, `unknown` where there are any,
                and `about`, JSON with the classifier, the threshold and the model.

        Raises:
            ValueError: If it is no `.npz` file in a folder that is there.

        Example:
        ```python
        enroll(model, "pets").save("enrolled.npz")
        np.load("enrolled.npz")["class_names"][0]  # "ant"
        ```
        """
        arrays = {
            "embeddings": self.embeddings,
            "labels": self.labels,
            "class_names": np.array(self.class_names),
            "unknown": self.unknown,
        }
        about = {
            "classifier": self.classifier,
            "false_accept_rate": self.false_accept_rate,
            "model": dict(self.model),
        }
        write_enrolled(path, arrays, self.rejection, about)

    @classmethod
    def load(cls, path: str | Path) -> "Enrolled":
        """Load what `save` wrote.

        Args:
            path: The file.

        Returns:
            Enrolled classes.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, or another file.

        Example:
        ```python
        enroll(model, "pets").save("enrolled.npz")
        Enrolled.load("enrolled.npz").counts[0]  # 4
        ```
        """
        arrays, rejection, about = read_enrolled(path)
        try:
            return cls(
                arrays["embeddings"],
                arrays["labels"],
                tuple(map(str, arrays["class_names"])),
                about["classifier"],
                rejection,
                about["false_accept_rate"],
                arrays.get("unknown"),
                about["model"],
            )
        except (KeyError, ValueError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise ValueError(
                f"`enrolled` must be a whole file of enrolled classes ({reason}). Received: "
                f"{str(path)!r}"
            ) from None

    def _changed(self, **changes: Any) -> "Enrolled":
        """Other classes, with the threshold chosen again unless it was given."""
        changed = dataclasses.replace(self, **changes)
        is_given = self.rejection is not None and self.rejection.source == GIVEN
        return changed.with_threshold(self.threshold if is_given else None)

    def _check_known(self, argument: str, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.class_names:
                raise ValueError(
                    f"`{argument}` must name enrolled classes, {named(self.class_names)}. "
                    f"Received: {name!r}"
                )
