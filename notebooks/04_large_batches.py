# %% [markdown]
# # Large batches in little memory
#
# A contrastive loss compares each image with all others of its batch. You will learn
# how to
#
# - train with large batches in the memory of small ones, by the gradient cache;
# - check that the gradients are those of the whole batch;
# - measure what it saves and what it costs;
# - give a small batch more negatives, by a memory of embeddings.
#
# It needs `pip install keras-clce` with a backend, and takes some minutes on two CPU
# cores. The measurements need Linux or macOS.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import subprocess
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from keras_clce import CLCEModel, losses

# For a check of the code in seconds, whose figures mean nothing.
QUICK = "TUTORIAL_QUICK" in os.environ

# %% [markdown]
# ## 1. Images, and an encoder
#
# scikit-learn's digits have 8 x 8 pixels; here they are enlarged to 32 x 32, so that
# there is something to compute. The encoder has no batch normalisation, which matters
# below.

# %%
digits = load_digits()
images = np.kron(digits.images, np.ones((4, 4)))[..., None].repeat(3, axis=-1) * (
    255 / 16
)
images, labels = images.astype("float32"), digits.target


def new_model():
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(128, 3, strides=2, padding="same", activation="relu"),
        ]
    )
    return CLCEModel(encoder, num_classes=10)


def new_loss():
    return losses.get("clce", contrastive_weight=0.2, temperature=0.1)


# %% [markdown]
# ## 2. Two steps that are one
#
# `gradient_cache_size=64` sends 64 images at a time through the encoder, keeps their
# embeddings, and computes the loss of the whole batch on these. In the backward pass
# each chunk goes through the encoder again. So the activations of 64 images are in
# memory, and the gradients are those of the whole batch.
#
# Without an augmenter the images are trained on as they are, so that both models below
# see the same. One step of plain SGD then moves the weights by the gradient.

# %%
BATCH = 96 if QUICK else 512


def weights_after_a_step(**options):
    model = new_model()
    model.compile(keras.optimizers.SGD(0.1), loss=new_loss(), **options)
    model.fit(
        images[:BATCH],
        labels[:BATCH],
        batch_size=BATCH,
        epochs=1,
        shuffle=False,
        verbose=0,
    )
    return [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]


start = [
    keras.ops.convert_to_numpy(weight) for weight in new_model().trainable_variables
]
at_once = weights_after_a_step()
in_chunks = weights_after_a_step(gradient_cache_size=BATCH // 8)


def largest_difference(a, b):
    return max(
        float(np.abs(one - other).max()) for one, other in zip(a, b, strict=True)
    )


moved, apart = (
    largest_difference(at_once, start),
    largest_difference(at_once, in_chunks),
)
print(f"the step moves a weight by up to {moved:.0e}")
print(f"with and without chunks it differs by up to {apart:.0e}")

# %% [markdown]
# What is left is the rounding of float32. Two things to know:
#
# - Batch normalisation takes the statistics of each chunk, as if it were a batch. Layer
#   and group normalisation do not mind.
# - `keras.optimizers.AdamW(gradient_accumulation_steps=8)` is something else: each
#   small batch has its own pairs, and the loss sees no more negatives than before.
#
# ## 3. What it saves, and what it costs
#
# The peak of a process's memory is measured best in a process of its own. Each of these
# trains two steps.

# %%
PROGRAM = """
import json, resource, sys, time
import keras, numpy as np
from keras_clce import CLCEModel, losses

batch, cache = int(sys.argv[1]), int(sys.argv[2]) or None
encoder = keras.Sequential([
    keras.Input((32, 32, 3)),
    keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
    keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
    keras.layers.Conv2D(64, 3, strides=4, padding="same", activation="relu"),
])
model = CLCEModel(encoder, num_classes=10)
model.compile("adam", loss=losses.get("clce"), gradient_cache_size=cache)
images = np.random.default_rng(0).uniform(0, 255, (batch, 32, 32, 3)).astype("float32")
labels = np.arange(batch) % 10

def peak():
    kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kept / (2**20 if sys.platform == "darwin" else 2**10)

before = peak()
model.train_on_batch(images, labels)
began = time.perf_counter()
model.train_on_batch(images, labels)
seconds = time.perf_counter() - began
print(json.dumps({"MB": peak() - before, "seconds": seconds}))
"""


def measured(batch, cache):
    command = [sys.executable, "-c", PROGRAM, str(batch), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


BATCHES = (64,) if QUICK else (64, 256, 1024)
CACHES = {"in chunks of 64": 64} if QUICK else {"at once": 0, "in chunks of 64": 64}
found = {
    (name, batch): measured(batch, cache)
    for name, cache in CACHES.items()
    for batch in BATCHES
}
for (name, batch), row in found.items():
    print(
        f"{batch:5} images {name:15} {row['MB']:6.0f} MB {row['seconds']:6.2f} s a step"
    )

# %%
figure, (memory, seconds) = plt.subplots(1, 2, figsize=(8, 2.8))
for name in CACHES:
    memory.plot(
        BATCHES, [found[name, batch]["MB"] for batch in BATCHES], "o-", label=name
    )
    seconds.plot(
        BATCHES, [found[name, batch]["seconds"] for batch in BATCHES], "o-", label=name
    )
memory.set(xlabel="images in a batch", ylabel="MB at the peak", ylim=0)
seconds.set(xlabel="images in a batch", ylabel="seconds a step", ylim=0)
memory.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# The figure is what the process grew by beyond its peak before the first step, so a
# small batch shows nothing. At once the memory grows with the batch. In chunks it
# hardly does: what is left is the images and the embeddings. The price is a second
# forward pass, a third to a half more time. (Seconds are those of a busy machine; their
# ratio tells.)
#
# From 1,025 rows on the loss itself compares chunks of anchors with the batch, so that
# the table of all pairs is never in memory as a whole. Nothing has to be set for it.
#
# ## 4. More negatives for a small batch
#
# Embeddings of earlier batches can serve as further positives and negatives. They pass
# no gradient and cost next to nothing. They were made by older weights, so
# `memory_start` lets some steps pass before they are used.

# %%
EPOCHS = 1 if QUICK else 6
train, validation = (
    slice(0, 256 if QUICK else 1200),
    slice(1200, 1300 if QUICK else None),
)


def validation_accuracy(batch_size, **options):
    model = new_model()
    model.compile(
        keras.optimizers.AdamW(1e-3), loss=new_loss(), metrics=["accuracy"], **options
    )
    history = model.fit(
        images[train],
        labels[train],
        batch_size=batch_size,
        epochs=EPOCHS,
        validation_data=(images[validation], labels[validation]),
        verbose=0,
    )
    return history.history["val_accuracy"][-1]


rows = {
    "batches of 64": validation_accuracy(64),
    "batches of 64, 512 remembered": validation_accuracy(
        64, memory_size=512, memory_start=10
    ),
}
if not QUICK:
    rows["batches of 512 in chunks"] = validation_accuracy(512, gradient_cache_size=64)
for name, accuracy in rows.items():
    print(f"{name:30} validation accuracy {accuracy:.3f}")

# %% [markdown]
# A larger batch makes fewer steps in as many epochs, and that alone can cost more than
# its negatives bring. Compare at as many steps too: `keras-clce batch_size` runs both,
# with seeds.
#
# ## What next
#
# - What else saves memory: the guide [Out of memory](../docs/guides/memory.md).
# - How it works: [the training step](../docs/how/step.md), [chunks of the
#   loss](../docs/how/chunks.md).
# - Several devices share a batch: [05](05_backends_devices.ipynb).
