"""The training of one run: the model of its settings, trained from the last saved epoch on."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras

from keras_clce.data import FewShotDataset, ImageDataset, ImageSplit
from keras_clce.experiments.class_balance import class_weights, training_counts
from keras_clce.experiments.devices import Devices
from keras_clce.experiments.errors import told
from keras_clce.experiments.fitted import batch_size_of, warmup_epochs_of
from keras_clce.experiments.loggers.run_log import RunLog
from keras_clce.experiments.multi_label import metrics_of_labels
from keras_clce.experiments.resolved import (
    build_loss,
    build_mixing,
    classifier_head,
    contrastive_schedule,
    learning_rate,
    preprocessing,
)
from keras_clce.experiments.settings import Settings
from keras_clce.files import write_atomically
from keras_clce.runs import RunFolder
from keras_clce.train import CLCEModel, ContrastiveWeightSchedule
from keras_clce.train.callbacks import RunCheckpoint
from keras_clce.train.epoch_report import EpochReport
from keras_clce.train.layerwise import unfreeze_last
from keras_clce.train.live_line import can_be_overwritten, live_line
from keras_clce.train.optimization import build_optimizer

QUICK_BATCHES = 2
FROZEN = "frozen"


@dataclasses.dataclass(frozen=True)
class Run:
    """One loss with one seed, and where it stands.

    Args:
        settings: Its settings, with all that follows the data.
        folder: Its folder.
        name: What tells it from the other runs of its study, as `"clce-temperature=0.1"`.
        recorded: What `config.json` keeps of the settings.
        is_frozen: Whether the encoder is tested as it is, without training. Defaults to `False`.
    """

    settings: Settings
    folder: RunFolder
    name: str
    recorded: dict[str, Any]
    is_frozen: bool = False

    @property
    def loss(self) -> str:
        """Name of the loss; `"frozen"` where nothing is trained."""
        return FROZEN if self.is_frozen else self.settings.loss

    @property
    def label(self) -> str | None:
        """What stands after the loss in the name."""
        return self.name.removeprefix(self.loss).removeprefix("-") or None


def build_model(settings: Settings, dataset: ImageDataset | FewShotDataset) -> CLCEModel:
    """The model of some settings, its frozen layers frozen, not yet compiled.

    Args:
        settings: The settings.
        dataset: What it is to be trained on; gives the names of its classes.

    Returns:
        A `CLCEModel`.

    Raises:
        ValueError: If weights do not fit the encoder.
        OSError: If weights cannot be read.

    Example:
    ```python
    build_model(Settings(), load_dataset("digits", image_size=32))
    ```
    """
    shown = preprocessing(settings)
    model = CLCEModel.from_backbone(
        settings.backbone,
        dataset.num_classes,
        image_size=shown.image_size,
        weights=settings.weights,
        embedding_dim=settings.embedding_dim,
        embedding_layers=settings.embedding_layers,
        classifier=classifier_head(settings, isinstance(dataset, FewShotDataset)),
        stochastic_depth=settings.stochastic_depth,
        remat=settings.remat,
        feature_normalization=settings.feature_normalization,
        class_names=_class_names(dataset),
        preprocessing=shown,
        multi_label=settings.multi_label,
    )
    if settings.unfreeze_last:
        unfreeze_last(model.backbone, settings.unfreeze_last)
    if settings.freeze_backbone:
        model.backbone.trainable = False
    if settings.lora_rank:
        model.enable_lora(settings.lora_rank)
    return model


def steps_per_epoch(settings: Settings, images: int) -> int:
    """How many steps an epoch has.

    Args:
        settings: The settings, with a batch size.
        images: Number of training images.

    Returns:
        Their number, small in a quick run.

    Example:
    ```python
    steps_per_epoch(Settings(batch_size=64), images=1259)  # 19
    ```
    """
    steps = images // batch_size_of(settings)
    return min(steps, QUICK_BATCHES) if settings.quick else steps


def compile_model(
    model: CLCEModel, settings: Settings, images: int, class_counts: Sequence[int] | None = None
) -> None:
    """Give a model its optimizer and its loss.

    Args:
        model: What `build_model` gave.
        settings: The settings, with a batch size and a warm-up.
        images: Number of training images, from which the schedule of the learning rate follows.
        class_counts: As in `build_loss`. Defaults to `None`.

    Example:
    ```python
    compile_model(model, Settings(batch_size=64, warmup_epochs=1.0), images=1259)
    ```
    """
    steps = steps_per_epoch(settings, images)
    loss = build_loss(settings, class_counts)
    remembers = loss.trains_embedding and loss.contrastive.takes_memory
    model.compile(
        optimizer=build_optimizer(
            settings.optimizer,
            learning_rate(settings),
            settings.weight_decay,
            total_steps=settings.trained_epochs * steps,
            warmup_steps=0 if settings.quick else int(warmup_epochs_of(settings) * steps),
            variables=model.trainable_variables,
            layer_decay=settings.layer_decay,
            global_clipnorm=settings.clip_norm,
            ema_momentum=settings.ema_momentum,
        ),
        loss=loss,
        metrics=metrics_of_labels(model.num_classes) if model.multi_label else ["accuracy"],
        gradient_cache_size=settings.gradient_cache_size,
        memory_size=settings.memory_size if remembers else None,
        mixing=build_mixing(settings),
    )


def training_views(
    settings: Settings,
    dataset: ImageDataset | FewShotDataset,
    devices: Devices,
    first_epoch: int = 0,
) -> Iterable:
    """The views that some settings train on, without end.

    Args:
        settings: The settings.
        dataset: The data.
        devices: The devices that share a batch.
        first_epoch: Epoch to begin with. Defaults to 0.

    Returns:
        A `tf.data.Dataset` of pairs of views and labels.
    """
    return dataset.train.view_pairs(
        batch_size_of(settings),
        settings.augmentation,
        settings.seed,
        initial_epoch=first_epoch,
        images_per_class=settings.images_per_class,
        share=devices.share(),
    )


def train(
    run: Run,
    dataset: ImageDataset | FewShotDataset,
    devices: Devices,
    monitor: str | None,
    log: RunLog,
    validation: ImageSplit | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[CLCEModel, RunCheckpoint]:
    """Train a run, from its last saved epoch on, and keep the best epoch.

    Args:
        run: The run; its folder gets the configuration, checkpoints, history and the model.
        dataset: What to train on.
        devices: The devices that share its batches.
        monitor: The logged value that picks the epoch; `None` takes the last.
        log: Its loggers.
        validation: A split of the same classes. Defaults to `None`.
        callbacks: Callbacks that run before the checkpoint, so that it sees what they log. Defaults
            to none.

    Returns:
        The model with the weights of the best epoch, and the checkpoint with its history.

    Raises:
        FloatingPointError: If the loss becomes NaN or infinite.
    """
    settings, folder = run.settings, run.folder
    keras.utils.set_random_seed(settings.seed)
    epochs = settings.trained_epochs
    with told(ValueError, OSError):
        model = build_model(settings, dataset)
    with told(ValueError, OSError):
        counts = training_counts(settings, dataset)
        compile_model(model, settings, dataset.train.num_examples, counts)
    checkpoint = RunCheckpoint(folder.checkpoint, monitor)
    first_epoch = checkpoint.restore(model)
    if first_epoch:
        print(f"going on after epoch {first_epoch}")
    folder.start(run.recorded, dataset.split_note, dataclasses.asdict(settings))
    devices.wait(folder.config)
    log.begin(checkpoint.history)
    write_history = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: folder.write_history(checkpoint.history)
    )
    callbacks = [*devices.callbacks(), *callbacks, checkpoint, write_history]
    callbacks += log.callbacks(checkpoint)
    if contrastive_schedule(settings) != "constant":
        callbacks.insert(0, ContrastiveWeightSchedule(settings.contrastive_schedule))
    if settings.ema_momentum is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    if first_epoch < epochs:
        with told(FloatingPointError), _progress(settings, checkpoint) as (verbose, shown):
            model.fit(
                training_views(settings, dataset, devices, first_epoch),
                steps_per_epoch=steps_per_epoch(settings, dataset.train.num_examples),
                epochs=epochs,
                initial_epoch=first_epoch,
                validation_data=None if validation is None else batches(validation, settings),
                callbacks=[*callbacks, *shown],
                class_weight=class_weights(settings, counts),
                shuffle=False,
                verbose=verbose,
            )
    folder.write_history(checkpoint.history)
    devices.wait(folder.history)
    checkpoint.load_best(model)
    if settings.ema_momentum is not None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    write_atomically(folder.model, model.save)
    return model, checkpoint


def num_evaluated(split: ImageSplit, settings: Settings) -> int:
    """How many of a split's images `batches` gives.

    Args:
        split: The split.
        settings: The settings.

    Returns:
        Their number.
    """
    images = split.num_examples
    return min(images, QUICK_BATCHES * batch_size_of(settings)) if settings.quick else images


def batches(split: ImageSplit, settings: Settings) -> Any:
    """Batches of a split, the first few alone in a quick run.

    Args:
        split: The split.
        settings: The settings.

    Returns:
        A `tf.data.Dataset` of images and labels.
    """
    data = split.batches(batch_size_of(settings))
    return data.take(QUICK_BATCHES) if settings.quick else data


def _class_names(dataset):
    names = dataset.class_names
    return names["train"] if isinstance(names, dict) else names


@contextlib.contextmanager
def _progress(settings: Settings, checkpoint: RunCheckpoint) -> Iterator[tuple[int, list]]:
    """What `fit` shows by itself, and what shows the rest."""
    if settings.verbose:
        yield (1 if can_be_overwritten() else 2), []
        return
    with live_line() as line:
        report = EpochReport(line=line, checkpoint=checkpoint, images_per_step=settings.batch_size)
        yield 0, [report]
