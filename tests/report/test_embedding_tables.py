"""The page of an embedding study."""

import pytest

from keras_clce.report.embedding_tables import (
    embedding_answer,
    embedding_page,
    embedding_table,
    paper_isotropy,
)

pytestmark = pytest.mark.any_backend


def model(isotropy, overlap, nearest, probe=None):
    pairs = {"within": 0.5, "between": -0.1, "overlap": overlap, "auroc": 0.9}
    numbers = {"isotropy": isotropy, "uniformity": -3.0, "alignment": 1.0, "class_separation": 0.4}
    numbers |= {"cosines": {"all classes": pairs}, "nearest_neighbor": {"1": nearest, "5": 0.5}}
    return numbers if probe is None else {**numbers, "linear_probe": probe}


@pytest.fixture
def study():
    models = {"ce": model(0.4321, 0.35, 0.70, 0.75), "clce": model(0.91, 0.21, 0.6991, 0.8)}
    return {"models": models, "dataset": "places365", "data": "places365: 10 images"}


def test_the_answer_names_the_better_side_of_each_measure(study):
    text = " ".join(embedding_answer(study).split())
    assert text == (
        "More isotropic: clce, 0.91 against 0.43 of ce. Less overlap of positive and negative "
        "pairs: clce, 0.21 against 0.35 of ce. Nearest neighbour more often of the right class: "
        "ce, 70.0 % against 69.9 % of clce. Linear probe more often right: clce, 80.0 % against "
        "75.0 % of ce. That is one model of each; how far another seed would move it is not known."
    )
    assert all(len(line) <= 100 for line in embedding_answer(study).splitlines())


def test_equal_values_and_missing_ones(study):
    study["models"]["supcon"] = model(0.909, 0.21, 0.8)
    text = " ".join(embedding_answer(study).split())
    assert "About the same isotropy score: clce and supcon, 0.91." in text
    assert "About the same overlap of cosines: clce and supcon, 0.21." in text
    assert "class: supcon, 80.0 % against 70.0 % of ce, 69.9 % of clce." in text
    # Not of every model.
    assert "probe" not in text
    row = next(line for line in embedding_table(study).splitlines() if "linear probe" in line)
    assert row.split()[2:] == ["higher", "75.0", "%", "80.0", "%", "-"]


def test_one_model_has_its_numbers_alone(study):
    del study["models"]["ce"]
    assert "clce: isotropy score 0.910, overlap of cosines 0.210" in embedding_answer(study)
    assert "seed" not in embedding_answer(study)


def test_the_tables_have_every_number_once(study):
    lines = embedding_table(study).splitlines()
    assert lines[2].split() == ["isotropy", "score", "higher", "0.432", "0.910"]
    assert "5-NN accuracy     higher  50.0 %  50.0 %" in lines
    assert lines[-2].split() == ["all", "classes", "ce", "0.500", "-0.100", "0.350", "0.900"]
    assert lines[-1].split() == ["clce", "0.500", "-0.100", "0.210", "0.900"]


def test_the_papers_figures_stand_beside():
    # Of its Table 5: three data sets, of which one is the study's.
    assert "ce 0.34, clce 0.93 on places365" in paper_isotropy("places365")
    assert "imagenet1k" not in paper_isotropy("places365")
    for figures in ("ce 0.32, clce 0.98 on inaturalist2017", "ce 0.27, clce 0.92 on imagenet1k"):
        assert figures in paper_isotropy("digits")
    assert paper_isotropy(None) == paper_isotropy("digits")


def test_the_page_shows_pictures_that_are_there(study):
    page = embedding_page(study, {"PCA of cats": "pca.png"}, ["ce: from ce.npz"])
    assert page.startswith("# Embeddings of ce and clce, places365\n")
    assert "![PCA of cats](pca.png)" in page and "- ce: from ce.npz" in page
    assert "![" not in embedding_page(study, {})
    assert "\N{NO-BREAK SPACE}" not in page
