"""The policies that make views: their numbers, once for all makers, and checks of what these take.

| policy | what it does |
|---|---|
| `none` | what evaluation shows: the middle of the image, nothing random |
| `light` | random resized crop (area 0.25 to 1, aspect 3:4 to 4:3), flip, mild colour jitter |
| `simclr` | crop (area 0.08 to 1), flip, strong jitter (rate 0.8), gray (0.2), blur (0.5) |
| `randaugment` | crop of `light`, flip, two RandAugment operations of magnitude 0.3 |
"""

import dataclasses

from keras_clce.checks import is_whole_number
from keras_clce.views.changes import (
    Change,
    ColorJitter,
    Flip,
    GaussianBlur,
    Grayscale,
    RandomOperations,
)


@dataclasses.dataclass(frozen=True)
class Policy:
    """What is done to an image to make a random view of it.

    Args:
        area: Smallest and largest share of the image's area that a crop keeps.
        changes: What is done to the crop, in order. A flip comes first, where images may be
            mirrored.
        aspect_ratio: Smallest and largest width / height of a crop.
    """

    area: tuple[float, float]
    changes: tuple[Change, ...]
    aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def changes_with(self, flip: bool) -> tuple[Change, ...]:
        """Give the changes, with a flip before them where images may be mirrored."""
        return (Flip(), *self.changes) if flip else self.changes


# The jitter of `simclr` has the strengths of Khosla et al. 2020 (SupCon, arXiv 2004.11362), and the
# rates and the blur those of Chen et al. 2020 (SimCLR, arXiv 2002.05709).
POLICIES = {
    "none": None,
    "light": Policy((0.25, 1.0), (ColorJitter(0.08, 0.15, 0.15),)),
    "simclr": Policy(
        (0.08, 1.0),
        (
            ColorJitter(0.2, 0.4, 0.4, hue=0.1, rate=0.8),
            Grayscale(0.2),
            GaussianBlur(0.5, widths=(0.1, 2.0)),
        ),
    ),
    "randaugment": Policy((0.25, 1.0), (RandomOperations(2, magnitude=0.3),)),
}
VIEW_POLICIES = tuple(POLICIES)


def check_policy(policy: str) -> None:
    """Check the name of a policy.

    Raises:
        ValueError: If it is not one of `VIEW_POLICIES`.
    """
    if policy not in VIEW_POLICIES:
        raise ValueError(
            f"`policy` must be one of {', '.join(VIEW_POLICIES)}. Received: policy={policy!r}"
        )


def check_image_size(image_size: int) -> None:
    """Check the side of the images.

    Raises:
        ValueError: If it is not a positive integer.
    """
    if not is_whole_number(image_size, 1):
        raise ValueError(
            f"`image_size` must be a positive integer. Received: image_size={image_size!r}"
        )
