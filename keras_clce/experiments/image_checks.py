"""Whether the images that were found are what a run can train and be tested on."""

from typing import Any

from keras_clce.experiments.protocols import Protocol
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.unlabelled import check_labelled_data


def check_images(settings: Settings, dataset: Any, protocol: Protocol, show_views: int = 0) -> None:
    """Refuse data that a run cannot be made with, before anything is trained.

    Args:
        settings: The settings, with a batch size.
        dataset: The data.
        protocol: How the run is tested.
        show_views: How many training images are drawn. Defaults to 0.

    Raises:
        ValueError: If there are too few images, or images without a class.

    Example:
    ```python
    from keras_clce.experiments.protocols import PROTOCOLS
    data = load_dataset("digits", image_size=32)
    check_images(Settings(batch_size=64), data, PROTOCOLS["transfer"])
    ```
    """
    images = dataset.train.num_examples
    for name, value in (("batch_size", settings.batch_size), ("show_views", show_views)):
        if value > images:
            raise ValueError(
                f"--{name} must be at most the number of training images, {images}. "
                f"Received: {name}={value}"
            )
    if settings.images_per_class is not None:
        dataset.train.check_balanced(settings.batch_size, settings.images_per_class)
    check_labelled_data(settings, dataset)
    protocol.check_data(settings, dataset)
