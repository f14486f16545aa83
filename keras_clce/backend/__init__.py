"""The only package that asks which backend runs; each function says why Keras cannot serve."""

from keras_clce.backend.capabilities import (
    backend_name,
    is_torch_compiling,
    remat_can_nest,
    remat_runs_in_order,
    xla_has_loop_gradients,
)
from keras_clce.backend.devices import (
    claim_devices,
    gather_rows,
    num_batch_shards,
    num_replicas,
    process_id,
    replicate_rows,
    shard_rows,
    wait_for_processes,
    without_distribution,
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
from keras_clce.backend.exports import backends_that_export, free_batch_options
from keras_clce.backend.memory import is_out_of_memory, map_blocks, remat
from keras_clce.backend.streams import batches_as_tuples, inspect_first_batch, read_first_batches
from keras_clce.backend.torch_programs import (
    TORCH_PROGRAM_CODE,
    describe_torch_program,
    open_torch_program,
)
from keras_clce.backend.train_step import (
    build_augmenter,
    build_before_tracing,
    let_jax_compile,
    train_on_prepared,
    without_compiling,
)

__all__ = [
    "TORCH_PROGRAM_CODE",
    "backend_name",
    "backends_that_export",
    "batch_norm",
    "batches_as_tuples",
    "build_augmenter",
    "build_before_tracing",
    "claim_devices",
    "conv",
    "depthwise_conv",
    "describe_torch_program",
    "dot_product_attention",
    "free_batch_options",
    "gather_rows",
    "gelu",
    "inspect_first_batch",
    "is_out_of_memory",
    "is_torch_compiling",
    "layer_norm",
    "let_jax_compile",
    "map_blocks",
    "num_batch_shards",
    "num_replicas",
    "open_torch_program",
    "pool",
    "process_id",
    "read_first_batches",
    "remat",
    "remat_can_nest",
    "remat_runs_in_order",
    "replicate_rows",
    "shard_rows",
    "train_on_prepared",
    "wait_for_processes",
    "without_compiling",
    "without_distribution",
    "xla_has_loop_gradients",
]
