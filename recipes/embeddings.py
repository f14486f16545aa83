r"""Compare the embeddings of trained models: numbers, histograms of cosines, maps.

    python recipes/embeddings.py --models RUN/model.keras,OTHER_RUN/model.keras
    python recipes/embeddings.py --models ce.keras,clce.keras --dataset cifar100 \
        --classes tulip,cloud --projector
    python recipes/embeddings.py --embeddings ce.npz,clce.npz

The paper's Table 5 (isotropy score) and Figures 3 to 5 (cosines of positive and negative pairs of
two classes, t-SNE of twenty), for one model or several, with the overlap of the histograms,
alignment and uniformity, neighbours and a linear probe beside. `--models` are `.keras` files, of
these recipes or of your own encoders; one within its run folder knows its data. `--embeddings` are
`.npz` files with `embeddings` and `labels`, and `class_names` if you like. 10,000 images of 64 px
take a minute or two to embed with a small encoder on one CPU core, and t-SNE about one.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Table 5 and Figures 3 to 5.
"""

from collections.abc import Sequence

from keras_clce.experiments import embedding_command


def main(arguments: Sequence[str] | None = None) -> None:
    """Embed, measure, draw, and print the tables."""
    embedding_command(__doc__, arguments)


if __name__ == "__main__":
    main()
