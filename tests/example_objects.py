"""What examples in docstrings name without making it: tiny data, models, files and runs."""

import functools
import inspect
import json
from pathlib import Path

import numpy as np

OBJECTS, FILES = {}, {}


def build(names):
    """Those of the names that stand for an object here, as a dict; their parts are shared."""
    made = {}
    return {name: _make(name, made) for name in sorted(names & {*OBJECTS})}


def write_files(text):
    """Write the files that a text names into the working directory."""
    for name, write in FILES.items():
        if name in text:
            write()


def _make(name, made):
    if name not in made:
        builder = OBJECTS[name]
        parts = inspect.signature(builder).parameters
        made[name] = builder(**{part: _make(part, made) for part in parts})
    return made[name]


def _object(builder):
    OBJECTS[builder.__name__] = builder
    return builder


def _file(name):
    def register(write):
        FILES[name] = write
        return write

    return register


# === Data ===

CLASSES = 10


@_object
def labels():
    return np.arange(24 * CLASSES) % CLASSES


@_object
@functools.cache
def images():
    return np.random.default_rng(0).uniform(0, 255, (24 * CLASSES, 32, 32, 3)).astype("float32")


@_object
@functools.cache
def features():
    rng = np.random.default_rng(1)
    return rng.normal(size=(24 * CLASSES, 8)) + 2 * np.eye(CLASSES, 8)[labels()]


@_object
def embeddings(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@_object
def outputs(embeddings):
    return {"embedding": embeddings, "logits": embeddings @ np.ones((8, CLASSES))}


@_object
def val_images(images):
    return images[::-1]


@_object
def val_labels(labels):
    return labels[::-1]


@_object
def val_embeddings(embeddings):
    return embeddings[::-1]


@_object
def test_embeddings(embeddings):
    return embeddings[:50]


@_object
def test_labels(labels):
    return labels[:50]


@_file('"pets"')
def _write_pets():
    """Four pictures of each of ten classes, in a folder of its own."""
    import keras

    for name in "ant bee cat dog eel fox gnu hen owl rat".split():
        folder = Path("pets", name)
        folder.mkdir(parents=True)
        for number in range(4):
            keras.utils.save_img(folder / f"{number}.png", images()[number], scale=False)


@_file('"csv')
def _write_labels_csv():
    """Pictures in one folder, and a table of their labels."""
    import keras

    Path("csv").mkdir(parents=True)
    for number in range(12):
        keras.utils.save_img(Path("csv", f"{number}.png"), images()[number], scale=False)
    rows = [f"{number}.png,{'bee;ant' if number % 2 else 'bee'}" for number in range(12)]
    Path("csv", "labels.csv").write_text("file,label\n" + "\n".join(rows), encoding="utf-8")


@_object
def data(images, labels):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images[:32], labels[:32])).batch(16)


# === Models ===


@_object
def augmenter():
    from keras_clce.views import two_view_augmenter

    return two_view_augmenter(32)


@_object
def model(encoder, augmenter):
    from keras_clce import CLCELoss, CLCEModel

    model = CLCEModel(encoder, CLASSES, augmenter=augmenter)
    model.compile("adam", loss=CLCELoss(), metrics=["accuracy"])
    return model


@_object
def encoder():
    import keras

    pixels = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Conv2D(8, 4, strides=4)(x)
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x))


@_file("encoder.keras")
def _write_encoder():
    encoder().save("encoder.keras")


@_file("model.keras")
def _write_model():
    model(encoder(), augmenter()).save("model.keras")


@_file("vit_tiny.safetensors")
def _write_vit(path="vit_tiny.safetensors"):
    """All zero, by timm's names and shapes."""
    from safetensors.numpy import save_file

    shapes = {"patch_embed.proj.weight": (192, 3, 16, 16), "patch_embed.proj.bias": (192,)}
    shapes |= {"cls_token": (1, 1, 192), "pos_embed": (1, 5, 192), "mask_token": (1, 1, 192)}
    for number in range(12):
        dense = {"attn.qkv": (576, 192), "attn.proj": (192, 192)}
        dense |= {"mlp.fc1": (768, 192), "mlp.fc2": (192, 768)}
        for name, shape in dense.items():
            shapes[f"blocks.{number}.{name}.weight"] = shape
            shapes[f"blocks.{number}.{name}.bias"] = shape[:1]
        for name in ("norm1", "norm2"):
            shapes |= dict.fromkeys(
                (f"blocks.{number}.{name}.weight", f"blocks.{number}.{name}.bias"), (192,)
            )
    shapes |= {"norm.weight": (192,), "norm.bias": (192,)}
    save_file({name: np.zeros(shape, "float32") for name, shape in shapes.items()}, path)


@_file("vit_folder")
def _write_vit_folder():
    folder = Path("vit_folder")
    folder.mkdir()
    (folder / "model.safetensors").touch()
    published = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    config = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": published}
    (folder / "config.json").write_text(json.dumps(config))


@_file("hub_folder")
def _write_hub_folder():
    import keras_hub

    keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        image_shape=(None, None, 3),
    ).save_to_preset("hub_folder")


# === What runs leave behind ===


@_object
def folder():
    from keras_clce.runs import RunFolder

    write_runs()
    return RunFolder("runs/transfer/digits/small_resnet/clce-seed0")


@_object
def record():
    from keras_clce.runs import RunFolder

    write_runs()
    return RunFolder("runs/few_shot/cifar_fs/vit_tiny/clce-seed0").record()


@_file("runs")
def write_runs():
    """Three seeds of two losses on digits, and two on few-shot tasks."""
    from keras_clce.runs import StudyPlan, StudyPoint

    for number, loss in enumerate(("ce", "clce")):
        for seed in range(3):
            _write_run("transfer/digits/small_resnet", loss, seed, _transfer_metrics(number, seed))
        for seed in range(2):
            _write_run("few_shot/cifar_fs/vit_tiny", loss, seed, _few_shot_metrics(number, seed))
    points = (StudyPoint("ce", "ce"), StudyPoint("clce", "clce"))
    plan = StudyPlan("transfer", ("loss",), (), points)
    plan.add_to(Path("runs/transfer/digits/small_resnet"))


def _write_run(home, loss, seed, metrics):
    from keras_clce.experiments.settings import Settings
    from keras_clce.experiments.settings_json import settings_as_json
    from keras_clce.runs import RunFolder

    protocol, dataset, backbone = home.split("/")
    settings = settings_as_json(
        Settings(dataset=dataset, backbone=backbone, loss=loss, seed=seed, batch_size=32),
        protocol,
        learning_rate=1e-3,
        image_size=32,
        backend="jax",
    )
    folder = RunFolder(f"runs/{home}/{loss}-seed{seed}")
    folder.start(settings, data=f"{dataset}, 1,257 training images")
    names = ("accuracy", "cross_entropy", "contrastive")
    folder.write_history(
        {"epoch": epoch, **{p + n: 1 / (1 + epoch) for p in ("", "val_") for n in names}}
        for epoch in range(2)
    )
    tasks = metrics.pop("tasks", None)
    if tasks is not None:
        folder.write_accuracies(tasks)
    folder.write_metrics({"loss": loss, "seed": seed, **metrics}, settings)


def _transfer_metrics(better, seed):
    top1 = 0.90 + 0.02 * better + 0.001 * seed * (1 + better)
    test = {"top1": top1, "top5": 0.99, "nearest_neighbor": 0.9, "examples": 360}
    validation = {"top1": top1 - 0.01, "best_epoch": 2, "examples": 180}
    return {"seconds": 12.0, "validation": validation, "test": test}


def _few_shot_metrics(better, seed):
    rng = np.random.default_rng(seed)
    tasks = {kind: rng.normal(0.6 + 0.1 * better, 0.1, 50) for kind in ("5w1s", "5w5s")}
    about = {"tasks": 50, "queries": 15, "classifier": "logistic", "features": "pooled"}
    about |= {"transform": "l2", "drawn_from": "the same"}
    results = {
        kind: {"mean": float(values.mean()), "ci95": 0.03, **about}
        for kind, values in tasks.items()
    }
    return {"tasks": tasks, "few_shot": results, "accuracies": "few_shot.npz"}


@_file("notes.txt")
def _write_notes():
    with open("notes.txt", "w") as notes:
        notes.write("done")
