"""Training steps on several devices at once: what `tf.distribute` needs of them."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf


def strategy_of(model: keras.Model, batch_size: int) -> tf.distribute.Strategy:
    """The strategy in whose scope a model was made, if it can be trained with it here.

    Each replica takes an equal part of every minibatch, and gradients are summed, so that losses
    are those of one device, to rounding.

    Args:
        model: A `keras.Model`.
        batch_size: Examples in a minibatch.

    Returns:
        A `tf.distribute.Strategy`; TensorFlow's default one for a model of one device.

    Raises:
        ValueError: If a minibatch cannot be shared equally, if something in the model depends on
            how it is shared (dropout, statistics of a batch), or if the strategy spans processes.

    Example:

    >>> import nta_tf as nta
    >>> model = nta.models.autoencoder(seed=0)
    >>> nta.replicas.strategy_of(model, batch_size=64).num_replicas_in_sync
    1
    """
    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync
    if getattr(strategy.extended, "_in_multi_worker_mode", lambda: False)():
        raise ValueError(
            "nta.train writes one run from one process; with a strategy of several processes each "
            "would write it. Use tf.distribute.MirroredStrategy, or a run a process (`python -m "
            f"reproduce train --scheduler`). Received: {type(strategy).__name__}"
        )
    if replicas == 1:
        return strategy
    if batch_size % replicas:
        raise ValueError(
            f"{replicas} replicas must share a minibatch equally. Received: batch_size={batch_size}"
        )
    if others := [variable.path for variable in model.non_trainable_variables]:
        raise ValueError(
            "What each replica draws or counts by itself (dropout, BatchNormalization) would make "
            f"other losses than one device; train on one. Received: a model with {others}"
        )
    return strategy


def shared(step: Callable, strategy: tf.distribute.Strategy) -> Callable:
    """A training step of a minibatch, shared by the replicas.

    Args:
        step: Function of (tensors of all examples, indices, share): trains on those examples, and
            returns a dictionary of means over them; `share` is what they are of the minibatch, by
            which the loss is to be multiplied before gradients are taken.
        strategy: A `tf.distribute.Strategy`.

    Returns:
        A function of (tensors of all examples, indices of the minibatch) that returns the means
        over the minibatch.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return lambda tensors, examples: step(tensors, examples, 1.0)

    def of_replica(tensors, examples):
        place = tf.distribute.get_replica_context().replica_id_in_sync_group
        mine = tf.reshape(examples, (replicas, -1))[place]
        return step(tensors, mine, 1 / replicas)

    def of_minibatch(tensors, examples):
        values = strategy.run(of_replica, (tensors, examples))
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in values.items()
        }

    return of_minibatch
