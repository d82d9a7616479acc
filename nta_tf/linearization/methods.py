"""Ways to the Jacobian tensors J_l^L of several layers; all equal to rounding error.

| method       | what it does                                    | passes an example            |
|--------------|-------------------------------------------------|------------------------------|
| `per_output` | appendix A5: one backward pass per output       | p_L backward                 |
| `pfor`       | `GradientTape.batch_jacobian`, layer by layer   | p_L backward a layer         |
| `auto`       | masks and kernels for chains of Dense layers    | products of small matrices   |
|              | one sweep for all layers of any other model     | p_L backward, or p_l forward |

`per_output` is the plainest and slowest and serves as the reference. `auto` takes the
product of masks and kernels of `chain` where the model is a chain; otherwise `sweep`.

All functions take an optional `weights`, at which the network is evaluated instead of its
live variables (see `Tapped.__call__`), and can be used inside a `tf.function`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from nta_tf.linearization.evaluated import Weights
from nta_tf.linearization.taps import Tapped

METHODS = ("auto", "per_output", "pfor")

# Up to here backward passes are written out one after the other: on CPUs a loop costs up
# to 3 times more, because oneDNN joins the gradient of a max-pooling with its forward pass
# only within one graph. Beyond, tracing takes too long.
_UNROLLED = 16
_MANY_TAPS = 24  # in deeper networks tracing takes too long in any case

# Elements of the largest tensor when several backward passes are run at once (256 MiB).
_ELEMENTS_AT_ONCE = 2**26

_ZERO = tf.UnconnectedGradients.ZERO


def check_method(method: str) -> None:
    """Raises unless the method is one of `METHODS`."""
    if method not in METHODS:
        raise ValueError(f"The method must be one of {METHODS}. Received: method={method!r}")


def per_output(
    tapped: Tapped,
    inputs: tf.Tensor | Sequence[tf.Tensor],
    names: Sequence[str],
    weights: Weights | None = None,
) -> dict[str, tf.Tensor]:
    """J_l^L with one backward pass for each output component (appendix A5).

    Args:
        tapped: A `Tapped` model.
        inputs: A batch of inputs, or a list of them.
        names: Names of layers.
        weights: Weights in the place of the live ones, or None.

    Returns:
        Dictionary from names to tensors (B, p_L, *preactivation.shape[1:]).
    """
    backward = _Backward(tapped, inputs, names, weights)
    return _looped(backward, names)


def pfor(
    tapped: Tapped,
    inputs: tf.Tensor | Sequence[tf.Tensor],
    names: Sequence[str],
    weights: Weights | None = None,
) -> dict[str, tf.Tensor]:
    """J_l^L by TensorFlow's own `GradientTape.batch_jacobian`, layer by layer.

    Args and returns are those of `per_output`.
    """
    backward = _Backward(tapped, inputs, names, weights)
    return {
        name: backward.tape.batch_jacobian(
            backward.outputs, backward.preactivations[name], unconnected_gradients=_ZERO
        )
        for name in names
    }


def sweep(
    tapped: Tapped,
    inputs: tf.Tensor | Sequence[tf.Tensor],
    names: Sequence[str],
    weights: Weights | None = None,
) -> dict[str, tf.Tensor]:
    """J_l^L of all layers together: they share every backward pass.

    Layers whose preactivation is narrower than the output are differentiated forward, one
    pass for each unit. Of the others, with few output components the passes are written
    out one after the other; with many, as many as fit in memory are run at once.

    Args and returns are those of `per_output`.
    """
    backward = _Backward(tapped, inputs, names, weights)
    forward = [name for name in names if backward.width(name) < backward.components / 2]
    jacobians = {name: _by_columns(backward, name) for name in forward}
    rest = [name for name in names if name not in forward]
    if rest and backward.components <= _UNROLLED and len(tapped.taps) > _MANY_TAPS:
        jacobians |= _looped(backward, rest)
    elif rest and backward.components <= _UNROLLED:
        rows = [backward.one(k, rest) for k in range(backward.components)]
        jacobians |= {name: tf.stack([row[name] for row in rows], axis=1) for name in rest}
    elif rest:
        jacobians |= _vectorized(backward, rest)
    return {name: jacobians[name] for name in names}


def mean_gradient_tensors(
    tapped: Tapped,
    inputs: tf.Tensor | Sequence[tf.Tensor],
    names: Sequence[str],
    weights: Weights | None = None,
) -> dict[str, tf.Tensor]:
    """Means of G_l over the minibatch, without J or G of any example.

    For each output component one backward pass, whose result is summed over the minibatch
    into a tensor of the kernel's size: what the gradient of that component's mean gives.

    Args:
        tapped: A `Tapped` model.
        inputs: A batch of inputs, or a list of them.
        names: Names of layers.
        weights: Weights in the place of the live ones, or None.

    Returns:
        Dictionary from names to tensors (p_L, *kernel.shape).
    """
    backward = _Backward(tapped, inputs, names, weights)
    examples = tf.shape(backward.outputs)[0]

    def one(component):
        gradients = {}
        for name, row in backward.one(component).items():
            tap, layer_input = tapped.taps[name], backward.layer_inputs[name]
            total = tap.rule.kernel_gradient(tap.layer, layer_input, row)
            gradients[name] = total / tf.cast(examples, total.dtype)
        return gradients

    if backward.components <= _UNROLLED and len(tapped.taps) <= _MANY_TAPS:
        rows = [one(k) for k in range(backward.components)]
        return {name: tf.stack([row[name] for row in rows]) for name in names}
    return tf.map_fn(
        one,
        tf.range(backward.components),
        fn_output_signature=backward.signature(),
        parallel_iterations=1,
    )


class _Backward:
    """A forward pass on a tape, and backward passes to the preactivations of some layers."""

    def __init__(self, tapped, inputs, names, weights):
        self.names = list(names)
        # Only preactivations are watched, so that no pass goes on below the lowest of them.
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            self.outputs, self.layer_inputs, self.preactivations = tapped(
                inputs, weights, watch=tape.watch
            )
        self.tape = tape
        self.components = self.outputs.shape[-1]

    def width(self, name):
        """Number of units of the preactivation, over all positions."""
        return math.prod(self.preactivations[name].shape[1:])

    def signature(self):
        return {name: self.preactivations[name].dtype for name in self.names}

    def back(self, errors, names=None):
        """J_l^T errors of the layers, by name; errors (B, p_L)."""
        sources = {name: self.preactivations[name] for name in names or self.names}
        return self.tape.gradient(
            self.outputs, sources, output_gradients=errors, unconnected_gradients=_ZERO
        )

    def one(self, component, names=None):
        """Row `component` of J_l of the layers, by name, each (B, ...)."""
        seed = tf.one_hot(component, self.components, dtype=self.outputs.dtype)
        return self.back(tf.broadcast_to(seed, tf.shape(self.outputs)), names)


def _looped(backward, names):
    """Rows of J_l one at a time: the memory of a single pass, as in the authors' program."""
    rows = tf.map_fn(
        lambda component: backward.one(component, names),
        tf.range(backward.components),
        fn_output_signature={name: backward.signature()[name] for name in names},
        parallel_iterations=1,
    )
    return {name: tf.einsum("kb...->bk...", row) for name, row in rows.items()}


def _vectorized(backward, names):
    """Rows of J_l, as many at once as fit in memory."""
    examples = backward.outputs.shape[0] or 128
    widest = max(backward.width(name) for name in names)
    at_once = max(1, min(_ELEMENTS_AT_ONCE // (examples * widest), backward.components))
    blocks = math.ceil(backward.components / at_once)
    # The last block may repeat the last component; the surplus is cut off.
    components = tf.minimum(tf.range(blocks * at_once), backward.components - 1)

    def block(some):
        return tf.vectorized_map(lambda component: backward.one(component, names), some)

    if blocks == 1:
        rows = block(components)
    else:
        rows = tf.map_fn(
            block,
            tf.reshape(components, (blocks, at_once)),
            fn_output_signature={name: backward.signature()[name] for name in names},
            parallel_iterations=1,
        )
        rows = {
            n: tf.reshape(row, tf.concat([[-1], tf.shape(row)[2:]], 0)) for n, row in rows.items()
        }
    return {n: tf.einsum("kb...->bk...", row[: backward.components]) for n, row in rows.items()}


def _by_columns(backward, name):
    """J_l column by column, all at once: backpropagation is linear in the errors, and its
    own gradient with respect to them is forward differentiation.
    """
    preactivation = backward.preactivations[name]
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        errors = tf.zeros_like(backward.outputs)
        tape.watch(errors)
        backpropagated = backward.back(errors, [name])[name]

    def column(unit):
        direction = tf.one_hot(unit, backward.width(name), dtype=preactivation.dtype)
        direction = tf.reshape(direction, (1, *preactivation.shape[1:]))
        return tape.gradient(
            backpropagated,
            errors,
            output_gradients=tf.broadcast_to(direction, tf.shape(preactivation)),
            unconnected_gradients=_ZERO,
        )

    columns = tf.vectorized_map(column, tf.range(backward.width(name)))
    rows = tf.einsum("tbk->bkt", columns)
    return tf.reshape(rows, (-1, backward.components, *preactivation.shape[1:]))
