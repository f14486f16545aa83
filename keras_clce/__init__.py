"""Fine-tune image encoders with CLCE on any Keras 3 backend."""

import sys
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "CLCELoss",
    "CLCEModel",
    "HSCLLoss",
    "LACLNLoss",
    "SupConLoss",
    "load_model",
    "predict_images",
]

_MODULES = {
    "CLCEModel": "keras_clce.train",
    "load_model": "keras_clce.train",
    "predict_images": "keras_clce.inference",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_MODULES.get(name, "keras_clce.losses")), name)


def _is_imported_by_a_command() -> bool:
    """Whether the program is `keras-clce` or one of its recipes."""
    program = Path(getattr(sys.modules.get("__main__"), "__file__", None) or "python").resolve()
    package = Path(__file__).resolve().parent
    return program.stem == "keras-clce" or (
        # Beside the package in a clone, and within it where it was installed.
        program.parent in (package.parent / "recipes", package / "recipes")
    )


# A command answers to `--help` and misspelt flags before Keras is imported. Everywhere else Keras
# shall know the layers of saved models at once.
if not _is_imported_by_a_command():
    import keras_clce.train
    import keras_clce.views  # noqa: F401
