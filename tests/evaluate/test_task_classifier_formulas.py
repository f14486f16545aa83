"""Task classifiers, against SciPy, torch, and loops over the formulas."""

import numpy as np
import pytest
from random_tasks import random_tasks, unit
from scipy import stats
from scipy.special import digamma, logsumexp

from keras_clce.evaluate import NormalInverseWishart, predict_tasks

pytestmark = pytest.mark.any_backend


def loop_soft_kmeans(support, queries, temperature, steps):
    ways, shots, dim = support.shape
    rows = np.concatenate([support.reshape(-1, dim), queries])
    means = support.mean(axis=1)
    for _ in range(steps):
        shares = np.array(
            [np.exp([-temperature * np.sum((row - mean) ** 2) for mean in means]) for row in rows]
        )
        shares /= shares.sum(axis=1, keepdims=True)
        shares[: ways * shots] = np.repeat(np.eye(ways), shots, axis=0)
        means = (shares.T @ rows) / shares.sum(axis=0)[:, None]
    return shares


def test_soft_kmeans_equals_a_loop():
    support, queries, base, of = random_tasks()
    center = base.mean(axis=0)
    ours, scores = predict_tasks(
        support, queries, "soft_kmeans", base, of, scores=True, temperature=6.0, steps=4
    )
    plain = predict_tasks(support, queries, "soft_kmeans", temperature=6.0, steps=4)
    for task in range(len(support)):
        for predicted, shift in ((ours, center), (plain, 0)):
            shares = loop_soft_kmeans(
                unit(support[task] - shift), unit(queries[task] - shift), 6.0, 4
            )[-queries.shape[1] :]
            np.testing.assert_array_equal(predicted[task], shares.argmax(axis=1))
        shares = np.exp(scores[task] - logsumexp(scores[task], axis=1, keepdims=True))
        expected = loop_soft_kmeans(
            unit(support[task] - center), unit(queries[task] - center), 6, 4
        )
        np.testing.assert_allclose(shares, expected[-queries.shape[1] :], atol=1e-5)


def loop_bavardage(support, queries, base, of, balanced, rounds=5):
    """The steps as the paper has them: SVD, inverse of the projected covariance, QR."""
    center = base.mean(axis=0)
    support, queries, base = (unit(rows - center) for rows in (support, queries, base))
    ways, shots, dim = support.shape
    rows = np.concatenate([support.reshape(-1, dim), queries])
    scatters = [
        np.cov(base[of == label].T, bias=True) * np.sum(of == label) for label in np.unique(of)
    ]
    norms = [np.linalg.norm(scatter) for scatter in scatters]
    shared = np.mean([s / n for s, n in zip(scatters, norms, strict=True)], axis=0)
    shared = shared * np.mean(norms) + 1e-6 * np.eye(dim)
    span, _, _ = np.linalg.svd(rows.T, full_matrices=False)
    within = np.linalg.inv(span.T @ np.linalg.inv(shared) @ span)
    values, axes = np.linalg.eigh(within)
    scaled = rows @ span @ axes * np.minimum(values**-0.5, 5)
    shares = loop_soft_kmeans(support, queries, 10, 5)
    known = shares[: ways * shots].copy()
    for _ in range(rounds):
        sums = shares.sum(axis=0)
        means = (shares.T @ scaled) / (sums + 10)[:, None]
        basis, _ = np.linalg.qr((means[1:] - means[0]).T)
        projected, means = scaled @ basis, means @ basis
        logits = np.array(
            [
                [
                    -np.sum((row - mean) ** 2) / (2 * 0.25) - (ways - 1) / (2 * (10 + total))
                    for mean, total in zip(means, sums, strict=True)
                ]
                for row in projected
            ]
        )
        if not balanced:
            alpha = sums - shots + 2
            logits = logits + digamma(alpha) - digamma(alpha.sum())
        shares = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
        shares[: ways * shots] = known
    return shares[ways * shots :]


@pytest.mark.parametrize("dim", [7, 60])
@pytest.mark.parametrize("balanced", [True, False])
def test_bavardage_equals_a_loop_with_more_and_fewer_dimensions_than_examples(dim, balanced):
    support, queries, base, of = random_tasks(dim=dim)
    ours, scores = predict_tasks(
        support, queries, "bavardage", base, of, scores=True, balanced=balanced
    )
    for task in range(len(support)):
        expected = loop_bavardage(support[task], queries[task], base, of, balanced)
        shares = np.exp(scores[task] - logsumexp(scores[task], axis=1, keepdims=True))
        np.testing.assert_allclose(shares, expected, atol=1e-4)
        np.testing.assert_array_equal(ours[task], expected.argmax(axis=1))


def posterior(support, prior):
    """Mean, kappa, nu and scale of a class, as Zhang et al. have them."""
    shots = len(support)
    kappa = prior.kappa + shots
    mean = (prior.kappa * prior.mean + shots * support.mean(axis=0)) / kappa
    scale = prior.scale + sum(np.outer(row, row) for row in support)
    scale = scale + prior.kappa * np.outer(prior.mean, prior.mean) - kappa * np.outer(mean, mean)
    return mean, kappa, prior.nu + shots, scale


@pytest.mark.parametrize("shots", [1, 3])
def test_meta_qda_scores_by_the_student_t_of_scipy(shots):
    support, queries, *_ = random_tasks(tasks=2, shots=shots, dim=5)
    factor = np.random.default_rng(3).normal(size=(5, 5))
    prior = NormalInverseWishart(np.arange(5) / 5, 0.4, 7.5, factor @ factor.T + np.eye(5))
    _, scores = predict_tasks(
        support, queries, "meta_qda", scores=True, prior=prior, regularization=0.0
    )
    _, distances = predict_tasks(
        support, queries, "meta_qda", scores=True, prior=prior, regularization=0.2, variant="map"
    )
    for task in range(2):
        for way in range(4):
            mean, kappa, nu, scale = posterior(support[task, way], prior)
            shape = scale * (kappa + 1) / ((nu - 5 + 1) * kappa)
            density = stats.multivariate_t(mean, shape, df=nu + 1 - 5)
            expected = density.logpdf(queries[task]) + 2.5 * np.log(np.pi)
            np.testing.assert_allclose(scores[task, :, way], expected, rtol=1e-4)
            inverse = 0.8 * np.linalg.inv(scale / (nu + 5 + 2)) + 0.2 * np.eye(5)
            expected = [-(row - mean) @ inverse @ (row - mean) for row in queries[task]]
            np.testing.assert_allclose(distances[task, :, way], expected, rtol=1e-4)


def test_the_prior_of_moments_is_the_one_that_the_classes_were_drawn_from():
    rng = np.random.default_rng(0)
    kappa, nu, dim, classes, examples = 0.5, 14.0, 4, 1500, 40
    scale = (nu - dim - 1) * (np.diag([1.0, 2.0, 0.5, 1.0]) + 0.2)
    features = []
    for covariance in stats.invwishart(nu, scale).rvs(classes, random_state=rng):
        mean = rng.multivariate_normal([1.0, -2.0, 0.0, 3.0], covariance / kappa)
        features.append(rng.multivariate_normal(mean, covariance, size=examples))
    prior = NormalInverseWishart.from_moments(
        np.concatenate(features), np.repeat(np.arange(classes), examples)
    )
    np.testing.assert_allclose(prior.mean, [1.0, -2.0, 0.0, 3.0], atol=0.15)
    assert prior.kappa == pytest.approx(kappa, rel=0.1)
    assert prior.nu == pytest.approx(nu, rel=0.15)
    mean_covariance = prior.scale / (prior.nu - dim - 1)
    np.testing.assert_allclose(mean_covariance, scale / (nu - dim - 1), atol=0.08)


@pytest.mark.parametrize("shots", [1, 2])
def test_fewture_equals_the_gradient_steps_of_torch(shots):
    torch = pytest.importorskip("torch")
    support, queries, *_ = random_tasks(tasks=2, ways=3, shots=shots, queries=2, dim=4, tokens=7)
    _, scores = predict_tasks(
        support, queries, "fewture", scores=True, temperature=0.2, steps=6, learning_rate=0.3
    )
    for task in range(2):
        rows, images = unit(support[task]).reshape(-1, 4), unit(queries[task])
        mask = np.zeros((len(rows), len(rows)))
        for row in range(len(rows)):
            for place in range(len(rows)):
                near = abs(row - place) < 5 if shots == 1 else row // 7 == place // 7
                mask[row, place] = -100 if near else 0
        importance = torch.zeros(len(rows), dtype=torch.float64, requires_grad=True)

        def logits(cosines, importance=importance):
            pairs = (cosines + importance[:, None]) / 0.2
            pairs = pairs.reshape(3, shots * 7, -1, 7).permute(2, 0, 1, 3)
            return torch.logsumexp(pairs.reshape(len(pairs), 3, -1), dim=2)

        seen = torch.tensor(rows @ rows.T + mask)
        known = torch.arange(3).repeat_interleave(shots)
        for _ in range(6):
            loss = torch.nn.functional.cross_entropy(logits(seen), known)
            (slope,) = torch.autograd.grad(loss, importance)
            with torch.no_grad():
                importance -= 0.3 * slope
        expected = logits(torch.tensor(rows @ images.reshape(-1, 4).T)).detach().numpy()
        np.testing.assert_allclose(scores[task], expected, atol=2e-4)


def test_transductive_finetuning_by_cosines_equals_the_steps_of_torch():
    torch = pytest.importorskip("torch")
    support, queries, *_ = random_tasks(tasks=3)
    ours, scores = predict_tasks(
        support,
        queries,
        "transductive_finetuning",
        scores=True,
        similarity="cosine",
        steps=15,
        learning_rate=0.02,
        temperature=5.0,
    )
    functional = torch.nn.functional
    for task in range(3):
        prototypes = torch.tensor(support[task].mean(axis=1), requires_grad=True)
        optimizer = torch.optim.Adam([prototypes], lr=0.02)

        def logits(rows, prototypes=prototypes):
            rows = functional.normalize(torch.tensor(rows), dim=1)
            return 5 * rows @ functional.normalize(prototypes, dim=1).T

        for _ in range(15):
            loss = functional.cross_entropy(
                logits(support[task].reshape(8, -1)), torch.arange(4).repeat_interleave(2)
            )
            loss = (
                loss
                + torch.distributions.Categorical(logits=logits(queries[task])).entropy().mean()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        np.testing.assert_allclose(scores[task], logits(queries[task]).detach(), atol=5e-3)
    assert np.mean(ours == np.repeat(np.arange(4), 10)) > 0.5
