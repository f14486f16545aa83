"""Lighter clean-up than the rest of the suite's: most of these tests build no model."""

import keras
import pytest


@pytest.fixture(autouse=True)
def _fresh_state():
    """Give every test the same random start and the default dtype policy."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    # No `clear_session`: hundreds of times, it takes longer than the tests.
