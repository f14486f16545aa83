# %% [markdown]
# # Backends and devices
#
# You will learn how to
#
# - choose a backend, and see which devices it has;
# - move a trained model from one backend to another;
# - see that all of them take the same training step;
# - divide a batch between several devices.
#
# It needs `pip install keras-clce` with as many of `tensorflow`, `jax` and `torch` as
# you like to compare, and takes a minute or two on two CPU cores.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

from keras_clce import CLCEModel, losses

# For a check of the code in seconds, whose figures mean nothing.
QUICK = "TUTORIAL_QUICK" in os.environ
FILES = Path("tutorial_files")
FILES.mkdir(exist_ok=True)

# %% [markdown]
# ## 1. Which backend runs?
#
# `KERAS_BACKEND` is read when Keras is imported, and cannot change afterwards: restart
# the kernel for another one. Where the variable is not set, `~/.keras/keras.json`
# decides; here the first cell set it to TensorFlow.

# %%
BACKENDS = [
    name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)
]
print("installed:", ", ".join(BACKENDS))
print("running:  ", keras.backend.backend())
if keras.backend.backend() != "torch":  # there Keras knows of no devices
    print("devices:  ", ", ".join(map(str, keras.distribution.list_devices())))

# %% [markdown]
# ## 2. Train here
#
# A small encoder on scikit-learn's digits. There is no augmenter, so that nothing is
# random after the first weights, and backends can be compared to the last digits.

# %%
digits = load_digits()
images = np.kron(digits.images, np.ones((2, 2)))[..., None].repeat(3, axis=-1) * (
    255 / 16
)
images, labels = images.astype("float32"), digits.target
train, test = slice(0, 256 if QUICK else 1280), slice(1280, 1344)

keras.utils.set_random_seed(0)
encoder = keras.Sequential(
    [
        keras.Input((16, 16, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
    ]
)
model = CLCEModel(encoder, num_classes=10)
loss = losses.get("clce", contrastive_weight=0.2, temperature=0.1)
model.compile(keras.optimizers.Adam(3e-3), loss=loss, metrics=["accuracy"])
model.fit(
    images[train], labels[train], batch_size=64, epochs=1 if QUICK else 5, verbose=0
)
outputs = model.predict(images[test], verbose=0)
print(f"test accuracy {np.mean(outputs['logits'].argmax(axis=1) == labels[test]):.2f}")

model.save(FILES / "digits.keras")
np.savez(FILES / "batch.npz", images=images[test], labels=labels[test])

# %% [markdown]
# ## 3. The same model elsewhere
#
# A saved model has weights, class names, preprocessing and the state of its optimizer,
# and nothing of the backend. The program below loads it, predicts 64 images, and takes
# two training steps on them. It runs in a process of its own, for each backend.

# %%
PROGRAM = """
import json, sys
import keras, numpy as np
import keras_clce

folder, several_devices = sys.argv[1], sys.argv[2] == "several"
if several_devices:
    keras.distribution.set_distribution(keras.distribution.DataParallel())
data = np.load(f"{folder}/batch.npz")
model = keras_clce.load_model(f"{folder}/digits.keras")
embeddings = model.predict(data["images"], verbose=0)["embedding"]
history = model.fit(data["images"], data["labels"], batch_size=64, epochs=2, verbose=0)
print(json.dumps({
    "devices": len(keras.distribution.list_devices()) if several_devices else 1,
    "embeddings": np.asarray(embeddings).tolist(),
    "losses": history.history["loss"],
}))
"""


def run_on(backend, several="", **variables):
    command = [sys.executable, "-c", PROGRAM, str(FILES), several]
    environment = {**os.environ, "KERAS_BACKEND": backend, **variables}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return json.loads(done.stdout.splitlines()[-1])


def show(name, found):
    apart = np.abs(np.array(found["embeddings"]) - outputs["embedding"]).max()
    first, second = found["losses"]
    print(
        f"{name:15} embeddings differ by {apart:.0e}, losses {first:.5f}, {second:.5f}"
    )


found = {backend: run_on(backend) for backend in BACKENDS if not QUICK}
for backend, result in found.items():
    show(backend, result)

# %% [markdown]
# The first loss is that of the loaded weights, the second one that after a step. They
# agree to the rounding of float32: a test of the library holds all backends to it.
# Seeds do not carry over, however. With an augmenter each backend draws views of its
# own.
#
# ## 4. Several devices
#
# On JAX Keras divides each batch between devices; positives and negatives come from the
# whole batch of all of them. `DataParallel()` takes all devices that JAX sees, and has
# to be set before the model is built or loaded. Without accelerators JAX can pretend
# that the processor is four devices. This shows that a program works, not how fast it
# would be.

# %%
if "jax" in BACKENDS:
    four = run_on(
        "jax", "several", XLA_FLAGS="--xla_force_host_platform_device_count=4"
    )
    show(f"jax, {four['devices']} devices", four)

# %% [markdown]
# The loss is the one of a single device: with four of them, each image still has all
# others of the batch as positives and negatives.
#
# A batch has to divide by the number of devices. On TensorFlow `--num_devices` of the
# recipes does the same on one machine; on torch one device is used.
#
# ## 5. Which one to take?
#
# - The one that you know. Results are the same within what seeds do.
# - JAX for several devices or machines.
# - TensorFlow for LiteRT and SavedModel, torch for `.pt2`; both export ONNX and
#   OpenVINO.
# - On a CPU, time a few steps of your encoder: which one is quickest depends on encoder
#   and machine.
#
# ## What next
#
# - Guides: [backends](../docs/guides/backends.md), [several
#   devices](../docs/guides/devices.md), [export](../docs/guides/export.md).
# - Large batches on one device: [04](04_large_batches.ipynb).
