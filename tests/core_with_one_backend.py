"""All that needs a backend and nothing else: train, predict, save, load, few-shot evaluation.

Run as `python core_with_one_backend.py FOLDER`, where FOLDER is for the saved model.
"""

import sys

import keras
import numpy as np

from keras_clce import CLCELoss, CLCEModel, load_model, predict_images
from keras_clce.data import two_view_augmenter
from keras_clce.evaluate import few_shot_accuracy
from keras_clce.views import Preprocessing


def main(folder):
    """Fail where something is missing or a saved model is not what it was."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 5
    images = rng.uniform(0, 255, (40, 32, 32, 3)).astype("float32")
    images[np.arange(40), labels] = 255
    model = CLCEModel.from_backbone(
        "small_resnet",
        num_classes=5,
        image_size=32,
        augmenter=two_view_augmenter(32),
        class_names=["ant", "bee", "cat", "dog", "elk"],
        preprocessing=Preprocessing(32),
    )
    model.compile(keras.optimizers.AdamW(1e-3), loss=CLCELoss(), metrics=["accuracy"])
    history = model.fit(
        images, labels, batch_size=20, epochs=2, validation_data=(images, labels), verbose=0
    )
    assert np.isfinite(history.history["val_loss"]).all()
    outputs = model.predict(images, verbose=0)
    model.save(f"{folder}/model.keras")
    loaded = load_model(f"{folder}/model.keras")
    assert loaded.class_names == model.class_names
    for name, values in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(values, outputs[name], rtol=1e-5, atol=1e-6)
    rows = predict_images(loaded, images[:, :30], embeddings=True, verbose=0)
    assert {row.class_name for row in rows} <= {*model.class_names}
    assert rows.embeddings.shape == (40, outputs["embedding"].shape[1])
    result = few_shot_accuracy(outputs["embedding"], labels, ways=5, shots=1, queries=3, tasks=20)
    assert result.accuracies.shape == (20,)
    print(f"{keras.backend.backend()}: {result.mean:.2f} in few-shot tasks")


if __name__ == "__main__":
    main(sys.argv[1])
