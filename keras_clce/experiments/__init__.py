"""Experiments: settings, one run, and studies that compare many."""

from typing import Any

__all__ = ["Records", "Settings", "Study", "run_one"]

_MODULES = {"Records": "records", "Settings": "settings", "Study": "study", "run_one": "run"}


def __getattr__(name: str) -> Any:
    # When they are needed, so that flags are read before Keras is imported.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
