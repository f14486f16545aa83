"""A page with a table of each folder of `results/`, computed from the records of its runs."""

import collections
import dataclasses
import json
import statistics
from pathlib import Path

from scipy.stats import t

RESULTS = Path(__file__).resolve().parents[2] / "results"
PLACE = "results/runs.md"
# What cross-entropy does not read, so that it may differ between two runs that are compared. The
# site is built without the package; a test holds it to `unread_settings("ce")`.
UNREAD_BY_CE = {
    "contrastive_weight",
    "contrastive_schedule",
    "temperature",
    "hardness",
    "positive_sum",
    "denominator",
    "detach_weights",
    "memory_size",
    "mix",
    "negatives",
}
INTRODUCTION = """# All runs

Each folder of `results/` that holds runs, from their records alone: fractions of test images or of
tasks in %, the mean of the seeds and, from two seeds on, its 95 % interval (Student's t).
"Minus `ce`" is paired over the seeds that both have, with the cross-entropy that has the same
settings or is the only one of the folder. What the figures mean, and how far they go, is on
[the page of results](index.md).
"""


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run's record says."""

    loss: str
    seed: int
    data: str
    settings: dict
    measures: dict


def on_files(files, config):
    """Add the page."""
    from mkdocs.structure.files import File  # which the page itself, and its test, do without

    files.append(File.generated(config, PLACE, content=page()))
    return files


def page() -> str:
    """The page of all folders with runs, in the order of their names."""
    folders = sorted({path.parent.parent for path in RESULTS.rglob("metrics.json")})
    return INTRODUCTION + "\n".join(section(folder) for folder in folders)


def section(folder: Path) -> str:
    """A heading, what the runs of a folder share, and their table."""
    runs = [read(path.parent) for path in sorted(folder.glob("*/metrics.json"))]
    varied = varied_settings(runs)
    groups = collections.defaultdict(dict)
    for run in runs:
        key = (
            run.loss,
            *(str(run.settings.get(name, "")).replace("None", "none") for name in varied),
        )
        groups[key][run.seed] = run
    names = list(dict.fromkeys(name for run in runs for name in run.measures))
    head = ["loss", *(f"`{name}`" for name in varied), "seeds"]
    head += [title for name in names for title in (name, "minus `ce`")]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for key, seeds in groups.items():
        base = baseline(groups, key, varied)
        read_by_loss = [
            "" if key[0] == "ce" and name in UNREAD_BY_CE else value
            for name, value in zip(varied, key[1:], strict=True)
        ]
        cells = [f"`{key[0]}`", *read_by_loss, ", ".join(map(str, sorted(seeds)))]
        for name in names:
            values = {seed: run.measures[name] for seed, run in seeds.items()}
            cells.append(with_interval(list(values.values())))
            gains = [values[seed] - base[seed].measures[name] for seed in values if seed in base]
            cells.append(with_interval(gains, sign="+") if gains else "")
        lines.append(f"| {' | '.join(cells)} |")
    shared = runs[0].settings
    data = " ".join(dict.fromkeys(run.data + "." for run in runs))
    about = f"`{shared['backbone']}`, {shared['epochs']} epochs at most. {data}"
    name = folder.relative_to(RESULTS).as_posix()
    return "\n".join([f"\n## {name}\n", about, "", *lines, ""])


def read(folder: Path) -> Run:
    """A run's record."""
    metrics, config = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("metrics.json", "config.json")
    )
    if "few_shot" in metrics:
        shots = {f"{tasks['shots']}-shot": tasks["mean"] for tasks in first_of_shots(metrics)}
        measures = dict(sorted(shots.items()))
    else:
        test = metrics["test"]
        measures = {"top-1": test["top1"], "1-NN": test.get("nearest_neighbor")}
        measures = {name: value for name, value in measures.items() if value is not None}
    measures = {name: 100 * value for name, value in measures.items()}
    return Run(metrics["loss"], metrics["seed"], metrics["data"], config["settings"], measures)


def first_of_shots(metrics):
    """Tasks of each number of shots as the run reports them first: its first features."""
    found = {}
    for tasks in metrics["few_shot"].values():
        found.setdefault(tasks["shots"], tasks)
    return found.values()


def varied_settings(runs):
    """Names of the settings that are not the same in all runs, but for the loss and the seed."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [
        name
        for name in names
        # A run from before there was a setting has its default.
        if name not in ("loss", "seed")
        and len({str(run.settings[name]) for run in runs if name in run.settings}) > 1
    ]


def baseline(groups, key, varied):
    """Runs of cross-entropy, by their seed, that those of a key are compared with."""
    if key[0] == "ce":
        return {}
    others = {other: seeds for other, seeds in groups.items() if other[0] == "ce"}
    if len(others) == 1:
        return next(iter(others.values()))
    same = [
        seeds
        for other, seeds in others.items()
        if all(
            a == b or name in UNREAD_BY_CE
            for name, a, b in zip(varied, key[1:], other[1:], strict=True)
        )
    ]
    return same[0] if len(same) == 1 else {}


def with_interval(values, sign=""):
    """Mean, and the half width of its 95 % interval where there are two values or more."""
    text = f"{statistics.mean(values):{sign}.2f}"
    if len(values) < 2:
        return text
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{text} ± {half:.2f}"
