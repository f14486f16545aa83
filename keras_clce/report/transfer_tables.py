"""The table of transfer runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_clce.evaluate.statistics import confidence_interval, paired_t_test
from keras_clce.report.tables import format_table
from keras_clce.runs.record import run_name

COLUMNS = (("top1", "top-1"), ("top5", "top-5"), ("nearest_neighbor", "1-NN"))


def summary_table(runs: Sequence[Mapping[str, Any]], baseline: str = "ce") -> str:
    """Test accuracy of each loss over its seeds, in percent, with the test against a baseline.

    Args:
        runs: The `metrics.json` of each run.
        baseline: Loss that the others are compared with, seed by seed. Defaults to `"ce"`.

    Returns:
        The table as text: mean ± half width of the 95 % interval over seeds, and the paired
        t-test of top-1 where both losses share at least two seeds.

    Example:
    ```python
    print(summary_table([json.loads(path.read_text()) for path in runs.glob("*/metrics.json")]))
    ```
    """
    by_loss: dict[str, dict[int, Mapping[str, Any]]] = {}
    for run in runs:
        by_loss.setdefault(run_name(run), {})[run["seed"]] = run
    header = ["loss", "seeds", *(title for _, title in COLUMNS), "seconds", f"top-1 vs {baseline}"]
    rows = []
    for loss, seeds in by_loss.items():
        cells = [loss, str(len(seeds))]
        for key, _ in COLUMNS:
            cells.append(_mean_and_interval([run["test"][key] for run in seeds.values()]))
        cells.append(f"{np.mean([run['seconds'] for run in seeds.values()]):.0f}")
        cells.append(_versus(seeds, by_loss.get(baseline), is_baseline=loss == baseline))
        rows.append(cells)
    return format_table(header, rows)


def _mean_and_interval(values):
    if any(value is None for value in values):
        return "-"
    mean = f"{100 * np.mean(values):.2f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {100 * confidence_interval(values):.2f}"


def _versus(seeds, baseline, is_baseline):
    if is_baseline or baseline is None:
        return "-"
    shared = sorted(set(seeds) & set(baseline))
    ours, theirs = ([runs[seed]["test"]["top1"] for seed in shared] for runs in (seeds, baseline))
    if not shared:
        return "no shared seed"
    if len(shared) == 1:
        return f"{100 * (ours[0] - theirs[0]):+.2f} (one seed)"
    test = paired_t_test(ours, theirs)
    return f"{100 * test.mean_difference:+.2f} ± {100 * test.ci95:.2f}, p = {test.p_value:.2g}"
