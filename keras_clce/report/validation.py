"""What runs whose test split is unread have to show: their accuracy on the validation split."""

from collections.abc import Sequence

import numpy as np

from keras_clce.evaluate.statistics import confidence_interval
from keras_clce.report.answers import wrapped
from keras_clce.report.names import by_name
from keras_clce.report.tables import format_table, percent
from keras_clce.runs.record import Record


def validation_line(record: Record) -> str:
    """The validation accuracy of a run that was not tested.

    Args:
        record: Its record.

    Returns:
        A line.

    Example:
    ```python
    validation_line(folder.record())  # "validation: top-1 0.9100, epoch 2; not tested"
    ```
    """
    what, epoch = _what([record]), record.metrics["validation"]["best_epoch"]
    return f"validation: {what} {record.validation:.4f}, epoch {epoch}; not tested"


def validation_table(records: Sequence[Record]) -> str:
    """Validation accuracy of each loss over its seeds, in percent.

    Args:
        records: The records, all of transfer or all of few-shot runs, tested or not.

    Returns:
        A sentence and the table: mean ± half width of the 95 % interval over seeds.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    print(validation_table(records))
    ```
    """
    rows = []
    for name, group in by_name(records).items():
        # Runs of earlier versions have none.
        values = [record.validation for record in group if record.validation is not None]
        seconds = np.mean([record.metrics["seconds"] for record in group])
        mean = percent(np.mean(values), confidence_interval(values)) if values else "-"
        rows.append([str(name), str(len(group)), mean, f"{seconds:.0f}"])
    what = _what(records)
    about = f"Validation accuracy in %, not all runs were tested. {records[0].data}"
    return f"{wrapped(about)}\n{format_table(['loss', 'seeds', what, 'seconds'], rows)}"


def _what(records):
    return "few-shot" if records[0].is_few_shot else records[0].measure[1]
