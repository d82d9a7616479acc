"""Three ways to the Jacobian J_l^L; all equal to rounding error.

| method       | what it does                                   | passes an example          |
|--------------|------------------------------------------------|----------------------------|
| `per_output` | appendix A5: one backward pass per output      | p_L backward               |
| `pfor`       | `GradientTape.batch_jacobian` (vectorised)     | p_L backward, at once      |
| `auto`       | masks and kernels for chains of Dense layers   | products of small matrices |

`per_output` is the plainest and slowest and serves as the reference. `auto` falls back on
`pfor` for models that are not chains (a branch, a softmax between layers).
"""

import tensorflow as tf

METHODS = ("auto", "per_output", "pfor")


def check_method(method):
    """Raises unless the method is one of `METHODS`."""
    if method not in METHODS:
        raise ValueError(f"The method must be one of {METHODS}. Received: method={method!r}")


def per_output(tapped, inputs, name):
    """J_l^L with one backward pass for each output component (appendix A5).

    Args:
        tapped: A `TappedModel`.
        inputs: A batch of inputs.
        name: Name of the layer l.

    Returns:
        Tensor of shape (B, p_L, *preactivation.shape[1:]).
    """
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs, _, preactivations = tapped(inputs)
    components = outputs.shape[-1]

    def one_output(component):
        seed = tf.one_hot(component, components, dtype=outputs.dtype)
        seed = tf.broadcast_to(seed, tf.shape(outputs))
        return tape.gradient(
            outputs,
            preactivations[name],
            output_gradients=seed,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    # One at a time: the memory of a single backward pass, as in the authors' program.
    rows = tf.map_fn(
        one_output,
        tf.range(components),
        fn_output_signature=outputs.dtype,
        parallel_iterations=1,
    )
    return tf.einsum("kb...->bk...", rows)


def pfor(tapped, inputs, name):
    """J_l^L by TensorFlow's own `GradientTape.batch_jacobian`.

    Args and returns are those of `per_output`.
    """
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs, _, preactivations = tapped(inputs)
    return tape.batch_jacobian(
        outputs,
        preactivations[name],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
