r"""Which classifier of few-shot tasks profits from which loss: one table of trained models.

    python benchmarks/task_classifiers.py --data_dir DIR --dataset cifar_fs \
        --models 'runs/few_shot/cifar_fs/efficientnet_lite0/*-seed*/model.keras' \
        --frozen efficientnet_lite0 --image_size 64 --output_dir results/task_classifiers

Features of the novel classes are made once per model and kept in `--features_dir`. Every classifier
of vectors then solves the same tasks, balanced and unbalanced (Dirichlet, α = 2), with one shot and
five. Each result is a line of `<dataset>.jsonl` as soon as it is there, so that the command goes on
where it stopped; `<dataset>.md` has the table. A model is called by its folder: what stands before
`-seed` is the loss with its settings, and `ce` is what the others are compared with.
"""

import json
import re
import time
from glob import glob
from pathlib import Path

import numpy as np
from absl import app, flags

from keras_clce.evaluate import (
    QUERY_DISTRIBUTIONS,
    TASK_CLASSIFIERS,
    confidence_interval,
    few_shot_accuracy,
    paired_t_test,
)
from keras_clce.report import paper_rows

flags.DEFINE_string("dataset", "cifar_fs", "Few-shot data set.")
flags.DEFINE_string("data_dir", None, "Folder of the prepared data.")
flags.DEFINE_string("models", None, "Pattern of model.keras files of few-shot runs.")
flags.DEFINE_string("frozen", None, "Encoder that is tested as it was before training.")
flags.DEFINE_integer("image_size", 64, "Pixels per side.")
flags.DEFINE_integer("limit_examples", None, "Base images, balanced, as in the runs; all if unset.")
flags.DEFINE_integer("tasks", 3000, "Tasks of each kind.")
flags.DEFINE_list("classifiers", None, "Classifiers; all of vectors if unset.")
flags.DEFINE_string("baseline", "ce", "Models that the others are compared with.")
flags.DEFINE_string("features_dir", "features", "Where features are kept.")
flags.DEFINE_string("output_dir", "results/task_classifiers", "Where results go.")
FLAGS = flags.FLAGS
SHOTS = (1, 5)
PAPERS = {
    "Transductive": "transductive_finetuning",
    "Meta-QDA": "meta_qda",
    "BAVARDAGE": "bavardage",
    "FewTURE-ViT": "fewture",
    "FewTURE-Swin": "fewture",
}


def main(_) -> None:
    """Make features, solve tasks, write the table."""
    output = Path(FLAGS.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    records = output / f"{FLAGS.dataset}.jsonl"
    vectors = [name for name, kind in TASK_CLASSIFIERS.items() if not kind.tokens]
    paths = features()
    done = {key_of(line) for line in read(records)}
    for distribution in QUERY_DISTRIBUTIONS:
        for shots in SHOTS:
            for name, path in paths.items():
                with np.load(path) as file:
                    found = {key: file[key] for key in file}
                for classifier in FLAGS.classifiers or vectors:
                    line = {
                        "model": name,
                        "classifier": classifier,
                        "shots": shots,
                        "query_distribution": distribution,
                        "tasks": FLAGS.tasks,
                    }
                    if key_of(line) not in done:
                        line |= solve(found, classifier, shots, distribution)
                        with records.open("a") as file:
                            file.write(json.dumps(line) + "\n")
                        print({**line, "accuracies": "…"}, flush=True)
            (output / f"{FLAGS.dataset}.md").write_text(table(read(records)))


def features() -> dict[str, Path]:
    """Files of features by the name of the model, made where they are not there yet."""
    folder = Path(FLAGS.features_dir)
    folder.mkdir(parents=True, exist_ok=True)
    sources = {Path(path).parent.name: path for path in sorted(glob(FLAGS.models or ""))}
    if FLAGS.frozen:
        sources = {"frozen-seed0": None, **sources}
    paths = {name: folder / f"{FLAGS.dataset}-{name}.npz" for name in sources}
    missing = {name: path for name, path in paths.items() if not path.is_file()}
    if not missing:
        return paths
    import keras

    from keras_clce import CLCEModel
    from keras_clce.data import load_few_shot

    data = load_few_shot(
        FLAGS.dataset,
        image_size=FLAGS.image_size,
        data_dir=FLAGS.data_dir,
        limit_examples=FLAGS.limit_examples,
    )
    print(data.split_note)
    for name, path in missing.items():
        if sources[name] is None:
            options = {"image_size": FLAGS.image_size, "weights": "imagenet"}
            model = CLCEModel.from_backbone(FLAGS.frozen, data.num_classes, **options)
        else:
            model = keras.saving.load_model(sources[name])
        maps = model.backbone.output
        pooled = model.heads.pool(maps) if len(maps.shape) == 4 else maps
        encoder = keras.Model(model.backbone.input, pooled)
        found = {}
        for prefix, split in (("", data.test), ("base_", data.train)):
            images = split.batches(64).map(lambda images, _: images)
            found[f"{prefix}features"] = encoder.predict(images, verbose=0)
            found[f"{prefix}labels"] = split.labels
        np.savez(path, **found)
        print(f"features of {name}", flush=True)
    return paths


def solve(found, classifier, shots, distribution):
    """Accuracy of one classifier on all tasks of a kind."""
    started = time.perf_counter()
    result = few_shot_accuracy(
        **found,
        shots=shots,
        tasks=FLAGS.tasks,
        classifier=classifier,
        query_distribution=distribution,
    )
    return {
        "mean": round(result.mean, 5),
        "ci95": round(result.ci95, 5),
        "drawn_from": result.drawn_from[:16],
        "seconds": round(time.perf_counter() - started, 1),
        "accuracies": np.rint(result.accuracies * 75).astype(int).tolist(),
    }


def read(path):
    """Lines of the records."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def key_of(line):
    """What tells a line from others."""
    names = ("model", "classifier", "shots", "query_distribution", "tasks")
    return tuple(line[name] for name in names)


def table(lines) -> str:
    """A table for each kind of tasks, the paper's rows below."""
    lines = [line for line in lines if line["tasks"] == FLAGS.tasks]
    parts = []
    for distribution in QUERY_DISTRIBUTIONS:
        for shots in SHOTS:
            some = [
                line
                for line in lines
                if (line["query_distribution"], line["shots"]) == (distribution, shots)
            ]
            if some:
                parts.append(one_table(some, shots, distribution))
    return "\n".join(parts)


def one_table(lines, shots, distribution):
    """One table: a row for each classifier, a column for each kind of models."""
    groups: dict[str, dict[str, dict[str, dict]]] = {}
    for line in lines:
        loss, _, seed = line["model"].rpartition("-seed")
        groups.setdefault(line["classifier"], {}).setdefault(loss, {})[seed] = line
    losses = list(dict.fromkeys(loss for of in groups.values() for loss in of))
    pairs = [
        (loss, other)
        for loss in losses
        for other in losses
        if loss != other and other == re.sub(r"^\w+?(?=-|$)", FLAGS.baseline, loss)
    ]
    header = ["classifier", "", *losses, *(f"{a} minus {b}" for a, b in pairs)]
    rows = []
    for name in [name for name in TASK_CLASSIFIERS if name in groups]:
        of, kind = groups[name], TASK_CLASSIFIERS[name].transductive
        cells = [f"`{name}`", "transductive" if kind else "inductive"]
        cells += [cell([of[loss]]) if loss in of else "" for loss in losses]
        cells += [cell([of[a], of[b]]) if a in of and b in of else "" for a, b in pairs]
        rows.append(cells)
    lines = [f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows]]
    title = f"5-way {shots}-shot, {FLAGS.tasks} {distribution} tasks"
    beside = paper(shots) if distribution == "balanced" else ""
    return f"**{title}**\n\n" + "\n".join(lines) + f"\n{beside}"


def cell(sides):
    """Mean over seeds, or its difference, with its interval: of one seed over the tasks."""
    seeds = sorted(set.intersection(*(set(side) for side in sides)))
    if not seeds:
        return ""
    values = [np.array([side[seed]["accuracies"] for seed in seeds]) / 0.75 for side in sides]
    values = [each.mean(axis=1) if len(seeds) > 1 else each[0] for each in values]
    if len(values) == 1:
        return f"{values[0].mean():.2f} ± {confidence_interval(values[0]):.2f}"
    test = paired_t_test(*values)
    return f"{test.mean_difference:+.2f} ± {test.ci95:.2f}"


def paper(shots):
    """A sentence with the paper's own figures of published systems, of other encoders."""
    figures = [
        f"{row['method']} {row['accuracy']:.2f} ± {row['ci95']:.2f} (`{PAPERS[row['method']]}`)"
        for row in paper_rows(table=1, dataset=FLAGS.dataset, shots=shots)
        if row["method"] in PAPERS
    ]
    told = f"The paper's Table 1 quotes, of other encoders: {', '.join(figures)}."
    return f"\n{told}\n" if figures else ""


if __name__ == "__main__":
    app.run(main)
