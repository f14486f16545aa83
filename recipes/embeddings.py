r"""Compare the embeddings of trained models: numbers, histograms of cosines, maps.

    python recipes/embeddings.py --models ce.keras,clce.keras --dataset cifar100
    python recipes/embeddings.py --models RUN/model.keras --classes tulip,cloud --projector
    python recipes/embeddings.py --embeddings ce.npz,clce.npz

The paper's Table 5 (isotropy score) and Figures 3 to 5 (cosines of positive and negative pairs of
two classes, t-SNE of twenty), for one model or several, with alignment and uniformity, overlap of
the histograms, neighbours and a linear probe beside. `--models` are `.keras` files, of these
recipes or of your own encoders; one within its run folder knows its data set. `--embeddings` are
`.npz` files with `embeddings` and `labels`, and `class_names` if you like. Embedding 10,000 images
takes a minute or two a model on two CPU cores, t-SNE some ten seconds.

Reference: CLCE (https://arxiv.org/abs/2402.14551).
"""

import os
import sys
from collections.abc import Sequence

from absl import flags, logging

from keras_clce.experiments import in_one_line, without_start_up_messages

HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull")


def define_flags() -> flags.FlagValues:
    """Define the flags, apart from absl's own `FLAGS`."""
    values = flags.FlagValues()
    options = {"flag_values": values, "module_name": "embeddings"}
    for name, text in (
        ("models", "Saved models, .keras files."),
        ("embeddings", "Files of embeddings, .npz."),
        ("names", "What models, then files, are called; by default as their file or run folder."),
        ("classes", "Classes whose pairs have histograms of their own; two if not given."),
        ("tsne_classes", "Classes on the maps; twenty drawn by the seed if not given."),
    ):
        flags.DEFINE_list(name, None, text, **options)
    run = "; that of the model's run if not given."
    flags.DEFINE_string("dataset", None, f"Data set to embed{run}", **options)
    flags.DEFINE_string("data_dir", None, f"Folder of the data{run}", **options)
    flags.DEFINE_enum("split", "test", ["test", "validation", "train"], "Its split.", **options)
    flags.DEFINE_integer("split_seed", None, f"Seed of unofficial splits{run}", 0, **options)
    flags.DEFINE_integer("limit_examples", None, f"Training images kept{run}", 1, **options)
    flags.DEFINE_integer(
        "drop_small_classes", None, f"Images that a class must have{run}", 1, **options
    )
    flags.DEFINE_integer(
        "image_size", None, "Pixels per side, for models that take any size.", 8, **options
    )
    flags.DEFINE_integer("tsne_images", 100, "Most images of a class on the maps.", 2, **options)
    flags.DEFINE_integer("max_examples", 10_000, "Most images of the split.", 10, **options)
    flags.DEFINE_integer(
        "train_examples",
        5_000,
        "Most training images for neighbours and linear probe, 0 for none.",
        0,
        **options,
    )
    flags.DEFINE_integer("seed", 0, "Seed of draws and t-SNE.", 0, **options)
    flags.DEFINE_bool("projector", False, "Also write files for TensorBoard.", **options)
    flags.DEFINE_bool("quick", False, "Look at a few hundred images alone.", **options)
    flags.DEFINE_string(
        "output_dir", None, "Where results go; runs/embeddings/DATASET if not given.", **options
    )
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    """Embed, measure, draw, and print the table."""
    arguments = list(sys.argv if arguments is None else arguments)
    values = define_flags()
    if any(argument in HELP for argument in arguments[1:]):
        print(f"{__doc__}{values.get_help()}")
        return
    with in_one_line(flags.Error):
        rest = values(arguments)[1:]
        if rest:
            raise flags.Error(f"Unexpected arguments: {' '.join(rest)}")
        asked = values.flag_values_dict()
        sources = [asked.pop(kind) or [] for kind in ("models", "embeddings")]
        names = asked.pop("names")
        if names is not None and len(names) != sum(map(len, sources)):
            raise flags.IllegalFlagValueError(
                f"flag --names={','.join(names)}: must be as many as models and embeddings, "
                f"{sum(map(len, sources))}"
            )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.ERROR)
    with without_start_up_messages():
        from keras_clce.experiments import embedding_study

    if names is not None:
        first, second = names[: len(sources[0])], names[len(sources[0]) :]
        sources = [
            dict(zip(first, sources[0], strict=True)),
            dict(zip(second, sources[1], strict=True)),
        ]
    with in_one_line(ValueError, OSError, ImportError):
        embedding_study(*sources, **asked)


if __name__ == "__main__":
    main()
