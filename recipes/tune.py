r"""Tune each loss under the same budget, by validation alone, then test the best of each.

    python recipes/tune.py --trials 20 --losses ce,clce --final --seeds 0,1,2
    python recipes/tune.py --minutes 60 --method hyperband --dataset oxford_flowers102 \
        --backbone efficientnet_lite0 --weights imagenet
    python recipes/tune.py --search "learning_rate=1e-4:1e-2:log,contrastive_weight=0.1|0.5|0.9"
    python recipes/transfer.py --flagfile runs/tune/digits/small_resnet/best-clce.flags

KerasTuner proposes the trials (`pip install "keras-clce[tune]"`), the first of which has the
settings as they are given. Validation accuracy chooses, for few-shot data sets that of tasks of the
validation classes; the test split stays unread until `--final` trains the best settings of each
loss with every seed. A loss that diverges is a failed trial. `--resume` goes on after a kill, or
with a larger budget.

Each trial is a run folder below `runs/tune/<dataset>/<backbone>/trials/`. Beside them stand
`best-<loss>.flags`, which the training recipes take, `trials.csv`, and `tune.md` with its pictures.
"""

from collections.abc import Sequence

from keras_clce.experiments import tune_command


def main(arguments: Sequence[str] | None = None) -> None:
    """Search the settings of every loss, and test the best ones if that is asked for."""
    tune_command("tune", __doc__, arguments)


if __name__ == "__main__":
    main()
