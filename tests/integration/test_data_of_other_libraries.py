"""A folder of photographs through the loaders of several libraries: the step is that of arrays."""

import itertools
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from keras_clce import CLCEModel

NAMES = ("ant", "bee", "cat")
SIDE, EACH = 12, 8
BATCH = 12  # so that the classes, one after another, meet in every batch


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder with a folder of each class, and its images and labels as arrays, sorted."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(NAMES)), EACH)
    images = rng.integers(0, 256, (len(labels), SIDE, SIDE, 3), np.uint8)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / NAMES[label] / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return folder, images, labels


def decoded(folder, number, label):
    return np.asarray(Image.open(folder / NAMES[label] / f"{number:02}.png"))


def keras_folder(folder, images, labels, **options):
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(SIDE, SIDE), batch_size=BATCH, shuffle=False, verbose=False, **options
    )


def keras_folder_by_grain(*args):
    return keras_folder(*args, format="grain")


def py_dataset_of_threads(folder, images, labels):
    class Files(keras.utils.PyDataset):
        def __len__(self):
            return len(labels) // BATCH

        def __getitem__(self, number):
            rows = range(BATCH * number, BATCH * (number + 1))
            return np.stack([decoded(folder, row, labels[row]) for row in rows]), labels[rows]

    data = Files(workers=2, max_queue_size=4)
    data.class_names = list(NAMES)
    return data


def torch_loader(folder, images, labels):
    """As torchvision's `ImageFolder`, whose images a transform has left channels last."""
    torch = pytest.importorskip("torch")

    class ImageFolder(torch.utils.data.Dataset):
        classes = NAMES

        def __len__(self):
            return len(labels)

        def __getitem__(self, row):
            return decoded(folder, row, labels[row]), labels[row]

    return torch.utils.data.DataLoader(ImageFolder(), batch_size=BATCH)


def grain_data(folder, images, labels):
    import grain

    return grain.MapDataset.source(list(zip(images, labels, strict=True))).batch(BATCH)


def grain_loader(folder, images, labels):
    import grain

    return grain.DataLoader(
        data_source=list(zip(images, labels, strict=True)),
        sampler=grain.samplers.IndexSampler(len(labels), shuffle=False, num_epochs=1),
        operations=[grain.transforms.Batch(BATCH)],
    )


def hugging_face(folder):
    datasets = pytest.importorskip("datasets")
    data = datasets.load_dataset(
        "imagefolder", data_dir=str(folder), split="train", cache_dir=str(folder / ".cache")
    )
    assert data.features["label"].names == list(NAMES)
    return data


def hugging_face_and_grain(folder, images, labels):
    import grain

    def example(row):
        return np.asarray(row["image"].convert("RGB")), row["label"]

    return grain.MapDataset.source(hugging_face(folder)).map(example).batch(BATCH)


def hugging_face_and_torch(folder, images, labels):
    torch = pytest.importorskip("torch")

    def collate(rows):
        images = np.stack([np.asarray(row["image"].convert("RGB")) for row in rows])
        return torch.from_numpy(images), torch.tensor([row["label"] for row in rows])

    data = hugging_face(folder)
    return torch.utils.data.DataLoader(data, batch_size=BATCH, collate_fn=collate)


FORMS = [
    keras_folder,
    keras_folder_by_grain,
    py_dataset_of_threads,
    torch_loader,
    grain_data,
    grain_loader,
    hugging_face_and_grain,
    hugging_face_and_torch,
]
WITH_NAMES = FORMS[:4]


@pytest.fixture(scope="module")
def model():
    """One for all, so that it is compiled once; SGD has no state that stays."""
    images = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(8, 4, strides=4, activation="relu")(x)
    model = CLCEModel(keras.Model(images, x), len(NAMES), class_names=NAMES)
    model.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def on_arrays(model, photographs):
    """Weights before and after an epoch on arrays, and its loss."""
    _, images, labels = photographs
    before = model.get_weights()
    history = model.fit(images, labels, batch_size=BATCH, shuffle=False, verbose=0).history
    return before, model.get_weights(), history["loss"]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_epoch_is_that_of_arrays(form, photographs, model, on_arrays, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before, after, loss = on_arrays
    data = form(*photographs)
    model.set_weights(before)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(class_names|pixels from)")
        found = model.fit(data, shuffle=False, verbose=0).history["loss"]
    assert found == pytest.approx(loss, rel=1e-5)
    for a, b in zip(model.get_weights(), after, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", WITH_NAMES, ids=lambda form: form.__name__)
def test_names_of_classes_that_a_loader_knows_are_compared(form, photographs, model, monkeypatch):
    monkeypatch.setattr(model, "class_names", ("ant", "cat", "bee"))
    with pytest.warns(UserWarning, match="Class 1 is 'bee' in the data set and 'cat' in the model"):
        model.fit(form(*photographs), shuffle=False, verbose=0)


def test_grain_shuffles_every_epoch_anew_where_it_repeats(photographs, model):
    """As the documentation shows it."""
    import grain

    _, images, labels = photographs
    examples = list(zip(images, labels, strict=True))
    data = grain.MapDataset.source(examples).shuffle(seed=0).repeat().batch(BATCH)
    before, steps = int(model.optimizer.iterations), len(labels) // BATCH
    model.fit(data, steps_per_epoch=steps, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) - before == 2 * steps
    seen = [image.tobytes() for batch, _ in itertools.islice(data, 2 * steps) for image in batch]
    epochs = seen[: len(labels)], seen[len(labels) :]
    assert {*epochs[0]} == {*epochs[1]} == {image.tobytes() for image in images}
    assert epochs[0] != epochs[1]
