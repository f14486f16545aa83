# %% [markdown]
# # Few-shot learning, with honest intervals
#
# You will learn how to
#
# - train on some classes, and tell new ones apart by one or five labelled images of
#   each;
# - tell two kinds of intervals apart, over tasks and over seeds, and which one a claim
#   needs;
# - compare two losses fairly, and say what so many seeds could not have seen;
# - see how much the classifier of the tasks matters.
#
# It needs `pip install "keras-clce[data]"` and takes some minutes on two CPU cores.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_clce import CLCEModel, losses
from keras_clce.data import load_dataset
from keras_clce.evaluate import (
    classify_tasks,
    compare,
    confidence_interval,
    detectable_difference,
    draw_tasks,
    few_shot_accuracy,
    paired_t_test,
    seeds_needed,
)
from keras_clce.views import two_view_augmenter

# For a check of the code in seconds, whose figures mean nothing.
QUICK = "TUTORIAL_QUICK" in os.environ
EPOCHS, TASKS, SEEDS = (1, 20, (0, 1)) if QUICK else (10, 1000, (0, 1, 2))
IMAGE_SIZE = 16

# %% [markdown]
# ## 1. Base classes and novel classes
#
# Handwritten digits again, which need no download. The encoder is trained on 0 to 4.
# The digits 5 to 9 are novel: it never sees one of them in training.
#
# A benchmark such as CIFAR-FS has twenty novel classes, and draws five of them for each
# task. Here every task has the same five. So the intervals below are about *these* five
# classes, and not about others.

# %%
data = load_dataset(
    "digits", image_size=IMAGE_SIZE, limit_examples=128 if QUICK else None
)
parts = [split.arrays() for split in (data.train, data.validation, data.test)]
images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
is_base = labels < 5
print(f"{is_base.sum()} images of base classes, {(~is_base).sum()} of novel ones")

# %% [markdown]
# ## 2. One task
#
# Five classes ("5-way"), one labelled image of each ("1-shot"), and queries to
# classify. Here a task is solved on the plain pixels.

# %%
novel_images, novel_labels = images[~is_base], labels[~is_base]
pixels = novel_images.reshape(len(novel_images), -1).astype("float32")

task = next(draw_tasks(novel_labels, ways=5, shots=1, queries=6, tasks=1, seed=1))
predicted = next(classify_tasks(pixels, [task]))[0]

figure, axes = plt.subplots(5, 7, figsize=(5.5, 4))
for way in range(5):
    axes[way, 0].imshow(novel_images[task.support[0][way, 0]].astype("uint8"))
    axes[way, 0].set_ylabel(task.classes[0][way])
    for number, query in enumerate(task.queries[0][way], start=1):
        right = predicted[way, number - 1] == way
        axes[way, number].imshow(novel_images[query].astype("uint8"))
        taken_for = task.classes[0][predicted[way, number - 1]]
        axes[way, number].set_title(
            f"{taken_for}", color="green" if right else "red", fontsize=8
        )
for panel in axes.flat:
    panel.set(xticks=[], yticks=[])
axes[0, 0].set_title("support", fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# ## 3. Train both losses, with several seeds
#
# Any Keras model from images to feature maps is an encoder; a small one is enough for
# digits. A seed decides its first weights, the order of the images and the views.
# `features` keeps what each trained encoder says of the novel images.

# %%
LOSSES = {
    "ce": losses.get("ce"),
    "clce": losses.get("clce", contrastive_weight=0.2, temperature=0.1),
}


def new_encoder():
    return keras.Sequential(
        [
            keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(128, 3, strides=2, padding="same", activation="relu"),
        ]
    )


def trained_features(loss, seed):
    keras.utils.set_random_seed(seed)
    views = two_view_augmenter(IMAGE_SIZE, flip=False, seed=seed)
    model = CLCEModel(new_encoder(), num_classes=5, augmenter=views)
    model.compile(keras.optimizers.AdamW(1e-3), loss=loss)
    model.fit(images[is_base], labels[is_base], batch_size=64, epochs=EPOCHS, verbose=0)
    return model.predict(novel_images, verbose=0)["embedding"]


features = {
    (name, seed): trained_features(loss, seed)
    for name, loss in LOSSES.items()
    for seed in SEEDS
}

# %% [markdown]
# ## 4. Thousands of tasks
#
# `few_shot_accuracy` draws the tasks from a seed of its own: equal labels and numbers
# give equal tasks, whatever the features. So all encoders solve the same tasks. `ci95`
# is half the width of the 95 % interval over tasks.

# %%
queries = 3 if QUICK else 15
results = {
    key: few_shot_accuracy(
        rows, novel_labels, ways=5, shots=1, queries=queries, tasks=TASKS
    )
    for key, rows in features.items()
}
for (name, seed), result in results.items():
    interval = f"{result.mean:.1%} ± {result.ci95:.1%}"
    print(f"{name:5} seed {seed}: {interval} over {TASKS} tasks")

# %%
figure, axes = plt.subplots(figsize=(6, 2.6))
for offset, name in enumerate(LOSSES):
    of_loss = [results[name, seed] for seed in SEEDS]
    axes.errorbar(
        [100 * result.mean for result in of_loss],
        np.arange(len(SEEDS)) + 0.2 * offset,
        xerr=[100 * result.ci95 for result in of_loss],
        fmt="o",
        label=name,
    )
axes.set(
    xlabel="5-way 1-shot accuracy in %, with its interval over tasks", ylabel="seed"
)
axes.set_yticks(np.arange(len(SEEDS)) + 0.1, SEEDS)
axes.legend()
plt.show()

# %% [markdown]
# ## 5. Two intervals, two questions
#
# The bars are narrow, since there are many tasks. Yet the dots of one loss lie far
# apart: training anew moves the accuracy by more than its bar. Both are right, and
# answer different questions:
#
# | interval | what varies | what it says |
# |---|---|---|
# | over tasks | the tasks; the models stay | how sure the figure of *these* models is |
# | over seeds | training anew | how sure the figure of the *method* is |
#
# Here are comparisons of two single models each, task by task. A p-value is about these
# two files of weights, and the seeds do not agree.

# %%
pairs = {seed: compare(results["clce", seed], results["ce", seed]) for seed in SEEDS}
for seed, pair in pairs.items():
    difference = f"{pair.mean_difference:+.1%} ± {pair.ci95:.1%}"
    print(
        f"seed {seed}, clce minus ce: {difference} over tasks, p = {pair.p_value:.2g}"
    )

# %% [markdown]
# Seed 1 alone would say beyond doubt that cross-entropy is better, and seed 2 that CLCE
# is. The claim "CLCE is better" is about the method, and needs the interval over seeds.
# Runs are paired by seed.

# %%
means = {name: [results[name, seed].mean for seed in SEEDS] for name in LOSSES}
for name, values in means.items():
    half = confidence_interval(values)
    print(f"{name:5} {np.mean(values):.1%} ± {half:.1%} over {len(SEEDS)} seeds")
test = paired_t_test(means["clce"], means["ce"])
difference = f"{test.mean_difference:+.1%} ± {test.ci95:.1%}"
print(f"clce minus ce: {difference}, p = {test.p_value:.2g}")

# %% [markdown]
# ## 6. What could not have been seen?
#
# A high p-value is not "no difference". `detectable_difference` says which one so many
# seeds would have seen four times out of five, and `seeds_needed` how many seeds a
# difference of two points would take.

# %%
differences = np.subtract(means["clce"], means["ce"])
least = detectable_difference(differences)
print(f"{len(SEEDS)} seeds would have seen a difference of {least:.1%} or more")
if np.isfinite(least):  # equal differences have no spread
    needed = seeds_needed(difference=0.02, std=np.std(differences, ddof=1))
    print(f"to see a difference of 2 points, take {needed} seeds")

# %% [markdown]
# ## 7. The classifier matters too
#
# The features are one half, and how a task is solved is the other. `soft_kmeans` and
# `bd_cspn` see all queries of a task together (they are transductive), which is more
# than many applications have. Compare losses under one classifier.

# %%
rows = features["clce", SEEDS[0]]
for shots in (1, 5):
    print(f"clce, seed {SEEDS[0]}, {shots}-shot")
    for classifier in (
        "logistic",
        "nearest_centroid",
        "simple_shot",
        "soft_kmeans",
        "bd_cspn",
    ):
        result = few_shot_accuracy(
            rows,
            novel_labels,
            shots=shots,
            queries=queries,
            tasks=min(TASKS, 300),
            classifier=classifier,
        )
        print(f"  {classifier:17} {result.mean:.1%} ± {result.ci95:.1%}")

# %% [markdown]
# ## What next
#
# - The same on a benchmark, from a terminal: `keras-clce few_shot --dataset cifar_fs
#   --losses ce,clce --seeds 0,1,2` ([guide](../docs/guides/few_shot.md)).
# - [06](06_did_it_help.ipynb) asks the question for an ordinary classifier, and lets a
#   study do the work.
# - [07](07_new_classes.ipynb) keeps new classes in a file, and says "none of these".
