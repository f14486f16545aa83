r"""Training step, inference and peak memory of the paper's encoders, beside keras-hub's and timm's.

    KERAS_BACKEND=torch python benchmarks/encoders.py
    KERAS_BACKEND=tensorflow python benchmarks/encoders.py --encoder resnet101

Every candidate lives in a process of its own, so that its peak memory is its own; they take turns,
one step each, several rounds, and ratios are taken round by round, so that a drift of the machine's
speed reaches all alike. A step is cross-entropy over ten classes with SGD. Needs
`pip install -r requirements-test.txt`.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import sys
from pathlib import Path

import numpy as np
from absl import app, flags
from workers import Worker, serve

from keras_clce.report import format_table

ROOT = Path(__file__).resolve().parent.parent
CANDIDATES = {
    "vit_base": ("ours", "ours, remat", "keras-hub", "timm"),
    "resnet101": ("ours", "keras-hub", "timm"),
}
TIMM = {"vit_base": "vit_base_patch16_224", "resnet101": "resnet101"}
CLASSES = 10

flags.DEFINE_enum("encoder", "vit_base", list(CANDIDATES), "Encoder.")
flags.DEFINE_integer("image_size", 224, "Pixels a side.")
flags.DEFINE_integer("batch_size", 8, "Images a step.", 1)
flags.DEFINE_integer("rounds", 5, "Rounds.", 1)
flags.DEFINE_string("candidate", None, "Used by the benchmark itself, for its processes.")
FLAGS = flags.FLAGS


def main(_) -> None:
    """Start the candidates, let them take turns, print a table."""
    if FLAGS.candidate:
        train, infer = build(FLAGS.candidate)
        serve({"train": train, "infer": infer})
        return
    same = [f"--{flag}={FLAGS[flag].value}" for flag in ("encoder", "image_size", "batch_size")]
    workers = {name: Worker([f"--candidate={name}", *same]) for name in CANDIDATES[FLAGS.encoder]}
    for worker in workers.values():
        worker.ask("train")
        worker.ask("infer")
    rounds = [
        {
            (name, kind): worker.ask(kind)
            for kind in ("train", "infer")
            for name, worker in workers.items()
        }
        for _ in range(FLAGS.rounds)
    ]
    rows = []
    for name, worker in workers.items():
        row = [name]
        for kind in ("train", "infer"):
            row.append(f"{statistics.median(times[name, kind] for times in rounds):.2f}")
            for peer in ("keras-hub", "timm"):
                ratios = [times[name, kind] / times[peer, kind] for times in rounds]
                row.append(f"{statistics.median(ratios):.2f}")
        rows.append([*row, f"{worker.ask('memory'):.2f}"])
        worker.stop()
    print(
        f"{os.environ.get('KERAS_BACKEND', 'tensorflow')}: {FLAGS.encoder}, batch "
        f"{FLAGS.batch_size} at {FLAGS.image_size} px, {FLAGS.rounds} rounds"
    )
    header = ["candidate", "step s", "/hub", "/timm", "inference s", "/hub", "/timm", "peak GiB"]
    print(format_table(header, rows))


def build(candidate: str):
    """Functions of no argument that run one training step, and inference, of a candidate."""
    size, batch = FLAGS.image_size, FLAGS.batch_size
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (batch, size, size, 3)).astype("float32")
    labels = rng.integers(0, CLASSES, batch)
    if candidate == "timm":
        return build_timm(pixels, labels)
    import keras

    if candidate == "keras-hub":
        import keras_hub

        backbone = hub_backbone(keras_hub, (size, size, 3))
    else:
        from keras_clce.models.backbones import build_backbone

        backbone = build_backbone(FLAGS.encoder, size, remat=candidate.endswith("remat"))
    features = backbone.output
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D()(features)
    elif len(features.shape) == 3:
        features = features[:, 0]
    model = keras.Model(backbone.input, keras.layers.Dense(CLASSES)(features))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: model.train_on_batch(pixels, labels), lambda: model.predict_on_batch(pixels)


def hub_backbone(keras_hub, image_shape):
    """keras-hub's own encoder of the same architecture."""
    if FLAGS.encoder == "vit_base":
        return keras_hub.models.ViTBackbone(
            image_shape=image_shape,
            patch_size=16,
            num_layers=12,
            num_heads=12,
            hidden_dim=768,
            mlp_dim=3072,
        )
    return keras_hub.models.ResNetBackbone(
        image_shape=image_shape,
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 23, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
    )


def build_timm(pixels, labels):
    """The same for timm, in plain torch."""
    sys.path.append(str(ROOT / "tests"))
    import timm_helper
    import torch

    options = {} if FLAGS.encoder == "resnet101" else {"img_size": FLAGS.image_size}
    model = timm_helper.import_timm().create_model(
        TIMM[FLAGS.encoder], num_classes=CLASSES, **options
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    targets = torch.from_numpy(labels)

    def train():
        model.train()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), targets).backward()
        optimizer.step()

    def infer():
        model.eval()
        with torch.no_grad():
            model(images)

    return train, infer


if __name__ == "__main__":
    app.run(main)
