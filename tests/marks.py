"""Cases of a test that do not depend on the backend, though others of them do."""

import pytest


def on_any_backend(*cases):
    """Mark cases, values or tuples of such, to run on one backend alone."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.any_backend)
        for case in cases
    ]


def others_on_any_backend(cases, *everywhere):
    """Mark all cases but those that run on every backend."""
    return [
        case for each in cases for case in ([each] if each in everywhere else on_any_backend(each))
    ]
