"""Some of the cases of `run.py`, which runs thousands."""

import pytest
from marks import others_on_any_backend
from run import DOMAINS, run_cases

# Cases that pass in seconds, and kinds of outcomes that must be among them.
SOME = {
    "images": (100, ("damaged png: refused", "folder: loaded", "whole jpg: decoded")),
    "labels": (50, ("CLCELoss: ok", "contrastive losses: ValueError")),
    "flags": (150, ("accepted", "refused: IllegalFlagValueError")),
    "weights": (60, ("damaged .npz: refused", "damaged .keras: refused")),
    "runs": (60, ("config.json: ValueError", "checkpoint: OSError")),
}


@pytest.mark.parametrize(
    "domain",
    others_on_any_backend(DOMAINS, "labels"),
)
@pytest.mark.filterwarnings("ignore")
def test_bad_input_ends_in_a_result_or_one_line(domain):
    cases, kinds = SOME[domain]
    found = run_cases(domain, seed=1, first=0, cases=cases, log=lambda number: None)
    assert not found["findings"], found["findings"][0][1]
    assert set(kinds) <= set(found["counts"])
