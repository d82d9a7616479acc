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
