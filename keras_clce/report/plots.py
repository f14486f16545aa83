"""Pictures of runs, drawn without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_clce.files import write_atomically

PANELS = (
    ("accuracy", "Accuracy"),
    ("cross_entropy", "Cross-entropy"),
    ("contrastive", "Contrastive loss"),
)
FEW_SHOT_PANEL = ("few_shot", "Few-shot accuracy")


def plot_curves(
    histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], path: Path
) -> None:
    """Draw accuracy and both parts of the loss by epoch, one colour a loss and one line a seed.

    Few-shot accuracy is drawn where a run has logged it.

    Args:
        histories: Name of each loss to the logs of its runs, each one dict an epoch with `"epoch"`
            from 0. Training is dashed, validation solid; after one epoch training is a cross.
        path: The PNG file to write.

    Example:
    ```python
    plot_curves({"clce": [checkpoint.history]}, Path("curves.png"))
    ```
    """
    runs = [(name, history) for name, of_name in histories.items() for history in of_name]
    colours = {name: f"C{number % 10}" for number, name in enumerate(histories)}
    few_shot = any("val_few_shot" in row for _, history in runs for row in history)
    panels = (*PANELS, FEW_SHOT_PANEL) if few_shot else PANELS
    figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    legend = {}
    for axes, (key, title) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for name, history in runs:
            epochs = [row["epoch"] + 1 for row in history]
            for prefix, style in (("", "--"), ("val_", "-")):
                if all(prefix + key in row for row in history):
                    (line,) = axes.plot(
                        epochs,
                        [row[prefix + key] for row in history],
                        style,
                        color=colours[name],
                        linewidth=1.5 if len(histories[name]) == 1 else 1,
                        marker=("o" if prefix else "x") if len(history) == 1 else None,
                    )
                    legend.setdefault(f"{name}, {'validation' if prefix else 'training'}", line)
        axes.set_title(title)
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    columns = min(4, max(1, len(legend)))
    figure.legend([*legend.values()], [*legend], loc="outside lower center", ncols=columns)
    write_atomically(path, lambda to: figure.savefig(to, dpi=120))
