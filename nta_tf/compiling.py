"""Compiling functions, so that TensorFlow counts the tracings of each object by itself."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

try:  # TensorFlow has no public name for it; without it all calls are ordinary ones
    from tensorflow.python.eager.record import could_possibly_record as _may_be_recorded
except ImportError:

    def _may_be_recorded() -> bool:
        return True


def compiled(method: Callable, **options: Any) -> Callable:
    """`tf.function` of a method, or of a function that another one has made.

    TensorFlow warns of retracing when it has traced one code object too often, and so adds up
    what belongs to different objects of a class, or to different calls of a factory, each traced
    for its own shapes once. A partial has no code object of its own: its tracings count by
    themselves, and the warning that is left means what it says.

    Args:
        method: A bound method or a local function.
        **options: Of `tf.function`.

    Returns:
        It, compiled.
    """
    return tf.function(functools.partial(method), **options)


def by_shapes(method: Callable) -> Callable:
    """`compiled` of a function of a minibatch and of weights, which takes little time to call.

    A `tf.function` looks at every argument of every call. The shapes of a model's weights never
    change; so what was traced is found again by the shapes of the minibatch alone, and called
    by `at_once`.

    Args:
        method: Function of `inputs`, a list of tensors, and `weights`, a list of tensors of always
            the same shapes. It has no Python control flow that depends on tensors.

    Returns:
        It, compiled.
    """
    function: Any = compiled(method, autograph=False)
    traced: dict[tuple, Callable] = {}

    def call(inputs: list[tf.Tensor], weights: list[tf.Tensor]) -> Any:
        key = tuple((tensor.shape, tensor.dtype, tensor.device) for tensor in inputs)
        if key not in traced:
            traced[key] = at_once(function.get_concrete_function(inputs, weights))
        return traced[key](inputs, weights)

    return call


def at_once(concrete: Any) -> Callable:
    """A concrete function whose call is an operation, without a look at its arguments.

    For a tenth of a millisecond TensorFlow compares arguments with the signature of a function and
    prepares to differentiate it. The operation behind it does neither, and computes the same;
    it has no gradient, and is not used where a tape may want one, in graphs, or beside a GPU.

    Args:
        concrete: A `tf.types.experimental.ConcreteFunction` of lists of tensors.

    Returns:
        A function of the same arguments.
    """
    structure = concrete.structured_outputs
    leaves = keras.tree.flatten(structure)
    there = [place for place, leaf in enumerate(leaves) if leaf is not None]
    dtypes = [leaves[place].dtype for place in there]
    plain = not tf.config.list_logical_devices("GPU") and len(dtypes) == len(concrete.outputs)

    def call(*arguments: list[tf.Tensor]) -> Any:
        if not plain or not tf.executing_eagerly() or _may_be_recorded():
            return concrete(*arguments)
        tensors = [tensor for of_one in arguments for tensor in of_one]
        found = tf.raw_ops.StatefulPartitionedCall(
            args=tensors + concrete.captured_inputs, Tout=dtypes, f=concrete
        )
        outputs: list[tf.Tensor | None] = [None] * len(leaves)
        for place, output in zip(there, found):
            outputs[place] = output
        return keras.tree.pack_sequence_as(structure, outputs)  # that of TensorFlow takes 0.1 ms

    return call
