"""A trained model with what its run tells of its data, and images that it was trained on."""

from pathlib import Path

import numpy as np

from keras_clce.data.splitting import class_balanced_subset
from keras_clce.experiments.confusions.images import SplitSet
from keras_clce.experiments.embeddings.sources import ShownData, Source, load_sources
from keras_clce.experiments.photograph_flags import load_named_model, name_of


def load_source(path: str) -> Source:
    """Load the model of a flag, with what its run tells of its data.

    Args:
        path: A `.keras` file, the folder of a preset, or `hf://OWNER/NAME`.

    Returns:
        The model.

    Raises:
        ValueError: If it is no model.

    Example:
    ```python
    load_source("model.keras").model.num_classes  # 10
    ```
    """
    name = name_of(path)
    if not path.endswith(".keras"):
        return Source(name, "in memory", load_named_model(path))
    try:
        (source,) = load_sources({name: str(Path(path).expanduser())})
    except ValueError as error:
        raise ValueError(str(error).replace("`models`", "`model`")) from error
    return source


def trained_examples(path: str, per_class: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Embeddings of some images of each class that a model was trained on.

    Args:
        path: As in `load_source`.
        per_class: Most images of each class.
        seed: Seed of the draw. Defaults to 0.

    Returns:
        Embeddings `(images, dim)` and the name of the class of each.

    Raises:
        ValueError: If no run stands beside the model, or it is one of few-shot tasks.

    Example:
    ```python
    try:
        trained_examples("model.keras", per_class=5)
    except ValueError as error:
        str(error)  # "`trained_images` needs a model in the folder of its run…"
    ```
    """
    source = load_source(path)
    if not source.run or source.run["is_few_shot"]:
        raise ValueError(
            "`trained_images` needs a model in the folder of its run of recipes/transfer.py, which "
            f"tells its training split. Received: {path}"
        )
    data = ShownData([source])
    names = data.trained_classes(source.name)
    images = SplitSet(data, "train", per_class * len(names), seed)
    outputs, labels = images.outputs(source, 64)
    # Where classes are of different sizes, large ones have more.
    kept = class_balanced_subset(labels, None, seed, per_class)
    return outputs.embeddings[kept], [names[label] for label in labels[kept]]
