"""Values of the recipes' flags: right, nearly right, and rubbish."""

import json
from collections.abc import Callable
from pathlib import Path

import few_shot
import keras
import numpy as np
import recipe_flags
import training
from absl import flags
from mutations import outcome

from keras_clce.train.optimization import build_optimizer

FLAGS = flags.FLAGS
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
    recipe_flags.define_training_flags()
    few_shot.define_flags()
    modules = FLAGS.flags_by_module_dict()
    known = [*modules["recipe_flags"], *modules["few_shot"]]
    enums = {f.name: f.parser.enum_values for f in known if isinstance(f, flags.EnumFlag)}
    kernel = keras.Variable(np.zeros((2, 2), "float32"), name="kernel")

    def value(flag, rng):
        if flag.name in enums and rng.random() < 0.7:
            return str(rng.choice(enums[flag.name]))
        takes_numbers = flag.flag_type() in ("int", "float") or flag.name in ("seeds", "shots")
        return str(rng.choice(NUMBERS if (rng.random() < 0.9) == takes_numbers else WORDS))

    def case(rng: np.random.Generator) -> str:
        for flag in known:
            flag.unparse()
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
        kind, rest = outcome(lambda: FLAGS(["recipe", *arguments]), flags.Error, lines=len(known))
        if kind != "ok":
            return f"refused: {kind}"
        # What was accepted must be usable: no traceback may come out of a run that has begun.
        for loss in FLAGS.losses:
            for seed in FLAGS.seeds:
                settings = few_shot.settings(loss, int(seed))
                assert json.loads(json.dumps(settings, allow_nan=False)) is not None
            recipe_flags.build_loss(loss)
            rate = recipe_flags.learning_rate(loss)
            assert 0 < rate < np.inf
            steps = 3 * min(training.epochs(), 1000)
            build_optimizer(
                FLAGS.optimizer,
                rate,
                FLAGS.weight_decay,
                total_steps=steps,
                warmup_steps=0 if FLAGS.quick else min(int(FLAGS.warmup_epochs * 3), steps - 1),
                variables=[kernel],
                global_clipnorm=FLAGS.clip_norm,
                ema_momentum=FLAGS.ema_momentum,
            )
        assert recipe_flags.image_size() >= 8
        assert [int(shots) > 0 for shots in FLAGS.shots]
        if rest[1:]:
            return "accepted, but for words that are no flags"
        return "accepted"

    return case
