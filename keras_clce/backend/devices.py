"""Several devices and processes."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from typing import Any

import keras

# Axes of the mesh of JAX's devices. Along the first there is one place, so that a distribution
# whose batches are divided along it gives them whole to every device.
_WHOLE, _ROWS = "whole", "rows"
_barriers = itertools.count()


def gather_rows(tensors: Any) -> Any:
    """Join the rows of all replicas of a `tf.distribute` strategy, in the order of the replicas.

    Keras's other ways to many devices work on tensors of the whole batch to begin with.

    Args:
        tensors: Tensors with rows along the first axis, in any structure; `None` stays.

    Returns:
        The same structure: on every replica the rows of all, whose gradients come back to the
        replica that a row belongs to, summed over the replicas. Elsewhere the tensors as they are.

    Example:
    ```python
    gather_rows({"embedding": np.eye(2), "weight": None})["embedding"]  # [[1.0, 0.0], [0.0, 1.0]]
    ```
    """
    context = _replica_context()
    if context is None:
        return tensors

    def gather(rows):
        if rows is None:
            return None
        rows = keras.ops.convert_to_tensor(rows)
        # One by one: the gradient of a gather wants one of all that is gathered together.
        gathered = context.all_gather(rows, axis=0)
        gathered.set_shape((None, *rows.shape[1:]))
        return gathered

    return keras.tree.map_structure(gather, tensors)


def num_replicas() -> int:
    """Number of replicas of a `tf.distribute` strategy whose gradients are summed, else 1."""
    context = _replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def num_batch_shards(rows: int) -> int:
    """Number of equal runs of rows, one a device, in which a distribution holds a batch.

    Keras lays batches out and says how, but not whether the backend divides them so.

    Args:
        rows: Rows of the batch.

    Returns:
        The number of devices along which JAX divides batches, where it divides `rows`, else 1.

    Example:
    ```python
    num_batch_shards(64)  # 1
    ```
    """
    distribution = keras.distribution.distribution()
    if distribution is None or keras.backend.backend() != "jax":
        return 1
    mesh = distribution.device_mesh
    shares = mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]
    return shares if rows % shares == 0 else 1


def _replica_context():
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


def claim_devices(
    num_devices: int, coordinator_address: str | None, num_processes: int, process_id: int
) -> tuple[Any, keras.distribution.ModelParallel | None]:
    """Prepare training on several devices, before the backend has computed anything.

    Keras has no common way: JAX needs a mesh of the devices of all processes, TensorFlow a strategy
    and torch has none. Where there is no accelerator, the processor takes the part of the devices.

    Args:
        num_devices: Number of devices of each process.
        coordinator_address: `"host:port"` of process 0, `None` for one process.
        num_processes: Number of processes.
        process_id: Number of this process, from 0.

    Returns:
        First, what has the `scope()` to build, train and test a model in: on JAX a distribution
        that gives a batch whole to every device, on TensorFlow a strategy that divides every
        batch. Second, on JAX, the distribution that divides the batches of training, else `None`.

    Raises:
        ValueError: If the backend cannot do it, or has fewer devices.

    Example:
    ```python
    whole, divided = claim_devices(2, coordinator_address=None, num_processes=1, process_id=0)
    with whole.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    ```
    """
    name = keras.backend.backend()
    if name == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", num_devices)
        if num_processes > 1:
            keras.distribution.initialize(coordinator_address, num_processes, process_id)
        found = [
            [device for device in jax.devices() if device.process_index == process][:num_devices]
            for process in range(num_processes)
        ]
        _check_devices(num_devices, min(map(len, found)))
        names = [f"{device.platform}:{device.id}" for own in found for device in own]
        mesh = keras.distribution.DeviceMesh((1, len(names)), (_WHOLE, _ROWS), names)
        layouts = keras.distribution.LayoutMap(mesh)
        return tuple(
            keras.distribution.ModelParallel(
                layout_map=layouts, batch_dim_name=axis, auto_shard_dataset=False
            )
            for axis in (_WHOLE, _ROWS)
        )
    if name == "tensorflow" and num_processes == 1:
        import tensorflow as tf

        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        if kind == "CPU":
            if os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0":
                # oneDNN's convolution gives a batch of no images the wrong shape, and the last
                # batch of an evaluation may leave a device without any.
                raise ValueError(
                    "TensorFlow divides every batch rightly between processors only where "
                    "TF_ENABLE_ONEDNN_OPTS=0 stands in the environment"
                )
            parts = [tf.config.LogicalDeviceConfiguration()] * num_devices
            tf.config.set_logical_device_configuration(
                tf.config.list_physical_devices("CPU")[0], parts
            )
        names = [device.name for device in tf.config.list_logical_devices(kind)][:num_devices]
        _check_devices(num_devices, len(names))
        return tf.distribute.MirroredStrategy(names), None
    raise ValueError(
        f"{name} does not train on that many here: KERAS_BACKEND=jax takes several devices and "
        "processes, KERAS_BACKEND=tensorflow several devices of one process, torch one device. "
        f"Received: num_devices={num_devices}, num_processes={num_processes}"
    )


def _check_devices(count, found):
    if found < count:
        raise ValueError(
            f"`num_devices` must be at most the number of devices, {found}. "
            f"Received: num_devices={count}"
        )


def shard_rows(data: Any) -> Any:
    """Let every device work on its part of a batch that all of them hold, inside a compiled step.

    Keras divides batches on the way in, where all batches of a data set must divide by the number
    of devices; the last of an evaluation rarely does, and stays whole here.

    Args:
        data: Tensors with rows along the first axis, in any structure.

    Returns:
        The same, divided where a distribution of `claim_devices` gives whole batches and the
        number of rows allows it.

    Example:
    ```python
    shard_rows((images[:8], labels[:8]))[0].shape  # (8, 32, 32, 3)
    ```
    """
    return _lay_out(data, _ROWS)


def replicate_rows(outputs: Any) -> Any:
    """Undo `shard_rows`: NumPy cannot read the rows that devices of other processes hold.

    Args:
        outputs: Tensors in any structure.

    Returns:
        The same, held as a whole by every device where a distribution of `claim_devices` gives
        whole batches.

    Example:
    ```python
    replicate_rows({"embedding": embeddings[:8]})["embedding"].shape  # (8, 8)
    ```
    """
    return _lay_out(outputs, None)


def _lay_out(tensors, axis):
    distribution = keras.distribution.distribution()
    if distribution is None or distribution.batch_dim_name != _WHOLE:
        return tensors
    mesh = distribution.device_mesh

    def lay_out(tensor):
        if tensor is None or not tensor.shape or tensor.shape[0] % mesh.devices.size:
            return tensor
        axes = (axis, *[None] * (len(tensor.shape) - 1))
        return keras.distribution.distribute_tensor(
            tensor, keras.distribution.TensorLayout(axes, mesh)
        )

    return keras.tree.map_structure(lay_out, tensors)


def process_id() -> int:
    """Number of this process among those that train together; Keras has it for one backend."""
    if keras.backend.backend() != "jax":
        return 0
    import jax

    return jax.process_index()


@contextlib.contextmanager
def without_distribution() -> Iterator[None]:
    """Compute in this process, without the distribution, which makes variables by all of them.

    Keras's saving makes some, to compare an optimizer with, in the process that writes.
    """
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def wait_for_processes() -> None:
    """Wait until all processes that train together are here, however long one takes.

    `jax.experimental.multihost_utils.sync_global_devices` computes a sum over all devices, for
    which CPUs wait [half a minute](https://github.com/jax-ml/jax/issues/40831) and not longer. The
    barrier of JAX's coordinator has no such limit and no public name. Delete when
    `sync_global_devices` takes a time limit.
    """
    from jax._src.distributed import global_state

    global_state.client.wait_at_barrier(f"keras_clce-{next(_barriers)}", 24 * 3600 * 1000)
