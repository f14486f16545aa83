"""Tuning at a quarter of a grid's cost against the whole grid, on real trainings.

    KERAS_BACKEND=torch python benchmarks/tuning.py --output_dir DIR
    KERAS_BACKEND=torch python benchmarks/tuning.py --output_dir DIR --dataset cifar100 \
        --data_dir DATA --limit_examples 2000

First every point of a grid over learning rate, weight of the contrastive part and temperature is
trained and tested; for Hyperband it is trained for a third and a ninth of the epochs, too. Then
each method searches the same points with a quarter of the cost of the whole grid, from many seeds;
what a trial would give is read from the grid. Printed is, for each method, how far the chosen point
is below the grid's best on validation, and how far the test accuracy of the chosen point is below
that of the point which the whole grid would choose: means, and the worst of the seeds. Points that
are trained already are read.
"""

import argparse
import dataclasses
import itertools
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from keras_clce.experiments import Settings, Study
from keras_clce.experiments.tuning.budget import Budget
from keras_clce.experiments.tuning.search import Search
from keras_clce.experiments.tuning.space import Space
from keras_clce.report import format_table

METHODS = ("bayesian", "hyperband", "random")
GRID = {
    "learning_rate": (3e-4, 1e-3, 3e-3, 1e-2),
    "contrastive_weight": (0.1, 0.5, 0.9),
    "temperature": (0.1, 0.3, 1.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data_dir")
    parser.add_argument("--backbone", default="small_resnet")
    parser.add_argument("--weights")
    parser.add_argument("--image_size", type=int, default=16)
    parser.add_argument("--limit_examples", type=int)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=20, help="searches of each method")
    asked = vars(parser.parse_args())
    searches = asked.pop("seeds")
    settings = Settings(loss="clce", **asked)
    found = train_grid(settings)
    print_comparison(settings, found, searches)


def train_grid(settings: Settings) -> dict:
    """Validation and test accuracy by point and epochs."""
    found = {}
    for epochs in sorted({-(-settings.epochs // 9), -(-settings.epochs // 3), settings.epochs}):
        study = Study(
            f"grid{epochs}",
            {"loss": ["clce"], **GRID},
            settings=dataclasses.replace(
                settings, epochs=epochs, warmup_epochs=epochs / 10, test=epochs == settings.epochs
            ),
        )
        for record in study.run(resume=True):
            point = tuple(getattr(record.settings, name) for name in GRID)
            test = record.metrics["test"]["top1"] if record.is_tested else None
            found[point, epochs] = record.validation, test
    return found


def print_comparison(settings: Settings, found: dict, searches: int) -> None:
    points = list(itertools.product(*GRID.values()))
    whole = {point: found[point, settings.epochs] for point in points}
    chosen = max(points, key=lambda point: whole[point][0])
    best, tested = whole[chosen]
    print(
        f"\nThe grid of {len(points)} points: best on validation {100 * best:.2f} %, tested "
        f"{100 * tested:.2f} %, {dict(zip(GRID, chosen, strict=True))}; the mean of all points "
        f"{100 * np.mean([v for v, _ in whole.values()]):.2f} and "
        f"{100 * np.mean([t for _, t in whole.values()]):.2f} %"
    )
    rows = []
    for method in METHODS:
        gaps = []
        for seed in range(searches):
            point = search(settings, found, method, seed, trials=len(points) // 4)
            gaps.append([100 * (best - whole[point][0]), 100 * (tested - whole[point][1])])
        gaps = np.array(gaps)
        within = np.mean(gaps[:, 0] <= 0.5)
        cells = [
            f"{mean:.2f} ({worst:.2f})"
            for mean, worst in zip(gaps.mean(0), gaps.max(0), strict=True)
        ]
        rows.append([method, *cells, f"{100 * within:.0f} %"])
    header = ["method", "below on validation", "below on test", "within 0.5"]
    print(
        f"\n{searches} searches of each method at a quarter of the cost, mean (worst), in points:"
    )
    print(format_table(header, rows))


def search(settings: Settings, found: dict, method: str, seed: int, trials: int) -> tuple:
    """The point that one search chooses."""

    def execute(trial, seconds_left):
        validation, _ = found[tuple(trial.values.values()), trial.epochs]
        return dataclasses.replace(trial, status="finished", validation=validation)

    with tempfile.TemporaryDirectory() as folder:
        start = dataclasses.replace(settings, seed=seed)
        budget = Budget(trials=trials, epochs=settings.epochs)
        trials = Search(start, Space(GRID), method, budget, Path(folder), execute).run()
    full = [trial for trial in trials if trial.epochs == max(t.epochs for t in trials)]
    return tuple(max(full, key=lambda trial: trial.validation).values.values())


if __name__ == "__main__":
    main()
