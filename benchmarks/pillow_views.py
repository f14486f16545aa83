"""The policies of views written with Pillow, as PyTorch's users have them."""

import random

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

# Resampling of Pillow that corresponds to bilinear samples, which it antialiases.
BILINEAR = Image.Resampling.BILINEAR


def _jitter(image, brightness, contrast, saturation, hue):
    draw = random.uniform
    shift = 255 * draw(-brightness, brightness)
    image = image.point(lambda value: value + shift)
    image = ImageEnhance.Contrast(image).enhance(1 + draw(-contrast, contrast))
    image = ImageEnhance.Color(image).enhance(1 + draw(-saturation, saturation))
    if hue:
        channels = list(image.convert("HSV").split())
        turn = round(255 * draw(-hue, hue))
        channels[0] = channels[0].point(lambda value: (value + turn) % 256)
        image = Image.merge("HSV", channels).convert("RGB")
    return image


def shear(image, along_x, factor):
    shear_factor = factor * random.choice((-1, 1))
    matrix = (1, shear_factor, 0, 0, 1, 0) if along_x else (1, 0, 0, shear_factor, 1, 0)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, BILINEAR)


def translate(image, along_x, factor):
    shift = random.uniform(-factor, factor) * image.width
    matrix = (1, 0, shift, 0, 1, 0) if along_x else (1, 0, 0, 0, 1, shift)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, BILINEAR)


def strength(magnitude=0.3, deviation=0.15):
    return min(max(random.gauss(magnitude, deviation), 0.0), 1.0)


RAND_AUGMENT = (
    ImageOps.autocontrast,
    ImageOps.equalize,
    lambda image: ImageOps.solarize(image, round(255 * (1 - strength()))),
    lambda image: ImageEnhance.Color(image).enhance(1 - strength()),
    lambda image: ImageEnhance.Contrast(image).enhance(random.uniform(0.7, 1.3)),
    lambda image: ImageEnhance.Brightness(image).enhance(random.uniform(0.7, 1.3)),
    lambda image: shear(image, True, strength()),
    lambda image: shear(image, False, strength()),
    lambda image: translate(image, True, 0.3),
    lambda image: translate(image, False, 0.3),
)


def pillow_view(image: Image.Image, policy: str, image_size: int) -> Image.Image:
    """Draw one view of a square image."""
    if policy == "none":
        return image.resize((image_size, image_size), BILINEAR)
    side = image.width
    area = random.uniform(0.08 if policy == "simclr" else 0.25, 1.0)
    ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
    height, width = (side * min(1.0, np.sqrt(part)) for part in (area / ratio, area * ratio))
    top, left = random.uniform(0, side - height), random.uniform(0, side - width)
    box = (left, top, left + width, top + height)
    image = image.resize((image_size, image_size), BILINEAR, box=box)
    if random.random() < 0.5:
        image = ImageOps.mirror(image)
    if policy == "light":
        image = _jitter(image, 0.08, 0.15, 0.15, 0.0)
    elif policy == "simclr":
        if random.random() < 0.8:
            image = _jitter(image, 0.2, 0.4, 0.4, 0.1)
        if random.random() < 0.2:
            image = image.convert("L").convert("RGB")
        if random.random() < 0.5:
            radius = random.uniform(0.1, 2.0 * image_size / 224)
            image = image.filter(ImageFilter.GaussianBlur(radius))
    elif policy == "randaugment":
        for operation in random.choices(RAND_AUGMENT, k=2):
            image = operation(image)
    return image
