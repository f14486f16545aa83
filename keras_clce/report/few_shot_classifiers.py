"""Tables of few-shot runs whose tasks were solved by several classifiers, a column each."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_clce.evaluate import TASK_CLASSIFIERS
from keras_clce.evaluate.statistics import confidence_interval, paired_t_test
from keras_clce.report.few_shot_kinds import (
    IN_WORDS,
    dot_of,
    in_features,
    kinds_of,
    result_of,
    size_in_words,
)
from keras_clce.report.few_shot_tables import accuracies_by_loss, shared_seeds
from keras_clce.report.names import baseline_of, by_name, count_of
from keras_clce.report.tables import TABLE_WIDTH, fit_table, format_table, format_terms, percent
from keras_clce.runs.record import Record

CLASSIFIER_TERMS = {
    "inductive": "each query is classified by itself",
    "transductive": "all queries of a task are seen together",
    **IN_WORDS,
    "minus": "difference on the same tasks, of the same seeds",
    "±": "95 % interval, Student's t: across seeds where there are several, else over the tasks of "
    "one, which takes the trained model as given",
}
CLASSIFIERS_NOTE = format_terms(CLASSIFIER_TERMS)


def has_several_classifiers(records: Sequence[Record]) -> bool:
    """Whether tasks were solved by more than one classifier.

    Args:
        records: Few-shot runs.

    Returns:
        A bool.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    has_several_classifiers(records)  # False
    ```
    """
    return len(classifiers_of(records)) > 1


def classifiers_of(records: Sequence[Record]) -> list[str]:
    """Names of the classifiers that tasks were solved by.

    Args:
        records: Few-shot runs.

    Returns:
        The names, the one that picked the epochs first.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    classifiers_of(records)  # ["logistic"]
    ```
    """
    names = (result_of(records, key).get("classifier", "") for key in kinds_of(records))
    return list(dict.fromkeys(names))


def kind_in_words(classifier: str) -> str:
    """Whether a classifier sees the queries of a task together.

    Args:
        classifier: Its name.

    Returns:
        `"inductive"` or `"transductive"`; nothing where this version does not know it.

    Example:
    ```python
    kind_in_words("bavardage")  # "transductive"
    ```
    """
    kind = TASK_CLASSIFIERS.get(classifier)
    return "" if kind is None else "transductive" if kind.transductive else "inductive"


def classifier_tables(records: Sequence[Record], baseline: str = "ce") -> str:
    """Few-shot accuracy of each loss by each classifier, one table per size of tasks.

    A table too wide for a page goes on below.

    Args:
        records: Few-shot runs.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        The tables as text.

    Raises:
        ValueError: If a file is missing or damaged, or runs were tested on different tasks.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    print(classifier_tables(records))
    ```
    """
    return "\n\n".join(
        f"{heading}\n{fit_table(header, rows, TABLE_WIDTH)}"
        for heading, header, rows in classifier_cells(records, baseline)
    )


def classifier_cells(
    records: Sequence[Record], baseline: str = "ce"
) -> list[tuple[str, list[str], list[list[str]]]]:
    r"""The cells of `classifier_tables`.

    Args:
        records: Few-shot runs.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        For each size of tasks a heading, the header in two lines, and the rows: for each kind of
        features one with its name alone, then the losses and their differences.

    Raises:
        ValueError: If a file is missing or damaged, or runs were tested on different tasks.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    heading, header, rows = classifier_cells(records)[0]
    header  # ["\nloss", "logistic\ninductive"]
    ```
    """
    names = classifiers_of(records)
    header = ["\nloss", *(f"{name}\n{kind_in_words(name)}" for name in names)]
    tables = []
    for size, groups in _groups(records).items():
        rows, heading = [], ""
        for title, found in _merged(groups, records, baseline):
            rows.append([title, *[""] * len(names)])
            lines = list(dict.fromkeys(line for cells in found.values() for line in cells))
            rows += [
                [f"  {line}", *(found.get(name, {}).get(line, "-") for name in names)]
                for line in lines
            ]
            heading = heading or _heading(size, records, next(iter(groups.values())))
        tables.append((heading, header, rows))
    return tables


def finetuned_table(records: Sequence[Record]) -> str:
    """Accuracy where the whole encoder was fine-tuned on each task, beside its features alone.

    Args:
        records: Few-shot runs.

    Returns:
        The table as text; nothing where no encoder was.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    finetuned_table(records)  # ""
    ```
    """
    cells = finetuned_cells(records)
    return f"{cells[0]}\n{format_table(*cells[1:])}" if cells else ""


def finetuned_cells(
    records: Sequence[Record],
) -> tuple[str, list[str], list[list[str]]] | None:
    """The cells of `finetuned_table`.

    Args:
        records: Few-shot runs.

    Returns:
        Heading, header and rows; `None` where no encoder was fine-tuned.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    finetuned_cells(records)  # None
    ```
    """
    rows = []
    for name, group in by_name(records).items():
        found = [run.metrics["finetuned_encoder"] for run in group if _has_finetuned(run)]
        for key in dict.fromkeys(key for of_run in found for key in of_run):
            results = [of_run[key] for of_run in found if key in of_run]
            mean, half, _ = dot_of(results)
            alone = np.mean([result["of_features"] for result in results])
            seconds = np.mean([result["seconds_a_task"] for result in results])
            cells = [size_in_words(key), results[0]["classifier"], str(len(results))]
            cells += [str(results[0]["tasks"]), percent(mean / 100, half / 100)]
            rows.append([str(name), *cells, percent(alone, np.nan), f"{seconds:.1f}"])
    if not rows:
        return None
    heading = "The whole encoder fine-tuned on each of the first tasks, beside its features alone"
    header = ["loss", "tasks of", "classifier", "seeds", "tasks", "encoder", "features", "s a task"]
    return heading, header, rows


def _has_finetuned(run: Record) -> bool:
    return bool(run.metrics.get("finetuned_encoder"))


def _groups(
    records: Sequence[Record],
) -> dict[str, dict[tuple[str, str], dict[str, str]]]:
    """Keys of results by size of tasks, then by features and transform, then by classifier."""
    groups: dict[str, dict[tuple[str, str], dict[str, str]]] = {}
    for key in kinds_of(records):
        result = result_of(records, key)
        of_size = groups.setdefault(key.partition(" ")[0], {})
        of_features = of_size.setdefault((result["features"], result["transform"]), {})
        of_features[result["classifier"]] = key
    return groups


def _merged(
    groups: Mapping[tuple[str, str], Mapping[str, str]], records: Sequence[Record], baseline: str
) -> list[tuple[str, Mapping[str, Mapping[str, str]]]]:
    """Cells of each kind of features, those that gave the same results in one."""
    merged: dict[tuple, tuple[list[str], str, dict]] = {}
    for (features, transform), keys in groups.items():
        cells = {name: _column(records, key, baseline) for name, key in keys.items()}
        same = (transform, str(cells))
        merged.setdefault(same, ([], transform, cells))[0].append(features)
    return [(in_features(names, transform), cells) for names, transform, cells in merged.values()]


def _column(records: Sequence[Record], key: str, baseline: str) -> dict[str, str]:
    """Cells of one classifier by the name of the row."""
    by_loss = accuracies_by_loss(records, key)
    cells = {}
    for name, runs in by_loss.items():
        seeds = "" if None in runs else f", {count_of(len(runs), 'seed')}"
        values = [run.mean() for run in runs.values()]
        if len(values) == 1:
            (values,) = runs.values()
        cells[f"{name}{seeds}"] = percent(np.mean(values), confidence_interval(values))
    for name, runs in by_loss.items():
        other = baseline_of(name, by_loss, baseline)
        pair = shared_seeds(runs, by_loss[other]) if other else None
        if pair is not None:
            ours, theirs = pair if len(pair[0]) == 1 else (side.mean(axis=1) for side in pair)
            test = paired_t_test(np.ravel(ours), np.ravel(theirs))
            cells[f"{name} minus {other}"] = percent(test.mean_difference, test.ci95, "+")
    return cells


def _heading(size: str, records: Sequence[Record], keys: Mapping[str, str]) -> str:
    result = result_of(records, next(iter(keys.values())))
    tasks, queries = (
        count_of(result["tasks"], "task"),
        count_of(result["queries"], "query", "queries"),
    )
    balance = result.get("query_distribution", "balanced")
    of = (
        f"{queries} a class"
        if balance == "balanced"
        else f"{queries} a class on average, {balance}"
    )
    return f"{size_in_words(size)}: {tasks}, {of}"
