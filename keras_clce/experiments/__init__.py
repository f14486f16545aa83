"""Experiments: settings, one run, and studies that compare many."""

from typing import Any

__all__ = [
    "EmbeddingStudy",
    "Range",
    "Records",
    "Settings",
    "Study",
    "Tuning",
    "command_of",
    "embedding_command",
    "embedding_study",
    "in_one_line",
    "run_one",
    "study_command",
    "tune_command",
]

_MODULES = {
    "EmbeddingStudy": "embeddings",
    "Range": "setting",
    "Records": "records",
    "Settings": "settings",
    "Study": "study",
    "Tuning": "tuning",
    "command_of": "again",
    "embedding_command": "embeddings_command",
    "embedding_study": "embeddings",
    "in_one_line": "errors",
    "run_one": "run",
    "study_command": "command",
    "tune_command": "tuning_command",
}


def __getattr__(name: str) -> Any:
    # When they are needed, so that flags are read before Keras is imported.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
