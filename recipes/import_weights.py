r"""Turn published weights of an encoder into a Keras file, and show what became of each tensor.

    python recipes/import_weights.py --source mae_pretrain_vit_base.pth --backbone mae_base \
        --output mae_base.keras

`--source` is a file or folder of timm's, of Hugging Face's or of an encoder's authors, or
`hf://USER/REPOSITORY`. `--check`
also runs timm's model with the same file on random pixels, where timm is installed, and ends with
an error if the features differ by more than 1e-4 of their length. The `.keras` file is an encoder
on pixels from 0 to 255, which keeps interpolation and licence of the weights:
`python recipes/transfer.py --backbone mae_base.keras`.
Its graph is fixed: `--stochastic_depth`, `--remat` and `--layer_decay`, which `--settings mae_base`
sets, are for encoders that are built by name. With such settings give the published file itself:
`--weights mae_pretrain_vit_base.pth`.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from keras_clce.experiments import in_one_line

if TYPE_CHECKING:
    import keras

    from keras_clce.models import LoadReport

TOLERANCE = 1e-4


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the encoder, load the file, print the table, save the result."""
    with in_one_line(flags.Error):
        asked = parse(sys.argv if arguments is None else arguments)
    if asked is None:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras_clce.files import write_atomically
    from keras_clce.models import backbone_spec, build_backbone, load_weights, local_weights

    with in_one_line(ValueError, OSError, ImportError):
        spec = backbone_spec(asked.backbone)
        size = asked.image_size or spec.image_size
        source = local_weights(asked.source)
        model = build_backbone(asked.backbone, size, weights=source)
        report = load_weights(model, asked.backbone, source)
    print_report(report)
    print(f"Licence of the published weights: {spec.licence}")
    if asked.check:
        check_features(model, asked.backbone, source, size)
    write_atomically(Path(asked.output), model.save)
    print(f"Encoder: {asked.output} ({model.count_params() / 1e6:.1f} million parameters)")


def parse(arguments: Sequence[str]) -> flags.FlagValues | None:
    """The flags; `None` where help was asked for, which is printed."""
    values = flags.FlagValues()
    options = {"flag_values": values}
    flags.DEFINE_string("source", None, "File or folder of published weights.", **options)
    flags.DEFINE_string("backbone", None, "Name of the encoder.", **options)
    flags.DEFINE_string("output", None, "Where the .keras file goes.", **options)
    flags.DEFINE_integer(
        "image_size", None, "Pixels per side; the usual size if not given.", 8, **options
    )
    flags.DEFINE_bool("check", False, "Compare features with timm's.", **options)
    flags.mark_flags_as_required(["source", "backbone", "output"], values)
    flags.register_validator(
        "output", lambda name: name.endswith(".keras"), "must end in .keras", values
    )
    if any(argument in ("-h", "--help") for argument in arguments[1:]):
        print(__doc__.strip())
        print("\n".join(f"  --{name}  {values[name].help}" for name in values))
        return None
    rest = values(arguments)[1:]
    if rest:
        raise flags.Error(f"Unexpected arguments: {' '.join(rest)}")
    return values


def print_report(report: "LoadReport") -> None:
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


def check_features(model: "keras.Model", name: str, source: Path, size: int) -> None:
    """Compare the encoder's features with timm's, on random pixels; end where they differ."""
    import keras
    import numpy as np

    from keras_clce.models import timm_features

    pixels = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")
    scaled = keras.ops.convert_to_numpy(model.get_layer("scale_pixels")(pixels))
    try:
        with in_one_line(ValueError):
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
    main()
