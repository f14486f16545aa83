"""Task classifiers, against the systems' own predictions, SciPy, and loops over the formulas."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, logsumexp
from sklearn.datasets import load_digits
from sklearn.preprocessing import normalize

from keras_clce.evaluate import (
    TASK_CLASSIFIERS,
    NormalInverseWishart,
    classify_tasks,
    draw_tasks,
    predict_tasks,
)

pytestmark = pytest.mark.any_backend

DIGITS = load_digits(return_X_y=True)
TRANSDUCTIVE = {
    "transductive_finetuning",
    "soft_kmeans",
    "bavardage",
    "bd_cspn",
    "laplacian_shot",
    "pt_map",
    "tim",
}


@pytest.fixture
def reference(shared_data):
    """The folder of what published systems predict, beside the real images."""
    folder = shared_data.parent / "reference"
    if not folder.is_dir():
        pytest.skip("the folder of reference predictions is not beside this checkout")
    return folder


def random_tasks(tasks=6, ways=4, shots=2, queries=10, dim=7, tokens=None, seed=0):
    """Tasks of overlapping classes, and base features of eight other classes."""
    rng = np.random.default_rng(seed)
    extra = () if tokens is None else (tokens,)
    centers = rng.normal(size=(tasks, ways, 1, *(1 for _ in extra), dim))
    support = centers + rng.normal(size=(tasks, ways, shots, *extra, dim))
    queries = centers + rng.normal(size=(tasks, ways, queries, *extra, dim))
    base_labels = np.arange(160) % 8
    base = rng.normal(size=(8, dim))[base_labels] + rng.normal(size=(160, dim)) * np.linspace(
        0.3, 1.5, dim
    )
    flat = queries.reshape(tasks, -1, *extra, dim)
    return support, flat, base, base_labels


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


# === What published systems predict ===


@pytest.mark.parametrize("kind", ["1shot_balanced", "5shot_balanced"])
@pytest.mark.parametrize("balanced", [True, False])
def test_bavardage_and_soft_kmeans_predict_what_their_own_code_does(reference, kind, balanced):
    kind = kind if balanced else kind.replace("balanced", "unbalanced")
    with np.load(reference / "transductive.npz") as file:
        novel, base, of = (file[name] for name in ("novel", "base", "base_labels"))
        support, queries = novel[file[f"{kind}_support"]], novel[file[f"{kind}_queries"]]
        expected = {name: file[f"{kind}_{name}"] for name in ("soft_kmeans", "bavardage")}
    soft = predict_tasks(support, queries, "soft_kmeans", base, of)
    assert np.mean(soft == expected["soft_kmeans"]) >= 0.995
    ours = predict_tasks(support, queries, "bavardage", base, of, balanced=balanced)
    assert np.mean(ours == expected["bavardage"]) >= 0.995
    assert np.mean(ours == soft) < 0.98


@pytest.mark.parametrize("shots", ["1shot", "5shot"])
def test_meta_qda_scores_what_its_own_code_does(reference, shots):
    with np.load(reference / "meta_qda.npz") as file:
        features = file["features"]
        support = features[file[f"{shots}_support"]]
        queries = features[file[f"{shots}_queries"].reshape(len(support), -1)]
        prior = NormalInverseWishart(
            file["prior_mean"][0],
            float(file["prior_kappa"]),
            float(file["prior_nu"]),
            file["prior_scale"],
        )
        options = {"prior": prior, "regularization": float(file["regularization"])}
        expected = {name: file[f"{shots}_{name}"] for name in ("fb", "map")}
    for variant, scores in expected.items():
        ours, received = predict_tasks(
            support, queries, "meta_qda", scores=True, variant=variant, **options
        )
        np.testing.assert_allclose(received, scores, rtol=2e-4)
        assert np.mean(ours == scores.argmax(axis=-1)) >= 0.995


@pytest.mark.parametrize("shots", ["1shot", "5shot"])
def test_fewture_scores_what_its_own_code_does(reference, shots):
    with np.load(reference / "fewture.npz") as file:
        support, queries = file[f"{shots}_support"], file[f"{shots}_queries"]
        for rate, name in ((0.1, "logits"), (0, "logits_unadapted")):
            expected = file[f"{shots}_{name}"]
            ours, received = predict_tasks(
                support, queries, "fewture", scores=True, learning_rate=rate
            )
            np.testing.assert_allclose(received, expected, atol=5e-3)
            assert np.mean(ours == expected.argmax(axis=-1)) >= 0.995


# === easyfsl ===


@pytest.fixture(scope="module")
def easyfsl():
    torch = pytest.importorskip("torch")
    from keras_clce.models.timm_reference import import_timm

    # Beside torch's nightly twin, torchvision is imported as timm needs it.
    import_timm()
    methods = pytest.importorskip("easyfsl.methods")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch, methods
    torch.set_num_threads(threads)


@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize(
    ("name", "method", "options", "theirs"),
    [
        ("simple_shot", "SimpleShot", {}, {}),
        ("finetuning", "Finetune", {"steps": 40}, {"fine_tuning_steps": 40}),
        (
            "finetuning",
            "Finetune",
            {"steps": 20, "learning_rate": 0.01, "temperature": 4.0},
            {"fine_tuning_steps": 20, "fine_tuning_lr": 0.01, "temperature": 4.0},
        ),
        ("transductive_finetuning", "TransductiveFinetuning", {}, {}),
        (
            "transductive_finetuning",
            "TransductiveFinetuning",
            {"learning_rate": 0.002, "temperature": 3.0},
            {"fine_tuning_lr": 0.002, "temperature": 3.0},
        ),
        ("bd_cspn", "BDCSPN", {}, {}),
        ("laplacian_shot", "LaplacianShot", {}, {}),
        (
            "laplacian_shot",
            "LaplacianShot",
            {"neighbors": 6, "regularization": 0.2, "steps": 4},
            {"knn": 6, "lambda_regularization": 0.2, "inference_steps": 4},
        ),
        ("pt_map", "PTMAP", {}, {}),
        ("tim", "TIM", {}, {}),
        (
            "tim",
            "TIM",
            {"learning_rate": 0.01, "conditional_entropy_weight": 0.5},
            {"fine_tuning_lr": 0.01, "conditional_entropy_weight": 0.5},
        ),
    ],
)
def test_predictions_equal_those_of_easyfsls_loop(easyfsl, name, method, options, theirs, shots):
    torch, methods = easyfsl
    features, labels = DIGITS
    rows = normalize(features + np.random.default_rng(0).normal(scale=5, size=features.shape))
    rows = rows.astype("float32")
    drawn = next(draw_tasks(labels, ways=5, shots=shots, queries=15, tasks=10, seed=1))
    known = torch.arange(5).repeat_interleave(shots)
    expected = []
    for support, queries in zip(drawn.support, drawn.queries.reshape(10, -1), strict=True):
        model = getattr(methods, method)(**theirs)
        model.process_support_set(torch.from_numpy(rows[support.ravel()]), known)
        expected.append(model(torch.from_numpy(rows[queries])).argmax(dim=1).numpy())
    ours = next(
        classify_tasks(rows, [drawn], name, transform=None, classifier_options=options)
    ).reshape(10, -1)
    assert np.mean(ours == np.array(expected)) >= 0.995
    assert 0.25 < np.mean(ours == np.repeat(np.arange(5), 15)) < 0.97


# === Loops over the formulas ===


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


# === What holds of all ===


def arguments(name, **sizes):
    """Support, queries and base features that fit a classifier."""
    kind = TASK_CLASSIFIERS[name]()
    support, queries, base, of = random_tasks(tokens=6 if kind.tokens else None, **sizes)
    return support, queries, name, *((base, of) if kind.base_features else (None, None))


@pytest.mark.parametrize("name", TASK_CLASSIFIERS)
def test_only_transductive_classifiers_see_the_queries_of_a_task_together(name):
    support, queries, *rest = arguments(name, tasks=12)
    together = predict_tasks(support, queries, *rest)
    alone = np.concatenate(
        [predict_tasks(support, queries[:, [place]], *rest) for place in range(queries.shape[1])],
        axis=1,
    )
    assert TASK_CLASSIFIERS[name].transductive == (name in TRANSDUCTIVE)
    if name in TRANSDUCTIVE - {"transductive_finetuning", "tim"}:
        assert (together != alone).any()
    elif name not in TRANSDUCTIVE:
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("name", TASK_CLASSIFIERS)
def test_tasks_do_not_depend_on_those_beside_them(name):
    support, queries, *rest = arguments(name, tasks=70, queries=4)
    _, scores = predict_tasks(support, queries, *rest, scores=True)
    for place in (0, 40, 69):
        _, alone = predict_tasks(support[[place]], queries[[place]], *rest, scores=True)
        np.testing.assert_allclose(scores[[place]], alone, rtol=1e-4, atol=1e-3)


def degenerate(name, dim):
    """Tasks with equal rows, zero rows, a class all alike, and features far from 1."""
    support, queries, *rest = arguments(name, tasks=7, dim=dim, shots=2, queries=3)
    queries = queries.copy()
    support[0], queries[0] = 1.0, 1.0
    support[1], queries[1] = 0.0, 0.0
    support[2, 0] = support[2, 0, :1]
    queries[3] = support[3, 0, 0]
    support[4] *= 1e12
    queries[4] *= 1e12
    support[5] *= 1e-20
    queries[5] *= 1e-20
    support[6], queries[6] = support[6, :1], support[6, 0, 0]
    return support, queries, *rest


# scikit-learn warns of logistic regression of features that are a million million long.
@pytest.mark.filterwarnings("error::RuntimeWarning", "default::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize("dim", [1, 3, 90])
@pytest.mark.parametrize("name", TASK_CLASSIFIERS)
def test_degenerate_tasks_have_finite_scores(name, dim):
    support, queries, *rest = degenerate(name, dim)
    for some in (queries, queries[:, :1]):
        classes, scores = predict_tasks(support, some, *rest, scores=True)
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(classes, scores.argmax(axis=-1))
    many = predict_tasks(*arguments(name, tasks=1, ways=20, shots=1, queries=1, dim=dim))
    assert many.shape == (1, 20) and 0 <= many.min() and many.max() < 20


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", ["simple_shot", "soft_kmeans", "bavardage", "meta_qda"])
def test_degenerate_base_classes_have_finite_scores(name):
    support, queries, base, _ = random_tasks(tasks=1)
    for rows in (0 * base, np.ones_like(base), np.repeat(base[:8], 20, axis=0), base[:8]):
        labels = np.arange(len(rows)) if len(rows) == 8 else np.repeat(np.arange(8), 20)
        _, scores = predict_tasks(support, queries, name, rows, labels, scores=True)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", TASK_CLASSIFIERS)
def test_easy_tasks_are_solved(name):
    rng = np.random.default_rng(0)
    extra = (6,) if TASK_CLASSIFIERS[name].tokens else ()
    centers = np.abs(rng.normal(size=(3, 5, 1, *(1 for _ in extra), 30))) * 3
    support, queries = (
        centers + 0.05 * rng.normal(size=(3, 5, shots, *extra, 30)) for shots in (3, 6)
    )
    base = rng.normal(size=(8, 30))[np.arange(200) % 8] + 0.1 * rng.normal(size=(200, 30))
    base = base, np.arange(200) % 8
    if TASK_CLASSIFIERS[name]().base_features is None:
        base = None, None
    predicted = predict_tasks(support, queries.reshape(3, 30, *extra, 30), name, *base)
    np.testing.assert_array_equal(predicted, np.tile(np.repeat(np.arange(5), 6), (3, 1)))


# === Bad input ===


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier": "svm"}, r"`classifier` must be one of logistic, .*Received: classifier='s"),
        ({"classifier": "bavardage"}, r"bavardage needs `base_features` and `base_labels`"),
        ({"classifier": "meta_qda"}, r"meta_qda needs `base_features`"),
        ({"classifier": "fewture"}, r"`support` must be numbers of shape .*tokens.*fewture takes"),
        ({"support": np.zeros((1, 2, 2, 6, 3))}, r"patch tokens are what fewture takes"),
        ({"support": np.zeros((1, 1, 2, 3))}, r"`support` must have two classes"),
        ({"support": np.full((1, 2, 2, 3), np.nan)}, r"`support` must be finite"),
        ({"queries": np.full((1, 4, 3), np.inf)}, r"`queries` must be finite"),
        ({"queries": np.full((1, 4, 3), 1e20)}, r"`queries` must lie within"),
        ({"queries": np.zeros((2, 4, 3))}, r"`queries` must be as many tasks as `support`"),
        ({"queries": np.zeros((1, 4, 5))}, r"`queries` must be as many tasks as `support`"),
        ({"queries": "features"}, r"`queries` must be numbers of shape \(tasks, examples, dim\)"),
        ({"temperature": 1.0}, r"Options of the classifier logistic are none. .*temperature=1.0"),
        ({"classifier": "tim", "rate": 1}, r"are steps, learning_rate, .*Received: rate=1"),
        ({"classifier": "tim", "temperature": 0}, r"`temperature` must be .*above 0. Received"),
        ({"classifier": "tim", "steps": 1.5}, r"`steps` must be a whole number"),
        ({"classifier": "tim", "marginal_entropy_weight": -1}, r"`marginal_entropy_weight`.*least"),
        ({"classifier": "pt_map", "power": np.nan}, r"`power` must be a finite number"),
        ({"classifier": "bavardage", "balanced": "no"}, r"`balanced` must be True or False"),
        ({"classifier": "meta_qda", "variant": "ml"}, r"`variant` must be one of fb, map"),
        ({"classifier": "meta_qda", "prior": "flat"}, r"`prior` must be"),
        ({"classifier": "meta_qda", "regularization": 2}, r"`regularization` must be .* 0..1"),
        (
            {"classifier": "transductive_finetuning", "similarity": "dot"},
            r"`similarity` must be one of euclidean, cosine",
        ),
    ],
)
def test_bad_input(change, message):
    given = {"support": np.zeros((1, 2, 2, 3)), "queries": np.zeros((1, 4, 3)), **change}
    with pytest.raises(ValueError, match=message):
        predict_tasks(**given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_features": np.zeros((6, 4))}, r"`base_features` must have 3 dimensions"),
        ({"base_features": np.full((6, 3), np.nan)}, r"`base_features` must be finite"),
        ({"base_features": np.zeros((6, 2, 3))}, r"`base_features` must be numbers of shape"),
        ({"base_labels": None}, r"bavardage needs `base_labels`"),
        ({"base_labels": np.zeros(6, int)}, r"`base_labels` must have two classes"),
        ({"base_labels": np.arange(5)}, r"`base_labels` must be integers of shape \(6,\)"),
        ({"base_labels": np.arange(6) / 2}, r"`base_labels` must be integers"),
    ],
)
def test_bad_base_classes(change, message):
    given = {"base_features": np.eye(6)[:, :3], "base_labels": np.arange(6) % 2, **change}
    with pytest.raises(ValueError, match=message):
        predict_tasks(np.zeros((1, 2, 2, 3)), np.zeros((1, 4, 3)), "bavardage", **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": np.eye(3)}, r"`scale` must be symmetric and of shape \(2, 2\)"),
        ({"scale": np.array([[1.0, 2.0], [0.0, 1.0]])}, r"`scale` must be symmetric"),
        ({"scale": -np.eye(2)}, r"`scale` must be positive definite"),
        ({"nu": 1.0}, r"`nu` must be above dim - 1 = 1"),
        ({"kappa": 0.0}, r"`kappa` must be a finite number above 0"),
        ({"mean": [0.0, np.nan]}, r"`mean` must be finite"),
    ],
)
def test_bad_priors(change, message):
    given = {"mean": np.zeros(2), "kappa": 1.0, "nu": 4.0, "scale": np.eye(2), **change}
    with pytest.raises(ValueError, match=message):
        NormalInverseWishart(**given)


def test_a_prior_of_other_dimensions_is_refused():
    prior = NormalInverseWishart(np.zeros(2), 1.0, 4.0, np.eye(2))
    with pytest.raises(ValueError, match=r"`prior` must be one of features with 3 dimensions"):
        predict_tasks(np.zeros((1, 2, 2, 3)), np.zeros((1, 4, 3)), "meta_qda", prior=prior)
