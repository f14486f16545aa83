r"""Repeat few-shot accuracies by other means: timm's features, scikit-learn, easyfsl's prototypes.

    python benchmarks/few_shot_parity.py --data_dir ../shared/data

takes CIFAR-FS's novel classes, EfficientNet-Lite0 with its ImageNet weights at 64 px as it is, and
the same tasks throughout: all of them with timm's encoder on the same images, and the first
`--loop_tasks` in loops over scikit-learn's regression and easyfsl's prototypes. Prints each mean
with its interval and on how many tasks both have the same accuracy. Needs
`pip install -r requirements-test.txt pandas` and `pip install --no-deps easyfsl`.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
from absl import app, flags
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import timm_helper  # noqa: E402
import torch  # noqa: E402

from keras_clce.data import load_few_shot  # noqa: E402
from keras_clce.evaluate import draw_tasks, few_shot_accuracy  # noqa: E402
from keras_clce.evaluate.statistics import confidence_interval  # noqa: E402
from keras_clce.models.backbones import backbone_spec, build_backbone  # noqa: E402
from keras_clce.models.families.efficientnet_lite import checkpoint_path  # noqa: E402
from keras_clce.report import format_table  # noqa: E402

FLAGS = flags.FLAGS
NAME = "efficientnet_lite0"
IMAGE_SIZE = 64
BATCH_SIZE = 256
MEAN, STD = 127.0, 128.0
WAYS, QUERIES = 5, 15


def main(_) -> None:
    """Compute the features of both, classify, print a table."""
    novel = load_few_shot(
        "cifar_fs",
        image_size=IMAGE_SIZE,
        data_dir=FLAGS.data_dir,
        interpolation=backbone_spec(NAME).interpolation,
    ).test
    ours, timms = features(novel)
    difference = np.linalg.norm(ours - timms) / np.linalg.norm(timms)
    print(f"relative difference of all features: {difference:.1e}")
    rows = []
    for shots in (1, 5):
        of = {"shots": shots, "tasks": FLAGS.tasks}
        result = few_shot_accuracy(ours, novel.labels, **of).accuracies
        centroid = few_shot_accuracy(
            ours, novel.labels, **of, classifier="nearest_centroid"
        ).accuracies
        by_timm = few_shot_accuracy(timms, novel.labels, **of).accuracies
        by_sklearn, by_easyfsl = loops(ours, novel.labels, shots)
        for name, mine, other in (
            ("logistic; timm's features", result, by_timm),
            ("logistic; scikit-learn's", result, by_sklearn),
            ("nearest centroid; easyfsl's", centroid, by_easyfsl),
        ):
            mine = mine[: len(other)]
            rows.append(
                [
                    f"{shots}-shot, {name}",
                    str(len(other)),
                    percent(mine),
                    percent(other),
                    f"{np.mean(np.isclose(mine, other)):.1%}",
                ]
            )
    print(format_table(["", "tasks", "ours, %", "the other, %", "equal tasks"], rows))


def features(novel) -> tuple[np.ndarray, np.ndarray]:
    """Pooled features of the images, from ours and from timm's encoder."""
    encoder = build_backbone(NAME, IMAGE_SIZE, weights="imagenet")
    oracle = timm_helper.efficientnet_lite(0, checkpoint_path(NAME))
    ours, timms = [], []
    for images, _ in novel.batches(BATCH_SIZE).as_numpy_iterator():
        ours.append(np.array(encoder.predict_on_batch(images)).mean(axis=(1, 2)))
        timms.append(timm_helper.pooled_features(oracle, (images - MEAN) / STD))
    return np.concatenate(ours), np.concatenate(timms)


def loops(found, labels, shots) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of each task by scikit-learn's regression, and by easyfsl's prototypes."""
    timm_helper.import_timm()  # and with it torchvision, which easyfsl imports
    from easyfsl.methods import PrototypicalNetworks

    prototypes = PrototypicalNetworks(torch.nn.Identity())
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    known = np.repeat(np.arange(WAYS), shots)
    wanted = np.repeat(np.arange(WAYS), QUERIES)
    drawn = draw_tasks(labels, WAYS, shots, QUERIES, FLAGS.tasks)
    tasks = (task for some in drawn for task in zip(some.support, some.queries, strict=True))
    accuracies = []
    with threadpool_limits(1):
        for rows in itertools.islice(tasks, FLAGS.loop_tasks):
            support, queries = (found[part.ravel()] for part in rows)
            regression = LogisticRegression(C=1, tol=1e-8, max_iter=10_000).fit(support, known)
            prototypes.process_support_set(torch.from_numpy(support), torch.from_numpy(known))
            nearest = prototypes(torch.from_numpy(queries)).argmax(dim=1).numpy()
            predictions = regression.predict(queries), nearest
            accuracies.append([np.mean(each == wanted) for each in predictions])
    return tuple(np.array(accuracies).T)


def percent(accuracies) -> str:
    """Mean and 95 % interval over the tasks."""
    return f"{100 * np.mean(accuracies):.2f} ± {100 * confidence_interval(accuracies):.2f}"


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Folder of the prepared data.", required=True)
    flags.DEFINE_integer("tasks", 3000, "Tasks.", 2)
    flags.DEFINE_integer("loop_tasks", 500, "Tasks of the loops.", 2)
    app.run(main)
