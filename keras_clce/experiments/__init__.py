"""Experiments: settings, one run, and studies that compare many."""

from typing import Any

__all__ = ["Records", "Settings", "Study", "in_one_line", "run_one", "study_command"]

_MODULES = {
    "Records": "records",
    "Settings": "settings",
    "Study": "study",
    "in_one_line": "errors",
    "run_one": "run",
    "study_command": "command",
}


def __getattr__(name: str) -> Any:
    # When they are needed, so that flags are read before Keras is imported.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
