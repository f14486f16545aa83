"""Pairs of views: what a batch depends on, and what each policy may do to an image."""

import hashlib
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_clce.data import VIEW_POLICIES, ImageSplit
from keras_clce.data.examples import Records
from keras_clce.report import show_views
from keras_clce.views.resizing import resize

SIZE, STORED, COUNT, BATCH = 12, 15, 22, 5
STEPS = COUNT // BATCH


def _images(count=COUNT, side=STORED, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def _split(**arguments):
    return ImageSplit(_images(), np.arange(COUNT), SIZE, **arguments)


def _streamed_split():
    images, labels = _images(), np.arange(COUNT)
    records = Records(
        tf.data.Dataset.from_tensor_slices((images, labels, np.ones(COUNT, np.float32))),
        lambda *record: record,
        COUNT,
    )
    return ImageSplit(None, None, SIZE, stream=records)


def _take(pairs, steps):
    return [
        (view_1, view_2, labels)
        for (view_1, view_2), labels in pairs.take(steps).as_numpy_iterator()
    ]


def _assert_same(one, two):
    assert len(one) == len(two)
    for batch, other in zip(one, two, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


def _digest():
    digest = hashlib.sha256()
    for policy in ("simclr", "randaugment"):
        pairs = _split().view_pairs(BATCH, policy=policy, seed=7)
        for batch in _take(pairs, STEPS + 1):
            for part in batch:
                digest.update(part.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("policy", ["none", "light", "simclr"])
def test_resuming_at_an_epoch_gives_what_the_uninterrupted_run_saw(policy):
    whole = _take(_split().view_pairs(BATCH, policy=policy, seed=3), 3 * STEPS)
    keras.utils.set_random_seed(99)
    resumed = _split().view_pairs(BATCH, policy=policy, seed=3, initial_epoch=2)
    _assert_same(whole[2 * STEPS :], _take(resumed, STEPS))


@pytest.mark.any_backend
def test_streamed_split_resumes_too_and_shuffles_each_epoch_anew():
    whole = _take(_streamed_split().view_pairs(BATCH, seed=3), 3 * STEPS)
    keras.utils.set_random_seed(99)
    resumed = _streamed_split().view_pairs(BATCH, seed=3, initial_epoch=1)
    _assert_same(whole[STEPS:], _take(resumed, 2 * STEPS))
    orders = [np.concatenate([b[2] for b in whole[e * STEPS : (e + 1) * STEPS]]) for e in range(3)]
    assert len({order.tobytes() for order in orders}) == 3
    assert all(len(np.unique(order)) == STEPS * BATCH for order in orders)


@pytest.mark.any_backend
def test_another_backend_in_another_process_sees_the_same_bytes():
    pytest.importorskip("jax")
    here = pathlib.Path(__file__).parent
    script = (
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent.parent)!r}]; "
        "import tensorflow as tf; tf.config.threading.set_inter_op_parallelism_threads(1); "
        "import test_view_pairs; print(test_view_pairs._digest())"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip().splitlines()[-1] == _digest()


@pytest.mark.any_backend
def test_epochs_shuffle_anew_never_repeat_an_image_and_drop_the_remainder():
    batches = _take(_split().view_pairs(BATCH, policy="light"), 4 * STEPS)
    orders = []
    for epoch in range(4):
        labels = np.concatenate([b[2] for b in batches[epoch * STEPS : (epoch + 1) * STEPS]])
        assert len(np.unique(labels)) == STEPS * BATCH
        orders.append(tuple(labels))
    assert len(set(orders)) == 4
    left_out = [set(range(COUNT)) - set(order) for order in orders]
    assert len({frozenset(left) for left in left_out}) > 1


@pytest.mark.any_backend
def test_seeds_give_other_orders_and_other_views():
    one, two = (_take(_split().view_pairs(BATCH, seed=seed), STEPS) for seed in (0, 1))
    assert any((a[2] != b[2]).any() for a, b in zip(one, two, strict=True))


@pytest.mark.any_backend
@pytest.mark.parametrize("policy", VIEW_POLICIES[1:])
def test_views_differ_between_views_images_steps_and_epochs(policy):
    # One photograph throughout: whatever differs was drawn.
    images = np.repeat(_images(1), 8, axis=0)
    pairs = ImageSplit(images, np.arange(8), SIZE).view_pairs(4, policy=policy)
    views = [view for batch in _take(pairs, 4) for half in batch[:2] for view in half]
    assert len({view.tobytes() for view in views}) == len(views) == 32


@pytest.mark.any_backend
@pytest.mark.parametrize("policy", VIEW_POLICIES)
def test_views_have_the_stated_shape_type_and_range(policy, batch_size=1):
    pairs = _split().view_pairs(batch_size, policy=policy)
    (spec, _), label_spec = pairs.element_spec
    assert spec.shape == (batch_size, SIZE, SIZE, 3)
    assert label_spec.dtype == tf.int64
    for batch in _take(pairs, 2 * COUNT // batch_size):
        for view in batch[:2]:
            assert view.dtype == np.float32
            assert view.min() >= 0
            assert view.max() <= 255
            assert np.isfinite(view).all()


@pytest.mark.any_backend
def test_mixed_precision_leaves_pixels_alone():
    plain = _take(_split().view_pairs(BATCH, policy="simclr"), 1)
    keras.config.set_dtype_policy("mixed_bfloat16")
    _assert_same(plain, _take(_split().view_pairs(BATCH, policy="simclr"), 1))


@pytest.mark.any_backend
def test_none_is_the_resize_and_both_views_are_equal():
    view_1, view_2, labels = _take(_split().view_pairs(BATCH, policy="none"), 1)[0]
    np.testing.assert_array_equal(view_1, view_2)
    ordered = np.concatenate([images for images, _ in _split().batches(7).as_numpy_iterator()])
    np.testing.assert_allclose(view_1, ordered[labels], atol=1e-3)


@pytest.mark.any_backend
def test_without_flip_nothing_is_mirrored():
    ramp = np.broadcast_to(
        np.linspace(0, 250, STORED).astype(np.uint8)[:, None], (STORED,) * 2 + (3,)
    )
    images = np.repeat(ramp[None], 64, axis=0)
    assert (np.diff(images[0, 0, :, 0].astype(int)) > 0).all()
    split = ImageSplit(images, np.zeros(64), SIZE, flip=False)
    for policy in ("light", "simclr"):
        (views, _), _ = next(iter(split.view_pairs(64, policy=policy)))
        assert (views[:, 6, -1, 0] > views[:, 6, 0, 0]).numpy().all()


@pytest.mark.any_backend
def test_simclr_turns_a_fifth_gray():
    images = np.zeros((500, STORED, STORED, 3), np.uint8)
    images[..., 0] = 200
    images[..., 2] = 60
    (views, _), _ = next(iter(ImageSplit(images, np.zeros(500), SIZE).view_pairs(500, "simclr")))
    gray = np.ptp(views.numpy(), axis=-1).max(axis=(1, 2)) < 0.5
    # Five standard deviations of a binomial share of 0.2.
    assert abs(gray.mean() - 0.2) < 0.09


def test_batches_give_every_image_in_order_with_the_last_part_of_a_batch():
    batches = list(_split().batches(BATCH).as_numpy_iterator())
    assert [len(labels) for _, labels in batches] == [5, 5, 5, 5, 2]
    labels = np.concatenate([labels for _, labels in batches])
    np.testing.assert_array_equal(labels, np.arange(COUNT))
    images, array_labels = _split().arrays()
    assert images.dtype == np.uint8
    assert array_labels.dtype == np.int64
    np.testing.assert_allclose(images[:5], batches[0][0], atol=0.5001)
    streamed = list(_streamed_split().batches(BATCH).as_numpy_iterator())
    np.testing.assert_array_equal(streamed[4][0], batches[4][0])


@pytest.mark.any_backend
def test_resize_of_a_batch_is_the_resize_of_its_images():
    batch = _images(3)
    one_by_one = [resize(image, SIZE, "bicubic") for image in batch]
    np.testing.assert_allclose(resize(batch, SIZE, "bicubic"), one_by_one, atol=1e-3)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": COUNT + 1}, f"at most the number of examples, {COUNT}"),
        ({"batch_size": 2, "policy": "strong"}, "none, light, simclr, randaugment.*'strong'"),
        ({"batch_size": 2, "seed": -1}, "seed=-1"),
        ({"batch_size": 2, "initial_epoch": 1.5}, "initial_epoch=1.5"),
        ({"batch_size": 4, "share": (2, 2)}, r"share=\(2, 2\)"),
        ({"batch_size": 4, "share": (0, 3)}, r"divide the batch size, 4.*share=\(0, 3\)"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        _split().view_pairs(**arguments)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 4, 4, 3)), [0, 1], "uint8 array.*float64"),
        (np.zeros((2, 4, 5, 3), np.uint8), [0, 1], r"\(2, 4, 5, 3\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0], r"`labels` must be integers of shape \(2,\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0.5, 1], r"`labels` must be .*\[0\.5, 1\.0\]"),
        (None, None, "`images` or `stream` must be given"),
    ],
)
def test_bad_arrays_are_named(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ImageSplit(images, labels, 4)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "arguments",
    [
        {"crop_fraction": 0.0},
        {"crop_fraction": 1.5},
        {"interpolation": "area"},
        {"aspects": [1.0]},
        {"aspects": np.zeros(COUNT)},
        {"aspects": np.full(COUNT, np.nan)},
    ],
    ids=repr,
)
def test_bad_geometry_is_named(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Received"):
        _split(**arguments)


@pytest.mark.any_backend
def test_show_views_writes_a_picture(tmp_path):
    path = show_views(_split(), "simclr", 3, tmp_path / "deep" / "views.png", seed=2)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    with pytest.raises(ValueError, match=f"number of examples, {COUNT}. Received: n=0"):
        show_views(_split(), "light", 0, path)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("policy", "split"),
    [("simclr", _split), ("randaugment", _split), ("none", _streamed_split)],
)
def test_shares_of_a_batch_together_are_the_batch_of_one_process(policy, split):
    whole = _take(split().view_pairs(6, policy=policy, seed=3), COUNT // 6 + 1)
    for index in range(2):
        pairs = split().view_pairs(6, policy=policy, seed=3, share=(index, 2))
        for batch, expected in zip(_take(pairs, len(whole)), whole, strict=True):
            for got, all_rows in zip(batch, expected, strict=True):
                assert len(got) == 3
                np.testing.assert_allclose(got, all_rows[index::2], atol=1e-3)


@pytest.mark.any_backend
def test_a_process_decodes_its_own_share_alone():
    decoded = []

    def decode(image, label, aspect):
        label = tf.numpy_function(lambda one: decoded.append(one) or one, [label], tf.int64)
        return image, tf.ensure_shape(label, ()), aspect

    arrays = _images(), np.arange(COUNT), np.ones(COUNT, np.float32)
    records = Records(tf.data.Dataset.from_tensor_slices(arrays), decode, COUNT)
    split = ImageSplit(None, None, SIZE, stream=records)
    epoch = _take(_streamed_split().view_pairs(10, "none"), 2)
    _take(split.view_pairs(10, "none", share=(1, 2)), 2)
    wanted = np.concatenate([labels[1::2] for _, _, labels in epoch])
    assert set(decoded[:10]) == set(wanted)
