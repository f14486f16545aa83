"""Files of weights and saved models, damaged; and archives made to do harm."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import safetensors.numpy
import torch
from mutations import mutate, outcome

from keras_clce.models.backbones import build_backbone
from keras_clce.models.checkpoints.keras_weights import load_weights_file
from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout
from keras_clce.models.checkpoints.loading import load_checkpoint
from keras_clce.models.checkpoints.preprocessing import published_preprocessing

SIZE = 8
LAYOUT = Layout(
    title="two layers",
    marks=("a.weight",),
    parts={r"(a|b)": r"\1"},
    leaves=TORCH_LEAVES,
    dropped="",
)
# Archives have checksums of their members, so that no flipped bit may go unnoticed.
CHECKED = (".npz", ".pth", ".keras")


def small_encoder() -> keras.Model:
    """Two layers on pixels."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3, name="a")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(5, 3, name="b")(x))


def files_of(model: keras.Model, folder: Path) -> dict[str, bytes]:
    """The model's weights in every format."""
    tensors = {}
    for layer in ("a", "b"):
        kernel, bias = model.get_layer(layer).get_weights()
        tensors[f"{layer}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        tensors[f"{layer}.bias"] = bias
    safetensors.numpy.save_file(tensors, folder / "whole.safetensors")
    np.savez(folder / "whole.npz", **tensors)
    torch.save({name: torch.from_numpy(t) for name, t in tensors.items()}, folder / "whole.pth")
    model.save_weights(folder / "whole.weights.h5")
    model.save(folder / "whole.keras")
    return {
        file.name.removeprefix("whole"): file.read_bytes()
        for file in sorted(folder.glob("whole.*"))
    }


def make(folder: Path) -> Callable[[np.random.Generator], str]:
    """The cases of this domain."""
    warnings.simplefilter("ignore")
    model = small_encoder()
    whole = model.get_weights()
    files = files_of(model, folder)
    outside = folder / "outside"
    outside.mkdir()
    nested = outside / "inside"
    nested.mkdir()

    def load(path):
        if path.suffix == ".keras":
            return build_backbone(str(path), SIZE).get_weights()
        if path.name.endswith(".weights.h5"):
            load_weights_file(model, path)
        else:
            load_checkpoint(model, path, [LAYOUT])
        return model.get_weights()

    def damaged(rng):
        suffix = list(files)[rng.integers(len(files))]
        path = folder / f"damaged{suffix}"
        path.write_bytes(mutate(files[suffix], rng))
        before = model.get_weights()
        kind, weights = outcome(lambda: load(path), ValueError, OSError)
        if kind != "ok":
            for a, b in zip(before, model.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b, "half loaded")
            return f"damaged {suffix}: refused"
        model.set_weights(whole)
        same = all(np.array_equal(a, b) for a, b in zip(weights, whole, strict=True))
        assert same or suffix not in CHECKED, f"{suffix}: other weights in spite of checksums"
        return f"damaged {suffix}: loaded{'' if same else ', which its format cannot tell'}"

    def settings(rng):
        """A damaged JSON file beside tensors."""
        half = [0.5, 0.5, 0.5]
        name, value = (
            (
                "config.json",
                {"pretrained_cfg": {"mean": half, "std": half, "interpolation": "bicubic"}},
            ),
            (
                "preprocessor_config.json",
                {"image_mean": half, "image_std": half, "resample": 3},
            ),
        )[rng.integers(2)]
        content = json.dumps(value).encode()
        if rng.random() < 0.5:
            content = mutate(content, rng)
        else:
            key = list(value)[rng.integers(len(value))]
            odd = (
                [0.5, 0.4, 0.3],
                None,
                1,
                "x",
                [],
                [1],
                {},
                [0, "a", 1],
                [[1]],
                float("nan"),
                {"mean": 3, "std": 1},
            )
            content = json.dumps({**value, key: odd[rng.integers(len(odd))]}).encode()
        beside = folder / "beside"
        beside.mkdir(exist_ok=True)
        for old in beside.iterdir():
            old.unlink()
        (beside / name).write_bytes(content)
        kind, said = outcome(lambda: published_preprocessing(beside), ValueError)
        if kind == "ok" and "mean" in said:
            pixels = [said["mean"], said["std"]]
            assert np.shape(pixels) == (2, 3) and np.isfinite(pixels).all() and min(pixels[1]) > 0
        if kind == "ok" and "interpolation" in said:
            assert said["interpolation"] in ("bilinear", "bicubic")
        return f"{name}: {kind if kind != 'ok' else 'read' if said else 'nothing said'}"

    def hostile(rng):
        """A saved model whose archive or configuration wants more than to be read."""
        trap = folder / "executed"
        with zipfile.ZipFile(io.BytesIO(files[".keras"])) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(members["config.json"])
        layer = config["config"]["layers"][1]
        attack = ("member", "lambda", "function", "module", "class")[rng.integers(5)]
        if attack == "member":
            climb = "../" * int(rng.integers(1, 9))
            names = (f"{climb}pwned", f"assets/{climb}pwned", str(outside / "pwned"), "..\\pwned")
            members[names[rng.integers(len(names))]] = b"written"
        elif attack == "lambda":
            unsafe = keras.layers.Lambda(lambda x: x * 2.0, output_shape=(6, 6, 4))
            layer |= keras.saving.serialize_keras_object(unsafe)
        elif attack == "function":
            layer["config"]["activation"] = {
                "class_name": "__lambda__",
                "config": {
                    "value": keras.saving.serialize_keras_object(lambda x: x)["config"]["value"]
                },
            }
        else:
            modules = ("os", "subprocess", "builtins", "keras.src.utils", "shutil", "pickle")
            names = ("system", "Popen", "exec", "get_file", "rmtree", "loads")
            which = int(rng.integers(len(modules)))
            named = {
                "module": modules[which],
                "class_name": names[which],
                "config": {"args": [f"touch {trap}"], "command": f"touch {trap}"},
                "registered_name": names[which],
            }
            if attack == "module":
                layer |= named
            else:
                layer["config"]["kernel_initializer"] = named
        if attack != "member":
            members["config.json"] = json.dumps(config).encode()
        path = nested / "hostile.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        kind, _ = outcome(lambda: load(path), ValueError, OSError)
        written = list(folder.rglob("*pwned*"))
        assert not trap.exists() and not written, f"{attack}: {written or 'code was run'}"
        assert not Path("/pwned").exists() and not (folder.parent / "pwned").exists()
        # What lies in the archive besides is no reason to refuse it, as long as it stays there.
        assert kind != "ok" or attack == "member", f"{attack} was taken"
        return f"hostile {attack}: {'refused' if kind != 'ok' else 'nothing written'}"

    def case(rng: np.random.Generator) -> str:
        kind = rng.random()
        return damaged(rng) if kind < 0.75 else settings(rng) if kind < 0.9 else hostile(rng)

    return case
