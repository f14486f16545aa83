r"""Seconds for 3,000 few-shot tasks: `few_shot_accuracy`, a loop over scikit-learn, easyfsl.

    python benchmarks/few_shot.py
    python benchmarks/few_shot.py --features features.npz

Features are drawn at random (`--dim`), or come from a file with `features` and `labels`. The loops
run on the first `--loop_tasks` tasks, since their time grows with the number; scikit-learn's gets
our tasks, with BLAS's usual threads and with one, which is often faster on so little data, and its
predictions are compared with ours one by one; easyfsl draws its own. Needs
`pip install -r requirements-test.txt pandas` and `pip install --no-deps easyfsl`.
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

from keras_clce.evaluate import draw_tasks, few_shot_accuracy
from keras_clce.evaluate.task_classifiers import logistic
from keras_clce.report import format_table

ROOT = Path(__file__).resolve().parent.parent

flags.DEFINE_string("features", None, "A .npz file with features and labels.")
flags.DEFINE_integer("dim", 640, "Dimension of random features.")
flags.DEFINE_integer("ways", 5, "Classes a task.")
flags.DEFINE_integer("shots", 5, "Labelled examples a class.")
flags.DEFINE_integer("tasks", 3000, "Tasks.")
flags.DEFINE_integer("loop_tasks", 500, "Tasks of the loops.")
FLAGS = flags.FLAGS
QUERIES = 15


def main(_) -> None:
    """Time all, compare predictions, print a table."""
    features, labels = load()
    rows, ours = [], {}
    before = new_peak()
    for classifier in ("logistic", "nearest_centroid"):
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            ours[classifier] = few_shot_accuracy(
                features,
                labels,
                ways=FLAGS.ways,
                shots=FLAGS.shots,
                queries=QUERIES,
                tasks=FLAGS.tasks,
                classifier=classifier,
            )
            seconds.append(time.perf_counter() - started)
        ours[classifier] = (min(seconds) / FLAGS.tasks, ours[classifier])
    growth = peak() - before
    for name, classifier, (seconds, accuracies) in (
        ("scikit-learn loop", "logistic", sklearn_loop(features, labels, None)),
        ("the loop on one thread", "logistic", sklearn_loop(features, labels, 1)),
        ("easyfsl", "nearest_centroid", easyfsl_loop(features, labels)),
    ):
        mine, result = ours[classifier]
        rows.append(
            [
                f"{classifier}, against {name}",
                f"{1000 * mine:.3f}",
                f"{1000 * seconds:.3f}",
                f"{seconds / mine:.0f}",
                f"{100 * result.mean:.2f} ± {100 * result.ci95:.2f}",
                f"{100 * np.mean(accuracies):.2f}",
            ]
        )
    print(
        f"{FLAGS.ways}-way {FLAGS.shots}-shot, dimension {features.shape[1]}, {FLAGS.tasks} tasks; "
        f"the loops: {FLAGS.loop_tasks}"
    )
    print(
        f"ours grew the process by {growth:.2f} GiB at its peak, beside features of "
        f"{features.nbytes / 2**30:.2f} GiB"
    )
    header = ["classifier", "ms a task", "ms, loop", "times", "accuracy, %", "of the loop"]
    print(format_table(header, rows))
    print(f"predictions equal to scikit-learn's (tol 1e-8): {agreement(features, labels):.3%}")


def load() -> tuple[np.ndarray, np.ndarray]:
    """Features and labels, from the file or at random: 20 classes of 600."""
    if FLAGS.features:
        file = np.load(FLAGS.features)
        return file["features"], file["labels"]
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 600)
    centers = rng.normal(scale=0.25, size=(20, FLAGS.dim))
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
            ours = logistic(features[support][None], features[queries.ravel()][None])[0]
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


def easyfsl_loop(features, labels):
    """Seconds a task, and the accuracy, of easyfsl's prototypical evaluation on features."""
    sys.path.append(str(ROOT / "tests"))
    import timm_helper
    import torch

    timm_helper.import_timm()  # and with it torchvision, which easyfsl imports
    from easyfsl.methods import PrototypicalNetworks
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
        sampler = TaskSampler(Features(), FLAGS.ways, FLAGS.shots, QUERIES, FLAGS.loop_tasks)
    loader = torch.utils.data.DataLoader(
        Features(), batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn
    )
    started = time.perf_counter()
    accuracy = evaluate(
        PrototypicalNetworks(torch.nn.Identity()), loader, device="cpu", use_tqdm=False
    )
    return (time.perf_counter() - started) / FLAGS.loop_tasks, [accuracy]


if __name__ == "__main__":
    app.run(main)
