"""Task classifiers, against the systems' own predictions and easyfsl."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import normalize

from keras_clce.evaluate import (
    NormalInverseWishart,
    classify_tasks,
    draw_tasks,
    predict_tasks,
)

pytestmark = pytest.mark.any_backend

DIGITS = load_digits(return_X_y=True)


@pytest.fixture
def reference(shared_data):
    """The folder of what published systems predict, beside the real images."""
    folder = shared_data.parent / "reference"
    if not folder.is_dir():
        pytest.skip("the folder of reference predictions is not beside this checkout")
    return folder


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
