r"""Images a second from JPEG files to updated weights, beside a PyTorch loop, and peak memory.

    python benchmarks/end_to_end.py --data_dir ../shared/data
    python benchmarks/end_to_end.py --data_dir ../shared/data --policy randaugment --profile

All read the same folder of JPEG files, draw two views of each image and train EfficientNet-Lite0
with 0.1·cross-entropy + 0.9·contrastive loss. Ours is `view_pairs` and `CLCEModel.fit`, on each
backend, once with the decoded images kept in memory (what it does with up to 2 GB of them) and once
decoding them in every epoch, as the other side does. PyTorch's side is timm's
`tf_efficientnet_lite0` in channels_last, a DataLoader with two worker processes, the policy written
with Pillow, and pytorch-metric-learning's `SupConLoss` beside cross-entropy. Every candidate is a
process of its own; they take turns of one epoch. Memory is the main process's peak: the
DataLoader's workers come on top. With `--profile` each candidate's step and input are timed apart.
Needs `pip install -r requirements-test.txt`.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags
from pillow_views import pillow_view
from workers import Worker, serve

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("tensorflow", "jax", "torch")
PEER = "PyTorch, timm"
WEIGHT, TEMPERATURE, RATE = 0.9, 0.5, 1e-3

flags.DEFINE_string("data_dir", None, "Folder of TFDS's oxford_flowers102.", required=True)
flags.DEFINE_string("policy", "light", "Policy of the views.")
flags.DEFINE_integer("image_size", 112, "Pixels a side.")
flags.DEFINE_integer("batch_size", 64, "Images a step, each in two views.", 2)
flags.DEFINE_integer("images", 640, "Images an epoch.", 1)
flags.DEFINE_multi_enum("backends", BACKENDS, BACKENDS, "Backends of ours.")
flags.DEFINE_integer("rounds", 3, "Rounds after the first, which compiles.", 1)
flags.DEFINE_integer("workers", 2, "Processes of the DataLoader.")
flags.DEFINE_bool("profile", False, "Also time the input alone and steps alone.")
flags.DEFINE_string("candidate", None, "Used by the benchmark itself, for its processes.")
FLAGS = flags.FLAGS


def main(_) -> None:
    """Write the files, start the candidates, let them take turns, print a table."""
    if FLAGS.candidate:
        folder = Path(FLAGS.data_dir)
        serve(torch_side(folder) if FLAGS.candidate == PEER else ours(folder, FLAGS.candidate))
        return
    from keras_clce.report import format_table

    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder))
        same = [f"--data_dir={folder}"]
        same += [f"--{name}={FLAGS[name].value}" for name in ("policy", "image_size", "batch_size")]
        same += [f"--images={FLAGS.images}", f"--workers={FLAGS.workers}"]
        candidates = {f"ours, {b}, {kind}": b for b in FLAGS.backends for kind in ("kept", "read")}
        workers = {
            name: Worker([f"--candidate={name}", *same], {"KERAS_BACKEND": backend})
            for name, backend in (candidates | {PEER: "torch"}).items()
        }
        kinds = ["epoch", *(("input", "steps") if FLAGS.profile else ())]
        for name, worker in workers.items():
            seconds = sum(worker.ask(kind) for kind in kinds)
            print(f"{name}: {seconds:.0f} s for the first round, which compiles", flush=True)
        rounds = []
        for _ in range(FLAGS.rounds):
            asked = [(name, kind) for kind in kinds for name in workers]
            rounds.append({(name, kind): workers[name].ask(kind) for name, kind in asked})
            print(f"{len(rounds)} of {FLAGS.rounds} rounds done", flush=True)
        rows = []
        count = FLAGS.images // FLAGS.batch_size * FLAGS.batch_size
        for name, worker in workers.items():
            row = [name]
            for kind in kinds:
                seconds = statistics.median(times[name, kind] for times in rounds)
                row.append(f"{count / seconds:.1f}")
            ratios = [times[PEER, "epoch"] / times[name, "epoch"] for times in rounds]
            rows.append([*row, f"{statistics.median(ratios):.2f}", f"{worker.ask('memory'):.2f}"])
            worker.stop()
    print(
        f"efficientnet_lite0, {FLAGS.image_size} px, {FLAGS.batch_size} images a step in two "
        f"{FLAGS.policy} views, {FLAGS.rounds} rounds of {count} images"
    )
    columns = {"epoch": "images/s", "input": "input alone", "steps": "steps alone"}
    header = ["candidate", *(columns[kind] for kind in kinds), "/PyTorch", "peak GiB"]
    print(format_table(header, rows))


def write_jpegs(folder: Path) -> None:
    """Lay the data set's JPEG files, undecoded, into class folders."""
    import tensorflow_datasets as tfds

    builder = tfds.builder("oxford_flowers102", data_dir=FLAGS.data_dir)
    data = builder.as_dataset(
        split="train+validation", decoders={"image": tfds.decode.SkipDecoding()}
    )
    for number, example in enumerate(data.take(FLAGS.images).as_numpy_iterator()):
        home = folder / "train" / f"class{example['label']:03d}"
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{number}.jpg").write_bytes(example["image"])
        for other in ("validation", "test"):
            (folder / other / home.name).mkdir(parents=True, exist_ok=True)
            (folder / other / home.name / "0.jpg").write_bytes(example["image"])


def ours(folder: Path, candidate: str):
    """An epoch, its input alone and as many steps alone, of the library."""
    import keras

    from keras_clce import CLCELoss, CLCEModel, LACLNLoss
    from keras_clce.data import building, load_dataset

    if candidate.endswith("read"):
        building.MEMORY_LIMIT_BYTES = 0
    data = load_dataset("image_folder", image_size=FLAGS.image_size, data_dir=folder)
    model = CLCEModel.from_backbone(
        "efficientnet_lite0", data.num_classes, image_size=FLAGS.image_size
    )
    loss = CLCELoss(WEIGHT, LACLNLoss(TEMPERATURE))
    model.compile(keras.optimizers.AdamW(RATE), loss, metrics=["accuracy"])
    steps = FLAGS.images // FLAGS.batch_size

    def batches():
        return data.train.view_pairs(FLAGS.batch_size, FLAGS.policy)

    one_batch = []

    def train_on_one():
        if not one_batch:
            one_batch.append(next(iter(batches().as_numpy_iterator())))
        for _ in range(steps):
            model.train_on_batch(*one_batch[0])

    return {
        "epoch": lambda: model.fit(batches(), steps_per_epoch=steps, shuffle=False, verbose=0),
        "input": lambda: [None for _ in batches().take(steps)],
        "steps": train_on_one,
    }


def torch_side(folder: Path):
    """The same as people write it in PyTorch."""
    sys.path.append(str(ROOT / "tests"))
    import timm_helper
    import torch
    from PIL import Image
    from pytorch_metric_learning.losses import SupConLoss
    from torch.nn import functional

    files = sorted((folder / "train").rglob("*.jpg"))
    names = sorted({file.parent.name for file in files})

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(files)

        def __getitem__(self, index):
            image = Image.open(files[index]).convert("RGB")
            side = min(image.size)
            image = image.crop((0, 0, side, side))
            views = [pillow_view(image, FLAGS.policy, FLAGS.image_size) for _ in range(2)]
            views = [torch.from_numpy(np.array(v)).permute(2, 0, 1).float() for v in views]
            # What the encoder's own preprocessing does.
            return *((view - 127) / 128 for view in views), names.index(files[index].parent.name)

    loader = torch.utils.data.DataLoader(
        Pairs(), FLAGS.batch_size, shuffle=True, drop_last=True, num_workers=FLAGS.workers
    )
    encoder = timm_helper.import_timm().create_model("tf_efficientnet_lite0", num_classes=0)
    encoder = encoder.to(memory_format=torch.channels_last)
    head = torch.nn.Linear(encoder.num_features, len(names))
    contrastive = SupConLoss(TEMPERATURE)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], RATE)

    def train(first, second, labels):
        images = torch.cat([first, second]).contiguous(memory_format=torch.channels_last)
        labels = torch.cat([labels, labels])
        features = encoder(images)
        loss = (1 - WEIGHT) * functional.cross_entropy(head(features), labels)
        loss = loss + WEIGHT * contrastive(features, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def epoch():
        for batch in loader:
            train(*batch)

    one_batch = []

    def train_on_one():
        if not one_batch:
            one_batch.append(next(iter(loader)))
        for _ in range(len(loader)):
            train(*one_batch[0])

    return {"epoch": epoch, "input": lambda: [None for _ in loader], "steps": train_on_one}


if __name__ == "__main__":
    app.run(main)
