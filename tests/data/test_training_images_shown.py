"""The un-augmented view of training images: as sharp as evaluation's, not of the kept copies."""

import numpy as np
import pytest
from PIL import Image

from keras_clce.data import load_dataset
from keras_clce.views import Preprocessing

pytestmark = pytest.mark.any_backend


@pytest.fixture
def folder(tmp_path):
    """Noise, in which every pixel counts, of several proportions."""
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        for number in range(8):
            pixels = rng.integers(0, 256, (60 + 9 * number, 90 - 4 * number, 3), np.uint8)
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path


@pytest.mark.parametrize("limit", [2_000_000_000, 0], ids=["in memory", "streaming"])
def test_training_photographs_are_shown_as_in_evaluation(limit, folder, monkeypatch):
    monkeypatch.setattr("keras_clce.data.building.MEMORY_LIMIT_BYTES", limit)
    shown = Preprocessing(16, crop_fraction=0.8, interpolation="bicubic")
    data = load_dataset("image_folder", data_dir=folder, preprocessing=shown)
    assert data.train.streams == (limit == 0)
    files = [np.asarray(Image.open(path)) for path in sorted(folder.rglob("*.png"))]
    expected = {shown(pixels).tobytes(): number // 8 for number, pixels in enumerate(files)}
    images, labels = data.train.arrays()
    found = [expected.pop(image.astype("float32").tobytes()) for image in images]
    np.testing.assert_array_equal(found, labels)
    assert len(expected) == 16 - data.train.num_examples
    for batch, _ in data.train.batches(5):
        assert batch.dtype == "float32" and batch.shape[1:] == (16, 16, 3)
    # Views are drawn from larger copies, as they were.
    (view, _), _ = next(iter(data.train.view_pairs(4, "light")))
    assert view.shape == (4, 16, 16, 3)
    assert next(iter(data.train.stored_batches(2)))[0].shape == (2, 24, 24, 3)
    with pytest.raises(ValueError, match="`batch_size` must be a positive"):
        data.train.batches(0)
