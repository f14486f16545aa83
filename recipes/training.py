"""The training that all recipes share: one loss, one seed, one run folder."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import defaults
import devices
import keras
import recipe_flags
from absl import app, flags, logging

from keras_clce import CLCEModel
from keras_clce.backend import backend_name
from keras_clce.data import FewShotDataset, ImageDataset, ImageSplit
from keras_clce.files import write_atomically
from keras_clce.models.backbones import backbone_spec
from keras_clce.report import (
    Curves,
    RunFolder,
    drawing,
    plot_curves,
    run_name,
    run_title,
    show_views,
)
from keras_clce.train.callbacks import EpochReport, RunCheckpoint
from keras_clce.train.layerwise import unfreeze_last
from keras_clce.train.optimization import build_optimizer

FLAGS = flags.FLAGS
QUICK_BATCHES = 2
# (loss, seed, folder)
Run = tuple[str, int, RunFolder]


def epochs() -> int:
    """Epochs of a run."""
    return 1 if FLAGS.quick else FLAGS.epochs


def suffix() -> str:
    """What files of these settings have at the end of their names: the label, if any."""
    return f"-{FLAGS.label}" if FLAGS.label else ""


def begin(argv: Sequence[str], recipe: str) -> tuple[Path, list[Run]]:
    """Set Keras up as the flags say, and tell where the runs stand.

    Args:
        argv: What absl hands to `main`.
        recipe: Name of the recipe.

    Returns:
        The folder of all, and loss, seed and folder of each run.
    """
    if argv[1:]:
        raise app.UsageError(f"Unexpected arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    devices.start()
    keras.config.set_dtype_policy(FLAGS.mixed_precision)
    defaults.fit_losses()
    home = Path(FLAGS.output_dir, recipe, FLAGS.dataset, FLAGS.backbone.replace("/", "_"))
    return home, [
        (loss, int(seed), RunFolder(home / f"{loss}{suffix()}-seed{seed}"))
        for seed in FLAGS.seeds
        for loss in FLAGS.losses
    ]


def load(
    loader: Callable[..., Any], runs: Sequence[Run], settings: Callable[[str, int], dict]
) -> Any:
    """Load the data of the flags, and refuse what cannot become a run before any of them starts.

    Args:
        loader: `load_dataset` or `load_few_shot`.
        runs: The runs.
        settings: Gives all that decides the result of a run, from its loss and seed.

    Returns:
        What the loader gives.

    Raises:
        ValueError: If a run cannot go on, or a flag is out of range for the data.
    """
    for _, _, folder in runs:
        existing = next(path for path in folder.path.absolute().parents if path.exists())
        if not existing.is_dir():
            raise ValueError(f"--output_dir must be a folder. Received: {existing}, a file")
    configs = [folder.begun() for _, _, folder in runs if FLAGS.resume]
    defaults.take_over([config["settings"] for config in configs if config])
    defaults.fit_warmup()
    for loss, seed, folder in runs:
        folder.check(settings(loss, seed), FLAGS.resume)
    with recipe_flags.as_value_errors():
        FLAGS.validate_all_flags()
    dataset = loader(
        FLAGS.dataset,
        image_size=recipe_flags.image_size(),
        data_dir=FLAGS.data_dir,
        split_seed=FLAGS.split_seed,
        limit_examples=FLAGS.limit_examples,
        strict=FLAGS.strict,
        drop_small_classes=FLAGS.drop_small_classes,
        interpolation=backbone_spec(FLAGS.backbone, FLAGS.weights).interpolation,
    )
    for _, _, folder in runs:
        folder.check_data(dataset.split_note)
    images = dataset.train.num_examples
    defaults.fit_batch_size(images, dataset.num_classes)
    for name, value in (("batch_size", FLAGS.batch_size), ("show_views", FLAGS.show_views)):
        if value > images:
            raise ValueError(
                f"--{name} must be at most the number of training images, {images}. "
                f"Received: {name}={value}"
            )
    if FLAGS.images_per_class is not None:
        dataset.train.check_balanced(FLAGS.batch_size, FLAGS.images_per_class)
    devices.wait()
    return dataset


def announce(home: Path, dataset: ImageDataset | FewShotDataset, more: str = "") -> None:
    """Print what is going to happen, and draw the views that are wanted.

    Args:
        home: Folder of the runs.
        dataset: The data.
        more: What else belongs to the plan. Defaults to nothing.
    """
    weights = recipe_flags.weights_in_words()
    spec = backbone_spec(FLAGS.backbone)
    trained = FLAGS.weights or spec.family == "file"
    licence = f", licence: {spec.licence}" if trained else ""
    print(f"Data:     {dataset.split_note}")
    print(
        f"Encoder:  {FLAGS.backbone} at {recipe_flags.image_size()} px, weights: {weights}{licence}"
    )
    print(f"Backend:  {backend_name()}, {FLAGS.mixed_precision}{devices.in_words()}")
    print(
        f"Plan:     {', '.join(FLAGS.losses)}; seeds {', '.join(FLAGS.seeds)}; "
        f"{epochs()} epochs of {FLAGS.batch_size} images in two views a step{more}"
    )
    fitted = defaults.in_words(dataset.train.num_examples)
    if fitted:
        print(f"Defaults: {fitted}")
    untrained = [n for n in FLAGS.losses if not recipe_flags.build_loss(n).trains_embedding]
    if FLAGS.embedding_dim and untrained:
        print(
            f"Note:     {', '.join(untrained)} leaves the projection of --embedding_dim untrained"
        )
    print(f"Results:  {home}")
    if FLAGS.show_views:
        path = home / "views.png"
        named = dataset if isinstance(dataset, ImageDataset) else dataset.train
        with drawing(path):
            show_views(named, FLAGS.augmentation, FLAGS.show_views, path)
            print(f"Views:    {path}")


def each(
    runs: Sequence[Run], run: Callable[..., dict], dataset: ImageDataset | FewShotDataset
) -> Iterator[tuple[Run, dict]]:
    """Make the runs that are not finished yet, one after the other.

    Args:
        runs: The runs.
        run: Makes one, from its loss, seed, folder and the data, and gives its metrics.
        dataset: The data.

    Yields:
        Each run and its metrics.
    """
    for number, (loss, seed, folder) in enumerate(runs, start=1):
        print(f"\n[{number}/{len(runs)}] {loss}, seed {seed} -> {folder.path}", flush=True)
        with recipe_flags.errors_in_one_line(ValueError):
            done = folder.finished()
        if done:
            print("already finished")
        else:
            with recipe_flags.errors_in_one_line(OSError), folder.lock(), devices.scope():
                done = run(loss, seed, folder, dataset)
        devices.wait(folder.metrics)
        yield (loss, seed, folder), done


def build_model(num_classes: int) -> CLCEModel:
    """The model of the flags, its frozen layers frozen, not yet compiled.

    Args:
        num_classes: Number of classes to train on.

    Returns:
        A `CLCEModel`.
    """
    with recipe_flags.errors_in_one_line(ValueError, OSError):
        model = CLCEModel.from_backbone(
            FLAGS.backbone,
            num_classes,
            image_size=recipe_flags.image_size(),
            weights=FLAGS.weights,
            embedding_dim=FLAGS.embedding_dim,
            stochastic_depth=FLAGS.stochastic_depth,
            remat=FLAGS.remat,
            feature_normalization=FLAGS.feature_normalization,
        )
        if FLAGS.unfreeze_last:
            unfreeze_last(model.backbone, FLAGS.unfreeze_last)
    if FLAGS.freeze_backbone:
        model.backbone.trainable = False
    return model


def train(
    loss: str,
    seed: int,
    folder: RunFolder,
    dataset: ImageDataset | FewShotDataset,
    monitor: str | None,
    settings: Mapping[str, Any],
    validation: ImageSplit | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[CLCEModel, RunCheckpoint]:
    """Train one loss with one seed, from the last saved epoch on, and keep the best epoch.

    Args:
        loss: A name of `recipe_flags.LOSSES`.
        seed: Seed of weights, order and views.
        folder: Gets the configuration, checkpoints, history and the model.
        dataset: What to train on.
        monitor: The logged value that picks the epoch; `None` takes the last.
        settings: All that decides the result, for the folder's configuration.
        validation: A split of the same classes. Defaults to `None`.
        callbacks: Callbacks that run before the checkpoint, so that it sees what they log.

    Returns:
        The model with the weights of the best epoch, and the checkpoint with its history.
    """
    keras.utils.set_random_seed(seed)
    steps = dataset.train.num_examples // FLAGS.batch_size
    if FLAGS.quick:
        steps = min(steps, QUICK_BATCHES)
    model = build_model(dataset.num_classes)
    model.compile(
        optimizer=build_optimizer(
            FLAGS.optimizer,
            recipe_flags.learning_rate(loss),
            FLAGS.weight_decay,
            total_steps=epochs() * steps,
            warmup_steps=0 if FLAGS.quick else int(FLAGS.warmup_epochs * steps),
            variables=model.trainable_variables,
            layer_decay=FLAGS.layer_decay,
            global_clipnorm=FLAGS.clip_norm,
            ema_momentum=FLAGS.ema_momentum,
        ),
        loss=recipe_flags.build_loss(loss),
        metrics=["accuracy"],
        gradient_cache_size=FLAGS.gradient_cache_size,
    )
    checkpoint = RunCheckpoint(folder.checkpoint, monitor)
    first_epoch = checkpoint.restore(model)
    if first_epoch:
        print(f"going on after epoch {first_epoch}")
    folder.start(settings, dataset.split_note, recipe_flags.given())
    devices.wait(folder.config)
    write_history = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: folder.write_history(checkpoint.history)
    )
    callbacks = [*devices.callbacks(), *callbacks, checkpoint, write_history, EpochReport()]
    if FLAGS.ema_momentum is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    if first_epoch < epochs():
        with recipe_flags.errors_in_one_line(FloatingPointError):
            model.fit(
                dataset.train.view_pairs(
                    FLAGS.batch_size,
                    FLAGS.augmentation,
                    seed,
                    initial_epoch=first_epoch,
                    images_per_class=FLAGS.images_per_class,
                    share=devices.share(),
                ),
                steps_per_epoch=steps,
                epochs=epochs(),
                initial_epoch=first_epoch,
                validation_data=None if validation is None else batches(validation),
                callbacks=callbacks,
                shuffle=False,
                verbose=1 if sys.stdout.isatty() else 0,
            )
    folder.write_history(checkpoint.history)
    devices.wait(folder.history)
    checkpoint.load_best(model)
    if FLAGS.ema_momentum is not None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    write_atomically(folder.model, model.save)
    return model, checkpoint


def draw_curves(
    folder: RunFolder,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    checkpoint: RunCheckpoint,
) -> None:
    """Draw the curves of one run, after its metrics are written.

    Args:
        folder: Gets the picture.
        settings: As for `train`.
        metrics: Of the run.
        checkpoint: Has the history.
    """
    curves = Curves.of(checkpoint.history, settings, metrics)
    with drawing(folder.curves):
        plot_curves({run_name(metrics): [curves]}, folder.curves, run_title(metrics))


def examples(split: ImageSplit) -> int:
    """How many of a split's images `batches` gives."""
    images = split.num_examples
    return min(images, QUICK_BATCHES * FLAGS.batch_size) if FLAGS.quick else images


def batches(split: ImageSplit):
    """Batches of a split, the first few alone with --quick."""
    data = split.batches(FLAGS.batch_size)
    return data.take(QUICK_BATCHES) if FLAGS.quick else data
