r"""Does the classifier survive the contrastive loss? A small net on digits, at a steady rate.

    python benchmarks/collapse.py --losses ce,clce --normalizations none,unit,layer,batch

Two convolution-BatchNorm-ReLU-MaxPool blocks (16, 32 filters), scikit-learn's digits at 16 px,
AdamW without decay of the rate, batches of 64, `RandomTranslation(0.1, 0.1)`. Of each cell the rate
is the one of `--learning_rates` with the best validation accuracy over the seeds, its mean over the
last three epochs, which a single lucky epoch does not decide.
"""

import argparse
import json

import keras
import numpy as np
import sklearn.datasets
import sklearn.model_selection

from keras_clce import CLCELoss, CLCEModel, SupConLoss

LOSSES = {
    "ce": lambda: CLCELoss(contrastive_weight=0),
    "ce_supcon": lambda: CLCELoss(contrastive=SupConLoss()),
    "clce": CLCELoss,
}
LAST = 3


def digits():
    """Images (examples, 16, 16, 1) of about zero mean, labels, and a stratified 80/20 % split."""
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).repeat(2, axis=1).repeat(2, axis=2).astype("float32")
    images = (images - 8) / 8
    return sklearn.model_selection.train_test_split(
        images, labels, test_size=0.2, random_state=0, stratify=labels
    )


def small_net():
    """Two blocks, whose features are not negative."""
    x = inputs = keras.Input((16, 16, 1))
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x))
    return keras.Model(inputs, x)


def train(loss, normalization, rate, seed, epochs, data):
    """History of one run, as lists of what `fit` logs."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    images, val_images, labels, val_labels = data
    model = CLCEModel(
        small_net(),
        10,
        augmenter=keras.layers.RandomTranslation(0.1, 0.1),
        feature_normalization=normalization,
    )
    model.compile(keras.optimizers.AdamW(rate), loss=LOSSES[loss](), metrics=["accuracy"])
    history = model.fit(
        images,
        labels,
        batch_size=64,
        epochs=epochs,
        validation_data=(val_images, val_labels),
        verbose=0,
    )
    return history.history


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--losses", default="ce,ce_supcon,clce")
    parser.add_argument("--normalizations", default="none,unit,layer,batch")
    parser.add_argument("--learning_rates", default="1e-3,3e-3,1e-2")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--output", help="JSON lines, one a run")
    options = parser.parse_args()
    data = digits()
    rows = []
    for loss in options.losses.split(","):
        for name in options.normalizations.split(","):
            for rate in options.learning_rates.split(","):
                for seed in options.seeds.split(","):
                    history = train(
                        loss,
                        None if name == "none" else name,
                        float(rate),
                        int(seed),
                        options.epochs,
                        data,
                    )
                    row = {"loss": loss, "normalization": name, "rate": rate, "seed": int(seed)}
                    rows.append({**row, "history": history})
                    if options.output:
                        with open(options.output, "a") as file:
                            print(json.dumps(rows[-1]), file=file)
    report(rows)


def report(rows):
    """One line a cell, at its best rate."""
    print("loss       heads   rate   training best → last  validation  lowest  feature length")
    cells = dict.fromkeys((row["loss"], row["normalization"]) for row in rows)
    for loss, name in cells:
        mine = [row for row in rows if (row["loss"], row["normalization"]) == (loss, name)]
        rates = dict.fromkeys(row["rate"] for row in mine)
        of_rate = {rate: [row for row in mine if row["rate"] == rate] for rate in rates}
        rate = max(rates, key=lambda rate: last(_curves(of_rate[rate], "val_accuracy")))
        runs = of_rate[rate]
        training, validation, lengths = (
            _curves(runs, name) for name in ("accuracy", "val_accuracy", "feature_norm")
        )
        best, ended = np.mean(np.max(training, axis=1)), np.mean(np.array(training)[:, -1])
        lowest = min(min(values[-LAST:]) for values in validation)
        first, end = (np.mean(np.array(lengths)[:, at]) for at in (0, -1))
        print(
            f"{loss:10s} {name:6s} {rate:>5s}   {best:.3f} → {ended:.3f}         "
            f"{last(validation):.3f}       {lowest:.3f}   {first:.2f} → {end:.2f}"
        )


def _curves(rows, name):
    return [row["history"][name] for row in rows]


def last(curves):
    """Mean over runs and over the last epochs."""
    return np.mean([values[-LAST:] for values in curves])


if __name__ == "__main__":
    main()
