"""What a search prints of its trials, and at its end."""

from collections.abc import Sequence
from pathlib import Path

from keras_clce.experiments.announce import tell
from keras_clce.experiments.tuning.budget import Budget
from keras_clce.experiments.tuning.trials import FAILED, FINISHED, Trial, values_in_words
from keras_clce.experiments.tuning.tuned_loss import TunedLoss


def trial_begins(trial: Trial, trials: Sequence[Trial], budget: Budget) -> str:
    """What a trial tries, and how much of the budget is spent.

    Args:
        trial: The trial.
        trials: Those of its loss so far.
        budget: The budget.

    Returns:
        A line.

    Example:
    ```python
    trial = Trial("clce", 0, {"temperature": 0.1}, 3, Path("clce-trial-0000-seed0"))
    trial_begins(trial, [], Budget(trials=20, epochs=30))
    # "[0/20 trainings spent] clce, trial 0: temperature=0.1, 3 of 30 epochs"
    ```
    """
    spent = sum(other.epochs for other in trials if other.is_over)
    if budget.minutes is not None:
        place = f"{max(budget.seconds_left(trials), 0) / 60:.1f} min left"
    elif budget.trials is not None:
        place = f"{spent / budget.epochs:.3g}/{budget.trials} trainings spent"
    else:
        place = f"{trial.number + 1}"
    length = f", {trial.epochs} of {budget.epochs} epochs" * (trial.epochs < budget.epochs)
    return f"[{place}] {trial.name}{length}"


def trial_ended(trial: Trial, best: Trial | None) -> str:
    """What came out of a trial.

    Args:
        trial: The trial.
        best: The best one so far; `None` where none has finished.

    Returns:
        A line.

    Example:
    ```python
    trial = Trial("clce", 0, {}, 3, Path("clce-trial-0000-seed0"), "failed", why="memory ran out")
    trial_ended(trial, None)  # "failed: memory ran out"
    ```
    """
    if trial.status == FINISHED:
        so_far = (
            "the best so far"
            if best is None or best is trial
            else f"best so far {best.validation:.4f}"
        )
        return f"validation {trial.validation:.4f}, {so_far}"
    if trial.status == FAILED:
        return f"failed: {trial.why}"
    return "stopped, as it would not end in time"


def conclude(tuned: Sequence[TunedLoss], page: Path, budget: Budget) -> None:
    """Print what was found, and where it stands.

    Args:
        tuned: The losses.
        page: The page.
        budget: What each could spend.

    Raises:
        ValueError: If no trial of any loss has finished.
    """
    print()
    for each in tuned:
        best = each.best
        found = best and (f"validation {best.validation:.4f} with {values_in_words(best.values)}")
        tell(each.loss, found or why_none(each, budget))
    tell("Page", str(page))
    if not any(each.best for each in tuned):
        raise ValueError(" ".join(why_none(each, budget) for each in tuned))


def why_none(tuned: TunedLoss, budget: Budget) -> str:
    """Why no trial of a loss has finished.

    Args:
        tuned: The loss.
        budget: What it could spend.

    Returns:
        A sentence.

    Example:
    ```python
    from keras_clce.experiments.tuning.space import Space
    why_none(TunedLoss(Settings(loss="ce"), Space({}), []), Budget(minutes=1))
    # "No trial of ce finished within 1 minute: give it more --minutes, or fewer --epochs."
    ```
    """
    failed = [trial for trial in tuned.trials if trial.status == FAILED]
    if failed:
        last = f"{len(failed)} failed, the last one: {failed[-1].why}"
        return f"No trial of {tuned.loss} finished: {last}"
    more = "more --minutes" if budget.minutes is not None else "a larger budget"
    return (
        f"No trial of {tuned.loss} finished within {budget.in_words()}: give it {more}, or fewer "
        "--epochs."
    )
