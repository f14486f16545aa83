"""The picture of runs by epoch."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from keras_clce import losses
from keras_clce.losses import arguments_of
from keras_clce.report.names import by_name
from keras_clce.report.pictures import new_figure, save_figure
from keras_clce.runs.record import Record

PANELS = (
    ("accuracy", "Accuracy"),
    ("cross_entropy", "Cross-entropy"),
    ("contrastive", "Contrastive loss"),
)
_HEIGHT = 3.8
LABELS_PANEL = ("map", "Mean average precision")
FEW_SHOT_PANEL = ("few_shot", "Few-shot accuracy")
History = Sequence[Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Curves:
    """Logs of a run, and what makes them comparable with those of other runs.

    Args:
        history: The logs, one dict per epoch, with `"epoch"` from 0.
        chance: The contrastive loss where all similarities are equal, in training and in
            validation. Defaults to `None`, unknown.
        trains_classifier: Whether the loss trains the classifier. Defaults to `True`.
        trains_embedding: Whether the loss trains the embedding. Defaults to `True`.

    Example:
    ```python
    Curves(record.history, chance=(math.log(127), math.log(63)))
    ```
    """

    history: History
    chance: tuple[float, float] | None = None
    trains_classifier: bool = True
    trains_embedding: bool = True

    @classmethod
    def of(
        cls, history: History, settings: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> "Curves":
        """Curves from what a run leaves behind.

        Args:
            history: What `RunFolder.read_history` gives.
            settings: The `"settings"` of its `config.json`; what older runs lack is unknown.
            metrics: Its `metrics.json`.

        Returns:
            The curves.

        Example:
        ```python
        Curves.of(folder.read_history(), folder.begun()["settings"], folder.finished())
        ```
        """
        chance, batch_size = None, settings.get("batch_size")
        if _is_count(batch_size):
            examples = (metrics.get("validation") or {}).get("examples")
            # Both views of each image in training, one in validation.
            chance = (
                math.log(2 * batch_size - 1),
                chance_level(examples, batch_size) if _is_count(examples) else math.nan,
            )
        name = settings.get("loss")
        if name not in losses.LOSSES:
            return cls(history, chance)
        weight = {"contrastive_weight"} & {*arguments_of(name)} & {*settings}
        loss = losses.get(name, **{key: settings[key] for key in weight})
        return cls(history, chance, loss.trains_classifier, loss.trains_embedding)


def chance_level(examples: int, batch_size: int) -> float:
    """Contrastive loss of a data set's batches where all similarities are equal.

    Each loss here is log(rows - 1) then: every other row is equally likely to be a positive. Logs
    weight batches by their anchors with a positive, which is close where most anchors have one.

    Args:
        examples: Number of rows in all.
        batch_size: Rows of a batch; the last one may have fewer.

    Returns:
        The mean over batches, weighted by their rows; NaN where no batch has two rows.

    Example:
    ```python
    chance_level(100, 64)  # 3.93
    ```
    """
    full, rest = divmod(examples, batch_size)
    # A row that is alone in its batch has no positive, so that it leaves the mean.
    rows = np.array([size for size in [batch_size] * full + [rest] if size > 1])
    return float(np.average(np.log(rows - 1), weights=rows)) if len(rows) else math.nan


def curves_by_name(records: Iterable[Record]) -> dict[str, list[Curves]]:
    """Curves of runs as `plot_curves` takes them, named as in their table.

    Args:
        records: The records of one picture; those without history are passed over.

    Returns:
        Name to the curves of its seeds.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    plot_curves(curves_by_name(records), Path("curves.png"), run_title(records[0]))
    ```
    """
    return {
        str(name): [Curves.of(run.history, run.settings, run.metrics) for run in group]
        for name, group in by_name(run for run in records if run.history).items()
    }


def plot_curves(
    histories: Mapping[str, Sequence[Curves | History]], path: Path, title: str = ""
) -> None:
    """Draw accuracy and both parts of the loss by epoch, one colour per loss and one line per seed.

    A contrastive loss grows with the rows of a batch, of which training has more than validation.
    Where runs say what it is if all similarities are equal, it is drawn as the difference from
    that. Few-shot accuracy is drawn where a run has logged it.

    Args:
        histories: Name of each loss to its runs: `Curves`, or logs alone, each one dict per epoch
            with `"epoch"` from 0. Training is dashed, validation solid; after one epoch training
            is a cross. What a loss does not train is thin.
        path: The PNG file to write.
        title: What stands above. Defaults to nothing.

    Example:
    ```python
    plot_curves({"clce": [record.history]}, Path("curves.png"), "digits, small_resnet")
    ```
    """
    runs = [
        (name, run if isinstance(run, Curves) else Curves(run))
        for name, of_name in histories.items()
        for run in of_name
    ]
    colours = {name: f"C{number % 10}" for number, name in enumerate(histories)}
    few_shot = any("val_few_shot" in row for _, run in runs for row in run.history)
    panels = (*PANELS, FEW_SHOT_PANEL) if few_shot else PANELS
    if any(LABELS_PANEL[0] in row for _, run in runs for row in run.history):
        # Of several labels an image, which have no accuracy.
        panels = (LABELS_PANEL, *panels[1:])
    over_chance = any(run.chance for _, run in runs)
    figure = new_figure(figsize=(4.2 * len(panels), _HEIGHT), layout="constrained")
    # After the figure, which names a Matplotlib that is missing.
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    legend: dict[str, Any] = {}
    any_thin = False
    for axes, (key, heading) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        shifted = key == "contrastive" and over_chance
        for name, run in runs:
            trained = run.trains_embedding if key == "contrastive" else run.trains_classifier
            thick = trained or key == "few_shot"
            any_thin = any_thin or not thick
            for number, (prefix, style) in enumerate((("", "--"), ("val_", "-"))):
                if not all(prefix + key in row for row in run.history):
                    continue
                if shifted and run.chance is None:
                    continue
                chance = run.chance[number] if shifted and run.chance else 0.0
                (line,) = axes.plot(
                    [row["epoch"] + 1 for row in run.history],
                    [_over(row[prefix + key], chance) for row in run.history],
                    style,
                    color=colours[name],
                    linewidth=(1.5 if len(histories[name]) == 1 else 1) if thick else 0.7,
                    marker=("o" if prefix else "x") if len(run.history) == 1 else None,
                    markersize=6 if thick else 3,
                )
                if thick:
                    legend.setdefault(f"{name}, {'validation' if prefix else 'training'}", line)
        if shifted:
            heading += ", 0: all similarities equal"
            axes.axhline(0, color="grey", linewidth=0.8, linestyle=":")
        axes.set_title(heading, fontsize=11)
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    if any_thin:
        legend["thin: not trained by that loss"] = Line2D([], [], color="grey", linewidth=0.7)
    figure.suptitle(title)
    # As many names side by side as there is room for, and room below for all their lines.
    name_width = 0.65 + 0.085 * max(map(len, legend), default=0)
    columns = max(1, min(4, len(legend), int(figure.get_figwidth() / name_width)))
    figure.set_figheight(_HEIGHT + 0.19 * max(0, math.ceil(len(legend) / columns) - 2))
    figure.legend([*legend.values()], [*legend], loc="outside lower center", ncols=columns)
    save_figure(figure, path, dpi=120)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and value > 0


def _over(value, chance):
    # A contrastive loss of 0 is one without a pair, which is not below chance.
    return math.nan if chance and value == 0 else value - chance
