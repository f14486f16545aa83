"""One run: trained, tested, and written to its folder."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any, cast

import keras

from keras_clce.experiments.devices import Devices
from keras_clce.experiments.errors import told
from keras_clce.experiments.loggers.run_log import logging_of
from keras_clce.experiments.protocols import Protocol
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import Run, build_model, train
from keras_clce.report import curves_by_name, drawing, plot_curves, run_title
from keras_clce.runs import Record


def run_one(settings: Settings, resume: bool = False) -> Record:
    """Train one loss with one seed, and test it unless the settings say `test=False`.

    Args:
        settings: The settings, whose `loss` and `seed` are used; those that follow the data are
            fitted. Runs that differ in others need a `label` each, which names their folders.
        resume: Whether a run that was interrupted goes on, and a finished one is read. Defaults to
            `False`.

    Returns:
        The record: settings, metrics and history of the run; `validation` is what chooses
        settings, and all that there is without a test.

    Raises:
        ValueError: If the settings do not fit the data, or the folder holds a run already.

    Example:
    ```python
    settings = Settings(backbone="encoder.keras", image_size=32, loss="ce", quick=True)
    run_one(settings).metrics["test"]["top1"]

    # Any search can call it, Optuna's for one; the test split stays unread.
    import optuna

    def objective(trial):
        temperature = trial.suggest_float("temperature", 0.05, 1.0, log=True)
        name = f"trial-{trial.number}"
        tried = {"loss": "clce", "temperature": temperature, "test": False, "label": name}
        return run_one(dataclasses.replace(settings, **tried)).validation

    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=1)
    list(study.best_params)  # ["temperature"]
    ```
    """
    from keras_clce.experiments.study import Study

    study = Study("runs", {"loss": [settings.loss]}, [settings.seed], settings)
    return study.run(resume=resume)[0]


def make_run(
    run: Run,
    protocol: Protocol,
    dataset: Any,
    devices: Devices,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Record:
    """Train and test a run, and write its folder; a run that was interrupted goes on.

    Args:
        run: The run.
        protocol: How it is validated and tested.
        dataset: The data.
        devices: The devices that share its batches.
        callbacks: Callbacks of the training beside the protocol's. Defaults to none.

    Returns:
        Its record.

    Raises:
        OSError: If another process is at work in the folder, or it cannot be written.
        FloatingPointError: If the loss becomes NaN or infinite.
    """
    settings, folder = run.settings, run.folder
    with (
        told(OSError),
        folder.lock(),
        devices.scope(),
        dtype_policy(settings.mixed_precision),
        _traced_anew(),
        logging_of(run) as log,
    ):
        checkpoint = None
        if run.is_frozen:
            keras.utils.set_random_seed(settings.seed)
            with told(ValueError, OSError):
                model = build_model(settings, dataset)
            folder.start(run.recorded, dataset.split_note)
            log.begin([])
        else:
            model, checkpoint = train(
                run,
                dataset,
                devices,
                protocol.monitor(settings),
                log,
                protocol.validation_split(dataset),
                [*protocol.callbacks(settings, dataset), *callbacks],
            )
        evaluation = protocol.evaluate(model, run, dataset, checkpoint)
        metrics = {
            "seed": settings.seed,
            "loss": run.loss,
            "label": run.label,
            "dataset": settings.dataset,
            "backbone": settings.backbone,
            "data": dataset.split_note,
            "quick": settings.quick,
            "tested": settings.test,
            **evaluation.metrics,
        }
        if checkpoint is not None:
            metrics |= {
                "epochs": settings.trained_epochs,
                "seconds": round(sum(row["seconds"] for row in checkpoint.history), 1),
            }
        folder.write_metrics(metrics, run.recorded)
        # The first process writes what all of them read.
        devices.wait(folder.metrics)
        record = cast(Record, folder.record())
        log.finish(record)
        evaluation.draw()
        if checkpoint is not None:
            with drawing(folder.curves):
                plot_curves(curves_by_name([record]), folder.curves, run_title(record))
        # A run that was not tested can be later, from its checkpoint.
        if settings.test and not settings.keep_checkpoint:
            folder.remove_checkpoint()
    return record


@contextlib.contextmanager
def _traced_anew() -> Iterator[None]:
    """Keep TensorFlow from warning that each of many runs traces functions of its own."""

    def is_other(record):
        return "retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Use a dtype policy, and give the process its own back.

    Args:
        name: A policy of Keras.

    Example:
    ```python
    with dtype_policy("mixed_bfloat16"):
        keras.layers.Dense(2).compute_dtype  # "bfloat16"
    ```
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
