"""Run folders whose files are damaged: configuration, metrics, history, checkpoints."""

import copy
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from mutations import mutate, outcome

from keras_clce import CLCELoss, CLCEModel
from keras_clce.files import write_json
from keras_clce.report import (
    RunFolder,
    few_shot_tables,
    plot_curves,
    plot_few_shot,
    read_accuracies,
    summary_table,
    write_report,
)
from keras_clce.runs import find_records
from keras_clce.train.callbacks import RunCheckpoint

SETTINGS = {"loss": "clce", "seed": 0, "epochs": 3, "learning_rate": 1e-3, "data_dir": None}
DATA = "digits: 10 train / 5 validation / 5 test images"
ODD = (None, -1, 1e308, float("nan"), "x", [], {}, [1], True)


def write_run(folder: RunFolder) -> None:
    """A finished transfer run beside a finished few-shot run."""
    folder.start(SETTINGS, DATA)
    folder.write_history(
        [{"epoch": k, "loss": 1.0, "val_loss": 2.0, "seconds": 3} for k in range(3)]
    )
    test = {"top1": 0.75, "top5": 1.0, "nearest_neighbor": 0.5, "examples": 5}
    metrics = {"loss": "clce", "seed": 0, "seconds": 9.0, "validation": {"best_epoch": 3}}
    write_json(folder.metrics, {**metrics, "test": test})
    np.savez(folder.few_shot, **{"5w1s": np.linspace(0, 1, 7)})


def few_shot_metrics() -> dict:
    """Metrics of a few-shot run."""
    result = {
        "mean": 0.5,
        "median": 0.5,
        "ci95": 0.1,
        "tasks": 7,
        "queries": 15,
        "classifier": "logistic",
        "features": "pooled",
        "transform": "l2",
        "drawn_from": "a1",
    }
    named = {"loss": "clce", "seed": 0, "accuracies": "few_shot.npz"}
    return {**named, "few_shot": {"5w1s": result}}


def make(folder: Path) -> Callable[[np.random.Generator], str]:
    """The cases of this domain."""
    warnings.simplefilter("ignore")
    origin = RunFolder(folder / "origin")
    write_run(origin)
    inputs = keras.Input((6, 6, 3))
    model = CLCEModel(keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs)), 3)
    model.compile("adam", loss=CLCELoss(), run_eagerly=True)
    checkpoint = RunCheckpoint(origin.checkpoint, "val_loss")
    checkpoint.set_model(model)
    model.optimizer.build(model.trainable_variables)
    weights = []
    for epoch, loss in enumerate((3.0, 1.0, 2.0)):
        model.set_weights([w + epoch for w in model.get_weights()])
        weights.append(model.get_weights())
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"loss": 1.0, "val_loss": loss})

    def fresh():
        shutil.rmtree(folder / "run", ignore_errors=True)
        shutil.copytree(origin.path, folder / "run")
        return RunFolder(folder / "run")

    def change(value, rng):
        """Give one entry of nested dicts another value, or drop it."""
        value = copy.deepcopy(value)
        inside = value
        while True:
            key = list(inside)[rng.integers(len(inside))]
            if isinstance(inside[key], dict) and inside[key] and rng.random() < 0.7:
                inside = inside[key]
            elif rng.random() < 0.3:
                del inside[key]
                return value
            else:
                inside[key] = ODD[rng.integers(len(ODD))]
                return value

    def damage(path, rng, content=None):
        content = path.read_bytes() if content is None else json.dumps(content).encode()
        if path.suffix == ".json" and rng.random() < 0.5:
            path.write_text(json.dumps(change(json.loads(content), rng)))
        else:
            path.write_bytes(mutate(content, rng))

    def config(rng):
        run = fresh()
        damage(run.config, rng)

        def resume():
            run.check(SETTINGS, resume=True)
            run.check_data(DATA)
            run.start(SETTINGS, DATA)
            return json.loads(run.config.read_text())

        kind, found = outcome(resume, ValueError)
        # What decides the result must be as it was; a flag that is not there is one not given.
        if kind == "ok":
            assert {"data_dir": None, **found["settings"]} == SETTINGS and found["data"] == DATA
        return f"config.json: {kind}"

    def metrics(rng):
        run = fresh()
        damage(run.metrics, rng)

        def report():
            done = run.finished()
            if "few_shot" not in done:
                table = summary_table([done])
                assert f"{100 * done['test']['top1']:.2f}" in table
            return done

        kind, _ = outcome(report, ValueError)
        return f"metrics.json: {kind if kind != 'ok' else 'reported as it stands'}"

    def few_shot(rng):
        run = fresh()
        write_json(run.metrics, few_shot_metrics())
        damage(run.metrics if rng.random() < 0.5 else run.few_shot, rng)

        def report():
            done = run.finished()
            if "few_shot" not in done:
                return "transfer"
            for name in done["few_shot"]:
                values = read_accuracies(run.path / done["accuracies"], name)
                np.testing.assert_array_equal(values, np.linspace(0, 1, 7))
            few_shot_tables([done], run.path)
            if rng.random() < 0.05 and done["few_shot"]:
                plot_few_shot([done], run.path / "few_shot.png")
            return "few-shot"

        kind, _ = outcome(report, ValueError)
        return f"few-shot run: {kind}"

    def history(rng):
        run = fresh()
        damage(run.history, rng)
        kind, rows = outcome(run.read_history, ValueError)
        if kind == "ok" and rng.random() < 0.05:
            plot_curves({"run": [rows]}, run.curves)
        return f"history.csv: {kind}"

    def saved(rng):
        run = fresh()
        files = sorted(run.checkpoint.iterdir())
        touched = set()
        for _ in range(rng.integers(1, 5)):
            file = files[rng.integers(len(files))]
            before = file.read_bytes()
            file.write_bytes(mutate(before, rng))
            if file.read_bytes() != before:
                touched.add(int(file.name[6]))
        whole = {0, 1, 2} - touched & {int(file.name[6]) for file in files}
        whole &= {int(file.name[6]) for file in files}
        again = RunCheckpoint(run.checkpoint, "val_loss")
        kind, first = outcome(lambda: again.restore(model), OSError)
        if not whole:
            assert kind != "ok", "went on from a damaged checkpoint"
            return f"checkpoint: {kind}"
        newest = max(whole)
        assert kind == "ok" and first == newest + 1, f"{kind}: {first}, whole {whole}"
        assert again.best_epoch == min(whole & set(range(first)), key=lambda e: (3, 1, 2)[e])
        for a, b in zip(weights[newest], model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        return f"checkpoint: went on after {'the newest' if newest == 2 else 'the one before'}"

    def page(rng):
        run = fresh()
        run.few_shot.unlink()
        for file in (run.config, run.metrics, run.history)[: rng.integers(1, 4)]:
            damage(file, rng)
        records, left_out = find_records(run.path)
        assert len(records) + len(left_out) == 1
        if rng.random() < 0.8:
            return f"record: {'read' if records else 'left out'}"

        def write():
            return write_report(run.path, folder / "page").read_text()

        kind, text = outcome(write, ValueError, lines=2)
        if not records:
            assert kind != "ok" and left_out[0][1]
        elif kind == "ok":
            assert f"{100 * records[0].metrics['test']['top1']:.2f}" in text
        return f"page: {kind}"

    parts = (config, metrics, few_shot, history, saved, page)

    def case(rng: np.random.Generator) -> str:
        return parts[rng.integers(len(parts))](rng)

    return case
