r"""Memory, time and share of the weights that learn: LoRA beside full fine-tuning and the heads.

    KERAS_BACKEND=torch python benchmarks/lora.py
    KERAS_BACKEND=tensorflow python benchmarks/lora.py --candidates full,lora --images 16

All are `CLCEModel` with CLCE and AdamW, one process each, and they take turns, several rounds.
Memory is what a process grew by at its peak, from before there was a model: weights, optimizer and
all. What is freed goes back to the system at once here; otherwise the C library keeps it, a
gigabyte of adapters' 2.6. `attention` adapts the attention's layers alone; `+ remat` computes
blocks twice.

Adapters save gradients and optimizer states, of which there are three times the weights, and no
activations: those of 4 images at 224 px in two views are 1.0 GiB of a ViT-B/16, for adapters too.
So the share falls with the batch only where blocks are computed twice.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Of the processes to come: the C library reads it at their start.
os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=1048576")

import statistics

import numpy as np
from absl import app, flags
from workers import Worker, serve

from keras_clce.report import format_table

FULL = "full"
CANDIDATES = (FULL, "lora", "attention", "heads", "full + remat", "lora + remat")

flags.DEFINE_string("backbone", "vit_base", "Encoder.")
flags.DEFINE_integer("image_size", 224, "Pixels a side.")
flags.DEFINE_integer("images", 4, "Images a step, in two views each.", 2)
flags.DEFINE_integer("rank", 8, "Rows of an adapter.", 1)
flags.DEFINE_list("candidates", [*CANDIDATES], f"What to train, of: {', '.join(CANDIDATES)}.")
flags.DEFINE_integer("rounds", 3, "Rounds.", 1)
flags.DEFINE_string("candidate", None, "Used by the benchmark itself, for its processes.")
FLAGS = flags.FLAGS
CLASSES = 100
_ATTENTION = {"qkv", "projection", "query", "key", "value", "attention_output"}
_ATTENTION |= {f"{letter}_proj" for letter in "qkvo"}


def main(_) -> None:
    """Start all, let them take turns, print a table."""
    if FLAGS.candidate:
        serve(steps())
        return
    chosen = [FULL, *(name for name in CANDIDATES if name in FLAGS.candidates and name != FULL)]
    if not {*FLAGS.candidates} <= {*CANDIDATES}:
        raise app.UsageError(
            f"--candidates must be of: {', '.join(CANDIDATES)}. "
            f"Received: candidates={','.join(FLAGS.candidates)}"
        )
    names = ("backbone", "image_size", "images", "rank")
    same = [f"--{name}={FLAGS[name].value}" for name in names]
    workers = {name: Worker([f"--candidate={name}", *same]) for name in chosen}
    for worker in workers.values():
        worker.ask("step")
    rounds = [
        {name: worker.ask("step") for name, worker in workers.items()} for _ in range(FLAGS.rounds)
    ]
    times = {name: statistics.median(each[name] for each in rounds) for name in workers}
    growths = {name: worker.ask("growth") for name, worker in workers.items()}
    for worker in workers.values():
        worker.stop()
    print(
        f"{os.environ.get('KERAS_BACKEND', 'tensorflow')}: {FLAGS.backbone} at "
        f"{FLAGS.image_size} px, {FLAGS.images} images in two views a step, rank {FLAGS.rank}, "
        f"{FLAGS.rounds} rounds"
    )
    shares = {name: learning(name) for name in chosen}
    table = [
        [
            name,
            f"{shares[name][0]:.2f}",
            f"{shares[name][1]:.1%}",
            f"{growths[name]:.2f}",
            f"{growths[name] / growths[FULL]:.2f}",
            f"{times[name]:.2f}",
            f"{times[name] / times[FULL]:.2f}",
        ]
        for name in workers
    ]
    header = ["trained", "millions", "of all", "peak GiB", "/full", "s a step", "/full"]
    print(format_table(header, table))


def build(candidate):
    """The model of a candidate."""
    from keras_clce import CLCEModel

    candidate, _, remat = candidate.partition(" + ")
    model = CLCEModel.from_backbone(
        FLAGS.backbone, CLASSES, image_size=FLAGS.image_size, remat=bool(remat)
    )
    if candidate == "heads":
        model.backbone.trainable = False
    elif candidate != FULL:
        dense = {layer.name for layer in model.backbone._flatten_layers()}
        attention = sorted(dense & _ATTENTION) if candidate == "attention" else None
        model.enable_lora(FLAGS.rank, layers=attention)
    return model


def learning(candidate):
    """How many weights learn, in millions, and their share."""
    model = build(candidate)
    learns = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return learns / 1e6, learns / model.count_params()


def steps():
    """A function of no argument that trains a step; the first one builds the model too."""
    import keras

    rng = np.random.default_rng(0)
    shape = (FLAGS.images, FLAGS.image_size, FLAGS.image_size, 3)
    views = tuple(rng.uniform(0, 255, shape).astype("float32") for _ in range(2))
    labels = rng.integers(0, CLASSES, FLAGS.images)
    built = []

    def step():
        if not built:
            built.append(build(FLAGS.candidate))
            built[0].compile(keras.optimizers.AdamW(1e-4))
        built[0].train_on_batch(views, labels)

    return {"step": step}


if __name__ == "__main__":
    app.run(main)
