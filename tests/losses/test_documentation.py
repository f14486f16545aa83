"""Docstrings of the losses: what is shared is filled in, and no argument is left out."""

import inspect
import re

import pytest

from keras_clce import losses
from keras_clce.losses.hscl import hscl
from keras_clce.losses.lacln import lacln

pytestmark = pytest.mark.any_backend

CLASSES = [
    losses.CLCELoss,
    losses.CoreTuningLoss,
    losses.HSCLLoss,
    losses.LACLNLoss,
    losses.SupConLoss,
]


def descriptions(documented):
    """Name and description of each argument in a docstring."""
    section = re.search(r"Args:\n(.*?)\n\n\S|Args:\n(.*)", inspect.getdoc(documented), re.S)
    items = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] or section[2], re.M)
    return {name: " ".join(text.split()) for name, text in items}


@pytest.mark.parametrize(
    "documented", [*CLASSES, losses.ContrastiveLoss, hscl, lacln], ids=lambda each: each.__name__
)
def test_every_argument_is_described(documented):
    text = inspect.getdoc(documented)
    assert "{shared}" not in text
    assert max(map(len, text.splitlines())) <= 100
    arguments = set(inspect.signature(documented).parameters)
    described = set(descriptions(documented))
    assert described == arguments


@pytest.mark.parametrize("documented", [*CLASSES, hscl, lacln], ids=lambda each: each.__name__)
def test_the_defaults_are_those_of_the_signature(documented):
    for name, parameter in inspect.signature(documented).parameters.items():
        if parameter.default is not parameter.empty:
            default = parameter.default
            shown = f'"{default}"' if isinstance(default, str) else str(default)
            described = re.search(
                r"Defaults to `?(.*?)`?(?:[,.:]? |[.,]?$)", descriptions(documented)[name]
            )
            assert described[1] == shown, name
