"""What changes do to pixels, in TensorFlow and in Keras, against keras-cv's own layers."""

import numpy as np
import pytest
from keras import ops

from keras_clce.views import pixels
from keras_clce.views.changes import Flip, GaussianBlur, RandomOperation
from keras_clce.views.step_changes import OPS

SIZE = 12


def _images(count, side):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def _hostile_images():
    images = _images(6, 24).astype("float32")
    images[1] = 0.25 * images[1] + 60.7
    images[2, ..., 1] = 77
    images[3] = np.where(images[3] > 200, 3.0, 90.0)
    images[4] = 255.0
    return images


def _amounts(low, high, shape=(6, 1, 1, 1)):
    return np.linspace(low, high, 6, dtype="float32").reshape(shape)


def _keras_cv_layers(tensor=np.asarray):
    """Each layer of keras-cv with a transformation, and the same change by ours."""
    layers = pytest.importorskip("keras_cv").layers
    span = (0, 255)
    brightness, contrast = 255 * _amounts(-0.3, 0.3), _amounts(0.6, 1.4)
    loss, turn = _amounts(-0.4, 0.9), _amounts(-0.1, 0.1, (6,))
    addition, threshold = _amounts(0, 110), _amounts(255, 40)
    brightness, contrast, loss, turn, addition, threshold = map(
        tensor, (brightness, contrast, loss, turn, addition, threshold)
    )
    return {
        "brightness": (
            (layers.RandomBrightness(0.3, span), brightness),
            lambda images, ops: pixels.brighten(ops, images, brightness),
        ),
        "contrast": (
            (layers.RandomContrast(span, 0.4), contrast),
            lambda images, ops: pixels.scale_contrast(ops, images, contrast),
        ),
        "colors": (
            (layers.RandomColorDegeneration(0.5), loss),
            lambda images, ops: pixels.weaken_colors(ops, images, loss),
        ),
        "hue": (
            (layers.RandomHue(0.2, span), turn),
            lambda images, ops: pixels.turn_hue(ops, images, turn),
        ),
        "solarize": (
            (layers.Solarization(span), {"additions": addition, "thresholds": threshold}),
            lambda images, ops: pixels.solarize(ops, images, addition, threshold),
        ),
        "gray": (
            (layers.Grayscale(3), None),
            lambda images, ops: pixels.gray(images) + 0 * images,
        ),
        "stretch": (
            (layers.AutoContrast(span), None),
            lambda images, ops: pixels.stretch(ops, images),
        ),
        "equalize": (
            (layers.Equalization(span), None),
            lambda images, ops: pixels.equalize(ops, images),
        ),
    }


CHANGES = ("brightness", "contrast", "colors", "hue", "solarize", "gray", "stretch", "equalize")


@pytest.mark.parametrize("name", CHANGES)
def test_changes_inside_the_step_equal_keras_cvs(name):
    tf = pytest.importorskip("tensorflow")
    images = _hostile_images()
    (layer, transformation), _ = _keras_cv_layers()[name]
    _, ours = _keras_cv_layers(ops.convert_to_tensor)[name]
    expected = layer.augment_images(tf.constant(images), transformations=transformation)
    got = ops.convert_to_numpy(ours(ops.convert_to_tensor(images), OPS))
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert np.abs(got - images).max() > 10


@pytest.mark.any_backend
@pytest.mark.parametrize("name", CHANGES)
def test_changes_inside_tf_data_equal_keras_cvs(name):
    tf = pytest.importorskip("tensorflow")
    from keras_clce.views.batch_changes import OPS as TF_OPS

    images = tf.constant(_hostile_images())
    (layer, transformation), ours = _keras_cv_layers()[name]
    expected = layer.augment_images(images, transformations=transformation)
    np.testing.assert_allclose(ours(images, TF_OPS), expected, atol=1e-3)


def _keras_cv_slide(images, shear=None, move=None, vertical=False):
    tf, cv = pytest.importorskip("tensorflow"), pytest.importorskip("keras_cv")
    drawn = dict.fromkeys(("shear_x", "shear_y"))
    if shear is not None:
        layer = cv.layers.RandomShear(x_factor=0.5, y_factor=0.5)
        drawn["shear_y" if vertical else "shear_x"] = tf.constant(shear)
    else:
        layer = cv.layers.RandomTranslation(0.5, 0.5)
        drawn = {
            "height_translations": tf.constant(move if vertical else 0 * move),
            "width_translations": tf.constant(0 * move if vertical else move),
        }
    return layer.augment_images(tf.constant(images), drawn)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("where", ["step", "tf.data"])
def test_sliding_equals_keras_cvs_projective_transform(number, where):
    tf = pytest.importorskip("tensorflow")
    from keras_clce.views.batch_changes import OPS as TF_OPS

    images = _images(11, SIZE).astype("float32")
    rng = np.random.default_rng(number)
    amounts = rng.uniform(-0.5, 0.5, (4, 11, 1)).astype("float32")
    moved = {"shear": amounts[number]} if number < 2 else {"move": amounts[number]}
    expected = _keras_cv_slide(images, **moved, vertical=number in (1, 3))
    across, down = amounts[2] * SIZE, amounts[3] * SIZE
    slides = (np.full((11, 1), number, "int32"), *amounts[:2], across, down)
    namespace, tensor = (OPS, ops.convert_to_tensor)
    if where == "tf.data":
        namespace, tensor = TF_OPS, tf.constant
    slides = tuple(map(tensor, slides))
    shifts, vertical = RandomOperation().shifts(namespace, slides, SIZE)
    got = pixels.slide(namespace, tensor(images), shifts, vertical)
    got = ops.convert_to_numpy(got) if where == "step" else got.numpy()
    np.testing.assert_allclose(got, expected, atol=0.01)
    assert np.abs(expected - images).max() > 10


def test_blur_is_a_gaussian_with_normalised_borders():
    images = _images(3, SIZE).astype("float32")
    widths = np.array([0.1, 0.8, 2.0], "float32")
    got = ops.convert_to_numpy(pixels.blur(OPS, ops.convert_to_tensor(images), widths))
    places = np.arange(SIZE)
    for image, view, width in zip(images, got, widths, strict=True):
        weights = np.exp(-((places[:, None] - places) ** 2) / (2 * width**2))
        weights /= weights.sum(axis=1, keepdims=True)
        expected = np.einsum("ij,jkc,lk->ilc", weights, image, weights)
        np.testing.assert_allclose(view, expected, atol=1e-2)


class _Listed:
    """Draws that are a list of numbers, one after another, for all images alike."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def uniform(self, shape, low=0.0, high=1.0):
        return np.full(shape, low + (high - low) * self.numbers.pop(0), "float32")


@pytest.mark.any_backend
def test_rates_and_widths_are_those_of_the_change():
    assert Flip(0.3).draw(_Listed(0.69), 2, SIZE)[0].tolist() == [[[[False]]]] * 2
    assert Flip(0.3).draw(_Listed(0.71), 2, SIZE)[0].tolist() == [[[[True]]]] * 2
    blur = GaussianBlur(0.5, (0.1, 2.0))
    passing, width = blur.draw(_Listed(0.49, 1.0), 1, 112)
    assert passing.all()
    assert width[0] == pytest.approx(1.0)
    # Views of few pixels are blurred between the least width and twice as much.
    assert blur.draw(_Listed(0.51, 1.0), 1, 8)[1][0] == pytest.approx(0.2)


@pytest.mark.any_backend
def test_randaugment_gives_each_operation_its_chance():
    tf = pytest.importorskip("tensorflow")
    from keras_clce.views.batch_changes import OPS as TF_OPS
    from keras_clce.views.keyed_random import KeyedRandom

    draws = KeyedRandom()
    draws.start(tf.constant([1, 2]))
    step, count = RandomOperation(0.3), 20000
    number, *_, slides = step.draw(draws, count, 4)
    # Ten operations: four by pixel, stretch, equalise, and four slides with equal chances.
    shares = np.bincount(number, minlength=10) / count
    np.testing.assert_allclose(shares, 0.1, atol=5 * np.sqrt(0.1 * 0.9 / count))
    kinds = np.bincount(np.ravel(slides[0])) / count
    np.testing.assert_allclose(kinds, 0.25, atol=5 * np.sqrt(0.25 * 0.75 / count))
    shifts, vertical = step.shifts(TF_OPS, slides, 4)
    assert np.abs(np.asarray(shifts)).max() <= 4
    assert abs(np.mean(vertical) - 0.5) < 0.02
