# %% [markdown]
# # keras_clce in ten minutes
#
# Fine-tune an image encoder with **CLCE**: cross-entropy plus a contrastive loss that
# weights hard negatives. You will learn how to
#
# - make two random views of every image inside the training step;
# - train `CLCEModel` as any Keras model, and compare it with cross-entropy;
# - look at embeddings;
# - use the contrastive losses alone, and keep a model.
#
# Everything here runs on a CPU in a few minutes, on scikit-learn's handwritten digits,
# which need no download. It needs
#
#     pip install "keras-clce[data]"
#
# Keras 3 reads its backend from the environment variable `KERAS_BACKEND` before it is
# imported. Where the variable is not set, the cell below takes TensorFlow: change the
# name to `jax` or `torch` and run all cells again in a new kernel; nothing else
# changes.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.manifold import TSNE

from keras_clce import CLCELoss, CLCEModel, LACLNLoss
from keras_clce.data import load_dataset, two_view_augmenter
from keras_clce.evaluate import nearest_neighbor_accuracy

EPOCHS = int(os.environ.get("QUICKSTART_EPOCHS", "12"))
EXAMPLES = int(os.environ.get("QUICKSTART_EXAMPLES", "0")) or None
keras.utils.set_random_seed(0)
print("Keras", keras.__version__, "on", keras.config.backend())

# %% [markdown]
# ## Images in, two views out
#
# Any arrays of images `(examples, height, width, 3)` in 0..255 and integer labels will
# do.

# %%
data = load_dataset("digits", image_size=32, limit_examples=EXAMPLES)
images, labels = data.train.arrays()
val_images, val_labels = data.validation.arrays()
test_images, test_labels = data.test.arrays()
print(data.split_note)
print("training images", images.shape, images.dtype)

# %% [markdown]
# The contrastive part compares two random views of every image. `two_view_augmenter` is
# a Keras layer that draws them inside the training step; digits must not be mirrored.

# %%
augmenter = two_view_augmenter(image_size=32, policy="light", flip=False, seed=0)
first = images[:8].astype("float32")
rows = [first] + [
    keras.ops.convert_to_numpy(augmenter(first, training=True)) for _ in range(2)
]

figure, axes = plt.subplots(3, 8, figsize=(8, 3.2))
for row, (pictures, name) in enumerate(
    zip(rows, ("image", "view 1", "view 2"), strict=True)
):
    for column, picture in enumerate(pictures):
        axes[row, column].imshow(picture.astype("uint8"))
        axes[row, column].set_xticks([])
        axes[row, column].set_yticks([])
    axes[row, 0].set_ylabel(name)
plt.show()


# %% [markdown]
# ## Fit
#
# `CLCEModel` puts two heads on an encoder: a unit embedding and a softmax classifier.
# It compiles and fits like any Keras model. Here the encoder is a small ResNet with
# random weights; with your own photographs, take `"efficientnet_lite0"` or
# `"resnet101"` and `weights="imagenet"`.


# %%
def fit(loss):
    keras.utils.set_random_seed(0)
    model = CLCEModel.from_backbone(
        "small_resnet",
        num_classes=10,
        image_size=32,
        # A new augmenter for each model: its random state goes on from step to step.
        augmenter=two_view_augmenter(image_size=32, policy="light", flip=False, seed=0),
    )
    model.compile(keras.optimizers.AdamW(1e-3), loss=loss, metrics=["accuracy"])
    history = model.fit(
        images,
        labels,
        validation_data=(val_images, val_labels),
        batch_size=64,
        epochs=EPOCHS,
        verbose=0,
    )
    return model, history.history


model, history = fit(CLCELoss(contrastive_weight=0.9))
print(f"validation accuracy {history['val_accuracy'][-1]:.3f}")

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3))
for panel, key in zip(axes, ("accuracy", "cross_entropy", "contrastive"), strict=True):
    panel.plot(history[key], "--", label="training (two views)")
    panel.plot(history[f"val_{key}"], label="validation (one view)")
    panel.set_title(key)
    panel.set_xlabel("epoch")
axes[0].legend()
plt.show()

# %% [markdown]
# ## Against cross-entropy alone
#
# `contrastive_weight=0` is plain cross-entropy on the same two views. One seed on easy
# images decides nothing: the recipes run several seeds and test the difference.

# %%
baseline, _ = fit(CLCELoss(contrastive_weight=0))
embeddings = {}
for name, trained in (("cross-entropy", baseline), ("CLCE", model)):
    train, test = (trained.predict(x, verbose=0) for x in (images, test_images))
    embeddings[name] = test["embedding"]
    accuracy = np.mean(test["logits"].argmax(axis=1) == test_labels)
    nearest = nearest_neighbor_accuracy(
        train["embedding"], labels, test["embedding"], test_labels
    )
    print(f"{name:14} test accuracy {accuracy:.3f}, nearest neighbour {nearest:.3f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 4.4))
for panel, (name, embedding) in zip(axes, embeddings.items(), strict=True):
    flat = TSNE(random_state=0, perplexity=min(30, len(embedding) // 4)).fit_transform(
        embedding
    )
    points = panel.scatter(*flat.T, c=test_labels, cmap="tab10", s=10)
    panel.set_title(f"test embeddings, {name}")
    panel.set_xticks([])
    panel.set_yticks([])
figure.colorbar(points, ax=axes, ticks=range(10), label="digit")
plt.show()

# %% [markdown]
# ## The losses alone
#
# Each contrastive loss is a `keras.losses.Loss` for any model whose output is an
# embedding.

# %%
encoder = keras.Sequential(
    [
        keras.Input((32, 32, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
        keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(16),
    ]
)
encoder.compile("adam", loss=LACLNLoss(temperature=0.2, hardness=1.0))
losses = encoder.fit(images, labels, batch_size=64, epochs=EPOCHS, verbose=0).history[
    "loss"
]
print(f"LACLN from {losses[0]:.3f} to {losses[-1]:.3f}")

# %% [markdown]
# ## Keep the model
#
# A saved model loads with its optimizer, so training can go on; its predictions are the
# same.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "digits.keras")
    model.save(path)
    loaded = keras.saving.load_model(path)
same = np.allclose(
    model.predict(test_images, verbose=0)["logits"],
    loaded.predict(test_images, verbose=0)["logits"],
    atol=1e-4,
)
print("same predictions:", same)

# %% [markdown]
# ## What next
#
# - [02](02_your_photographs.ipynb) goes from a folder of photographs to a demo.
# - [06](06_did_it_help.ipynb) compares losses with several seeds, intervals and tests.
# - In a terminal `keras-clce transfer --help` says how to fine-tune encoders with
#   pre-trained weights on your images. See also [which setting to
#   take](../docs/start/which_setting.md).
