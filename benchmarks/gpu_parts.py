"""What `gpu.py` measures, candidate by candidate, in a process of each."""

import platform
import statistics
import time
from importlib.util import find_spec

import keras
import numpy as np
from workers import new_peak, peak

CLASSES, DIM, TEMPERATURE = 100, 128, 0.1


def measure(part, candidate, quick):
    """Rows of figures, as they come; the first says what it runs on.

    Args:
        part: A name of `PARTS`.
        candidate: One of the part's candidates.
        quick: Whether sizes are small.

    Yields:
        Dicts: `skipped` with a reason, or figures.
    """
    yield {"device": device(), "software": software()}
    missing = {"pml": ["pytorch_metric_learning"], "timm+pml": ["timm", "pytorch_metric_learning"]}
    for package in missing.get(candidate, []):
        if find_spec(package) is None:
            yield {"skipped": f"needs torch and {package}, which is not installed"}
            return
    new_peak()
    try:
        yield from PARTS[part](candidate, quick)
    # Memory that runs out is a result, and has another class on each backend.
    except Exception as error:
        yield {"skipped": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120]}"}


# === The machine ===


def device():
    """Name of the accelerator, or of the processor."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    import jax

    return jax.local_devices()[0].device_kind


def software():
    """Versions of what runs."""
    framework = __import__(keras.backend.backend())
    names = {"python": platform.python_version(), "keras": keras.__version__}
    return {**names, framework.__name__: framework.__version__}


def peak_gib():
    """Most memory of the device so far; of the process where there is none."""
    if keras.backend.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() / 2**30
    else:
        import jax

        stats = jax.local_devices()[0].memory_stats()
        if stats:
            return stats["peak_bytes_in_use"] / 2**30
    return peak()


def wait(result):
    """Until the device has finished."""
    if keras.backend.backend() == "jax":
        import jax

        jax.block_until_ready(result)
    else:
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()


def seconds_of(function, repeats):
    """Median of some calls, after one that compiles."""
    wait(function())
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        wait(function())
        times.append(time.perf_counter() - started)
    return statistics.median(times)


# === Parts ===


def loss(candidate, quick):
    """Value and gradient of the contrastive loss of many rows, beside bare matrix products."""
    for rows in (256, 1024) if quick else (4096, 65536):
        rng = np.random.default_rng(0)
        x = keras.ops.convert_to_tensor(rng.normal(size=(rows, DIM)).astype("float32"))
        labels = keras.ops.convert_to_tensor(rng.integers(0, rows // 32, rows).astype("int32"))
        step = {"ours": _loss_step, "pml": _pml_step, "products": _products}[candidate](labels, x)
        seconds = seconds_of(step, 1 if rows > 10_000 else 5)
        yield {"rows": rows, "seconds": seconds, "peak_gib": peak_gib()}


def _loss_step(labels, x):
    from keras_clce.losses import LACLNLoss

    return _gradient(lambda x: LACLNLoss(TEMPERATURE)(labels, x), x)


def _pml_step(labels, x):
    import torch
    from pytorch_metric_learning.losses import SupConLoss

    peer = SupConLoss(TEMPERATURE)
    # The peer is torch's, whichever backend runs.
    place = "cuda" if torch.cuda.is_available() else "cpu"
    labels, x = (torch.as_tensor(np.asarray(_numpy(each)), device=place) for each in (labels, x))
    return _torch_gradient(lambda x: peer(x, labels), x)


def _products(labels, x):
    """Similarities forward and again backward, and their product with the rows, in chunks."""
    del labels
    chunk = max(1, min(len(x), 2**20 // len(x)))

    def products(x):
        total = 0.0
        for start in range(0, len(x), chunk):
            mine = x[start : start + chunk]
            table = keras.ops.matmul(mine, keras.ops.transpose(x))
            again = keras.ops.matmul(mine, keras.ops.transpose(x))
            total = total + keras.ops.sum(keras.ops.matmul(table, x)) + again[0, 0]
        return total

    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(products)
        return lambda: compiled(x)
    return lambda: products(x)


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def _gradient(function, x):
    if keras.backend.backend() == "torch":
        return _torch_gradient(function, x)
    import jax

    compiled = jax.jit(jax.value_and_grad(function))
    return lambda: compiled(x)


def _torch_gradient(function, x):
    x = x.detach().requires_grad_()

    def step():
        x.grad = None
        function(x).backward()

    return step


def step(candidate, quick):
    """A training step of ViT-B/16 in bfloat16, CLCE on two views of every image."""
    images, size = (2, 32) if quick else (64, 224)
    views, labels = _batch(images, size)
    run = _timm_step(views, labels, size) if candidate == "timm+pml" else None
    run = run or _train_step("vit_base", views, labels, size, "mixed_bfloat16")
    seconds = seconds_of(run, 2 if quick else 20)
    yield {"images": images, "pixels": size, "seconds": seconds, "peak_gib": peak_gib()}


def _batch(images, size):
    rng = np.random.default_rng(0)
    shape = (images, size, size, 3)
    views = [rng.integers(0, 256, shape, "uint8").astype("float32") for _ in range(2)]
    labels = rng.integers(0, CLASSES, images)
    views = tuple(keras.ops.convert_to_tensor(view) for view in views)
    return views, keras.ops.convert_to_tensor(labels.astype("int32"))


def _train_step(encoder, views, labels, size, policy="float32", rank=None, **compiled):
    from keras_clce import CLCELoss, CLCEModel

    keras.config.set_dtype_policy(policy)
    model = CLCEModel.from_backbone(encoder, CLASSES, image_size=size)
    if rank:
        model.enable_lora(rank)
    model.compile(keras.optimizers.AdamW(1e-4), CLCELoss(0.5), **compiled)
    return lambda: model.train_on_batch(views, labels)


def _timm_step(views, labels, size):
    import torch
    from pytorch_metric_learning.losses import SupConLoss

    from keras_clce.models.timm_reference import import_timm

    place = "cuda" if torch.cuda.is_available() else "cpu"
    name = "vit_base_patch16_224"
    model = import_timm().create_model(name, num_classes=CLASSES, img_size=size).to(place).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    peer = SupConLoss(TEMPERATURE)
    images = torch.as_tensor(np.concatenate([_numpy(view) for view in views]), device=place)
    images = (images.permute(0, 3, 1, 2).contiguous() - 127.5) / 127.5
    classes = torch.as_tensor(np.tile(_numpy(labels), 2), device=place).long()

    def train():
        optimizer.zero_grad()
        with torch.autocast(place, torch.bfloat16):
            features = model.forward_head(model.forward_features(images), pre_logits=True)
            logits = model.head(features)
        entropy = torch.nn.functional.cross_entropy(logits.float(), classes)
        total = (entropy + peer(features.float(), classes)) / 2
        total.backward()
        optimizer.step()
        return total.item()

    return train


def gradient_cache(candidate, quick):
    """Seconds an image and memory, in one piece and in chunks."""
    encoder, size = ("small_resnet", 32) if quick else ("vit_base", 224)
    few, many, chunk = (32, 64, 32) if quick else (256, 4096, 256)
    sizes = (few,) if candidate == "at once" else (few * 2, many)
    for images in sizes:
        views, labels = _batch(images, size)
        options = {} if candidate == "at once" else {"gradient_cache_size": chunk}
        policy = "float32" if quick else "mixed_bfloat16"
        train = _train_step(encoder, views, labels, size, policy, **options)
        held = 2 * images * size * size * 3 * 4 / 2**30
        seconds = seconds_of(train, 1 if images == many else 3)
        yield {
            "images": images,
            "seconds_an_image": seconds / images,
            # Without the pixels, which grow with the batch by themselves.
            "peak_gib": peak_gib() - held,
        }


def lora(candidate, quick):
    """A training step of ViT-B/16 with adapters of rank 8, and with all weights."""
    images, size = (2, 32) if quick else (64, 224)
    views, labels = _batch(images, size)
    rank = 8 if candidate == "lora" else None
    policy = "float32" if quick else "mixed_bfloat16"
    seconds = seconds_of(_train_step("vit_base", views, labels, size, policy, rank), 5)
    yield {"images": images, "pixels": size, "seconds": seconds, "peak_gib": peak_gib()}


def few_shot(candidate, quick):
    """10,000 tasks of 5 classes with 5 images each, by classifier."""
    del candidate
    from keras_clce.evaluate import few_shot_accuracy

    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 600)
    centers = rng.normal(scale=0.25, size=(20, 640))
    features = np.maximum(centers[labels] + rng.normal(size=(len(labels), 640)), 0)
    tasks = 100 if quick else 10_000
    for classifier in ("nearest_centroid", "logistic", "pt_map"):
        started = time.perf_counter()
        result = few_shot_accuracy(
            features.astype("float32"), labels, ways=5, shots=5, tasks=tasks, classifier=classifier
        )
        seconds = time.perf_counter() - started
        yield {
            "classifier": classifier,
            "tasks": tasks,
            "seconds": seconds,
            "accuracy": float(result.mean),
        }


PARTS = {
    "loss": loss,
    "step": step,
    "gradient_cache": gradient_cache,
    "lora": lora,
    "few_shot": few_shot,
}
