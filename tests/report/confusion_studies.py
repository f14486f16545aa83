"""Contents of `confusions.json`, as a study leaves them, with numbers that are made up."""


def reliability(ece, confidence=0.9, accuracy=0.8):
    return {
        "edges": [0, 0.5, 1],
        "counts": [0, 40],
        "confidences": [None, confidence],
        "accuracies": [None, accuracy],
        "ece": ece,
        "brier": 0.3,
        "nll": 0.7,
        "confidence": confidence,
        "accuracy": accuracy,
    }


def model(top1=0.8, auroc=0.9, classes=3, pairs=2):
    names = [f"class {number}" for number in range(classes)]
    return {
        "path": "runs/model.keras",
        "top1": top1,
        "top1_interval": [top1 - 0.1, top1 + 0.1],
        "top5": 0.95,
        "right": round(40 * top1),
        "by_class": [
            {"label": name, "examples": 40, "right": 32, "accuracy": 0.8, "low": 0.65, "high": 0.9}
            for name in names
        ],
        "pairs": [
            {"label": names[0], "predicted": f"other {n}", "count": 9 - n, "share": (9 - n) / 40}
            for n in range(pairs)
        ],
        "calibration": {
            "examples": 40,
            "fitted_on": 60,
            "own_temperature": None,
            "temperature": 1.5,
            "before": reliability(0.1),
            "after": reliability(0.02, confidence=0.81),
        },
        "neighbors": {
            "of": "training images",
            "examples": 100,
            "nearest": top1 - 0.05,
            "k": 5,
            "k_nearest": top1,
        },
        "retrieval": {"precision@1": top1 - 0.1, "map@r": 0.5},
        "open_set": {
            "energy": {"auroc": auroc, "fpr95": 0.4, "threshold": 2.5},
            "maximal logit": {"auroc": auroc - 0.1, "fpr95": 0.5, "threshold": 1.5},
        },
        "unknown_examples": 60,
    }


def test_of(difference, p_value):
    return {"difference": difference, "p_value": p_value, "only_first": 1, "only_second": 9}


test_of.__test__ = False


def study(*names, **changes):
    """A study of one model, or of two."""
    found = {
        "models": {name: model() for name in names},
        "data": "the test split of pets",
        "fitted_on": "the validation split of pets",
        "unknown": "60 photographs in others",
        "notes": ["1 file that lies in no class folder left out"],
        "examples": 40,
        "classes": 3,
        "unreadable": [],
    }
    if len(names) == 2:
        interval = {"difference": 0.05, "low": 0.01, "high": 0.09}
        found["compared"] = {
            "top1": test_of(0.1, 0.02),
            "neighbors": test_of(0.1, 0.3),
            "retrieval": {key: interval | {"p_value": 0.01} for key in ("precision@1", "map@r")},
            "by_class": [
                {"label": f"class {n}", "examples": 40, "p_holm": 0.03 if n == 0 else 1.0}
                | test_of(0.1, 0.01)
                for n in range(3)
            ],
            "open_set": {name: interval for name in ("energy", "maximal logit")},
        }
    return found | changes
