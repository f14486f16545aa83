"""Trains fixed models on one device and on several, and writes what came out of both.

Usage: KERAS_BACKEND=jax python many_devices.py OUTPUT.npz, with eight devices
       KERAS_BACKEND=jax python many_devices.py OUTPUT.npz ADDRESS PROCESS, for two processes
       KERAS_BACKEND=tensorflow python many_devices.py OUTPUT.npz
"""

import contextlib
import sys

import keras
import numpy as np
from small_models import SHAPE, separable

from keras_clce import CLCELoss, CLCEModel, HSCLLoss, LACLNLoss, backend
from keras_clce.data import two_view_augmenter
from keras_clce.train import ImageMixing

# Neither it nor its double is the size of anything else in the compiled step.
BATCH = 40
CLASSES = 5
CHUNK = 16
CACHE = 4  # views of a device: of its 10 the first 2, then twice 4
WIDE = 5089  # iNaturalist's classes
# Name: options of the model, the loss, views an image. Where it is one, some anchors have no
# positive. Replicas of TensorFlow draw the same numbers, each for its own rows.
CASES = {
    "layer_norm": ({"norm": "layer"}, CLCELoss(0.5, LACLNLoss(0.2, 2.0, "inside")), 1),
    "batch_norm": ({"norm": "batch"}, CLCELoss(0.5, HSCLLoss(threshold=0.2)), 2),
    # What heads read is as large as the encoder gives it: roundings of devices that add up in
    # another order stay small.
    "augmenter": (
        {"norm": "batch", "augment": True, "dropout": 0.3, "heads": None},
        CLCELoss(),
        2,
    ),
    "in_blocks": ({"norm": "layer"}, CLCELoss(0.5, LACLNLoss(0.2, chunk_size=CHUNK)), 1),
    "cached": ({"norm": "batch", "dropout": 0.3, "cache": CACHE}, CLCELoss(0.5), 2),
    # Rows give their rest to rows of other devices.
    "mixed": ({"norm": "batch", "mixing": True}, CLCELoss(0.5), 2),
}
# On one device, chunks of the rows that all devices' chunks hold together.
SPREAD = np.hstack(
    [few.reshape(-1) for few in np.split(np.arange(BATCH).reshape(8, -1), [1, 3], axis=1)]
)
ON_ONE = {"cached": {"cache": 8 * CACHE, "rows": SPREAD}}
EVALUATED = "layer_norm"
ONE = contextlib.nullcontext()
SAME_ON_TENSORFLOW = ("layer_norm", "batch_norm", "in_blocks", "cached")
# Replicas' chunks have statistics of their own; without any, it is the step of the whole batch.
CALM = {"cached": {"norm": "layer", "dropout": 0.0}}


def data():
    """Two batches and a part of one; a class has one image in each of the two."""
    images, labels = separable(2 * BATCH + 13)
    labels[[1, BATCH + 5]] = CLASSES - 1
    weights = np.random.default_rng(3).uniform(0.5, 2.0, len(labels)).astype("float32")
    return images, labels, weights


def compiled_model(
    loss,
    norm=None,
    dropout=0.0,
    augment=False,
    classes=CLASSES,
    cache=None,
    heads="layer",
    mixing=False,
):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, strides=2, kernel_regularizer="l2")(inputs)
    if norm == "batch":
        # Keras joins the statistics of replicas only where it is told to, and only there.
        synchronized = keras.backend.backend() == "tensorflow"
        x = keras.layers.BatchNormalization(momentum=0.8, synchronized=synchronized)(x)
    elif norm == "layer":
        x = keras.layers.LayerNormalization()(x)
    x = keras.layers.Dropout(dropout, seed=5)(keras.layers.ReLU()(x))
    augmenter = two_view_augmenter(SHAPE[0], seed=2) if augment else None
    model = CLCEModel(
        keras.Model(inputs, x), classes, augmenter=augmenter, feature_normalization=heads
    )
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        loss=loss,
        metrics=["accuracy"],
        gradient_cache_size=cache,
        mixing=ImageMixing(0.5, 1.0, "contrastive") if mixing else None,
    )
    return model


def train(case, scope, rows=slice(None), processes=1, remainder=False, evaluation=None, **changes):
    """Losses and metrics of two epochs, and weights; `rows` are this process's of each batch."""
    options, loss, views = CASES[case]
    options = {**options, **changes}
    pairs = views == 2 and "augment" not in options
    images, labels, weights = data()
    count = len(labels) if remainder else 2 * BATCH
    own = np.concatenate(
        [np.arange(start, min(start + BATCH, count))[rows] for start in range(0, count, BATCH)]
    )
    with scope:
        model = compiled_model(loss, **options)
        history = model.fit(
            (images[own], images[own, :, ::-1]) if pairs else images[own],
            labels[own],
            sample_weight=weights[own],
            batch_size=BATCH // processes,
            epochs=2,
            shuffle=False,
            verbose=0,
        ).history
    if evaluation:
        few = images[:81], labels[:81]
        with evaluation:
            evaluated = model.evaluate(*few, batch_size=BATCH, verbose=0, return_dict=True)
            history["predicted"] = model.predict(few[0], BATCH, verbose=0)["logits"]
        history |= {f"evaluated_{key}": value for key, value in evaluated.items()}
    return flat(history, model)


def flat(history, model):
    weights = {f"weight{number}": value for number, value in enumerate(model.get_weights())}
    return {**{key: np.array(value) for key, value in history.items()}, **weights}


def wide_head(layout):
    """A head of many classes, its kernel and its momentum divided between four devices."""
    images, _, _ = data()
    labels = np.random.default_rng(0).integers(0, WIDE - 1, BATCH)
    labels[BATCH // 2 :] = labels[: BATCH // 2]
    with layout.scope() if layout else ONE:
        model = compiled_model(CLCELoss(0.5), "layer", classes=WIDE)
        history = model.fit(
            images[:BATCH], labels, batch_size=BATCH, epochs=2, shuffle=False, verbose=0
        ).history
    results = flat(history, model)
    if layout:
        for name, variable in (
            ("kernel", model.heads.classifier.kernel),
            (
                "momentum",
                next(v for v in model.optimizer.variables if "classifier_kernel" in v.path),
            ),
        ):
            results[name] = np.array(variable.value.addressable_shards[0].data.shape)
    return results


def jax_devices():
    # What gives batches of an evaluation whole to every device; training is Keras's own.
    whole, _ = backend.claim_devices(8, None, 1, 0)
    distribution = keras.distribution.DataParallel()
    for case in CASES:
        evaluated = case == EVALUATED
        on_one = {"evaluation": ONE if evaluated else None, **ON_ONE.get(case, {})}
        yield "one", case, train(case, ONE, **on_one)
        evaluation = whole.scope() if evaluated else None
        yield "several", case, train(case, distribution.scope(), evaluation=evaluation)
    mesh = keras.distribution.DeviceMesh((2, 4), ("batch", "model"))
    layouts = keras.distribution.LayoutMap(mesh)
    # The features are divided: 5,089 classes would not divide by four.
    layouts[".*heads/classifier/kernel"] = ("model", None)
    layout = keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")
    yield "one", "wide_head", wide_head(None)
    yield "several", "wide_head", wide_head(layout)


def jax_process(address, process):
    keras.distribution.initialize(address, num_processes=2, process_id=process)
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    assert distribution.num_model_replicas == 4
    rows = slice(process, None, 2)
    yield "processes", "batch_norm", train("batch_norm", distribution.scope(), rows, processes=2)


def tensorflow_devices():
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, parts)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for case in SAME_ON_TENSORFLOW:
        changes = {"remainder": True, "evaluation": ONE, **CALM.get(case, {})}
        yield "several", case, train(case, strategy.scope(), **changes)
        yield "one", case, train(case, ONE, **changes | ({"cache": None} if case in CALM else {}))


def main(output, address=None, process=None):
    if keras.backend.backend() == "tensorflow":
        results = tensorflow_devices()
    elif address is None:
        results = jax_devices()
    else:
        results = jax_process(address, int(process))
    found = {
        f"{devices}/{case}/{key}": value
        for devices, case, values in results
        for key, value in values.items()
    }
    if process in (None, "0"):
        np.savez(output, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
