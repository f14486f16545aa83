"""Both makers of views follow one policy: what they do to the same images has equal statistics."""

import functools

import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_clce.views import VIEW_POLICIES, two_view_augmenter
from keras_clce.views.policies import POLICIES, Policy

tf = pytest.importorskip("tensorflow")

from keras_clce.views.pipeline import make_view  # noqa: E402

SIZE, COUNT = 16, 2000


def _views(images, policy, maker, flip=True, side=SIZE):
    if maker == "tf.data":
        view = make_view(policy, side, flip)
        return view(images, tf.ones(len(images)), tf.constant([3, 4])).numpy()
    augmenter = two_view_augmenter(side, policy, flip, seed=3)
    return ops.convert_to_numpy(augmenter(images, training=True))


def _ramp():
    """Red counts columns and green rows; what a crop shows tells its place and size."""
    image = np.zeros((64, 64, 3), "float32")
    image[..., 0] = np.linspace(60, 190, 64)[None, :]
    image[..., 1] = np.linspace(60, 190, 64)[:, None]
    image[..., 2] = 125
    return np.repeat(image[None], COUNT, axis=0)


def _flat(color=(150.0, 110.0, 90.0)):
    return np.tile(np.array(color, "float32"), (COUNT, 24, 24, 1))


def _halves():
    """Two grays side by side, whose distance tells the contrast."""
    # A crop is read with other antialiasing, so that none shall make images smaller here.
    images = np.full((COUNT, SIZE, SIZE, 3), 110.0, "float32")
    images[:, ::2] = 140.0
    return images


def _saturation(views):
    return np.ptp(views.mean(axis=(1, 2)), axis=1)


def _widths_and_heights(views):
    """Sides of the crops as shares, from the ramps; jitter scales both alike but for its noise."""
    across = np.abs(views[:, 8, -1, 0] - views[:, 8, 0, 0]) / 130
    down = np.abs(views[:, -1, 8, 1] - views[:, 0, 8, 1]) / 130
    return across, down


def _close_means(one, two, sigmas=5.0):
    error = np.sqrt(np.var(one) / len(one) + np.var(two) / len(two))
    assert abs(np.mean(one) - np.mean(two)) < sigmas * error + 1e-6, (np.mean(one), np.mean(two))


def _same_distribution(one, two):
    """Kolmogorov and Smirnov's test finds no difference at one in a hundred thousand."""
    assert stats.ks_2samp(one, two, method="asymp").pvalue > 1e-5
    _close_means(one, two)
    _close_means((one - np.mean(one)) ** 2, (two - np.mean(two)) ** 2)


MEASURES = {
    "brightness": (_flat, lambda views: views.mean(axis=(1, 2, 3))),
    "saturation": (_flat, _saturation),
    "contrast": (_ramp, lambda views: views.std(axis=(1, 2)).max(axis=1)),
    "crop area": (_ramp, lambda views: np.prod(_widths_and_heights(views), axis=0)),
    "crop aspect": (
        _ramp,
        lambda views: np.log(np.divide(*(1e-3 + side for side in _widths_and_heights(views)))),
    ),
    "flipped": (_ramp, lambda views: (views[:, 8, -1, 0] < views[:, 8, 0, 0]).astype(float)),
    "sharpness": (_halves, lambda views: np.abs(np.diff(views, axis=1)).mean(axis=(1, 2, 3))),
}


@pytest.fixture(scope="module")
def views_of_both():
    """The views of both makers; measures of the same images share them."""

    @functools.cache
    def views_of_both(images, policy):
        images = images()
        return [_views(images, policy, maker) for maker in ("tf.data", "step")]

    return views_of_both


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("policy", VIEW_POLICIES[1:])
def test_both_makers_do_the_same_to_the_same_images(policy, measure, views_of_both):
    images, number = MEASURES[measure]
    _same_distribution(*map(number, views_of_both(images, policy)))


def _binomial(share, expected):
    # Five standard deviations of the share of COUNT images.
    assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / COUNT), share


@pytest.mark.parametrize("maker", ["tf.data", "step"])
def test_simclr_jitters_grays_and_blurs_the_published_shares(maker):
    views = _views(_flat(), "simclr", maker)
    color = views.mean(axis=(1, 2))
    gray = np.ptp(color, axis=1) < 0.5
    _binomial(gray.mean(), 0.2)
    # What is neither jittered nor gray keeps its colour; so do gray images that were not jittered.
    same = np.abs(color - np.array([150.0, 110.0, 90.0])).max(axis=1) < 0.1
    _binomial(same[~gray].mean(), 0.2)
    level = 0.2989 * 150 + 0.587 * 110 + 0.114 * 90
    _binomial((np.abs(color[gray, 0] - level) < 0.1).mean(), 0.2)
    # Mirroring shows on the ramp.
    ramp = _views(_ramp(), "simclr", maker)
    _binomial((ramp[:, 8, -1, 0] < ramp[:, 8, 0, 0]).mean(), 0.5)


@pytest.mark.parametrize("maker", ["tf.data", "step"])
def test_blur_is_of_half_of_the_images_each_by_a_width_of_its_own(maker, monkeypatch):
    # A bright line in an image that is kept whole; how high it stays tells the width.
    side, count = 112, 300
    images = np.full((count, side, side, 3), 60.0, "float32")
    images[:, side // 2] = 180.0
    blur_alone = Policy((1.0, 1.0), POLICIES["simclr"].changes[2:], aspect_ratio=(1.0, 1.0))
    monkeypatch.setitem(POLICIES, "simclr", blur_alone)
    views = _views(images, "simclr", maker, flip=False, side=side)
    peaks = (views[:, side // 2, side // 2, 0] - 60) / 120

    def peak(width):
        return 1 / np.exp(-(np.arange(-20, 21) ** 2) / (2 * width**2)).sum()

    # For views of half the size of 224 pixels widths go from 0.1 to 1; below 0.3 little changes.
    assert peaks.min() > peak(1.0) - 1e-3
    share = 0.5 * (1.0 - 0.3) / (1.0 - 0.1)
    blurred = peaks < peak(0.3)
    assert abs(blurred.mean() - share) < 5 * np.sqrt(share * (1 - share) / count)
    assert len(np.unique(peaks[blurred].round(4))) > 0.9 * blurred.sum()
    median = np.median(peaks[peaks < peak(0.4)])
    assert abs(median - peak(0.7)) < 0.08


@pytest.mark.any_backend
def test_the_numbers_are_those_of_the_papers():
    """Chen et al. 2020, appendix A, with the strengths of Khosla et al. 2020."""
    jitter, gray, blur = POLICIES["simclr"].changes
    assert POLICIES["simclr"].area == (0.08, 1.0)
    assert POLICIES["simclr"].aspect_ratio == (3 / 4, 4 / 3)
    assert (jitter.rate, jitter.contrast, jitter.saturation, jitter.hue) == (0.8, 0.4, 0.4, 0.1)
    assert gray.rate == 0.2
    assert (blur.rate, blur.widths) == (0.5, (0.1, 2.0))
    (operations,) = POLICIES["randaugment"].changes
    assert (operations.times, operations.magnitude) == (2, 0.3)


@pytest.mark.parametrize("policy", VIEW_POLICIES[1:])
def test_no_two_images_of_a_batch_are_changed_alike_in_the_step(policy):
    images = np.repeat(np.random.default_rng(0).uniform(0, 255, (1, 20, 20, 3)), 8, axis=0)
    views = _views(images.astype("float32"), policy, "step")
    assert len({view.tobytes() for view in views}) == 8
