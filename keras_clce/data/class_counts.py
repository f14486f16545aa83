"""How many training images each class has, without decoding any."""

import pathlib
from collections.abc import Sequence

import numpy as np

from keras_clce.data import catalog
from keras_clce.data.installed import tensorflow
from keras_clce.data.request_checks import check_request
from keras_clce.data.spec import LoadRequest
from keras_clce.data.splitting import limited, strata


def class_counts(
    name: str,
    *,
    few_shot: bool = False,
    data_dir: str | pathlib.Path | None = None,
    split_seed: int = 0,
    limit_examples: int | None = None,
    strict: bool = False,
    drop_small_classes: int | None = None,
    limit_per_class: int | None = None,
    multi_label: bool = False,
) -> np.ndarray:
    """Count the training images of each class.

    Args:
        name: A name of `list_datasets()`.
        few_shot: Whether the base classes of a few-shot benchmark are meant. Defaults to False.
        data_dir: As in `load_dataset`, and so are the others.
        split_seed: Defaults to 0.
        limit_examples: Defaults to None.
        strict: Defaults to False.
        drop_small_classes: Defaults to None.
        limit_per_class: Defaults to None.
        multi_label: Defaults to False.

    Returns:
        Their numbers (classes,).

    Raises:
        ValueError: If an argument is out of range, or the data set is not for this.
        FileNotFoundError: If the data are not there.

    Example:
    ```python
    class_counts("digits").sum()  # 1259
    ```
    """
    spec = catalog.get_spec(name)
    folder = check_request(limit_examples, data_dir, drop_small_classes, limit_per_class)
    tensorflow("Loading a data set")
    request = LoadRequest(spec, folder, split_seed, strict, drop_small_classes, multi_label)
    names: Sequence[str]
    classes: Sequence[int]
    if few_shot and spec.few_shot_loader is not None:
        source, names, parts, _ = spec.few_shot_loader(request)
        classes = [names.index(one) for one in parts["train"]]
        labels = source.read_labels()
        labels = labels[np.isin(labels, classes)]
    elif not few_shot and spec.loader is not None:
        names, splits, *_ = spec.loader(request)
        labels, classes = splits["train"].read_labels(), range(len(names))
    else:
        what = "few-shot tasks" if few_shot else "the classes that are trained"
        raise ValueError(f"`name` must be a data set for {what}. Received: name={name!r}")
    kept, _ = limited(strata(labels), limit_examples, limit_per_class, split_seed, "training")
    if labels.ndim == 2:
        return labels[kept].sum(axis=0)
    return np.bincount(labels[kept], minlength=len(names))[list(classes)]
