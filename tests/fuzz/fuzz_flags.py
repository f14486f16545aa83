"""Values of the recipes' flags: right, nearly right, and rubbish."""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from absl import flags
from mutations import outcome

from keras_clce.experiments import command
from keras_clce.experiments.flags import HelpRequested, define
from keras_clce.experiments.resolved import (
    build_loss,
    learning_rate,
    preprocessing,
    run_settings,
)
from keras_clce.experiments.settings import fields
from keras_clce.train.optimization import build_optimizer

NUMBERS = (
    *("0", "1", "2", "5", "16", "64", "-1", "0.5", "0.999", "1.0", "1.5", "1e-3", "-0.0", "1e-400"),
    *("nan", "inf", "-inf", "1e309", "9" * 30, "0x10", "1_000", "٣", "½", "1,2", "1.", ".5", "1e"),
)
WORDS = (
    *(
        "",
        " ",
        "none",
        "None",
        "true",
        "False",
        "digits",
        "cifar10",
        "image_folder",
        "small_resnet",
    ),
    *("efficientnet_lite0", "vit_tiny", "vit_tiny_patch4", "vit_tiny_patch0", "app:MobileNetV2"),
    *("app:Nothing", "app:", "nowhere.keras", ".keras", "ce", "clce", "ce,clce", "supcon,ce", ",,"),
    *("ce,ce", "hscl", "ce=1e-3", "ce=1e-3,clce=2e-3", "ce=nan", "=1", "ce=", "1e-3,2e-3", "adamw"),
    *("sgd", "light", "simclr", "none", "float32", "mixed_float16", "mixed_bfloat16", "imagenet"),
    *(
        "outside",
        "inside",
        "logistic",
        "cosine",
        "pooled",
        "pooled,embedding",
        "0,1,2",
        "0,0",
        "00",
    ),
    *("../..", "/", "a\0b", "ünïcödé", "x" * 5000, "--", "--losses", "%s%n", "cifar_fs"),
)


def make(folder: Path) -> Callable[[np.random.Generator], str]:
    """The cases of this domain."""
    defined = define({"dataset": "cifar_fs"}, "few_shot")
    known = [defined[name] for name in defined]
    enums = {n: f.about.names() for n, f in fields().items() if f.about.choices}
    kernel = keras.Variable(np.zeros((2, 2), "float32"), name="kernel")

    def value(flag, rng):
        if flag.name in enums and rng.random() < 0.7:
            return str(rng.choice(enums[flag.name]))
        takes_numbers = flag.flag_type() in ("int", "float") or flag.name in ("seeds", "shots")
        return str(rng.choice(NUMBERS if (rng.random() < 0.9) == takes_numbers else WORDS))

    def study(arguments):
        values = define({"dataset": "cifar_fs"}, "few_shot")
        try:
            return command.parse("few_shot", values, ["recipe", *arguments], "few_shot")
        except HelpRequested:
            raise flags.Error("help") from None

    def case(rng: np.random.Generator) -> str:
        chosen = [known[i] for i in rng.choice(len(known), rng.integers(1, 4), replace=False)]
        arguments = []
        for flag in chosen:
            given = value(flag, rng)
            form = rng.random()
            if form < 0.9:
                arguments.append(f"--{flag.name}={given}")
            elif form < 0.95:
                arguments += [f"--{flag.name}", given]
            else:
                arguments.append(f"--no{flag.name}" if form < 0.98 else f"--{flag.name[:-1]}")
        # absl has a line for each flag that it refuses.
        kind, found = outcome(lambda: study(arguments), flags.Error, lines=len(known))
        if kind != "ok":
            return f"refused: {kind}"
        # What was accepted must be usable: no traceback may come out of a run that has begun.
        for settings, _ in found[0]._points():
            recorded = run_settings(settings, "few_shot")
            assert json.loads(json.dumps(recorded, allow_nan=False)) is not None
            build_loss(settings)
            rate = learning_rate(settings)
            assert 0 < rate < np.inf
            steps = 3 * min(settings.trained_epochs, 1000)
            warmup = 0 if settings.quick else int(3 * (settings.warmup_epochs or 0))
            build_optimizer(
                settings.optimizer,
                rate,
                settings.weight_decay,
                total_steps=steps,
                warmup_steps=min(warmup, steps - 1),
                variables=[kernel],
                global_clipnorm=settings.clip_norm,
                ema_momentum=settings.ema_momentum,
            )
            assert preprocessing(settings).image_size >= 8
            assert [shots > 0 for shots in settings.shots]
        return "accepted"

    return case
