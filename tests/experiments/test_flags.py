"""Flags from fields, and what is answered before Keras is imported."""

import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from recipe_runs import ROOT, environment_alone, study

from keras_clce.experiments.flags import define, help_text, parse
from keras_clce.experiments.settings import Settings, fields

pytestmark = pytest.mark.any_backend


def test_there_is_a_flag_for_every_setting():
    names = set(define({}, "few_shot"))
    assert set(fields()) - {"loss", "seed"} <= names
    assert names - set(fields()) == {
        *("losses", "seeds", "settings", "preset", "frozen", "resume", "show_views"),
    }
    assert not {"ways", "shots", "frozen"} & set(define({}, "transfer"))


def test_flags_that_are_not_given_are_the_defaults():
    found = parse(define({}, "few_shot"), ["few_shot"])
    assert found.settings == Settings()
    assert not found.given and found.losses is None and found.seeds == (0,)
    given = parse(
        define({}, "few_shot"),
        [
            "few_shot",
            "--shots=3,7",
            "--noremat",
            "--weights=none",
            "--class_weight=none",
            "--learning_rate=ce=1,clce=2",
        ],
    )
    assert given.settings.shots == (3, 7)
    assert given.settings.learning_rate == {"ce": 1.0, "clce": 2.0}
    assert given.given == {"shots", "remat", "weights", "class_weight", "learning_rate"}
    assert given.settings.class_weight is None


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--bach_size=3", "Unknown command line flag 'bach_size'. Did you mean: batch_size"),
        ("--batch_size=1", "flag --batch_size=1: must be at least 2"),
        ("--batch_size=many", "batch_size"),
        ("--temperature=0", "flag --temperature=0.0: must be above 0"),
        ("--losses=ce,ce", "flag --losses=ce,ce: must be different names of"),
        ("--data_dir=/nowhere/at/all", "flag --data_dir=/nowhere/at/all: there is no"),
        ("--weights=nowhere/model.pth", "flag --weights=nowhere/model.pth: there is no"),
        ("--dataset=cifar1000", "flag --dataset=cifar1000: .*must be one of"),
        ("foo", "Unexpected arguments: foo"),
    ],
)
def test_wrong_flags_are_named(argument, message):
    with pytest.raises(flags.Error, match=message):
        study("transfer", argument)


def test_help_has_every_flag_once_in_lines_that_fit():
    values = define({}, "few_shot")
    text = help_text(values, "Compares losses.")
    assert max(map(len, text.splitlines())) <= 100
    for name in values:
        assert (
            sum(
                line.split()[0].replace("[no]", "") == f"--{name}"
                for line in text.splitlines()
                if line.startswith("  --")
            )
            == 1
        ), name
    assert "ce_supcon" in text and "oxford_flowers102" in text


@pytest.mark.parametrize("recipe", ["transfer", "few_shot", "report", "import_weights"])
@pytest.mark.parametrize(
    "argument", ["--help", "--bach_size=3", "--data_dir=/nowhere", "--runs=/nowhere"]
)
def test_help_and_wrong_flags_need_no_keras(recipe, argument, tmp_path):
    path = ROOT / "recipes" / f"{recipe}.py"
    done = subprocess.run(
        [sys.executable, str(path), argument],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        # A directory in which `import keras` fails.
        env={**environment_alone(), "PYTHONPATH": f"{_without_keras(tmp_path)}:{ROOT}"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert (done.returncode == 0) == (argument == "--help"), done.stdout + done.stderr
    assert "Keras was imported" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def _without_keras(folder: Path) -> Path:
    (folder / "keras.py").write_text("raise SystemExit('Keras was imported')")
    return folder


def test_the_command_lists_recipes_and_runs_them(capsys, tmp_path):
    from keras_clce import cli

    cli.main(["keras-clce"])
    printed = capsys.readouterr().out
    assert "transfer " in printed and "Fine-tune an encoder with CLCE" in printed
    assert set(cli.recipes()) == {path.stem for path in (ROOT / "recipes").glob("[a-z]*.py")}
    with pytest.raises(SystemExit, match="Did you mean transfer"):
        cli.main(["keras-clce", "transfr"])
    with pytest.raises(SystemExit, match="Did you mean: batch_size"):
        cli.main(["keras-clce", "transfer", "--bach_size=3"])
