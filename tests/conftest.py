"""Shared fixtures: where the real images are, and which tests one backend's run leaves out."""

import gc
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# With small models XLA takes longer to compile than to run, and threads to meet than to work.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false",
)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# Many tests compile the same programs, and runs that are resumed compile theirs again. Killed ones
# leave half of a file, so nothing stays for the next session.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _compiled = tempfile.TemporaryDirectory()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(config, items):
    """Run backend-free tests once rather than three times, on torch, which compiles nothing."""
    # Not above: the process that hands tests to others collects none and needs no backend.
    import keras

    here, elsewhere = [], []
    for item in items:
        mark = item.get_closest_marker("any_backend")
        runs = mark is None or keras.backend.backend() == (*mark.args, "torch")[0]
        (here if runs else elsewhere).append(item)
    config.hook.pytest_deselected(items=elsewhere)
    items[:] = here


def pytest_collection_finish():
    """Spare time that goes into neither the tests nor what they test."""
    import keras

    # What was imported stays; and tests make many objects that are no garbage.
    gc.freeze()
    gc.set_threshold(10_000, *gc.get_threshold()[1:])
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Small graphs take longer to be rewritten than to run.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture(autouse=True)
def _fresh_state():
    """Give every test the same random start and the default dtype policy."""
    import keras

    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session(free_memory=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the project; the test skips where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real images, ../shared/data, is not beside this checkout")
    return folder


@pytest.fixture
def tiny_backbone(tmp_path) -> str:
    """An encoder that compiles at once, as a file, which the recipes also take."""
    import keras

    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    path = tmp_path / "tiny.keras"
    keras.Model(inputs, x).save(path)
    return str(path)
