"""`keras_clce.losses.get`: a loss from its name, itself or its config."""

import json
import re

import keras
import pytest

from keras_clce.losses import (
    LOSSES,
    CLCELoss,
    CoreTuningLoss,
    HSCLLoss,
    LACLNLoss,
    SupConLoss,
    arguments_of,
    get,
)

pytestmark = pytest.mark.any_backend

# The weight, the contrastive part and whether the weight may be chosen.
MEANING = {
    "ce": (0.0, LACLNLoss, False),
    "ce_supcon": (0.9, SupConLoss, True),
    "hscl": (0.9, HSCLLoss, True),
    "clce": (0.9, LACLNLoss, True),
    "supcon": (1.0, SupConLoss, False),
    "core_tuning": (0.1 / 1.1, CoreTuningLoss, False),
}
OF_PART = {
    LACLNLoss: {
        "temperature": 0.1,
        "hardness": 2.0,
        "positive_sum": "inside",
        "chunk_size": 5,
        "detach_weights": True,
        "negatives": "class_mean",
    },
    SupConLoss: {
        "temperature": 0.1,
        "positive_sum": "outside",
        "chunk_size": 5,
        "denominator": "negatives",
        "negatives": "class_mean",
    },
    CoreTuningLoss: {"temperature": 0.1, "chunk_size": 5},
    HSCLLoss: {
        "temperature": 0.1,
        "hardness": 2.0,
        "threshold": 0.3,
        "chunk_size": 5,
        "positives": "view",
        "detach_weights": True,
    },
}
OF_ANY = {
    **OF_PART[SupConLoss],
    **OF_PART[LACLNLoss],
    **OF_PART[HSCLLoss],
    "contrastive_weight": 0.3,
}


def test_the_names():
    assert tuple(MEANING) == LOSSES


@pytest.mark.parametrize("name", MEANING)
def test_a_name_alone_gives_the_defaults_of_the_classes(name):
    weight, part, _ = MEANING[name]
    loss = get(name)
    assert type(loss) is CLCELoss
    assert loss.get_config() == CLCELoss(weight, part()).get_config()


@pytest.mark.parametrize("name", MEANING)
def test_every_argument_of_a_name_reaches_its_part(name):
    weight, part, chosen = MEANING[name]
    of_entropy = {"label_smoothing": 0.2, "logit_adjustment": 0.5, "class_prior": (0.75, 0.25)}
    takes = {"ignore_unlabelled": part is not CoreTuningLoss}
    if part is not CoreTuningLoss:
        # True does not go with the others; test_label_sets.py has it.
        takes["multi_label"] = False
    arguments = {**OF_PART[part], **of_entropy, **takes}
    if chosen:
        weight = arguments["contrastive_weight"] = 0.3
    assert set(arguments_of(name)) == set(arguments)
    loss = get(name, **arguments)
    assert loss.contrastive_weight == weight
    assert loss.get_config().items() >= {**of_entropy, **takes, "class_prior": [0.75, 0.25]}.items()
    assert type(loss.contrastive) is part
    assert loss.contrastive.get_config().items() >= OF_PART[part].items()


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        (name, argument)
        for name, (_, part, chosen) in MEANING.items()
        for argument in [*OF_ANY, "reduction"]
        if argument not in OF_PART[part] and not (chosen and argument == "contrastive_weight")
    ],
)
def test_an_argument_that_a_loss_does_not_have_is_refused_by_name(name, argument):
    value = OF_ANY.get(argument, "sum")
    received = re.escape(f"Received: {argument}={value!r}")
    with pytest.raises(ValueError, match=rf"`{argument}`.*'{name}'.*temperature.*{received}"):
        get(name, **{argument: value})


@pytest.mark.parametrize(
    ("name", "weight"), [("ce", 0.0), ("supcon", 1.0), ("core_tuning", 0.09091)]
)
def test_a_weight_that_the_name_fixes_is_refused_even_where_it_is_the_same(name, weight):
    with pytest.raises(ValueError, match=rf"`contrastive_weight`.*weight is fixed, {weight}"):
        get(name, contrastive_weight=weight)


def test_an_argument_out_of_its_range_is_refused():
    with pytest.raises(ValueError, match=r"`temperature`.*Received: temperature=-1"):
        get("supcon", temperature=-1)


def test_a_loss_passes_through():
    loss = CLCELoss(0.4)
    assert get(loss) is loss


def test_a_config_is_rebuilt():
    loss = CLCELoss(0.4, HSCLLoss(threshold=0.2, reduction="sum"), 0.1, reduction="sum")
    for config in (keras.losses.serialize(loss), keras.saving.serialize_keras_object(loss)):
        again = get(json.loads(json.dumps(config)))
        assert type(again) is CLCELoss and again.get_config() == loss.get_config()


@pytest.mark.parametrize("identifier", [CLCELoss(), keras.losses.serialize(CLCELoss())])
def test_arguments_with_a_loss_or_its_config_are_refused(identifier):
    with pytest.raises(ValueError, match=r"Arguments.*Received: temperature=0\.1"):
        get(identifier, temperature=0.1)


@pytest.mark.parametrize(
    "identifier",
    [
        *("CLCE", "lacln", "", None, 3, CLCELoss, LACLNLoss(), ["clce"], {}),
        keras.losses.MeanSquaredError(),
        keras.losses.serialize(keras.losses.MeanSquaredError()),
        keras.losses.serialize(LACLNLoss()),
        {"temperature": 0.1},
        {"class_name": "clce"},
        {"class_name": "clce", "config": {}},
        {"class_name": "CLCELoss", "config": {"contrastive_weight": 0.5}},
        {**keras.losses.serialize(CLCELoss()), "config": None},
        {**keras.losses.serialize(CLCELoss()), "config": {"nothing": 1, "contrastive": None}},
    ],
)
def test_anything_else_is_refused_with_the_names(identifier):
    with pytest.raises(ValueError, match=r"(?s)`identifier`.*'clce', 'supcon'.*Received: ident"):
        get(identifier)


def test_arguments_of_an_unknown_name():
    with pytest.raises(ValueError, match=r"`name`.*'ce_supcon'.*Received: name='lacln'"):
        arguments_of("lacln")
