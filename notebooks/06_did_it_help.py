# %% [markdown]
# # Did CLCE help? A study from Python
#
# You will learn how to
#
# - write a study down as a grid of settings, and run it with several seeds;
# - read its table, and ask the records what you like;
# - say how sure the answer is, and what so many seeds could not have seen;
# - stop and go on, and write a report for others.
#
# It needs `pip install "keras-clce[data]"` and takes some minutes on two CPU cores.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_clce.evaluate import detectable_difference, paired_t_test, seeds_needed
from keras_clce.experiments import Settings, Study
from keras_clce.report import clce_comparisons, verdicts, write_report

# For a check of the code in seconds, whose figures mean nothing.
QUICK = "TUTORIAL_QUICK" in os.environ
FILES = Path("tutorial_files")
FILES.mkdir(exist_ok=True)

# %% [markdown]
# ## 1. The question
#
# Does the contrastive part make a better classifier of handwritten digits, where there
# are ten images of each class to train on? And does its weight λ matter?
#
# An encoder can be a name such as `"efficientnet_lite0"`, or a file of a Keras model,
# as here.

# %%
encoder = keras.Sequential(
    [
        keras.Input((16, 16, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Flatten(),
    ]
)
encoder.save(FILES / "encoder.keras")

# %% [markdown]
# ## 2. A study is a grid of settings
#
# `Settings` describes a run, and each of its fields is a flag of the recipes. `vary`
# names what is compared, and every point is trained with every seed. A seed decides the
# first weights, the order of the images and the views. It is the same for both losses,
# so that runs are paired.
#
# Decide on the seeds before you look. Adding seeds until p is small makes p worthless.

# %%
WEIGHTS = [0.9] if QUICK else [0.2, 0.9]
settings = Settings(
    dataset="digits",
    backbone=str(FILES / "encoder.keras"),
    image_size=16,
    limit_per_class=10,
    batch_size=50,
    epochs=20,
    learning_rate=3e-3,
    output_dir=str(FILES / "runs"),
    quick=QUICK,
)
study = Study(
    "did_it_help",
    vary={"loss": ["ce", "clce"], "contrastive_weight": WEIGHTS},
    seeds=[0, 1] if QUICK else [0, 1, 2],
    settings=settings,
)

# %% [markdown]
# `run` prints the plan, then a line for each run, and the answer at the end. What
# cross-entropy does not read is not varied for it: it is trained once for each seed.

# %%
records = study.run(resume=True)

# %% [markdown]
# With `resume=True` the same call goes on where it stopped, and reads what has
# finished. A second one trains nothing.
#
# ## 3. The records
#
# A notebook shows them as a table, a row for each run, with fractions in [0, 1].
# `records.rows()` gives the same as dicts, and `records.to_pandas()` as a data frame.

# %%
records

# %%
print(records.table())

# %% [markdown]
# ## 4. Ask them yourself
#
# The difference is taken seed by seed, and Student's t over the seeds says how sure it
# is.

# %%


def point_of(record):
    settings = record.settings
    return "ce" if settings.loss == "ce" else f"clce {settings.contrastive_weight:g}"


top1 = {}
for record in records:
    top1.setdefault(point_of(record), []).append(record.metrics["test"]["top1"])

for point in [*top1][1:]:
    test = paired_t_test(top1[point], top1["ce"])
    differences = np.subtract(top1[point], top1["ce"])
    difference = f"{test.mean_difference:+.1%} ± {test.ci95:.1%}"
    print(f"{point} minus ce: {difference}, p = {test.p_value:.2g}")
    least = detectable_difference(differences)
    print(f"   these seeds would have seen a difference of {least:.1%} or more")
    if np.isfinite(least):  # equal differences have no spread
        needed = seeds_needed(0.01, np.std(differences, ddof=1))
        print(f"   a difference of 1 point would take {needed} seeds")

# %%
figure, axes = plt.subplots(figsize=(5, 2.8))
for values in zip(*top1.values(), strict=True):
    axes.plot([*top1], [100 * value for value in values], "o-", color="grey", alpha=0.6)
axes.plot(
    [*top1], [100 * np.mean(values) for values in top1.values()], "ks", label="mean"
)
axes.set_ylabel("test accuracy in %")
axes.set_title("a line for each seed", fontsize=10)
axes.legend()
plt.show()

# %% [markdown]
# Where lines run side by side, a difference is sure though the dots of one loss lie far
# apart: what a seed does to both cancels. So -0.6 points can be told from chance here.
#
# λ = 0.9 fails altogether, and the lines of its runs say where: the best epoch is the
# first one. `history`, a dict for each epoch, has the rest of the story.

# %%
figure, axes = plt.subplots(figsize=(5, 2.8))
colours = {point: f"C{number}" for number, point in enumerate(top1)}
for record in records:
    point = point_of(record)
    values = [100 * epoch["val_accuracy"] for epoch in record.history]
    label = point if record.settings.seed == 0 else None
    axes.plot(range(1, len(values) + 1), values, color=colours[point], label=label)
axes.set(xlabel="epoch", ylabel="validation accuracy in %")
axes.legend()
plt.show()

# %% [markdown]
# With λ = 0.9 the classifier learns, to an accuracy of about 70 %, and that model was
# not kept: a run keeps the epoch with the lowest validation loss, and nine tenths of
# this loss is the contrastive part, which was lowest after the first one. So this point
# says nothing about λ. With a hundred images take a small λ, or train longer; and look
# at the curves before you believe a table.
#
# ## 5. The answer in words
#
# `clce_comparisons` compares cross-entropy with the λ that validation picks. Of several
# comparisons, as of several data sets, one of twenty is below p = 0.05 by chance alone:
# `verdicts` corrects for their number (Holm), and says what is left.

# %%
for verdict in verdicts(clce_comparisons(records.read)):
    print("-", verdict.sentence)

# %% [markdown]
# Two rules keep such an answer honest:
#
# - Choose λ and other settings by validation, never by the test figures;
#   `Settings(test=False)` leaves the test split unread. Then train what you chose and
#   cross-entropy with new seeds.
# - Give cross-entropy the same care: the same epochs, the same search of its learning
#   rate. `keras-clce tune` does that.
#
# ## 6. A report for others
#
# One page that opens without a network, with the answer, the tables, curves, and the
# settings of each run.

# %%
page = write_report(study.home().parent.parent, FILES / "report", include_quick=QUICK)
print("\n".join(page.read_text().splitlines()[:12]))

# %% [markdown]
# `report.html` lies beside it.
#
# ## What next
#
# - Guides: [studies from Python](../docs/guides/studies.md), [reading a
#   report](../docs/guides/report.md), [tuning](../docs/guides/tuning.md).
# - What was measured on photographs, and where CLCE did not help: [When does it
#   help?](../docs/start/does_it_help.md)
# - The same question for new classes: [03](03_few_shot.ipynb).
