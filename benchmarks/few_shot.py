r"""Seconds for 3,000 few-shot tasks: `few_shot_accuracy`, a loop over scikit-learn, easyfsl.

    python benchmarks/few_shot.py
    python benchmarks/few_shot.py --features features.npz
    python benchmarks/few_shot.py --classifiers pt_map,tim,bavardage --loop_tasks 50

Features are drawn at random (`--dim`), or come from a file with `features`, `labels` and, for
classifiers of base classes, `base_features` and `base_labels`. The loops run on the first
`--loop_tasks` tasks, since their time grows with the number, and easyfsl's fitted classifiers on a
tenth of them; scikit-learn's gets our tasks, with BLAS's usual threads and with one, which is often
faster on so little data, and its predictions are compared with ours one by one. easyfsl's loop
draws its own tasks; its predictions are compared with ours on twenty of ours. Needs
`pip install -r requirements-test.txt`.
"""

import random
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
from absl import app, flags
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from workers import new_peak, peak

from keras_clce.evaluate import (
    TASK_CLASSIFIERS,
    classify_tasks,
    draw_tasks,
    few_shot_accuracy,
    predict_tasks,
)
from keras_clce.report import format_table

ROOT = Path(__file__).resolve().parent.parent

flags.DEFINE_string("features", None, "A .npz file with features and labels.")
flags.DEFINE_integer("dim", 640, "Dimension of random features.")
flags.DEFINE_integer("ways", 5, "Classes a task.")
flags.DEFINE_integer("shots", 5, "Labelled examples a class.")
flags.DEFINE_integer("tasks", 3000, "Tasks.")
flags.DEFINE_integer("loop_tasks", 500, "Tasks of the loops.")
flags.DEFINE_list("classifiers", None, "Classifiers; all that are not of patch tokens.")
FLAGS = flags.FLAGS
QUERIES = 15
COMPARED = 20
# By our name, easyfsl's, and whether it is fitted step by step.
EASYFSL = {
    "nearest_centroid": ("PrototypicalNetworks", False),
    "simple_shot": ("SimpleShot", False),
    "bd_cspn": ("BDCSPN", False),
    "laplacian_shot": ("LaplacianShot", False),
    "pt_map": ("PTMAP", True),
    "tim": ("TIM", True),
    "finetuning": ("Finetune", True),
    "transductive_finetuning": ("TransductiveFinetuning", True),
}


def main(_) -> None:
    """Time all, compare predictions, print a table."""
    features, labels, base = load()
    known = [name for name, kind in TASK_CLASSIFIERS.items() if not kind.tokens]
    chosen = FLAGS.classifiers or known
    rows, total = [], 0.0
    before = new_peak()
    for classifier in chosen:
        # The first round of the fastest ones is the slowest by far.
        rounds = 3 if classifier in ("logistic", "nearest_centroid", "cosine") else 1
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            result = few_shot_accuracy(
                features,
                labels,
                ways=FLAGS.ways,
                shots=FLAGS.shots,
                queries=QUERIES,
                tasks=FLAGS.tasks,
                classifier=classifier,
                **(base if TASK_CLASSIFIERS[classifier]().base_features == "required" else {}),
            )
            seconds.append(time.perf_counter() - started)
        total += min(seconds)
        mine = [f"{1000 * min(seconds) / FLAGS.tasks:.3f}"]
        accuracy = f"{100 * result.mean:.2f} ± {100 * result.ci95:.2f}"
        for name, theirs, accuracies, equal in loops(classifier, features, labels):
            rows.append(
                [
                    f"{classifier}, against {name}",
                    *mine,
                    f"{1000 * theirs:.3f}",
                    f"{theirs * FLAGS.tasks / min(seconds):.0f}",
                    accuracy,
                    f"{100 * np.mean(accuracies):.2f}",
                    equal,
                ]
            )
        if not rows or not rows[-1][0].startswith(f"{classifier},"):
            rows.append([classifier, *mine, "", "", accuracy, "", ""])
    growth = peak() - before
    print(
        f"{FLAGS.ways}-way {FLAGS.shots}-shot, dimension {features.shape[1]}, {FLAGS.tasks} tasks; "
        f"the loops: {FLAGS.loop_tasks}"
    )
    print(
        f"all of ours took {total:.1f} s; with the loops beside them the process grew by "
        f"{growth:.2f} GiB at its peak, beside features of {features.nbytes / 2**30:.2f} GiB"
    )
    header = ["classifier", "ms a task", "ms, loop", "times", "accuracy, %", "of the loop", "equal"]
    print(format_table(header, rows))


def loops(classifier, features, labels):
    """Name, seconds a task, accuracies and share of equal predictions of each peer."""
    if classifier == "logistic":
        equal = f"{agreement(features, labels):.3%}"
        yield "scikit-learn loop", *sklearn_loop(features, labels, None), equal
        yield "the loop on one thread", *sklearn_loop(features, labels, 1), equal
    if classifier in EASYFSL:
        name, fitted = EASYFSL[classifier]
        tasks = max(2, FLAGS.loop_tasks // 10) if fitted else FLAGS.loop_tasks
        seconds, accuracy = easyfsl_loop(features, labels, name, tasks)
        yield (
            "easyfsl",
            seconds,
            [accuracy],
            f"{easyfsl_agreement(features, labels, classifier):.3%}",
        )


def load():
    """Features, labels and base classes, from the file or at random: 20 classes of 600."""
    if FLAGS.features:
        file = np.load(FLAGS.features)
        base = {name: file[name] for name in ("base_features", "base_labels") if name in file}
        return file["features"], file["labels"], base
    features, labels = random_classes(20, 600, 0)
    base_features, base_labels = random_classes(64, 150, 1)
    return features, labels, {"base_features": base_features, "base_labels": base_labels}


def random_classes(classes, examples, seed):
    """Features with no negative numbers, of classes that overlap."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), examples)
    centers = rng.normal(scale=0.25, size=(classes, FLAGS.dim))
    features = np.maximum(centers[labels] + rng.normal(size=(len(labels), FLAGS.dim)), 0)
    return features.astype("float32"), labels


def sklearn_loop(features, labels, threads):
    """Seconds a task, and accuracies, as RFS and its followers evaluate."""
    features, drawn, known = loop_tasks(features, labels)
    wanted = np.repeat(np.arange(FLAGS.ways), QUERIES)
    accuracies = []
    with threadpool_limits(threads):
        started = time.perf_counter()
        for support, queries in drawn:
            model = LogisticRegression(C=1, max_iter=1000)
            model.fit(features[support.ravel()], known)
            accuracies.append(np.mean(model.predict(features[queries.ravel()]) == wanted))
        return (time.perf_counter() - started) / len(drawn), accuracies


def agreement(features, labels):
    """Share of query predictions that are equal to those of a well converged fit."""
    features, drawn, known = loop_tasks(features, labels)
    equal = []
    with threadpool_limits(1):
        for support, queries in drawn:
            ours = predict_tasks(features[support][None], features[queries.ravel()][None])[0]
            model = LogisticRegression(C=1, tol=1e-8, max_iter=10_000)
            theirs = model.fit(features[support.ravel()], known).predict(features[queries.ravel()])
            equal.append(np.mean(ours == theirs))
    return np.mean(equal)


def loop_tasks(features, labels):
    """Normalised features, support and queries of each task of the loops, and support's classes."""
    drawn = [
        task
        for tasks in draw_tasks(labels, FLAGS.ways, FLAGS.shots, QUERIES, FLAGS.loop_tasks)
        for task in zip(tasks.support, tasks.queries, strict=True)
    ]
    normalized = features / np.linalg.norm(features, axis=1, keepdims=True)
    return normalized, drawn, np.repeat(np.arange(FLAGS.ways), FLAGS.shots)


def easyfsl_method(name):
    """A classifier of easyfsl, of features."""
    sys.path.append(str(ROOT / "tests"))
    import timm_helper
    import torch

    timm_helper.import_timm()  # and with it torchvision, which easyfsl imports
    from easyfsl import methods

    return getattr(methods, name)(torch.nn.Identity())


def easyfsl_agreement(features, labels, classifier):
    """Share of query predictions that are equal to easyfsl's, on the same tasks."""
    import torch

    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    drawn = next(draw_tasks(labels, FLAGS.ways, FLAGS.shots, QUERIES, COMPARED))
    known = torch.arange(FLAGS.ways).repeat_interleave(FLAGS.shots)
    theirs = []
    for support, queries in zip(drawn.support, drawn.queries, strict=True):
        model = easyfsl_method(EASYFSL[classifier][0])
        model.process_support_set(torch.from_numpy(features[support.ravel()]), known)
        predicted = model(torch.from_numpy(features[queries.ravel()])).argmax(dim=1)
        theirs.append(predicted.numpy().reshape(queries.shape))
    (ours,) = classify_tasks(features, [drawn], classifier, transform=None)
    return np.mean(ours == np.array(theirs))


def easyfsl_loop(features, labels, name, tasks):
    """Seconds a task, and the accuracy, of easyfsl's own evaluation on features."""
    import torch

    model = easyfsl_method(name)
    from easyfsl.samplers import TaskSampler
    from easyfsl.utils import evaluate

    class Features(torch.utils.data.Dataset):
        def __len__(self):
            return len(labels)

        def __getitem__(self, index):
            return rows[index], int(labels[index])

        def get_labels(self):
            return labels.tolist()

    normalized = features / np.linalg.norm(features, axis=1, keepdims=True)
    rows = torch.from_numpy(normalized.astype("float32"))
    random.seed(0)
    # easyfsl hands over an argument that torch's Sampler no longer takes.
    with mock.patch.object(torch.utils.data.Sampler, "__init__", lambda self, **_: None):
        sampler = TaskSampler(Features(), FLAGS.ways, FLAGS.shots, QUERIES, tasks)
    loader = torch.utils.data.DataLoader(
        Features(), batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn
    )
    started = time.perf_counter()
    accuracy = evaluate(model, loader, device="cpu", use_tqdm=False)
    return (time.perf_counter() - started) / tasks, accuracy


if __name__ == "__main__":
    app.run(main)
