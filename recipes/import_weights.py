r"""Turn published weights of an encoder into a Keras file, and show what became of each tensor.

    python recipes/import_weights.py --source mae_pretrain_vit_base.pth --backbone mae_base \
        --output mae_base.keras

`--source` is a file or folder of timm's, of Hugging Face's or of an encoder's authors, or
`hf://USER/REPOSITORY`. `--check`
also runs timm's model with the same file on random pixels, where timm is installed, and ends with
an error if the features differ by more than 1e-4 of their length. The `.keras` file is an encoder
on pixels from 0 to 255, which keeps interpolation and licence of the weights:
`python recipes/transfer.py --backbone mae_base.keras`.
Its graph is fixed: `--stochastic_depth`, `--remat` and `--layer_decay`, which flag files such as
`recipes/settings/mae_base.flags` set, are for encoders that are built by name. With such a flag
file give the published file itself: `--weights mae_pretrain_vit_base.pth`.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import sys
from pathlib import Path

import keras
import numpy as np
import recipe_flags
from absl import app, flags, logging
from keras_clce.models.checkpoints.download import local_weights
from keras_clce.models.checkpoints.loading import LoadReport

from keras_clce.files import write_atomically
from keras_clce.models.backbones import backbone_spec, build_backbone, load_weights
from keras_clce.models.timm_reference import timm_features

FLAGS = flags.FLAGS
TOLERANCE = 1e-4


def main(argv: list[str]) -> None:
    """Build the encoder, load the file, print the table, save the result."""
    if argv[1:]:
        raise app.UsageError(f"Unexpected arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    with recipe_flags.errors_in_one_line(ValueError, OSError, ImportError):
        spec = backbone_spec(FLAGS.backbone)
        size = FLAGS.image_size or spec.image_size
        source = local_weights(FLAGS.source)
        model = build_backbone(FLAGS.backbone, size, weights=source)
        report = load_weights(model, FLAGS.backbone, source)
    print_report(report)
    print(f"Licence of the published weights: {spec.licence}")
    if FLAGS.check:
        check_features(model, FLAGS.backbone, source, size)
    write_atomically(Path(FLAGS.output), model.save)
    print(f"Encoder: {FLAGS.output} ({model.count_params() / 1e6:.1f} million parameters)")


def print_report(report: LoadReport) -> None:
    """Print what became of each tensor."""
    names = [name for _, sources in report.matched for name in sources]
    print(f"matched    {len(names)} tensors into {len(report.matched)} weights")
    for weight, sources in report.matched:
        print(f"    {weight:45}  {', '.join(sources)}")
    print(f"dropped    {len(report.dropped)}: {', '.join(report.dropped) or 'none'}")
    print("missing    0")
    for name, old, new in report.resampled:
        print(f"resampled  {name}: {old} positions to {new}")
    if not report.resampled:
        print("resampled  none")


def check_features(model: keras.Model, name: str, source: Path, size: int) -> None:
    """Compare the encoder's features with timm's, on random pixels; end where they differ."""
    pixels = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")
    scaled = keras.ops.convert_to_numpy(model.get_layer("scale_pixels")(pixels))
    try:
        with recipe_flags.errors_in_one_line(ValueError):
            expected = timm_features(name, source, scaled)
    except (ImportError, NotImplementedError) as problem:
        print(f"Features were not compared: {problem}")
        return
    features = model.predict(pixels, verbose=0)
    features = features.mean(axis=(1, 2)) if features.ndim == 4 else features
    error = float(np.linalg.norm(features - expected) / np.linalg.norm(expected))
    print(f"Features against timm's: relative difference {error:.1e}")
    if not error <= TOLERANCE:
        sys.exit(f"Error: the features differ by more than {TOLERANCE}.")


if __name__ == "__main__":
    flags.DEFINE_string("source", None, "File or folder of published weights.", required=True)
    flags.DEFINE_string("backbone", None, "Name of the encoder.", required=True)
    flags.DEFINE_string("output", None, "Where the .keras file goes.", required=True)
    flags.DEFINE_integer("image_size", None, "Pixels a side; the usual size if not given.", 8)
    flags.DEFINE_bool("check", False, "Compare features with timm's.")
    flags.register_validator("output", lambda name: name.endswith(".keras"), "must end in .keras")
    app.run(main)
