"""Pictures of runs, drawn without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from keras_clce.files import write_atomically

PANELS = (
    ("accuracy", "Accuracy"),
    ("cross_entropy", "Cross-entropy"),
    ("contrastive", "Contrastive loss"),
)
FEW_SHOT_PANEL = ("few_shot", "Few-shot accuracy")


def plot_curves(histories: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> None:
    """Draw accuracy and both parts of the loss by epoch, one colour a run.

    Few-shot accuracy is drawn where a run has logged it.

    Args:
        histories: Name of each run to its logs, one dict an epoch with `"epoch"` from 0.
            Training is dashed, validation solid.
        path: The PNG file to write.

    Example:
    ```python
    plot_curves({"clce, seed 0": checkpoint.history}, Path("curves.png"))
    ```
    """
    few_shot = any("val_few_shot" in row for history in histories.values() for row in history)
    panels = (*PANELS, FEW_SHOT_PANEL) if few_shot else PANELS
    figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for number, (name, history) in enumerate(histories.items()):
            epochs = [row["epoch"] + 1 for row in history]
            marker = "o" if len(history) == 1 else None
            for prefix, style in (("", "--"), ("val_", "-")):
                if all(prefix + key in row for row in history):
                    axes.plot(
                        epochs,
                        [row[prefix + key] for row in history],
                        style,
                        color=f"C{number % 10}",
                        marker=marker,
                        label=f"{name}, {'validation' if prefix else 'training'}",
                    )
        axes.set_title(title)
        axes.set_xlabel("Epoch")
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    write_atomically(path, lambda to: figure.savefig(to, dpi=120))
