"""Names that settings may be, kept in a file for `--help`, which answers before Keras is imported.

The file is made from the tables themselves by `python -m keras_clce.experiments.choices`; a test
holds both equal. What a run checks are the tables.
"""

import json
from pathlib import Path

from keras_clce.experiments.settings import fields

FILE = Path(__file__).with_name("choices.json")


def read_choices() -> dict[str, list[str]]:
    """Names by setting, from the file.

    Example:
    ```python
    read_choices()["loss"]  # ["ce", "ce_supcon", "hscl", "clce", "supcon", "core_tuning"]
    ```
    """
    return json.loads(FILE.read_text())


def find_choices() -> dict[str, list[str]]:
    """Names by setting, from the tables.

    Example:
    ```python
    find_choices() == read_choices()  # True
    ```
    """
    from keras_clce.data import list_datasets

    found = {"dataset": [spec.name for spec in list_datasets()]}
    for name, field in fields().items():
        names = field.about.names()
        if names is not None:
            found[name] = list(names)
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(find_choices(), indent=1) + "\n")
