"""
Title: Image retrieval, and new classes without training, with CLCE
Author: The authors of keras_clce
Date created: 2026/11/30
Last modified: 2026/11/30
Description: Search images by their embeddings, and enrol classes from five images each.
Accelerator: None
"""

"""
## Introduction

A classifier knows the classes that it was trained on. Its embeddings know more:
images of one class lie close together, also those of a class that training never saw.
In this example you will learn how to

- train an encoder with cross-entropy and with CLCE, which adds a contrastive loss
that weights hard negatives;
- search images by their embeddings, and measure how good the search is;
- enrol new classes from five images each, without training;
- say "none of these" where an image is of no class that is known.

The data are scikit-learn's handwritten digits, which need no download. The encoders
are trained on 0 to 6, and 7, 8 and 9 are the new classes. It runs in a few minutes on
two CPU cores, on TensorFlow, JAX and torch.

**Reference:** [CLCE: An Approach to Refining Cross-Entropy and Contrastive Learning
for Optimized Learning Fusion](https://arxiv.org/abs/2402.14551)
"""

"""
## Setup

Besides Keras it needs `pip install "keras-clce[data]"`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from keras_clce import CLCEModel, losses, predict_images
from keras_clce.data import load_dataset
from keras_clce.evaluate import retrieval_metrics
from keras_clce.inference import NONE_OF_THESE, EmbeddingIndex, enroll
from keras_clce.views import two_view_augmenter

# For a check of the code in seconds, whose figures mean nothing.
QUICK = "TUTORIAL_QUICK" in os.environ
EPOCHS = 1 if QUICK else 12
IMAGE_SIZE = 16
NUM_KNOWN = 7
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

"""
## Prepare the data

The new classes have no part in training. All ten are among the test images.
"""

digits = load_dataset("digits", image_size=IMAGE_SIZE)
train_images, train_labels = digits.train.arrays()
is_known = train_labels < NUM_KNOWN
new_images, new_labels = train_images[~is_known], train_labels[~is_known]
train_images, train_labels = train_images[is_known], train_labels[is_known]
if QUICK:
    train_images, train_labels = train_images[:128], train_labels[:128]

test_images, test_labels = digits.test.arrays()
print(f"{len(train_images)} training images of {NUM_KNOWN} classes")
print(f"{len(new_images)} images of 3 new classes, {len(test_images)} test images")

"""
## Train

Any Keras model from images to feature maps is an encoder. `CLCEModel` puts two heads
on it: a softmax classifier, and an embedding of length 1. The augmenter makes two
random views of each image inside the training step. A digit must not be mirrored.
"""


def train(loss):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(128, 3, strides=2, padding="same", activation="relu"),
        ]
    )
    model = CLCEModel(
        encoder,
        num_classes=NUM_KNOWN,
        augmenter=two_view_augmenter(IMAGE_SIZE, flip=False, seed=0),
        class_names=NAMES[:NUM_KNOWN],
        preprocessing=digits.preprocessing,
    )
    model.compile(keras.optimizers.AdamW(1e-3), loss=loss, metrics=["accuracy"])
    model.fit(train_images, train_labels, batch_size=64, epochs=EPOCHS, verbose=0)
    return model


models = {
    "cross-entropy": train(losses.get("ce")),
    "CLCE": train(losses.get("clce", contrastive_weight=0.2, temperature=0.1)),
}
known_test = test_labels < NUM_KNOWN
for name, model in models.items():
    logits = model.predict(test_images[known_test], verbose=0)["logits"]
    accuracy = np.mean(logits.argmax(axis=1) == test_labels[known_test])
    print(f"{name:14} test accuracy on the known classes {accuracy:.3f}")

"""
## Is the search any good?

Each test image is a query, and all others of the known classes are searched, or all
others of the new ones. Precision@1 asks whether the nearest image is of the same class,
and MAP@R whether the whole class is near. Plain pixels are the baseline.
"""

embeddings = {"pixels": test_images.reshape(len(test_images), -1).astype("float32")}
for name, model in models.items():
    embeddings[name] = model.predict(test_images, verbose=0)["embedding"]

for title, rows in (("known classes", known_test), ("new classes", ~known_test)):
    print(title)
    for name, values in embeddings.items():
        result = retrieval_metrics(values[rows], test_labels[rows], k=[1])
        print(
            f"  {name:14} precision@1 {result['precision@1']:.3f}, "
            f"MAP@R {result['map@r']:.3f}"
        )

"""
Training brings the known classes together. The new ones gain less: an encoder that saw
seven digits learned what tells these apart, which need not tell seven from nine. The
more classes an encoder has seen, the better it does with others.

One model of each loss says nothing about the losses: another seed moves these figures
too. [A study](06_did_it_help.ipynb) trains several and tests the difference.

## Look at it

Three queries of new classes, and the nearest of all test images, known classes among
them. Red is another class.
"""

index = EmbeddingIndex(embeddings["CLCE"], labels=test_labels, class_names=NAMES)
queries = [int(np.flatnonzero(test_labels == digit)[0]) for digit in (7, 8, 9)]
# The first one found is the query itself.
found = index.search(embeddings["CLCE"][queries], k=9)

figure, axes = plt.subplots(3, 9, figsize=(7, 2.7))
for row, (query, neighbors) in enumerate(zip(queries, found.rows, strict=True)):
    for column, number in enumerate([query, *neighbors[1:]]):
        axes[row, column].imshow(test_images[number].astype("uint8"))
        right = test_labels[number] == test_labels[query]
        axes[row, column].set_title(
            NAMES[test_labels[number]], color="black" if right else "red", fontsize=8
        )
        axes[row, column].set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel("query")
figure.tight_layout()
plt.show()

"""
## Enrol new classes

`enroll` embeds a few images of each class and keeps the embeddings, a few kilobytes
each. Nothing is trained, and the model does not change. An image is of the class
whose mean embedding is nearest.

With photographs, the images of a class are a folder: `enroll(model, "my_classes")`.
Here they are arrays. Twenty images of each known class stand beside the new ones, so
that all ten have a chance.
"""

model = models["CLCE"]


def examples(images, labels, digit, count):
    return images[labels == digit][:count]


known = {
    NAMES[digit]: examples(train_images, train_labels, digit, 20)
    for digit in range(NUM_KNOWN)
}
for shots in (1, 5, 20):
    new = {
        NAMES[digit]: examples(new_images, new_labels, digit, shots)
        for digit in (7, 8, 9)
    }
    enrolled = enroll(model, {**known, **new}, verbose=0)
    rows = predict_images(model, test_images, enrolled=enrolled.with_threshold(-1.0))
    predicted = np.array([NAMES.index(row.class_name) for row in rows])
    right = predicted == test_labels
    print(
        f"{shots:2} of each new class: {right[~known_test].mean():.2f} of the new ones "
        f"right, {right[known_test].mean():.2f} of the known ones"
    )

"""
## None of these

An image may be of no class at all. Below a threshold of the score the answer is "none
of these". It is chosen so that no more than a share of unknown images pass,
`false_accept_rate`. It is best chosen on images of the kind that will come.

Here only seven and eight are enrolled, and the nines are unknown: some of them choose
the threshold, others test it.
"""

nines = new_images[new_labels == 9]
two_new = {
    NAMES[digit]: examples(new_images, new_labels, digit, 20) for digit in (7, 8)
}
enrolled = enroll(
    model, {**known, **two_new}, unknown=nines[:60], false_accept_rate=0.1, verbose=0
)
rows = predict_images(model, test_images, enrolled=enrolled)
answers = np.array([row.class_name for row in rows])
refused = answers == NONE_OF_THESE
is_nine = test_labels == 9
right = answers == np.array(NAMES)[test_labels]
print(f"threshold: a cosine of {enrolled.threshold:.2f}")
print(f"unknown nines refused: {refused[is_nine].mean():.2f}")
print(
    f"of enrolled classes: {right[~is_nine].mean():.2f} right, "
    f"{refused[~is_nine].mean():.2f} refused"
)

"""
The threshold was chosen on sixty nines, so the share of other nines that pass is
rougher than the tenth that was asked for. Where classes are alike, refusing the unknown
also refuses some of the known. The
picture shows how much the scores overlap.
"""

scores = np.array([row.scores[0] for row in rows])
figure, axes = plt.subplots(figsize=(6, 2.6))
bins = np.linspace(scores.min(), 1, 30)
axes.hist(scores[~is_nine], bins, alpha=0.6, density=True, label="enrolled classes")
axes.hist(scores[is_nine], bins, alpha=0.6, density=True, label="nines, unknown")
axes.axvline(enrolled.threshold, color="black", linestyle=":", label="threshold")
axes.set(xlabel="highest cosine to a class", ylabel="density")
axes.legend()
plt.show()

"""
## Keep it

The classes are one small file. They can be renamed, removed and added to, and serve
the model that made them alone.
"""

enrolled.save("classes.npz")
print(
    f"{os.path.getsize('classes.npz') / 1000:.0f} kB: {', '.join(enrolled.class_names)}"
)
print(enrolled.renamed("eight", "8").without(["seven"]).class_names)

"""
## What next

- On your own photographs, from a terminal: `keras-clce enroll` and `keras-clce
search` ([guide](../docs/guides/retrieval.md)).
- A folder of photographs, to a page for others: [02](02_your_photographs.ipynb).
- Figures for "none of these" on real photographs: `results/enroll` in the repository.
"""
