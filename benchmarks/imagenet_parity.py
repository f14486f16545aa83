"""Compare EfficientNet-Lite's ImageNet predictions in Keras with timm's, image by image.

    python benchmarks/imagenet_parity.py --data_dir ../shared/data

classifies Tiny-ImageNet's 10,000 validation images (64 px, resized to 224 by Pillow, bicubic) over
all 1,000 ImageNet classes, with the same published weights in both, and prints the top-1 of each
and the share of images on which they agree. About ten minutes on two cores; `--limit 300` takes
that many, drawn with `--seed`. Needs `pip install -r requirements-test.txt`.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import timm_helper  # noqa: E402

from keras_clce.models.backbones import build_backbone  # noqa: E402
from keras_clce.models.families.efficientnet_lite import (  # noqa: E402
    checkpoint_path,
    imagenet_classifier,
)

IMAGE_SIZE = 224
MEAN, STD = 127.0, 128.0


@dataclasses.dataclass(frozen=True)
class Parity:
    """Top-1 accuracies in [0, 1], and the share of images with equal predictions."""

    examples: int
    keras_top1: float
    timm_top1: float
    agreement: float


def compare(name: str, data_dir: Path, limit: int | None, seed: int, batch_size: int = 50):
    """Classify Tiny-ImageNet's validation images with both and count."""
    images, labels = _images(data_dir, limit, seed)
    model = build_backbone(name, IMAGE_SIZE, weights="imagenet")
    kernel, bias = imagenet_classifier(name)
    oracle = timm_helper.efficientnet_lite(int(name[-1]), checkpoint_path(name))
    predicted = {"keras": [], "timm": []}
    for start in range(0, len(images), batch_size):
        pixels = np.stack([_resized(image) for image in images[start : start + batch_size]])
        pooled = model.predict_on_batch(pixels).mean(axis=(1, 2))
        predicted["keras"].append((pooled @ kernel + bias).argmax(axis=1))
        predicted["timm"].append(timm_helper.logits(oracle, (pixels - MEAN) / STD).argmax(axis=1))
    ours, theirs = (np.concatenate(predicted[library]) for library in ("keras", "timm"))
    return Parity(
        examples=len(images),
        keras_top1=float(np.mean(ours == labels)),
        timm_top1=float(np.mean(theirs == labels)),
        agreement=float(np.mean(ours == theirs)),
    )


def _images(data_dir, limit, seed):
    """Read the images and their indexes among ImageNet's 1,000 classes."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    dataset, info = tfds.load(
        "tiny_imagenet_subset",
        split="validation",
        data_dir=str(data_dir),
        with_info=True,
        decoders={"image": tfds.decode.SkipDecoding()},
    )
    # Labels are WordNet ids, and timm lists the ids of the 1,000 classes in their order.
    imagenet = timm_helper.import_timm().data.ImageNetInfo().label_names()
    names = info.features["label"].names
    examples = list(tfds.as_numpy(dataset))
    chosen = np.random.default_rng(seed).permutation(len(examples))[:limit]
    images = [
        tf.io.decode_image(examples[i]["image"], channels=3, expand_animations=False).numpy()
        for i in chosen
    ]
    return images, np.array([imagenet.index(names[examples[i]["label"]]) for i in chosen])


def _resized(image):
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC), "float32")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", type=Path, required=True, help="TFDS's folder")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--limit", type=int, default=None, help="images; all 10,000 by default")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    result = compare(flags.backbone, flags.data_dir, flags.limit, flags.seed)
    print(
        f"{flags.backbone}: {result.examples} images, top-1 Keras {result.keras_top1:.2%}, "
        f"timm {result.timm_top1:.2%}, equal predictions {result.agreement:.2%}"
    )


if __name__ == "__main__":
    main()
