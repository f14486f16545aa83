"""Where a search looks, what it may spend, and how long its trials take."""

import contextlib
import dataclasses

import pytest

from keras_clce import backend
from keras_clce.experiments import Range, Settings
from keras_clce.experiments.flag_file import flag_lines
from keras_clce.experiments.tuning.budget import Budget, Clock, OutOfTime
from keras_clce.experiments.tuning.space import Space, parse_search, search_space
from keras_clce.experiments.tuning.trials import Trial, best_trial, read_trial

pytestmark = pytest.mark.any_backend
RATES = Range(1e-4, 1e-2, "log")


@pytest.mark.parametrize(
    ("loss", "names"),
    [
        ("ce", ["learning_rate"]),
        ("clce", ["learning_rate", "contrastive_weight", "temperature"]),
        ("hscl", ["learning_rate", "contrastive_weight", "temperature"]),
        # Its weight is 1, so that nothing else is trained.
        ("supcon", ["learning_rate", "temperature"]),
    ],
)
def test_a_loss_is_not_searched_for_what_it_does_not_read(loss, names):
    assert list(search_space(Settings(loss=loss)).where) == names
    everything = ["learning_rate", "contrastive_weight", "temperature", "hardness", "positive_sum"]
    found = search_space(Settings(loss=loss), [*everything, "label_smoothing"]).where
    assert {*names} <= {*found}
    assert ("hardness" in found) == (loss in ("clce", "hscl"))
    assert ("label_smoothing" in found) == (loss != "supcon")


def test_what_was_given_is_searched_where_it_is_named_alone():
    settings = Settings(temperature=0.1)
    found = search_space(settings, given=["temperature"]).where
    assert list(found) == ["learning_rate", "contrastive_weight"]
    assert list(search_space(settings, ["temperature"], ["temperature"]).where) == ["temperature"]


def test_the_first_trial_has_what_the_commands_would_take():
    pretrained = Settings(backbone="efficientnet_lite0", weights="imagenet")
    for settings, head in ((pretrained, "cosine"), (Settings(), "linear")):
        space = search_space(settings, ["classifier_head", "class_weight"])
        assert space.where["class_weight"] == (None, "balanced")
        assert {*space.where["classifier_head"]} == {"linear", "cosine"}
        first = space.nearest(settings)
        assert first == {"classifier_head": head, "class_weight": None}
        assert space.nearest(settings, is_few_shot=True)["classifier_head"] == "linear"


def test_text_becomes_ranges_and_values():
    text = "learning_rate=1e-4:1e-2:log,temperature,embedding_dim=none|64,batch_size=8:64"
    text += ",freeze_backbone=true|false,optimizer=sgd|adamw"
    assert parse_search(text.split(",")) == {
        "learning_rate": RATES,
        "temperature": None,
        "embedding_dim": (None, 64),
        "batch_size": Range(8, 64),
        "freeze_backbone": (True, False),
        "optimizer": ("sgd", "adamw"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temprature", "`search` must name settings, which .*Received: temprature"),
        ("temperature=1:0.1", "`low` must be below `high`"),
        ("temperature=0.1:1:exp", "`scale` must be one of"),
        ("temperature=0:1:log", "above 0 on a log scale"),
        ("temperature=warm", "`search` must be of .*temperature=warm"),
        ("temperature=", "`search` must be different ones"),
        ("temperature,temperature", "`search` must be different ones"),
        ("temperature=-1|1", "`temperature` must be above 0"),
        ("contrastive_weight=0.1:2", "`contrastive_weight` must be at most 1"),
        ("optimizer=adamw|lion", "`optimizer` must be one of"),
        ("temperature=0.1|0.1", "different values"),
        ("epochs=1:10", "`search` must name settings of the model and of its training"),
        ("seed=1|2", "but for loss, seed"),
        ("image_size=32|64", "settings of the model and of its training"),
        ("clip_norm", "needs a range or values for clip_norm"),
    ],
)
def test_what_cannot_be_searched_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        search_space(Settings(), parse_search(text.split(",")))


def test_values_go_to_kerastuner_and_back():
    space = Space({"learning_rate": RATES, "embedding_dim": (None, 64), "batch_size": Range(8, 64)})
    given = {"learning_rate": 0.00123456, "embedding_dim": 1, "batch_size": 17, "tuner/epochs": 3}
    values = space.decoded(given)
    assert values == {"learning_rate": 0.00123, "embedding_dim": 64, "batch_size": 17}
    assert space.encoded(values) == {"learning_rate": 0.00123, "embedding_dim": 1, "batch_size": 17}
    # Three digits of an end do not lead out of the range.
    assert Space({"temperature": Range(0.12345, 0.2)}).decoded({"temperature": 0.12345}) == {
        "temperature": 0.12345
    }
    made = space.hyperparameters({"learning_rate": 1e-3, "embedding_dim": None, "batch_size": 32})
    assert made.values == {"learning_rate": 1e-3, "embedding_dim": 0, "batch_size": 32}


def test_a_search_begins_with_the_settings_as_they_are():
    space = search_space(Settings(), ["learning_rate", "temperature", "embedding_dim"])
    # Of an encoder with random weights.
    first = {"learning_rate": 3e-3, "temperature": 0.1, "embedding_dim": None}
    assert space.nearest(Settings()) == first
    assert space.nearest(Settings(temperature=3.0))["temperature"] == 1.0
    # 0.5 is between 0.473 and 1.
    points = space.grid().where["temperature"]
    assert points == (0.05, 0.106, 0.224, 0.473, 1.0)
    assert space.grid().nearest(Settings(temperature=0.5))["temperature"] == 0.473


@pytest.fixture
def trial(tmp_path):
    return Trial("ce", 0, {"temperature": 0.1}, 10, tmp_path / "ce-trial-0000-seed0")


def over(trial, number, epochs, seconds, validation=0.5, status="finished"):
    return dataclasses.replace(
        trial, number=number, epochs=epochs, seconds=seconds, validation=validation, status=status
    )


def test_a_budget_of_trainings_counts_epochs(trial):
    budget = Budget(trials=2, epochs=10)
    spent = [over(trial, 0, 10, 1.0), over(trial, 1, 4, 1.0, None, "failed")]
    assert budget.allows(spent, 6) and not budget.allows(spent, 7)
    # What is unfinished is not counted twice.
    assert budget.allows([*spent, over(trial, 2, 6, 1.0, None, "running")], 6)
    assert budget.seconds_left(spent) == float("inf")


def test_a_budget_of_minutes_forecasts_from_the_trials_so_far(trial):
    budget = Budget(minutes=1, epochs=10)
    # 30 seconds for 10 epochs are 3 s each; 60 - 30 - 5 leave room for 8 epochs and no 9.
    spent = [over(trial, 0, 10, 30.0), over(trial, 1, 10, 5.0, None, "unfinished")]
    assert budget.seconds_left(spent) == 25.0
    assert budget.allows(spent, 8) and not budget.allows(spent, 9)
    assert Budget().allows(spent, 1000)


@pytest.mark.parametrize(("seconds", "epochs"), [(100.0, 4), (34.0, 4), (33.0, 2), (12.0, 2)])
def test_a_trial_that_would_not_end_in_time_is_stopped(trial, seconds, epochs):
    # The first epoch takes 10 seconds, all others 8: 34 in all, foreseen after the second one.
    now = [0.0]
    clock = Clock(dataclasses.replace(trial, seconds=7.0), seconds, now=lambda: now[0])
    clock.set_params({"epochs": 4})
    done = 0
    with pytest.raises(OutOfTime) if epochs < 4 else contextlib.nullcontext():
        for epoch in range(4):
            clock.on_epoch_begin(epoch)
            now[0] += 8 if epoch else 10
            done += 1
    assert done == epochs
    found = read_trial(trial.folder)
    assert found.status == ("unfinished" if epochs < 4 else "running")
    assert found.seconds == 7.0 + {2: 18.0, 4: 26.0}[epochs]


def test_the_best_trial_is_of_the_longest_trained(trial):
    trials = [
        over(trial, 0, 3, 1.0, 0.9),
        over(trial, 1, 10, 1.0, 0.7),
        over(trial, 2, 10, 1.0, 0.8),
    ]
    assert best_trial(trials).number == 2
    assert best_trial([*trials, over(trial, 3, 10, 1.0, 0.8)]).number == 2
    assert best_trial([over(trial, 0, 10, 1.0, None, "failed")]) is None


def test_settings_become_flags_that_recipes_read():
    settings = Settings(loss="clce", feature_normalization=None, learning_rate=0.00123, remat=False)
    settings = dataclasses.replace(settings, shots=(1, 5, 10), strict=True, test=False)
    # Where runs go and what they print is for whoever runs them.
    settings = dataclasses.replace(settings, output_dir="mine", log=("csv",), verbose=True)
    assert flag_lines(settings) == [
        "--losses=clce",
        "--dataset=digits",
        "--strict",
        "--feature_normalization=none",
        "--learning_rate=0.00123",
        "--shots=1,5,10",
        "--notest",
    ]


def test_errors_that_say_that_memory_ran_out_are_known():
    class ResourceExhaustedError(Exception):
        """As TensorFlow calls it."""

    assert backend.is_out_of_memory(ResourceExhaustedError("OOM when allocating tensor"))
    assert backend.is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating"))
    assert backend.is_out_of_memory(MemoryError())
    assert not backend.is_out_of_memory(RuntimeError("shapes do not match"))
    assert not backend.is_out_of_memory(ValueError("RESOURCE_EXHAUSTED"))
