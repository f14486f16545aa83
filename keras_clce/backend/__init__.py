"""The only package that asks which backend runs; each function says why Keras cannot serve."""

from keras_clce.backend.capabilities import (
    backend_name,
    compiles_by_torch,
    remat_nests,
    remat_takes_turns,
    xla_takes_loops,
)
from keras_clce.backend.devices import (
    alone,
    claim_devices,
    gather_rows,
    num_replicas,
    num_shares,
    process_id,
    share_rows,
    wait_for_processes,
    whole_rows,
)
from keras_clce.backend.encoder_ops import (
    batch_norm,
    conv,
    depthwise_conv,
    dot_product_attention,
    gelu,
    layer_norm,
    pool,
)
from keras_clce.backend.memory import map_blocks, remat
from keras_clce.backend.streams import first_batches, look_at_first, with_tuples
from keras_clce.backend.train_step import train_step_on

__all__ = [
    "alone",
    "backend_name",
    "batch_norm",
    "claim_devices",
    "compiles_by_torch",
    "conv",
    "depthwise_conv",
    "dot_product_attention",
    "first_batches",
    "gather_rows",
    "gelu",
    "layer_norm",
    "look_at_first",
    "map_blocks",
    "num_replicas",
    "num_shares",
    "pool",
    "process_id",
    "remat",
    "remat_nests",
    "remat_takes_turns",
    "share_rows",
    "train_step_on",
    "wait_for_processes",
    "whole_rows",
    "with_tuples",
    "xla_takes_loops",
]
