"""The checks that all packages share."""

import sys

import numpy as np
import pytest

from keras_clce.checks import (
    as_array,
    check_at_least,
    check_whole_number,
    finite_array,
    import_module,
    is_whole_number,
)

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.uint8(1)])
def test_whole_numbers(value):
    assert is_whole_number(value, least=1)
    number = check_whole_number("size", value)
    assert number == value and type(number) is int
    check_at_least("size", value, 1)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None, [1], float("nan"), np.array([1])])
def test_what_is_no_whole_number_above_0(value):
    assert not is_whole_number(value, least=1)
    with pytest.raises(
        ValueError, match=r"^`size` must be a whole number above 0. Received: size="
    ):
        check_whole_number("size", value)
    with pytest.raises(ValueError, match=r"^`size` must be a whole number of at least 1. Received"):
        check_at_least("size", value, 1)


def test_a_whole_number_may_be_optional():
    assert check_whole_number("size", None, optional=True) is None
    with pytest.raises(ValueError, match=r"^`size` must be None or a whole number above 0"):
        check_whole_number("size", 0, optional=True)


def test_arrays_of_finite_numbers():
    assert as_array([[1, 2]]).shape == (1, 2)
    assert finite_array("rows", [[0.5, 1.0]], ndim=2).shape == (1, 2)
    with pytest.raises(ValueError, match=r"`rows` must be finite. Received: 1 rows .* row 1"):
        finite_array("rows", [[0.0, 1.0], [np.nan, 1.0]], ndim=2)
    with pytest.raises(ValueError, match=r"`rows` must be numbers of shape \(examples, dim\)"):
        finite_array("rows", ["a"], ndim=2)


def test_a_module_that_is_there():
    assert import_module("json.decoder", "Reading", "json") is sys.modules["json.decoder"]


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.module"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(name):
    with pytest.raises(ImportError) as raised:
        import_module(name, "Drawing curves", '"keras-clce[curves]"')
    assert str(raised.value) == (
        "Drawing curves needs no_such_package, which is not installed. "
        'Install it with: pip install "keras-clce[curves]"'
    )


def test_a_package_that_lacks_another_says_so_itself(tmp_path, monkeypatch):
    (tmp_path / "incomplete_package.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_package'"):
        import_module("incomplete_package", "Drawing curves", "incomplete-package")
