"""Which backend runs, and what it can do."""

import sys

import keras


def backend_name() -> str:
    """Name of the backend that runs, for records and reports."""
    return keras.backend.backend()


def is_torch_compiling() -> bool:
    """Whether torch's compiler reads the code that runs, instead of Python running it."""
    torch = sys.modules.get("torch")
    return (
        keras.backend.backend() == "torch" and torch is not None and torch.compiler.is_compiling()
    )


def xla_has_loop_gradients() -> bool:
    """Whether XLA compiles the gradient of a loop whose length comes with the batch.

    TensorFlow's does not, and Keras has it compile by default where there is a GPU.
    """
    return keras.backend.backend() != "tensorflow"


def remat_can_nest() -> bool:
    """Whether a rematerialised function may hold rematerialised layers.

    TensorFlow computes the inner ones again after the outer one has ended, when its variables no
    longer stand for what they stood for inside.
    """
    return keras.backend.backend() != "tensorflow"


def remat_runs_in_order() -> bool:
    """Whether a function is computed again only after what needs the results of a later one.

    TensorFlow orders nothing that does not depend on each other.
    """
    return keras.backend.backend() != "tensorflow"
