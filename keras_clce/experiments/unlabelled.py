"""Images without a class in the data of a run."""

from typing import Any

from keras_clce.experiments.settings import Settings


def check_labelled_data(settings: Settings, dataset: Any) -> None:
    """Refuse images without a class, where labels are known before the images are read.

    Args:
        settings: The settings.
        dataset: The data.

    Raises:
        ValueError: If images to validate or test on have no class, or images to train on have none
            and the settings do not say `ignore_unlabelled`.

    Example:
    ```python
    check_labelled_data(Settings(), load_dataset("digits", image_size=32))
    ```
    """
    # The test split stays unread where it is not tested.
    for name in ("train", "validation", *(["test"] if settings.test else [])):
        split = getattr(dataset, name, None)
        labels = getattr(split, "labels", None)
        if labels is None or labels.ndim > 1 or not (labels < 0).any():
            continue
        found = f"{(labels < 0).sum()} of the {len(labels)} {name} images have no class (-1)"
        if name != "train":
            raise ValueError(
                f"The {name} images must have a class each, of which accuracy is. Received: {found}"
            )
        if not settings.ignore_unlabelled:
            raise ValueError(
                f"{found}. --ignore_unlabelled trains past them. "
                f"Received: ignore_unlabelled={settings.ignore_unlabelled}"
            )
