"""Experiments: settings, one run, and studies that compare many."""

from typing import Any

__all__ = [
    "ConfusionStudy",
    "EmbeddingStudy",
    "Layout",
    "PhotographFlags",
    "QueryFlags",
    "Range",
    "Records",
    "Settings",
    "Study",
    "StudyFlags",
    "Tuning",
    "ViewFlags",
    "class_names_flag",
    "command_of",
    "confusion_study",
    "embedding_command",
    "embedding_study",
    "epochs_of_steps",
    "in_one_line",
    "index_flag",
    "learning_rate",
    "load_named_model",
    "model_flag",
    "name_of",
    "photographs_flag",
    "results_folder",
    "run_one",
    "study_command",
    "study_flag",
    "tool_command",
    "tool_flag",
    "training_images",
    "training_steps",
    "tune_command",
    "without_start_up_messages",
]

_MODULES = {
    "ConfusionStudy": "confusions",
    "EmbeddingStudy": "embeddings",
    "Layout": "layout",
    "PhotographFlags": "photograph_flags",
    "QueryFlags": "photograph_flags",
    "Range": "setting",
    "Records": "records",
    "Settings": "settings",
    "Study": "study",
    "StudyFlags": "study_flags",
    "Tuning": "tuning",
    "ViewFlags": "photograph_flags",
    "class_names_flag": "photograph_flags",
    "command_of": "again",
    "confusion_study": "confusions",
    "embedding_command": "embeddings_command",
    "embedding_study": "embeddings",
    "epochs_of_steps": "budgets",
    "in_one_line": "errors",
    "index_flag": "photograph_flags",
    "learning_rate": "resolved",
    "load_named_model": "photograph_flags",
    "model_flag": "photograph_flags",
    "name_of": "photograph_flags",
    "photographs_flag": "photograph_flags",
    "results_folder": "photograph_flags",
    "run_one": "run",
    "study_command": "command",
    "study_flag": "setting",
    "tool_command": "tools",
    "tool_flag": "tools",
    "training_images": "budgets",
    "training_steps": "budgets",
    "tune_command": "tuning_command",
    "without_start_up_messages": "command",
}


def __getattr__(name: str) -> Any:
    # When they are needed, so that flags are read before Keras is imported.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
