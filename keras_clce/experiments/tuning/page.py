"""The page of a search: the best settings of each loss, and all that was tried."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_clce.experiments.setting import Range
from keras_clce.experiments.tuning.budget import Budget
from keras_clce.experiments.tuning.trials import FAILED, FINISHED, UNFINISHED, values_in_words
from keras_clce.experiments.tuning.tuned_loss import TunedLoss
from keras_clce.report import format_table, wrapped

if TYPE_CHECKING:
    from keras_clce.experiments.tuning.files import TuningFiles

_CAUTION = (
    "All numbers are of the validation split, which chose these settings, so that they flatter "
    "them; the test split was not read. `--final` trains the best settings of each loss with every "
    "seed and tests them. Losses are compared there, not here."
)
# Share of a range that counts as its edge.
_EDGE = 0.02


def page(tuned: Sequence[TunedLoss], budget: Budget, files: "TuningFiles") -> str:
    """The page as Markdown.

    Args:
        tuned: The losses.
        budget: What each could spend.
        files: Where its pictures are, and the flags.

    Returns:
        The text.
    """
    settings = tuned[0].settings
    parts = [f"# Search on {settings.dataset}, {settings.backbone}"]
    parts += [_answer(each, budget, files) for each in tuned]
    parts.append(wrapped(_CAUTION))
    for each in tuned:
        parts += [f"## {each.loss}", wrapped(_spent(each, budget))]
        parts += [wrapped(f"Searched: {each.space.in_words() or 'nothing'}.")]
        if each.trials:
            parts.append(textwrap.indent(_table(each), "    "))
        failed = [trial for trial in each.trials if trial.status == FAILED]
        parts += [wrapped(f"Trial {trial.number} failed: {trial.why}") for trial in failed]
        parts.append(
            f"![Validation accuracy of the trials of {each.loss}]({files.picture(each.loss).name})"
        )
    return "\n\n".join(parts) + "\n"


def edges(tuned: TunedLoss) -> list[str]:
    """Searched settings whose best value is at the edge of its range.

    Args:
        tuned: What was found for a loss.

    Returns:
        Their names.
    """
    if tuned.best is None:
        return []
    found = []
    for name, where in tuned.space.where.items():
        if (
            isinstance(where, Range)
            and not _EDGE < where.share(tuned.best.values[name]) < 1 - _EDGE
        ):
            found.append(name)
    return found


def _answer(tuned, budget, files):
    best = tuned.best
    if best is None:
        return wrapped(f"**{tuned.loss}**: no trial has finished.")
    text = (
        f"**{tuned.loss}**: {100 * best.validation:.2f} % on validation with "
        f"{values_in_words(best.values)} (trial {best.number}): "
        f"`--flagfile={files.best(tuned.loss).name}`."
    )
    if best.epochs < budget.epochs:
        text += (
            f" No trial was trained longer than {best.epochs} of {budget.epochs} epochs: a larger "
            "budget would tell more."
        )
    at_edge = edges(tuned)
    if at_edge:
        names, is_at = " and ".join(at_edge), "is" if len(at_edge) == 1 else "are"
        text += f" {names} {is_at} at the edge of the range: a wider one may hold better values."
    return wrapped(text)


def _spent(tuned, budget):
    count = {s: sum(t.status == s for t in tuned.trials) for s in (FINISHED, FAILED, UNFINISHED)}
    minutes = sum(trial.seconds for trial in tuned.trials) / 60
    epochs = sum(trial.epochs for trial in tuned.trials if trial.is_over)
    others = "".join(
        f", {number} {status}" for status, number in count.items() if number and status != FINISHED
    )
    return (
        f"{_counted(count[FINISHED], 'trial')} finished{others}; {_counted(epochs, 'epoch')} in "
        f"{minutes:.1f} minutes, of {budget.in_words()}."
    )


def _counted(number, thing):
    return f"{number} {thing}" + "s" * (number != 1)


def _table(tuned):
    names = list(tuned.space.where)
    order = sorted(
        tuned.trials,
        key=lambda t: (t.validation is None, -t.epochs, -(t.validation or 0), t.number),
    )
    rows = []
    for trial in order:
        found = trial.status if trial.validation is None else f"{100 * trial.validation:.2f}"
        values = [f"{v:g}" if isinstance(v, float) else str(v) for v in trial.values.values()]
        rows.append([str(trial.number), *values, str(trial.epochs), f"{trial.seconds:.0f}", found])
    return format_table(["trial", *names, "epochs", "seconds", "validation"], rows)
