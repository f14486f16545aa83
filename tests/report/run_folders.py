"""Run folders written by hand, as runs leave them."""

import numpy as np

from keras_clce.runs import RunFolder

SETTINGS = {"epochs": 3, "batch_size": 64, "image_size": 32, "weights": None}


def transfer_run(home, loss, seed, top1, validation=None, label=None, data="digits", **settings):
    """A transfer run that was tested, of five images of ten."""
    dataset = settings.pop("dataset", "digits")
    backbone = settings.pop("backbone", "small_resnet")
    folder = RunFolder(home / "-".join(filter(None, (loss, label, f"seed{seed}"))))
    settings = {**SETTINGS, "loss": loss, "seed": seed, "backend": "jax", **settings}
    folder.start(settings, data)
    row = {"accuracy": 0.5, "val_accuracy": 0.5, "cross_entropy": 1.0, "contrastive": 3.0}
    folder.write_history([{"epoch": epoch, **row} for epoch in range(2)])
    of_validation = {"best_epoch": 1, "examples": 10}
    if validation is not None:
        of_validation["top1"] = validation
    metrics = {
        **{"loss": loss, "seed": seed, "label": label, "dataset": dataset, "backbone": backbone},
        "seconds": 60.0,
        "validation": of_validation,
        "test": {"top1": top1, "top5": 0.9, "nearest_neighbor": 0.8, "examples": 10},
    }
    folder.write_metrics(metrics, settings)
    return folder


def few_shot_run(home, loss, seed, accuracies, dataset="faces", drawn_from="a1", **settings):
    """A run that was tested on few-shot tasks."""
    folder = RunFolder(home / f"{loss}-seed{seed}")
    settings = {**SETTINGS, "loss": loss, "seed": seed, **settings}
    folder.start(settings, "20 novel classes")
    folder.write_accuracies(accuracies)
    about = {"queries": 15, "classifier": "logistic", "features": "pooled", "transform": "l2"}
    results = {
        kind: {
            "mean": float(np.mean(values)),
            "ci95": 0.01,
            "tasks": len(values),
            "drawn_from": drawn_from,
            **about,
        }
        for kind, values in accuracies.items()
    }
    named = {"loss": loss, "seed": seed, "dataset": dataset, "backbone": "small_resnet"}
    accuracies = f"{folder.path.name}/few_shot.npz"
    folder.write_metrics({**named, "few_shot": results, "accuracies": accuracies}, settings)
    return folder
