"""The transfer recipe on every data set of TFDS, on real images, and on photographs of a folder."""

import functools
import json

import keras
import numpy as np
import pytest
import recipe_runs
from keras_clce.recipes import transfer
from marks import on_any_backend
from recipe_runs import flags_for, only

from keras_clce.data import load_dataset
from keras_clce.evaluate import top_k_accuracy
from keras_clce.runs import RunFolder

run = functools.partial(recipe_runs.run, transfer)


# Of one with two splits and of one with three; `tests/data/test_loading.py` loads every row.
@pytest.mark.any_backend
@pytest.mark.parametrize("name", ["cifar10", "oxford_flowers102"])
def test_rows_of_tfds_run_through_the_recipe(name, tiny_backbone, tmp_path):
    import tensorflow_datasets as tfds

    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--quick", "--losses=ce")
    with tfds.testing.mock_data(num_examples=64):
        run(*arguments, f"--dataset={name}", "--batch_size=8")
    metrics = json.loads(only(tmp_path / "runs", "metrics.json").read_text())
    assert metrics["dataset"] == name
    assert metrics["test"]["examples"] > 0


@pytest.mark.parametrize(
    "name",
    [
        "oxford_flowers102",
        # Loading, which takes longest, is tf.data's on every backend.
        *on_any_backend("cifar100", "tiny_imagenet_subset"),
    ],
)
def test_real_images(name, shared_data, tiny_backbone, tmp_path):
    arguments = flags_for(tiny_backbone, tmp_path / "runs", "--quick", "--losses=clce")
    run(*arguments, f"--dataset={name}", f"--data_dir={shared_data}", "--limit_examples=200")
    metrics = json.loads(only(tmp_path / "runs", "metrics.json").read_text())
    assert np.isfinite(metrics["test"]["top1"])


@pytest.mark.any_backend
def test_the_test_accuracy_can_be_had_again(shared_data, tmp_path):
    """With an encoder that resizes otherwise than `load_dataset` does by itself."""
    import tensorflow_datasets as tfds

    flowers = tfds.load("oxford_flowers102", split="test[:120]", data_dir=str(shared_data))
    photographs = tmp_path / "flowers"
    for number, example in enumerate(tfds.as_numpy(flowers)):
        path = photographs / f"heap {number % 10}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(path, example["image"], scale=False)
    arguments = flags_for("vit_tiny_patch8", tmp_path / "runs", "--quick", "--losses=ce")
    run(*arguments, "--dataset=image_folder", f"--data_dir={photographs}", "--batch_size=16")
    folder = RunFolder(only(tmp_path / "runs", "metrics.json").parent)
    metrics = json.loads(folder.metrics.read_text())
    model = keras.saving.load_model(folder.model)
    assert model.preprocessing.interpolation == "bicubic"
    data = load_dataset("image_folder", preprocessing=model.preprocessing, data_dir=photographs)
    assert model.class_names == data.class_names
    examples = metrics["test"]["examples"]
    images, labels = map(np.asarray, next(iter(data.test.batches(examples))))
    scores = model.predict(images, verbose=0)["probabilities"]
    assert top_k_accuracy(labels, scores, 5) == pytest.approx(metrics["test"]["top5"])
    # Few images may be classified alike however they are resized; their scores are not alike.
    kept = folder.record().predictions.probabilities
    np.testing.assert_allclose(kept, scores.max(axis=1), rtol=1e-4)
