"""All settings of a run, as one value that cannot be changed."""

import dataclasses
import functools
from collections.abc import Mapping

from keras_clce.experiments import setting_checks as checks
from keras_clce.experiments.loss_settings import LOSS, LossSettings
from keras_clce.experiments.setting import (
    Field,
    Range,
    check_choice,
    check_value,
    fields_of,
    setting,
)

_DATA = "What is trained on"
_ENCODER = "The encoder and its heads"
_TRAINING = "Training"
_MEMORY = "Memory and precision"
_TASKS = "Few-shot tasks"
_PLACE = "Where it runs, and what it leaves behind"
_DEVICES = "Several devices"
# In the order of `--help`.
_GROUPS = (_DATA, _ENCODER, LOSS, _TRAINING, _MEMORY, _TASKS, _PLACE, _DEVICES)

_of_tasks = functools.partial(setting, part="evaluation", group=_TASKS, protocol="few_shot")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(LossSettings):
    """The settings of one run; each field is a flag of the recipes with the same name.

    `Settings.describe()` lists fields with their help. Fields that are `None` follow the others
    and the data: `learning_rate`, `warmup_epochs`, `batch_size` and `image_size`.

    Raises:
        ValueError: If a setting has a value that it cannot have, or two do not fit together.

    Example:
    ```python
    settings = Settings(dataset="digits", loss="clce", epochs=10)
    dataclasses.replace(settings, temperature=0.1).temperature  # 0.1
    ```
    """

    dataset: str = setting("digits", "Data set: {names}; or its name in TFDS.", "data", _DATA)
    data_dir: str | None = setting(
        None, "Folder of the prepared data, or of your own images.", "place", _DATA
    )
    image_size: int | None = setting(
        None,
        "Pixels per side; the data set's if it prescribes one, else the encoder's, if not given.",
        "data",
        _DATA,
        least=8,
    )
    limit_examples: int | None = setting(
        None, "Use that many training images, balanced.", "data", _DATA, least=1
    )
    limit_per_class: int | None = setting(
        None, "Use at most that many training images of a class.", "data", _DATA, least=1
    )
    drop_small_classes: int | None = setting(
        None, "Leave out classes with fewer images than that.", "data", _DATA, least=1
    )
    split_seed: int = setting(0, "Seed of splits that the data set lacks.", "data", _DATA, least=0)
    strict: bool = setting(
        False, "Stop at an unreadable image instead of skipping it.", "data", _DATA
    )
    multi_label: bool = setting(False, "Several labels an image, of a labels.csv.", "data", _DATA)
    augmentation: str = setting(
        "light",
        "Policy that makes the two views.",
        "training",
        _DATA,
        choices="keras_clce.views:VIEW_POLICIES",
    )
    mixup_alpha: float = setting(
        0.0,
        "Mix training images and their labels by mixup, with shares of Beta(alpha, alpha).",
        "training",
        _DATA,
        least=0,
        search=(0.0, 0.2, 0.8),
    )
    cutmix_alpha: float = setting(
        0.0,
        "The same by cutmix; with both, a batch has one of them by chance.",
        "training",
        _DATA,
        least=0,
        search=(0.0, 1.0),
    )
    mix: str = setting(
        "cross_entropy",
        "What mixed images train: cross_entropy (every second image is mixed, the contrastive part "
        "compares the others) or contrastive (both parts, all images, with soft labels).",
        "training",
        _DATA,
        choices="keras_clce.train:MIXES",
    )
    ignore_unlabelled: bool = setting(
        False,
        "Train past images without a class (-1): neither part of the loss counts them.",
        "training",
        _DATA,
    )

    backbone: str = setting(
        "small_resnet",
        "Encoder: a name, app:NAME, hub:PRESET, zero:NAME or file.",
        "model",
        _ENCODER,
    )
    weights: str | None = setting(
        None,
        "Encoder's weights: imagenet, a path, hf://… or kaggle://…, or none (random).",
        "model",
        _ENCODER,
    )
    embedding_dim: int | None = setting(
        None,
        "Size of a projection before the embedding, if any; if not given 128 in few-shot studies "
        "with the default --contrastive_weight.",
        "model",
        _ENCODER,
        least=1,
        search=(None, 128),
    )
    embedding_layers: int = setting(
        1, "Layers of that projection, 2 with a ReLU between.", "model", _ENCODER, least=1, most=2
    )
    feature_normalization: str | None = setting(
        "layer",
        "What is done to the pooled features before both heads read them: {names} or none.",
        "model",
        _ENCODER,
        choices="keras_clce.models.heads:FEATURE_NORMALIZATIONS",
    )
    stochastic_depth: float = setting(
        0.0,
        "Share of skipped residual branches, at the last block.",
        "model",
        _ENCODER,
        search=Range(0.0, 0.2),
    )
    classifier_head: str | None = setting(
        None,
        "Classifier on the encoder: {names}, by cosines with a learned scale. If not given linear, "
        "but cosine where the encoder brings weights, for one label an image and the same classes.",
        "model",
        _ENCODER,
        choices="keras_clce.models.heads:CLASSIFIERS",
    )
    freeze_backbone: bool = setting(False, "Train the heads alone.", "training", _ENCODER)
    unfreeze_last: int | None = setting(
        None, "Train the heads and that many last blocks alone.", "training", _ENCODER, least=1
    )
    lora_rank: int | None = setting(
        None, "Freeze all of the encoder but LoRA of that rank.", "training", _ENCODER, least=1
    )

    seed: int = setting(0, "Seed of weights, order and views.", "training", _TRAINING, least=0)
    epochs: int = setting(30, "Passes over the training images.", "training", _TRAINING, least=1)
    batch_size: int | None = setting(
        None,
        "Images per step, each in two views. If not given 64, or a fourth of the training images "
        "where that is less.",
        "training",
        _TRAINING,
        least=2,
        search=(32, 64, 128),
    )
    images_per_class: int | None = setting(
        None, "Images of each class in a batch, if not shuffled.", "training", _TRAINING, least=2
    )
    optimizer: str = setting(
        "adamw",
        "Optimizer.",
        "training",
        _TRAINING,
        choices="keras_clce.train.optimization:OPTIMIZERS",
    )
    learning_rate: float | Mapping[str, float] | None = setting(
        None,
        "Highest learning rate, or one per loss: ce=1e-3,clce=2e-3. If not given 1e-3 for "
        "pretrained weights, 3e-3 for random ones.",
        "training",
        _TRAINING,
        checks=(checks.RATES,),
        search=Range(1e-4, 1e-2, "log"),
    )
    weight_decay: float = setting(
        0.01,
        "Decoupled weight decay, off biases and norms.",
        "training",
        _TRAINING,
        least=0,
        search=Range(1e-4, 0.1, "log"),
    )
    warmup_epochs: float | None = setting(
        None,
        "Epochs of linear warm-up before cosine decay. If not given 3, or a tenth of --epochs "
        "where that is less.",
        "training",
        _TRAINING,
        least=0,
    )
    layer_decay: float = setting(
        1.0,
        "Factor of the learning rate from block to block, for transformers.",
        "training",
        _TRAINING,
        checks=((lambda value: 0 < value <= 1, "must be within (0, 1]"),),
        search=Range(0.6, 1.0),
    )
    clip_norm: float | None = setting(
        None,
        "Largest norm of all gradients together.",
        "training",
        _TRAINING,
        checks=(checks.ABOVE_0,),
    )
    ema_momentum: float | None = setting(
        None,
        "Momentum of a moving average of the weights, as 0.999.",
        "training",
        _TRAINING,
        least=0,
        checks=(checks.BELOW_1,),
        search=(None, 0.99, 0.999),
    )

    mixed_precision: str = setting(
        "float32",
        "Keras dtype policy; a .keras encoder keeps its own.",
        "model",
        _MEMORY,
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
    )
    gradient_cache_size: int | None = setting(
        None,
        "Views that go through the encoder at a time on each device, to save memory.",
        "training",
        _MEMORY,
        least=1,
    )
    remat: bool = setting(
        False, "Save memory by computing blocks twice, for transformers.", "training", _MEMORY
    )

    ways: int = _of_tasks(5, "Classes per task.", least=2)
    shots: tuple[int, ...] = _of_tasks(
        (1, 5),
        "Labelled images per class; one set of tasks each.",
        least=1,
        checks=((checks.each_once, "must be different whole numbers above 0, such as 1,5"),),
    )
    queries: int = _of_tasks(15, "Classified images per class.", least=1)
    query_distribution: str = _of_tasks(
        "balanced",
        "Queries of a class: equally many, or shares drawn from a Dirichlet distribution.",
        choices="keras_clce.evaluate.tasks:QUERY_DISTRIBUTIONS",
    )
    tasks: int = _of_tasks(3000, "Tasks on the novel classes.", least=2)
    classifier: tuple[str, ...] = _of_tasks(
        ("logistic",),
        "Classifiers of a task, a column each; the first picks the epoch.",
        choices="keras_clce.evaluate.task_classifiers:TASK_CLASSIFIERS",
        checks=((checks.each_once, "must be different names, such as logistic,bavardage"),),
    )
    features: tuple[str, ...] = _of_tasks(
        ("pooled", "embedding"),
        "What is classified: pooled, embedding, tokens (those of patches, for fewture).",
        choices=("pooled", "embedding", "tokens"),
        checks=((checks.each_once, "must be of: pooled, embedding, tokens, each once"),),
    )
    finetune_encoder: int | None = _of_tasks(
        None,
        "Also fine-tune the whole encoder on each of that many tasks, for finetuning and "
        "transductive_finetuning.",
        least=1,
    )

    quick: bool = setting(
        False,
        "One epoch on a few batches, to see that all works, in a folder of its own.",
        "evaluation",
        _PLACE,
    )
    label: str | None = setting(
        None,
        "Name of these settings, after the loss in folders and tables.",
        "place",
        _PLACE,
        checks=(checks.WITHOUT_SPACES,),
    )
    output_dir: str = setting("runs", "Where run folders go.", "place", _PLACE)
    test: bool = setting(
        True,
        "Test the run at its end; without, the test split stays unread, for choosing settings.",
        "place",
        _PLACE,
    )
    keep_checkpoint: bool = setting(
        False, "Keep the checkpoints of finished runs, larger than the model.", "place", _PLACE
    )
    log: tuple[str, ...] = setting(
        (),
        "Log each run to these too, of {names}; csv is steps.csv in its folder, a line a step.",
        "place",
        _PLACE,
        choices="keras_clce.experiments.loggers:LOGGERS",
        checks=(checks.DIFFERENT,),
    )
    verbose: bool = setting(
        False, "Show Keras's progress bars, and all that frameworks print.", "place", _PLACE
    )
    num_devices: int = setting(
        1, "Devices of each process, which share a batch.", "place", _DEVICES, least=1
    )
    coordinator_address: str | None = setting(
        None, "host:port of process 0, for several processes (JAX).", "place", _DEVICES
    )
    num_processes: int = setting(
        1, "Processes that share a batch (JAX).", "place", _DEVICES, least=1
    )
    process_id: int = setting(0, "Number of this process, from 0.", "place", _DEVICES, least=0)

    def __post_init__(self) -> None:
        for name, field in fields().items():
            value = getattr(self, name)
            if field.kind.is_tuple and isinstance(value, (list, str)):
                # A name alone stands for itself, as where a setting took one name once.
                value = (value,) if isinstance(value, str) else tuple(value)
                object.__setattr__(self, name, value)
            check_value(name, value, field.kind, field.about)
        for name, field in fields().items():
            check_choice(name, getattr(self, name), field.kind, field.about)
        # Here, since rules ask the encoders, which need Keras, and `--help` does not.
        from keras_clce.experiments.rules import check_settings

        check_settings(self)

    @property
    def trained_epochs(self) -> int:
        """Epochs that are really trained: one where it is a quick run."""
        return 1 if self.quick else self.epochs

    @property
    def total_devices(self) -> int:
        """Devices of all processes."""
        return self.num_devices * self.num_processes

    @classmethod
    def describe(cls) -> str:
        """All settings with their defaults and help, one line each."""
        from keras_clce.experiments.choices import find_choices

        choices = find_choices()
        return "\n".join(
            f"{name} ({field.default!r}): {field.help_in_words(choices)}"
            for name, field in fields().items()
        )


@functools.cache
def fields() -> Mapping[str, Field]:
    """The fields of `Settings` by their names.

    Example:
    ```python
    fields()["epochs"].default  # 30
    ```
    """
    found = fields_of(Settings)
    return dict(sorted(found.items(), key=lambda item: _GROUPS.index(item[1].about.group)))
