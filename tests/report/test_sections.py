"""Sections of the page: tables beside the paper, studies, embeddings, runs, and what is damaged."""

import json

import numpy as np
import pytest
from PIL import Image
from run_folders import few_shot_run, transfer_run

from keras_clce.report import write_report
from keras_clce.report.provenance import runs_details, settings_table
from keras_clce.runs import find_records
from keras_clce.runs.study_plan import StudyPlan, StudyPoint

pytestmark = pytest.mark.any_backend

FLOWERS = {"dataset": "oxford_flowers102", "backbone": "vit_base", "weights": "imagenet"}


def report(tmp_path):
    """The page's Markdown, and its HTML."""
    path = write_report(tmp_path / "runs", tmp_path / "out")
    return path.read_text(), path.with_suffix(".html").read_text()


def test_the_paper_s_figures_stand_beside_those_of_its_own_encoder(tmp_path):
    for loss, top1 in (("ce", 0.9), ("clce", 0.92), ("hscl", 0.91)):
        transfer_run(tmp_path / "runs" / "a", loss, 0, top1, image_size=224, **FLOWERS)
    text, page = report(tmp_path)
    rows = [line.split() for line in text.splitlines()]
    # Table 2 has no H-SCL with this encoder.
    for row in (
        ["ce", "1", "90.00", "90.86"],
        ["clce", "1", "92.00", "92.04"],
        ["hscl", "1", "91.00", "-"],
    ):
        assert row in [found[:4] for found in rows]
    assert "In the paper CLCE minus cross-entropy is +1.18" in " ".join(text.split())
    assert '<ul class="warning">' not in page
    # Another encoder has them folded, and a warning.
    for loss, top1 in (("ce", 0.9), ("clce", 0.92)):
        about = {**FLOWERS, "backbone": "vit_tiny"}
        transfer_run(tmp_path / "runs" / "b", loss, 0, top1, image_size=224, **about)
    text, page = report(tmp_path)
    assert "- encoder: vit_tiny; the paper has ResNet-101" in text
    assert '<ul class="warning">' in page


def test_a_study_has_its_picture_and_tables(tmp_path):
    home = tmp_path / "runs" / "weights" / "digits" / "small_resnet"
    points = [StudyPoint("ce", "ce")]
    for seed in range(2):
        transfer_run(home, "ce", seed, 0.80 + seed / 100, validation=0.8)
    for weight, better in ((0.2, 0.02), (0.9, 0.05)):
        label = f"contrastive_weight={weight}"
        points.append(StudyPoint(f"clce-{label}", "clce", at={"contrastive_weight": weight}))
        for seed in range(2):
            top1 = 0.8 + better + seed / 90
            transfer_run(home, "clce", seed, top1, 0.8 + better, label, contrastive_weight=weight)
    plan = StudyPlan("weights", ("loss", "contrastive_weight"), ("contrastive_weight",), (*points,))
    plan.add_to(home)
    text, page = report(tmp_path)
    assert "![Accuracy of the study weights over contrastive_weight](study-1.png)" in text
    with Image.open(tmp_path / "out" / "study-1.png") as picture:
        assert picture.format == "PNG"
    start = "    clce, contrastive_weight=0.9 "
    row = next(line for line in text.splitlines() if line.startswith(start))
    assert "*85.00" in row
    assert "<summary>Results of every loss with its settings</summary>" in page
    # What speaks for CLCE is what validation picks.
    assert "`clce, contrastive_weight=0.9`" in text.split("Compared here:")[1]

    (home / "study.json").write_text("{")
    text, _ = report(tmp_path)
    assert "The study is not shown:" in text
    assert f"{home / 'study.json'} is damaged" in " ".join(text.split())
    assert "clce, contrastive_weight=0.9" in text


def test_embeddings_have_a_section_with_their_pictures(tmp_path):
    transfer_run(tmp_path / "runs" / "a", "ce", 0, 0.8)
    home = tmp_path / "runs" / "embeddings" / "digits"
    home.mkdir(parents=True)
    pairs = {"within": 0.5, "between": 0.1, "overlap": 0.2, "auroc": 0.9}
    study = {
        "dataset": "digits",
        "data": "269 test images",
        "models": {
            name: {"isotropy": isotropy, "cosines": {"all classes": pairs, "<b>one</b>": pairs}}
            for name, isotropy in (("ce", 0.4), ("clce", 0.9))
        },
    }
    (home / "embeddings.json").write_text(json.dumps(study))
    Image.new("RGB", (20, 20)).save(home / "cosines.png")
    text, page = report(tmp_path)
    assert "## embeddings/digits" in text
    assert "More isotropic: clce, 0.90 against 0.40 of ce." in text
    assert "(../runs/embeddings/digits/cosines.png)" in text
    assert page.count("data:image/webp") == 2
    assert "&lt;b&gt;one&lt;/b&gt;" in page and "<b>one</b>" not in page
    # Each row has its name, since rows are sorted.
    assert page.count('<th scope="row">all classes</th>') == 2

    (home / "embeddings.json").write_text('{"models": 3}')
    text, _ = report(tmp_path)
    assert f"- Left out, {home / 'embeddings.json'} is damaged (" in text
    assert "## embeddings/digits" not in text


def test_few_shot_runs_whose_tasks_are_lost_do_not_stop_the_page(tmp_path):
    rng = np.random.default_rng(0)
    home = tmp_path / "runs" / "few_shot" / "faces" / "small_resnet"
    for loss in ("ce", "clce"):
        for seed in range(3):
            kinds = {"5w1s": rng.uniform(0.5, 0.6, 20), "5w5s": rng.uniform(0.7, 0.8, 20)}
            folder = few_shot_run(home, loss, seed, kinds)
            Image.new("RGB", (30, 30)).save(folder.task)
    (home / "clce-seed2" / "few_shot.npz").unlink()
    text, page = report(tmp_path)
    assert "clce-seed2/few_shot.npz is damaged" in text
    assert "5-way 1-shot" in text and "2 seeds" in text
    # The first task of each loss.
    assert page.count('class="photo"') == 2


def test_settings_that_differ_are_a_table(tmp_path):
    transfer_run(tmp_path, "ce", 0, 0.8, temperature=0.5)
    transfer_run(tmp_path, "clce", 0, 0.8, temperature=0.1, epochs=8)
    transfer_run(tmp_path, "clce", 1, 0.8, temperature=0.1, epochs=9, remat=True)
    transfer_run(tmp_path, "clce", 2, 0.8, temperature=0.1, epochs=9)
    records, _ = find_records(tmp_path)
    table = settings_table(records)
    assert table.header == ["loss", "epochs", "temperature", "remat"]
    assert [list(row) for row in table.rows] == [
        ["ce", "3", "0.5", "not recorded"],
        ["clce, epochs=8", "8", "0.1", "not recorded"],
        ["clce, epochs=9", "9", "0.1", "true / not recorded"],
    ]
    assert settings_table(records[:1]) is None
    frozen = transfer_run(tmp_path, "frozen", 0, 0.5).record()
    assert settings_table([*records, frozen]) == table


def test_runs_have_their_software_time_and_command(tmp_path):
    folder = transfer_run(tmp_path, "ce", 0, 0.8123, validation=0.7)
    config = json.loads(folder.config.read_text())
    config |= {"versions": {"keras": "3.15.1", "jax": "0.10.2"}, "commit": "0123456789abcdef"}
    folder.config.write_text(json.dumps(config))
    records, _ = find_records(tmp_path)
    details = runs_details(records, command=lambda record: f"make {record.folder.name}")
    table, _, code = details.blocks
    (row,) = table.rows
    # 60 seconds.
    assert row == ["ce-seed0", "81.23", "70.00", "1", "1.0", "jax 0.10.2", "3.15.1", "0123456"]
    assert code.text == "make ce-seed0"
    assert len(runs_details(records).blocks) == 1
    # Earlier versions had less, or something else in its place.
    folder.config.write_text(json.dumps({"settings": {}, "data": "", "versions": None}))
    (row,) = runs_details(find_records(tmp_path)[0]).blocks[0].rows
    assert row[-3:] == ["jax", "-", "-"]


def test_many_runs_that_were_not_tested_are_counted(tmp_path):
    transfer_run(tmp_path / "runs" / "a", "ce", 0, 0.8)
    home = tmp_path / "runs" / "tune"
    for seed in range(6):
        folder = transfer_run(home, "ce", seed, 0.8)
        metrics = json.loads(folder.metrics.read_text()) | {"tested": False}
        metrics["validation"]["top1"] = 0.9
        del metrics["test"]
        folder.metrics.write_text(json.dumps(metrics))
    text, _ = report(tmp_path)
    assert f"- Left out, 6 runs in {home} were not tested" in text
