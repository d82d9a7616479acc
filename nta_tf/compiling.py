"""Compiling functions, so that TensorFlow counts the tracings of each object by itself."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


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
    """`compiled` of a function of a minibatch and of weights, which takes half as long to call.

    A `tf.function` looks at every argument of every call. The shapes of a model's weights never
    change; so what was traced is found again by the shapes of the minibatch alone.

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
            traced[key] = function.get_concrete_function(inputs, weights)
        return traced[key](inputs, weights)

    return call
