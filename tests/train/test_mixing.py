"""Mixup and cutmix inside the training step."""

import keras
import numpy as np
import pytest
import reference
from keras import ops
from losses import variants
from scipy import stats
from train.small_models import CLASSES, SHAPE, flips, separable, small_model

from keras_clce import CLCELoss, LACLNLoss, SupConLoss, load_model, losses
from keras_clce.train import ImageMixing
from keras_clce.train.callbacks import RunCheckpoint
from keras_clce.train.mixing import mix_batch

BOTH = {"mixup_alpha": 0.4, "cutmix_alpha": 1.0}


def mixed(mixing, images, **options):
    x, mixture = mixing(ops.convert_to_tensor(images), **options)
    return [ops.convert_to_numpy(each) for each in (x, *mixture)]


def told_apart(images=6, views=2, side=8):
    """Images whose pixels all hold the number of their row."""
    rows = np.arange(images * views, dtype="float32")
    return np.broadcast_to(rows[:, None, None, None], (images * views, side, side, 3)).copy()


def test_mixup_is_a_sum_of_two_images():
    x = np.random.default_rng(0).normal(size=(12, 8, 8, 3)).astype("float32")
    got, shares, partners = mixed(ImageMixing(mixup_alpha=1.0), x, views=2)
    for row in range(12):
        share, other = shares[row], partners[row]
        np.testing.assert_allclose(got[row], share * x[row] + (1 - share) * x[other], atol=1e-6)
    # Both views of an image with those of another, first with first.
    assert (partners[1::2] == partners[::2] + 1).all() and (partners[::2] % 2 == 0).all()
    assert (shares[1::2] == shares[::2]).all() and len(np.unique(shares)) == 6
    assert sorted(partners) == list(range(12)) and (partners != np.arange(12)).all()


def test_cutmix_puts_a_box_of_another_image_and_counts_its_pixels():
    x = told_apart(images=40, side=9)
    got, shares, partners = mixed(ImageMixing(cutmix_alpha=1.0, seed=3), x, views=2)
    boxes = 0
    for row in range(80):
        of_other = got[row, :, :, 0] == partners[row]
        assert ((got[row, :, :, 0] == row) | of_other).all()
        assert 1 - of_other.mean() == pytest.approx(shares[row], abs=1e-6)
        if of_other.any():
            rows, columns = np.flatnonzero(of_other.any(1)), np.flatnonzero(of_other.any(0))
            assert of_other.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            boxes += 1
    assert boxes > 60 and len(np.unique(shares)) > 5
    np.testing.assert_array_equal(got[::2] == x[::2], got[1::2] == x[1::2])  # one box


@pytest.mark.any_backend
@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_are_drawn_from_a_beta_distribution(alpha):
    mixing = ImageMixing(mixup_alpha=alpha)
    _, shares, _ = mixed(mixing, np.zeros((4000, 1, 1, 1), "float32"))
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_both_take_turns_by_chance():
    mixing, kinds = ImageMixing(**BOTH, seed=1), []
    for _ in range(12):
        got, *_ = mixed(mixing, told_apart(images=4, views=1))
        kinds.append(np.array_equal(got, np.round(got)))
    assert 0 < sum(kinds) < 12
    again = ImageMixing.from_config(mixing.get_config())
    got, *_ = mixed(again, told_apart(images=4, views=1))
    assert np.array_equal(got, np.round(got)) == kinds[0]


def test_every_second_image_stays_as_it_is():
    x = told_apart(images=5)
    got, shares, _ = mixed(ImageMixing(mixup_alpha=1.0), x, views=2, alternate=True)
    stay = np.repeat([True, False, True, False, True], 2)
    np.testing.assert_array_equal(got[stay], x[stay])
    assert (shares[stay] == 1).all() and (shares[~stay] < 1).all()


def mixed_labels(labels, loss, part, **options):
    """A mixed batch of two views an image, and by loops what its labels have to be."""
    mixing = ImageMixing(mixup_alpha=1.0, part=part)
    images = np.repeat(np.zeros((len(labels), *SHAPE), "float32"), 2, axis=0)
    batch = (images, np.repeat(labels, 2, axis=0), *options.values())
    _, y, weights = mix_batch(mixing, loss, CLASSES, batch, views=2)
    alternate = part == "cross_entropy"
    again = ImageMixing(mixup_alpha=1.0)
    _, shares, partners = mixed(again, images, views=2, alternate=alternate)
    return y, weights, shares, partners


@pytest.mark.parametrize("part", ["cross_entropy", "contrastive"])
@pytest.mark.parametrize("form", ["classes", "column", "soft"])
def test_labels_are_mixed_as_the_images_are(form, part):
    classes = np.array([0, 3, 1, 1, 2, 3])
    rows = np.eye(CLASSES, dtype="float32")[classes]
    given = {"classes": classes, "column": classes[:, None], "soft": rows}[form]
    weights = np.linspace(1, 3, 12).astype("float32")
    y, got_weights, shares, partners = mixed_labels(given, CLCELoss(), part, weights=weights)
    own = np.repeat(rows, 2, axis=0)
    want = [
        s * own[i] + (1 - s) * own[j] for i, (s, j) in enumerate(zip(shares, partners, strict=True))
    ]
    np.testing.assert_allclose(ops.convert_to_numpy(y.rows), want, atol=1e-6)
    of_weights = [
        s * weights[i] + (1 - s) * weights[j]
        for i, (s, j) in enumerate(zip(shares, partners, strict=True))
    ]
    np.testing.assert_allclose(ops.convert_to_numpy(got_weights), of_weights, rtol=1e-6)
    of_metrics = ops.convert_to_numpy(y.of_metrics)
    assert of_metrics.shape == (12, *given.shape[1:])
    found = of_metrics.argmax(1) if form == "soft" else of_metrics.reshape(-1)
    np.testing.assert_array_equal(found, np.argmax(want, axis=1))
    if part == "contrastive":
        assert y.unmixed is None
    else:
        assert ops.convert_to_numpy(y.unmixed).tolist() == [0, 1, 4, 5, 8, 9]
        np.testing.assert_array_equal(ops.convert_to_numpy(y.given), given[[0, 0, 2, 2, 4, 4]])


def test_what_is_mixed_with_an_image_without_a_class_has_none():
    labels = np.array([0, -1, 1, 2])
    loss = CLCELoss(ignore_unlabelled=True)
    y, _, _, partners = mixed_labels(labels, loss, "contrastive")
    labelled = np.repeat(labels >= 0, 2)
    sums = ops.convert_to_numpy(ops.sum(y.rows, axis=1))
    np.testing.assert_allclose(sums, labelled & labelled[partners], atol=1e-6)


def test_labels_that_are_no_classes_stay_so():
    y, *_ = mixed_labels(np.array([0, CLASSES, 1, 2]), CLCELoss(), "contrastive")
    assert np.isnan(ops.convert_to_numpy(y.rows)).any(axis=1).sum() == 4


@pytest.mark.parametrize("part", ["cross_entropy", "contrastive"])
@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "augmenter"])
def test_the_loss_of_a_step_equals_the_loops(pairs, part):
    images, labels = separable(8)
    model = small_model(None if pairs else keras.layers.Identity())
    part_of_loss = LACLNLoss(0.3)
    mixing = ImageMixing(mixup_alpha=1.0, part=part, seed=5)
    model.compile(
        keras.optimizers.SGD(0.0),
        loss=CLCELoss(0.4, part_of_loss),
        metrics=["accuracy"],
        mixing=mixing,
    )
    views = (images, images[:, :, ::-1] if pairs else images)
    rows = np.stack(views, axis=1).reshape(16, *SHAPE)
    alternate = part == "cross_entropy"
    x, shares, partners = mixed(
        ImageMixing(mixup_alpha=1.0, seed=5), rows, views=2, alternate=alternate
    )
    outputs = {k: ops.convert_to_numpy(v) for k, v in model(x, training=True).items()}
    own = np.eye(CLASSES)[np.repeat(labels, 2)]
    soft = shares[:, None] * own + (1 - shares[:, None]) * own[partners]
    of_each_class = [
        reference.cross_entropy(np.full(16, c), outputs["logits"]) for c in range(CLASSES)
    ]
    entropy = np.mean(np.sum(soft * np.transpose(of_each_class), axis=1))
    compared = np.flatnonzero(np.arange(16) // 2 % 2 == 0) if alternate else np.arange(16)
    s = variants.similarities(outputs["embedding"][compared], 0.3)
    tables = variants.by_overlap(soft[compared])
    contrast = variants.mean(variants.lacln(s, tables), tables)
    right = np.mean(soft.argmax(1) == outputs["logits"].argmax(1))

    x = views if pairs else images
    logs = model.fit(x, labels, batch_size=8, shuffle=False, verbose=0).history
    got = [logs[name][0] for name in ("cross_entropy", "contrastive", "loss", "accuracy")]
    assert got == pytest.approx(
        [entropy, contrast, 0.6 * entropy + 0.4 * contrast, right], rel=1e-4
    )


def test_evaluation_is_of_images_as_they_are():
    images, labels = separable(16)
    logs = []
    for mixing in (None, ImageMixing(**BOTH)):
        keras.utils.set_random_seed(0)
        model = small_model()
        model.compile(keras.optimizers.SGD(0.0), loss=CLCELoss(), mixing=mixing)
        logs.append(model.evaluate(images, labels, verbose=0, return_dict=True)["loss"])
    assert logs[0] == logs[1]


def test_a_cached_gradient_is_the_gradient_and_a_run_goes_on_as_it_would(tmp_path):
    images, labels = separable(12)
    losses_of, weights = [], []

    def compiled(size=None):
        keras.utils.set_random_seed(0)
        model = small_model(keras.layers.Identity(), batch_norm=False)
        mixing = ImageMixing(**BOTH, part="contrastive")
        model.compile(
            keras.optimizers.SGD(0.05), loss="clce", mixing=mixing, gradient_cache_size=size
        )
        return model

    def train(model, **options):
        fit = {"batch_size": 12, "epochs": 3, "shuffle": False, "verbose": 0, **options}
        losses_of.append(model.fit(images, labels, **fit).history["loss"])
        weights.append(model.get_weights()[0])

    train(compiled())
    train(compiled(size=5))
    np.testing.assert_allclose(losses_of[1], losses_of[0], rtol=1e-4)
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-3, atol=1e-5)
    train(compiled(), epochs=2, callbacks=[RunCheckpoint(tmp_path)])
    again = compiled()
    again.mixing.seed_generator.next()
    assert RunCheckpoint(tmp_path).restore(again) == 2
    train(again, initial_epoch=2)
    assert losses_of[3] == pytest.approx(losses_of[0][2:], rel=1e-5)


def test_a_saved_model_knows_how_it_was_mixed(tmp_path):
    model = small_model()
    model.compile("sgd", loss="clce", mixing=ImageMixing(**BOTH, part="contrastive", seed=4))
    model.save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").mixing.get_config() == model.mixing.get_config()


def test_a_loss_of_one_part_and_a_second_compile():
    images, labels = separable(12)
    model = small_model(keras.layers.Identity())
    weights = len(model.variables)
    # Without a contrastive part all images are mixed.
    model.compile("sgd", loss="ce", mixing=ImageMixing(mixup_alpha=0.5))
    assert len(model.variables) == weights + 1
    logs = model.fit(images, labels, batch_size=6, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    model.compile("sgd", loss="supcon")
    assert model.mixing is None and len(model.variables) == weights


def test_memory_beside_mixing_holds_what_was_compared():
    images, labels = separable(8)
    model = small_model(keras.layers.Identity())
    model.compile("sgd", loss="clce", memory_size=10, mixing=ImageMixing(mixup_alpha=0.5))
    model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)
    classes = ops.convert_to_numpy(model.memory.classes).tolist()
    assert classes == [0, 0, 2, 2, 0, 0, 2, 2, -1, -1]


@pytest.mark.any_backend
def test_what_does_not_go_together_is_refused():
    for name in ("mixup_alpha", "cutmix_alpha"):
        for alpha in (-1, "much", float("nan"), True):
            with pytest.raises(ValueError, match=f"`{name}` must be a finite number of at least"):
                ImageMixing(**{name: alpha})
    with pytest.raises(ValueError, match="`mixup_alpha` or `cutmix_alpha` must be above 0"):
        ImageMixing()
    with pytest.raises(ValueError, match=r"`part` must be one of .* Received: part='both'"):
        ImageMixing(0.2, part="both")
    model = small_model()
    with pytest.raises(ValueError, match="`mixing` must be None or a keras_clce"):
        model.compile("sgd", loss="clce", mixing=0.2)
    with pytest.raises(ValueError, match="part='contrastive' for a loss without cross-entropy"):
        model.compile("sgd", loss=CLCELoss(1.0, SupConLoss()), mixing=ImageMixing(0.2))
    with pytest.raises(ValueError, match=r"that takes no soft labels.*CoreTuningLoss"):
        model.compile("sgd", loss="core_tuning", mixing=ImageMixing(0.2, part="contrastive"))
    with pytest.raises(ValueError, match=r"part='cross_entropy' beside a memory.*memory_size=9"):
        mixing = ImageMixing(0.2, part="contrastive")
        model.compile("sgd", loss="clce", mixing=mixing, memory_size=9)


def test_a_part_that_is_not_trained_on_may_be_nan():
    images, labels = separable(16)
    model = small_model(flips())
    # Class averaging takes no soft labels, of which cross-entropy alone is trained.
    loss = losses.get("ce", negatives="class_mean")
    model.compile("sgd", loss, mixing=ImageMixing(0.2))
    logs = model.fit(images, labels, batch_size=8, verbose=0).history
    assert logs["loss"] == pytest.approx(logs["cross_entropy"])
    assert np.isfinite(logs["loss"]).all() and np.isnan(logs["contrastive"]).all()
