"""The tuning recipe, run as a user runs it."""

import pytest
import recipe_runs
from keras_clce.recipes import tune

from keras_clce.runs import find_records

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--method=annealing"], "--method=annealing: must be one of: bayesian, hyperband"),
        (["--trials=0"], "--trials=0: must be at least 1"),
        (["--minutes=-1"], "`minutes` must be a number above 0. Received: minutes=-1.0"),
        (["--minutes=1", "--trials=2"], "`trials` and `minutes` exclude each other"),
        (["--search=temprature"], "`search` must name settings, which"),
        (["--search=temperature=1:0.1"], "`low` must be below `high`"),
        (["--losses=ce,mse"], "--losses=ce,mse: must be different names of"),
        (["--notest"], "Unknown command line flag 'notest'"),
        (["--dataset=imagenet"], "--dataset=imagenet"),
    ],
)
def test_wrong_flags_end_in_one_line(flags, message):
    with pytest.raises(SystemExit) as stopped:
        recipe_runs.run(tune, *flags)
    text = str(stopped.value.code)
    assert text.startswith("Error: ") and message in text and "\n" not in text


def test_help_has_the_recipes_own_flags(capsys):
    recipe_runs.run(tune, "--help")
    printed = capsys.readouterr().out
    assert "--method  How: bayesian" in printed and "--search" in printed
    assert "--show_views" not in printed and "--[no]test" not in printed


def test_the_recipe_tunes_goes_on_and_tests_the_best(tiny_backbone, tmp_path, capsys):
    flags = recipe_runs.flags_for(tiny_backbone, tmp_path, "--losses=clce", "--quick")
    flags += ("--search=temperature=0.1|0.5", "--method=grid", "--limit_examples=60")
    recipe_runs.run(tune, *flags)
    records, _ = find_records(tmp_path)
    assert [record.settings["temperature"] for record in records] == [0.1, 0.5]
    assert not any(record.is_tested for record in records)
    with pytest.raises(SystemExit, match=r"Error: .* already holds a search\. Pass --resume"):
        recipe_runs.run(tune, *flags)
    capsys.readouterr()
    recipe_runs.run(tune, *flags, "--resume", "--final", "--seeds=0")
    printed = capsys.readouterr().out
    assert "trial 0" not in printed and "test: top-1" in printed
    (record,) = [record for record in find_records(tmp_path)[0] if record.is_tested]
    assert record.folder.name == "clce-tuned-seed0"
