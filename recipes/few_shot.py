r"""Train on base classes with CLCE and others, and test on few-shot tasks of novel classes.

    python recipes/few_shot.py --dataset cifar_fs --backbone efficientnet_lite0 --weights imagenet \
        --losses ce,clce --seeds 0,1,2

Training classes, validation classes and novel classes are different ones. Few-shot accuracy on the
validation classes picks the epoch; the novel classes are read once, at the end. All losses meet
the same tasks. `--frozen` adds the encoder as it was before training. Everything that a run leaves
behind stands in `runs/few_shot/<dataset>/<backbone>/<loss>-seed<seed>/`.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Table 1; RFS (https://arxiv.org/abs/2003.11539).
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import time
from collections.abc import Sequence

import keras
import numpy as np
import recipe_flags
import tensorflow as tf
import training
from absl import app, flags

from keras_clce import CLCEModel
from keras_clce.data import FewShotDataset, ImageSplit, load_few_shot
from keras_clce.evaluate import FewShotCallback, classify_tasks, draw_tasks, few_shot_accuracy
from keras_clce.evaluate.task_classifiers import TASK_CLASSIFIERS
from keras_clce.evaluate.tasks import check_tasks
from keras_clce.files import write_atomically, write_json
from keras_clce.report import (
    FEW_SHOT_NOTE,
    FROZEN,
    RunFolder,
    drawing,
    few_shot_tables,
    plot_few_shot,
    plot_task,
)
from keras_clce.train.callbacks import RunCheckpoint

FLAGS = flags.FLAGS
MONITOR = "val_few_shot"
TRANSFORMS = ("l2", "cl2")
FEATURES = ("pooled", "embedding")
FEW_SHOT_FLAGS = ("ways", "shots", "queries", "tasks", "classifier", "features")
# Training alone reads these, so that one untrained encoder stands beside all settings.
TRAINING_FLAGS = (
    *("contrastive_weight", "temperature", "hardness", "positive_sum", "label_smoothing"),
    *("batch_size", "images_per_class", "epochs", "warmup_epochs", "augmentation", "remat"),
    *("optimizer", "learning_rate", "weight_decay", "layer_decay", "clip_norm", "ema_momentum"),
    *("gradient_cache_size", "freeze_backbone", "unfreeze_last"),
)
VALIDATION_TASKS = 500
QUICK_TASKS = 20


def define_flags() -> None:
    """Define the flags of the tasks."""
    FLAGS.set_default("dataset", "cifar_fs")
    flags.DEFINE_integer("ways", 5, "Classes a task.", 2)
    flags.DEFINE_list("shots", ["1", "5"], "Labelled images a class; one set of tasks each.")
    flags.DEFINE_integer("queries", 15, "Classified images a class.", 1)
    flags.DEFINE_integer("tasks", 3000, "Tasks on the novel classes.", 2)
    flags.DEFINE_enum("classifier", "logistic", list(TASK_CLASSIFIERS), "Classifier of a task.")
    flags.DEFINE_list("features", list(FEATURES), "What is classified: pooled, embedding or both.")
    flags.DEFINE_bool("frozen", False, "Also test the encoder as it was before training.")
    flags.register_validator(
        "shots",
        lambda shots: (
            shots
            and all(s.isdecimal() and int(s) for s in shots)
            and len(set(map(int, shots))) == len(shots)
        ),
        "must be different whole numbers above 0, such as 1,5",
    )
    flags.register_validator(
        "features",
        lambda names: names and set(names) <= set(FEATURES) and len(set(names)) == len(names),
        f"must be of: {', '.join(FEATURES)}, each once",
    )


def main(argv: list[str]) -> None:
    """Run every loss with every seed, then compare them on the same tasks."""
    started = time.perf_counter()
    home, runs = training.begin(argv, "few_shot")
    frozen = RunFolder(home / "frozen-seed0")
    with recipe_flags.errors_in_one_line(ValueError, OSError):
        dataset = prepare(runs + [(FROZEN, 0, frozen)] * FLAGS.frozen)
    training.announce(
        home,
        dataset,
        f"; {tasks()} tasks, {FLAGS.ways}-way, {' and '.join(FLAGS.shots)}-shot, "
        f"{FLAGS.classifier}",
    )

    found = []
    for _, done in training.each([(FROZEN, 0, frozen)] * FLAGS.frozen, evaluate_frozen, dataset):
        found.append(done)
    for _, done in training.each(runs, run, dataset):
        found.append(done)
        for name, result in done["few_shot"].items():
            print(f"test {name}: {result['mean']:.4f} ± {result['ci95']:.4f} over the tasks")
    print(f"\nAccuracy on the novel classes in %, {dataset.split_note}")
    with recipe_flags.errors_in_one_line(ValueError):
        print(f"\n{few_shot_tables(found, home)}")
    print(f"\n{FEW_SHOT_NOTE}")
    print()
    picture = home / f"few_shot{training.suffix()}.png"
    with drawing(picture):
        plot_few_shot(found, picture)
        print(f"Picture:  {picture}")
    print(f"Runs:     {home}   ({time.perf_counter() - started:.0f} s in all)")


def prepare(runs: list[training.Run]) -> FewShotDataset:
    """Load the data, and refuse what cannot become a run before any of them starts."""
    dataset = training.load(load_few_shot, runs, settings)
    for part in ("validation", "test"):
        labels, names = getattr(dataset, part).labels, dataset.class_names[part]
        for shots in FLAGS.shots:
            try:
                check_tasks(labels, **numbers(shots), tasks=tasks(), class_names=names)
            except ValueError as error:
                raise ValueError(f"{error} (the {part} classes of {dataset.name})") from None
    return dataset


def settings(loss: str, seed: int) -> dict:
    """All that decides the result of one run, as JSON values."""
    given = {name: FLAGS[name].value for name in FEW_SHOT_FLAGS}
    if loss != FROZEN:
        return {**recipe_flags.settings(loss, seed), **given}
    settings = {**recipe_flags.settings(FLAGS.losses[0], seed), **given, "loss": loss}
    return {name: value for name, value in settings.items() if name not in TRAINING_FLAGS}


def tasks() -> int:
    """Number of test tasks."""
    return QUICK_TASKS if FLAGS.quick else FLAGS.tasks


def numbers(shots: str) -> dict[str, int]:
    """Size of a task, as `draw_tasks` takes it."""
    return {"ways": FLAGS.ways, "shots": int(shots), "queries": FLAGS.queries}


def run(loss: str, seed: int, folder: RunFolder, dataset: FewShotDataset) -> dict:
    """Train one loss with one seed, test it, and write its folder."""
    validation = FewShotCallback(
        images(dataset.validation),
        dataset.validation.labels,
        output=FLAGS.features[0],
        encoder=pooled_and_embedding,
        name=MONITOR,
        averages=FLAGS.ema_momentum is not None,
        **numbers(FLAGS.shots[0]),
        tasks=min(VALIDATION_TASKS, tasks()),
        classifier=FLAGS.classifier,
    )
    model, checkpoint = training.train(
        loss, seed, folder, dataset, MONITOR, settings(loss, seed), callbacks=[validation]
    )
    return write_results(model, folder, dataset, loss, seed, checkpoint)


def evaluate_frozen(loss: str, seed: int, folder: RunFolder, dataset: FewShotDataset) -> dict:
    """Test the encoder as it is."""
    keras.utils.set_random_seed(seed)
    model = training.build_model(dataset.num_classes)
    folder.start(settings(loss, seed), dataset.split_note, recipe_flags.given())
    return write_results(model, folder, dataset, loss, seed, None)


def pooled_and_embedding(model: CLCEModel) -> keras.Model:
    """The encoder with what few-shot tasks can be classified by."""
    maps = model.backbone.output
    # Pooled at once, since the maps of all images together may not fit in memory.
    pooled = model.heads.pool(maps) if len(maps.shape) == 4 else maps
    outputs = {"pooled": pooled, "embedding": model.heads(maps)["embedding"]}
    return keras.Model(model.backbone.inputs, outputs)


def write_results(
    model: CLCEModel,
    folder: RunFolder,
    dataset: FewShotDataset,
    loss: str,
    seed: int,
    checkpoint: RunCheckpoint | None,
) -> dict:
    """Few-shot accuracy on the novel classes, of the pooled features and of the embedding."""
    encoder = pooled_and_embedding(model)
    novel = encoder.predict(images(dataset.test), verbose=0)
    center = mean_features(encoder, dataset.train)
    results, accuracies = {}, {}
    for shots in FLAGS.shots:
        for output in FLAGS.features:
            for transform in TRANSFORMS:
                result = few_shot_accuracy(
                    novel[output],
                    dataset.test.labels,
                    **numbers(shots),
                    tasks=tasks(),
                    classifier=FLAGS.classifier,
                    transform=transform,
                    center=center[output] if transform == "cl2" else None,
                )
                name = name_of(shots, output, transform)
                accuracies[name] = result.accuracies
                results[name] = {"features": output, **result.as_dict()}
    write_atomically(folder.few_shot, lambda to: np.savez_compressed(to, **accuracies))
    metrics = {
        "seed": seed,
        "loss": loss,
        "label": None if loss == FROZEN else FLAGS.label,
        "dataset": FLAGS.dataset,
        "backbone": FLAGS.backbone,
        "data": dataset.split_note,
        "quick": FLAGS.quick,
        "few_shot": results,
        "accuracies": f"{folder.path.name}/{folder.few_shot.name}",
    }
    if checkpoint is not None:
        metrics |= {
            "validation": {
                "few_shot": checkpoint.history[checkpoint.best_epoch][MONITOR],
                "best_epoch": checkpoint.best_epoch + 1,
            },
            "epochs": training.epochs(),
            "seconds": round(sum(row["seconds"] for row in checkpoint.history), 1),
        }
    write_json(folder.metrics, metrics)
    with drawing(folder.task):
        draw_first_task(novel[FLAGS.features[0]], dataset.test, dataset.class_names["test"], folder)
    if checkpoint is not None:
        training.draw_curves(folder, settings(loss, seed), metrics, checkpoint)
    return metrics


def mean_features(encoder: keras.Model, split: ImageSplit) -> dict[str, np.ndarray]:
    """Mean over a split's images of each output; only a batch at a time is in memory."""
    sums, examples = {}, 0
    for batch, _ in training.batches(split).as_numpy_iterator():
        examples += len(batch)
        for name, values in encoder.predict_on_batch(batch).items():
            sums[name] = sums.get(name, 0.0) + np.sum(values, axis=0, dtype=np.float64)
    return {name: total / examples for name, total in sums.items()}


def draw_first_task(
    features: np.ndarray, split: ImageSplit, class_names: Sequence[str], folder: RunFolder
) -> None:
    """Draw the first of a split's tasks, as it is classified by these features."""
    drawn = next(draw_tasks(split.labels, **numbers(FLAGS.shots[0]), tasks=1))
    (predicted,) = classify_tasks(features, [drawn], FLAGS.classifier, TRANSFORMS[0])
    plot_task(
        images_at(split, drawn.support[0]),
        images_at(split, drawn.queries[0]),
        predicted[0],
        [class_names[label] for label in drawn.classes[0]],
        f"{folder.path.name}, {name_of(FLAGS.shots[0], FLAGS.features[0], TRANSFORMS[0])}",
        folder.task,
    )


def name_of(shots: str, output: str, transform: str) -> str:
    """Name of a kind of result: 5w1s, and what differs from the first features and `l2`."""
    name = f"{FLAGS.ways}w{shots}s"
    first = (output, transform) == (FLAGS.features[0], TRANSFORMS[0])
    return name if first else f"{name} {output} {transform}"


def images(split: ImageSplit) -> tf.data.Dataset:
    """Batches of a split's images, without labels."""
    return split.batches(FLAGS.batch_size).map(lambda images, _: images)


def images_at(split: ImageSplit, rows: np.ndarray) -> np.ndarray:
    """Images of a split at these rows, in the rows' shape; a split that streams is passed once."""
    wanted = np.unique(rows)
    found, start = [], 0
    for batch in images(split).as_numpy_iterator():
        found.append(batch[wanted[(wanted >= start) & (wanted < start + len(batch))] - start])
        start += len(batch)
    return np.concatenate(found)[np.searchsorted(wanted, rows)]


if __name__ == "__main__":
    recipe_flags.define_training_flags()
    define_flags()
    flags.adopt_module_key_flags(recipe_flags)
    app.run(main)
