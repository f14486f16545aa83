"""Random changes of images, once for both makers of views.

A change is a value: the numbers of a policy, a method that draws what happens to each image, and
one that does it. Draws come from an object with `uniform`, `normal` and `integers`; the arithmetic
from `ops`, which is `keras.ops` inside the training step and TensorFlow inside `tf.data`, where no
other backend can run.
"""

import dataclasses
from typing import Any, ClassVar

import keras

from keras_clce.views import pixels

Tensor = Any


class Change:
    """A random change of a batch of images in 0..255, as a value that Keras saves.

    Subclasses are frozen dataclasses. `draw` gives what happens to each image as a tuple of tensors
    whose first axis is the batch, `apply` does it.
    """

    def draw(self, draws: Any, batch: Any, image_size: int) -> tuple:
        """Draw what happens to each of `batch` images of the size."""
        raise NotImplementedError

    def apply(self, ops: Any, images: Tensor, drawn: tuple) -> Tensor:
        """Change float32 images `(batch, side, side, 3)` as drawn."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Give the arguments of the constructor."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]  # each change is a dataclass

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Change":
        """Build it from what `get_config` gives."""
        return cls(**config)


@keras.saving.register_keras_serializable("keras_clce")
@dataclasses.dataclass(frozen=True)
class Flip(Change):
    """Mirror images from left to right.

    Args:
        rate: Share of the images. Defaults to 0.5.
    """

    rate: float = 0.5

    def draw(self, draws, batch, image_size):
        """Draw which images are mirrored."""
        return (draws.uniform((batch, 1, 1, 1)) > 1.0 - self.rate,)

    def apply(self, ops, images, drawn):
        """Mirror them."""
        return ops.where(drawn[0], ops.flip(images, 2), images)


@keras.saving.register_keras_serializable("keras_clce")
@dataclasses.dataclass(frozen=True)
class ColorJitter(Change):
    """Change brightness, contrast, saturation and hue, each uniformly about what it is.

    Args:
        brightness: What is added, at most, as a share of the range of values.
        contrast: The factor's largest distance from 1.
        saturation: The factor's largest distance from 1.
        hue: What is added at most, as a share of the circle of hues. Defaults to 0.
        rate: Share of the images that are changed. Defaults to 1.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float = 0.0
    rate: float = 1.0

    def draw(self, draws, batch, image_size):
        """Draw which images change, and the four amounts of each."""
        shape = (batch, 1, 1, 1)
        passing = draws.uniform(shape) < self.rate if self.rate < 1 else None
        brightness = 255.0 * draws.uniform(shape, -self.brightness, self.brightness)
        contrast = draws.uniform(shape, 1.0 - self.contrast, 1.0 + self.contrast)
        # What the colours lose; below 0 they gain.
        loss = draws.uniform(shape, -self.saturation, self.saturation)
        turn = draws.sign((batch,)) * draws.uniform((batch,), 0.0, self.hue) if self.hue else None
        return passing, brightness, contrast, loss, turn

    def apply(self, ops, images, drawn):
        """Change the images that pass."""
        passing, brightness, contrast, loss, turn = drawn
        changed = pixels.brighten(ops, images, brightness)
        changed = pixels.scale_contrast(ops, changed, contrast)
        changed = pixels.weaken_colors(ops, changed, loss)
        if turn is not None:
            changed = pixels.turn_hue(ops, changed, turn)
        return changed if passing is None else ops.where(passing, changed, images)


@keras.saving.register_keras_serializable("keras_clce")
@dataclasses.dataclass(frozen=True)
class Grayscale(Change):
    """Take the colours out of images.

    Args:
        rate: Share of the images.
    """

    rate: float

    def draw(self, draws, batch, image_size):
        """Draw which images lose their colours."""
        return (draws.uniform((batch, 1, 1, 1)) < self.rate,)

    def apply(self, ops, images, drawn):
        """Take the colours out of them."""
        return ops.where(drawn[0], pixels.gray(images), images)


@keras.saving.register_keras_serializable("keras_clce")
@dataclasses.dataclass(frozen=True)
class GaussianBlur(Change):
    """Blur images, each by a width of its own.

    Args:
        rate: Share of the images.
        widths: Smallest and largest standard deviation in pixels, the largest for views of 224
            pixels, and in proportion for others. Defaults to `(0.1, 2.0)`.
    """

    rate: float
    widths: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        # JSON gives a list.
        object.__setattr__(self, "widths", tuple(self.widths))

    def draw(self, draws, batch, image_size):
        """Draw which images are blurred, and the widths."""
        least, most = self.widths
        most = max(2 * least, most * image_size / 224)
        return draws.uniform((batch, 1, 1, 1)) < self.rate, draws.uniform((batch,), least, most)

    def apply(self, ops, images, drawn):
        """Blur the images that pass."""
        passing, widths = drawn
        return ops.where(passing, pixels.blur(ops, images, widths), images)


@keras.saving.register_keras_serializable("keras_clce")
@dataclasses.dataclass(frozen=True)
class RandomOperation(Change):
    """Do one of ten operations to each image: a step of RandAugment, as keras-cv has it.

    | operation | amount |
    |---|---|
    | solarize, weaken the colours, shear across, shear down | normal about the magnitude |
    | contrast, brightness, translate across, translate down | uniform up to the magnitude |
    | stretch the range of each channel, equalise its histogram | none |

    Args:
        magnitude: Mean strength, in 0..1. Defaults to 0.3.
        stddev: Standard deviation of the normal draws. Defaults to 0.15.

    Reference:
        Cubuk et al. 2020 (RandAugment, arXiv 1909.13719).
    """

    magnitude: float = 0.3
    stddev: float = 0.15

    def draw(self, draws, batch, image_size):
        """Draw the number of an operation for each image, and what each of them would do."""
        shape, strength = (batch, 1, 1, 1), self.magnitude
        number = draws.integers((batch,), 10)
        # Beyond 110, solarizing would leave little of an image.
        addition = self._normal(draws, shape, strength, 110.0)
        threshold = self._normal(draws, shape, 1.0 - strength, 255.0)
        loss = self._normal(draws, shape, strength)
        contrast = draws.uniform(shape, 1.0 - strength, 1.0 + strength)
        brightness = 255.0 * draws.uniform(shape, -strength, strength)
        kind = draws.integers((batch, 1), 4)
        shear_across, shear_down = (
            draws.sign((batch, 1)) * self._normal(draws, (batch, 1), strength) for _ in range(2)
        )
        # A translation is drawn along both axes, and is along one.
        _, across = (draws.uniform((batch, 1), -most, most) for most in (0.0, strength))
        down, _ = (draws.uniform((batch, 1), -most, most) for most in (strength, 0.0))
        slides = (kind, shear_across, shear_down, across * image_size, down * image_size)
        return number, (addition, threshold), loss, contrast, brightness, slides

    def _normal(self, draws, shape, mean, scale=1.0):
        return draws.clipped_normal(shape, mean * scale, self.stddev * scale, 0.0, scale)

    def apply(self, ops, images, drawn):
        """Do all operations to all images, and keep the one that was drawn for each."""
        number, *_, slides = drawn
        side = images.shape[1]
        # Products with matrices leave noise in the last bits of a plain channel, which would be
        # stretched from black to white.
        images = ops.round(images * 1024.0) / 1024.0
        changed = self.apply_by_pixel(ops, images, drawn)
        others = (
            pixels.stretch(ops, images),
            pixels.equalize(ops, images),
            pixels.slide(ops, images, *self.shifts(ops, slides, side)),
        )
        number = ops.minimum(ops.reshape(number, (-1, 1, 1, 1)), self.BY_PIXEL + 2)
        for place, output in enumerate(others, start=self.BY_PIXEL):
            changed = ops.where(number == place, output, changed)
        return changed

    # Operations with these numbers look at one pixel at a time; after them come stretch, equalise,
    # and four that slide rows or columns.
    BY_PIXEL: ClassVar[int] = 4

    def apply_by_pixel(self, ops: Any, images: Tensor, drawn: tuple) -> Tensor:
        """Do the first four operations alone; other images stay."""
        number, (addition, threshold), loss, contrast, brightness, _ = drawn
        number = ops.reshape(number, (-1, 1, 1, 1))
        changed = images
        for place, output in enumerate(
            (
                pixels.solarize(ops, images, addition, threshold),
                pixels.weaken_colors(ops, images, loss),
                pixels.scale_contrast(ops, images, contrast),
                pixels.brighten(ops, images, brightness),
            )
        ):
            changed = ops.where(number == place, output, changed)
        return changed

    def shifts(self, ops: Any, slides: tuple, side: int) -> tuple[Tensor, Tensor]:
        """Give the pixels that each line moves by, and whether lines are columns.

        Args:
            ops: Where the arithmetic comes from.
            slides: The last part of what `draw` gives.
            side: Side of the images.

        Returns:
            `(batch, side)` and `(batch, 1)`.
        """
        kind, shear_across, shear_down, across, down = slides
        places = ops.cast(ops.arange(side), "float32")
        sheared = ops.where(kind == 0, shear_across, shear_down) * places
        moved = -ops.where(kind == 2, across, down) + ops.zeros_like(places)
        return ops.where(kind < 2, sheared, moved), (kind == 1) | (kind == 3)


@keras.saving.register_keras_serializable("keras_clce")
@dataclasses.dataclass(frozen=True)
class RandomOperations(Change):
    """Do several random operations to each image, one after another, as RandAugment does.

    Args:
        times: Number of operations.
        magnitude: As in `RandomOperation`, and so is `stddev`. Defaults to 0.3.
        stddev: Defaults to 0.15.
    """

    times: int
    magnitude: float = 0.3
    stddev: float = 0.15

    @property
    def step(self) -> RandomOperation:
        """One of the operations."""
        return RandomOperation(self.magnitude, self.stddev)

    def draw(self, draws, batch, image_size):
        """Draw each operation."""
        return tuple(self.step.draw(draws, batch, image_size) for _ in range(self.times))

    def apply(self, ops, images, drawn):
        """Do them in a loop.

        Without one XLA computes each pixel of a step anew wherever the next step reads it, which
        takes twenty times as long.
        """
        stacked = keras.tree.map_structure(lambda *each: ops.stack(each, axis=0), *drawn)

        def body(number, images):
            own = keras.tree.map_structure(lambda each: each[number], stacked)
            return self.step.apply(ops, images, own)

        return ops.fori_loop(0, self.times, body, images)
