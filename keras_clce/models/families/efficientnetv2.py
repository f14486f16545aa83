"""EfficientNetV2 of keras-cv, B0 to B3, S, M and L."""

from pathlib import Path
from typing import NamedTuple

import keras

from keras_clce.models.families.keras_cv import build_keras_cv, preset_weights
from keras_clce.models.pixels import UNIT
from keras_clce.models.spec import Row, make_row


class Stages(NamedTuple):
    """Stem channels, then channels and repeats of each stage of an EfficientNetV2, unscaled."""

    stem: int
    filters: list[int]
    repeats: list[int]


def build(
    row: Row,
    image_size: int,
    weights: str | Path | None,
    *,
    stages: Stages,
    width: float,
    depth: float,
) -> keras.Model:
    """Build an EfficientNetV2; `weights` is `"imagenet"`, or a preset of keras-cv."""
    count = len(stages.repeats)
    arguments = {
        "stackwise_kernel_sizes": [3] * count,
        "stackwise_num_repeats": stages.repeats,
        "stackwise_input_filters": [stages.stem, *stages.filters[:-1]],
        "stackwise_output_filters": stages.filters,
        "stackwise_expansion_ratios": [1, 4, 4, 4, 6, 6, 6][:count],
        "stackwise_squeeze_and_excite_ratios": [0.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25][:count],
        "stackwise_strides": [1, 2, 2, 2, 1, 2, 1][:count],
        "stackwise_conv_types": ["fused"] * 3 + ["unfused"] * (count - 3),
        "width_coefficient": width,
        "depth_coefficient": depth,
    }
    return build_keras_cv(
        row, image_size, weights, "EfficientNetV2Backbone", arguments, skip_connection_dropout=0.0
    )


_B = Stages(32, [16, 32, 48, 96, 112, 192], [1, 2, 2, 3, 5, 8])
_S = Stages(24, [24, 48, 64, 128, 160, 256], [2, 4, 4, 6, 9, 15])
_M = Stages(24, [24, 48, 80, 160, 176, 304, 512], [3, 5, 5, 7, 14, 18, 5])
_L = Stages(32, [32, 64, 96, 192, 224, 384, 640], [4, 7, 7, 10, 19, 25, 7])
_SIZES = {  # name: (stages, width, depth, millions of parameters, usual pixels, public weights?)
    "b0": (_B, 1.0, 1.0, 5.9, 224, True),
    "b1": (_B, 1.0, 1.1, 6.9, 240, True),
    "b2": (_B, 1.1, 1.2, 8.7, 260, True),
    "b3": (_B, 1.2, 1.4, 12.8, 300, False),
    "s": (_S, 1.0, 1.0, 20.2, 384, True),
    "m": (_M, 1.0, 1.0, 52.9, 480, False),
    "l": (_L, 1.0, 1.0, 117.2, 480, False),
}

ROWS = tuple(
    make_row(
        f"efficientnetv2_{size}",
        "EfficientNetV2 (keras-cv)",
        build,
        pixels,
        parameters,
        sizes={"stages": stages, "width": width, "depth": depth},
        pixels=UNIT,  # keras-cv's own weights expect pixels from 0 to 1
        weights=preset_weights(f"efficientnetv2_{size}_imagenet" if public else None),
    )
    for size, (stages, width, depth, parameters, pixels, public) in _SIZES.items()
)
