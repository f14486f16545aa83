"""Tables and pictures of few-shot runs: each figure says over what its interval is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_clce.evaluate.statistics import confidence_interval, paired_t_test
from keras_clce.files import write_atomically
from keras_clce.report.tables import format_table


def few_shot_table(accuracies: Mapping[tuple[str, int], np.ndarray], baseline: str = "ce") -> str:
    """Few-shot accuracy of each loss in percent, with intervals and paired tests of three kinds.

    Columns: the mean over tasks with its interval over tasks (of each task's mean over seeds); the
    mean with its interval across seeds; what the CLCE paper prints, the median over tasks with an
    interval across seeds; and the difference from the baseline, paired by task and by seed.

    Args:
        accuracies: Accuracy of each task `(tasks,)` for each loss and seed, the same tasks for all.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        The table as text.

    Example:
    ```python
    print(few_shot_table({("ce", 0): ce.accuracies, ("clce", 0): clce.accuracies}))
    ```
    """
    by_loss: dict[str, dict[int, np.ndarray]] = {}
    for (loss, seed), values in accuracies.items():
        by_loss.setdefault(loss, {})[seed] = np.asarray(values)
    header = ["loss", "seeds", "mean, over tasks", "mean, across seeds", "median, across seeds"]
    header += [f"vs {baseline}, by task", f"vs {baseline}, by seed"]
    rows = []
    for loss, seeds in by_loss.items():
        runs = list(seeds.values())
        over_tasks = np.mean(runs, axis=0)
        row = [loss, str(len(runs)), _percent(over_tasks.mean(), confidence_interval(over_tasks))]
        for statistic in (np.mean, np.median):
            values = [statistic(run) for run in runs]
            row.append(_percent(np.mean(values), confidence_interval(values)))
        rows.append([*row, *_versus(seeds, by_loss.get(baseline, {}), loss == baseline)])
    return format_table(header, rows)


def read_accuracies(path: Path, name: str) -> np.ndarray:
    """Read the accuracy of each task from a run's `few_shot.npz`.

    Args:
        path: The file.
        name: Kind of task, as in `metrics.json`.

    Returns:
        Accuracies `(tasks,)`.

    Raises:
        ValueError: If the file is missing or damaged.

    Example:
    ```python
    read_accuracies(Path("runs/few_shot/cifar_fs/vit_tiny/ce-seed0/few_shot.npz"), "5w1s").mean()
    ```
    """
    try:
        with np.load(path) as file:
            accuracies = file[name]
        # NumPy gives the bytes of a member that does not begin as an array.
        if np.ndim(accuracies) != 1 or not np.isfinite(accuracies).all():
            raise ValueError("it does not hold one number a task")
        return accuracies
    except Exception as error:  # NumPy, archives and their compression raise many kinds of errors
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}). Delete it and metrics.json, and "
            "pass --resume: the checkpoint gives both again"
        ) from error


def plot_few_shot(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the mean accuracy of each loss with its 95 % interval, one panel a kind of task.

    Args:
        runs: The `metrics.json` of each few-shot run. With several seeds of a loss the interval is
            across seeds, with one it is over tasks.
        path: The PNG file to write.

    Example:
    ```python
    plot_few_shot([json.loads(path.read_text()) for path in found], Path("few_shot.png"))
    ```
    """
    kinds = list(runs[0]["few_shot"])
    losses = list(dict.fromkeys(run["loss"] for run in runs))
    columns = min(4, len(kinds))
    lines = -(-len(kinds) // columns)
    figure = Figure(figsize=(3.2 * columns, 3.2 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, kind in zip(panels, kinds, strict=False):
        for number, loss in enumerate(losses):
            results = [run["few_shot"][kind] for run in runs if run["loss"] == loss]
            means = [100 * result["mean"] for result in results]
            half = confidence_interval(means) if len(means) > 1 else 100 * results[0]["ci95"]
            axes.errorbar(number, np.mean(means), half, fmt="o", capsize=4, color=f"C{number}")
        axes.set_xticks(range(len(losses)), losses, rotation=30)
        axes.set_title(kind, fontsize=10)
        axes.set_ylabel("accuracy, %")
        axes.grid(alpha=0.3)
    for axes in panels[len(kinds) :]:
        axes.set_axis_off()
    write_atomically(path, lambda to: figure.savefig(to, dpi=120))


def _percent(mean, half):
    return f"{100 * mean:.2f}" + ("" if np.isnan(half) else f" ± {100 * half:.2f}")


def _versus(seeds, baseline, is_baseline):
    shared = sorted(set(seeds) & set(baseline))
    if is_baseline or not shared:
        return "-", "-"
    ours, theirs = ([runs[seed] for seed in shared] for runs in (seeds, baseline))
    by_task = paired_t_test(np.mean(ours, axis=0), np.mean(theirs, axis=0))
    cells = [_tested(by_task)]
    if len(shared) < 2:
        return *cells, "one seed"
    return *cells, _tested(paired_t_test(np.mean(ours, axis=1), np.mean(theirs, axis=1)))


def _tested(test):
    difference = f"{100 * test.mean_difference:+.2f} ± {100 * test.ci95:.2f}"
    return f"{difference}, p = {test.p_value:.3g}"
