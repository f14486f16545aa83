"""Checkpoints that are cut short or have a flipped bit, and disks that are full."""

import errno
import os
import re
import shutil

import numpy as np
import pytest
from small_models import compiled, separable, small_model

from keras_clce.files import checksums
from keras_clce.train.callbacks import RunCheckpoint

pytestmark = pytest.mark.any_backend

EPOCHS = 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder after four epochs of which the third is the best, and the weights of each."""
    folder = tmp_path_factory.mktemp("trained")
    model = compiled(small_model())
    checkpoint = RunCheckpoint(folder, "val_accuracy")
    checkpoint.set_model(model)
    weights = []
    for epoch, accuracy in enumerate((0.1, 0.3, 0.9, 0.5)):
        model.fit(*separable(16), verbose=0)
        weights.append(model.get_weights())
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"loss": 1.0, "val_accuracy": accuracy})
    return folder, weights


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def cut(path, place):
    os.truncate(path, int(place * path.stat().st_size))


def assert_weights(model, expected):
    for ours, theirs in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("kind", ["npz", "json", "sha256"])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
def test_the_epoch_before_a_damaged_one_is_used(trained, tmp_path, damage, kind, place):
    saved, weights = trained
    folder = shutil.copytree(saved, tmp_path / "checkpoint")
    damage(folder / f"epoch-3.{kind}", place)
    model = compiled(small_model())
    checkpoint = RunCheckpoint(folder, "val_accuracy")
    with pytest.warns(UserWarning, match="epoch-3 differ; going on after epoch 3") as caught:
        assert checkpoint.restore(model) == 3
    assert len(caught) == 1
    assert_weights(model, weights[2])
    assert [row["val_accuracy"] for row in checkpoint.history] == [0.1, 0.3, 0.9]


@pytest.mark.parametrize("later", [False, True])
def test_of_a_damaged_best_epoch_the_best_whole_one_takes_the_place(trained, tmp_path, later):
    saved, weights = trained
    folder = shutil.copytree(saved, tmp_path / "checkpoint")
    model = compiled(small_model())
    checkpoint = RunCheckpoint(folder, "val_accuracy")
    said = pytest.warns(UserWarning, match="epoch-2 differ; epoch 4 takes its place as the best")
    if later:  # damaged while training goes on
        checkpoint.restore(model)
        flip(folder / "epoch-2.npz", 0.5)
        with said:
            checkpoint.load_best(model)
    else:
        flip(folder / "epoch-2.npz", 0.5)
        with said:
            assert checkpoint.restore(model) == 4
        checkpoint.load_best(model)
    assert checkpoint.best_epoch == 3
    assert_weights(model, weights[3])


def test_where_no_epoch_is_whole_the_error_says_what_to_delete(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / "checkpoint")
    for file in folder.glob("*.npz"):
        cut(file, 0.5)
    with pytest.raises(
        OSError, match=rf"Every checkpoint in {re.escape(str(folder))} is damaged.*delete"
    ):
        RunCheckpoint(folder).restore(compiled(small_model()))


def test_training_goes_on_from_the_epoch_before_and_mends_the_folder(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / "checkpoint")
    flip(folder / "epoch-3.npz", 0.5)
    model = compiled(small_model())
    checkpoint = RunCheckpoint(folder, "val_accuracy")
    checkpoint.set_model(model)
    with pytest.warns(UserWarning, match="differ"):
        first = checkpoint.restore(model)
    checkpoint.on_epoch_begin(first)
    checkpoint.on_epoch_end(first, {"loss": 1.0, "val_accuracy": 0.95})
    assert checkpoint.best_epoch == 3
    again = RunCheckpoint(folder, "val_accuracy")
    assert again.restore(compiled(small_model())) == EPOCHS
    # What the epoch before had as the best stays until two newer epochs are whole.
    assert {file.stem for file in folder.iterdir()} == {"epoch-2", "epoch-3"}


def test_another_model_is_refused(trained):
    with pytest.raises(ValueError, match="must be the one that was saved"):
        RunCheckpoint(trained[0]).restore(compiled(small_model(batch_norm=False)))


def test_checksums_are_those_of_sha256sum(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert checksums([tmp_path / "a.txt"]) == f"{expected}  a.txt\n"


@pytest.mark.parametrize("fails", ["npz", "json", "sha256"])
def test_a_full_disk_leaves_the_last_good_epoch(trained, tmp_path, fails, monkeypatch):
    saved, weights = trained
    folder = shutil.copytree(saved, tmp_path / "checkpoint")
    model = compiled(small_model())
    checkpoint = RunCheckpoint(folder, "val_accuracy")
    checkpoint.set_model(model)
    checkpoint.restore(model)

    def full(source, target, replace=os.replace):
        if str(target).endswith(fails):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    checkpoint.on_epoch_begin(4)
    with pytest.raises(OSError, match="No space left on device"):
        checkpoint.on_epoch_end(4, {"loss": 1.0, "val_accuracy": 0.95})
    assert not list(folder.glob(".writing-*"))
    again = compiled(small_model())
    assert RunCheckpoint(folder, "val_accuracy").restore(again) == 4
    assert_weights(again, weights[3])
