"""What the Jacobian tensor needs to know of each kind of layer.

A rule says how a layer's kernel acts on its input (`linear_map`) and how J_l and x_{l-1}
make G_l = J_l (x) x_{l-1} (Definition 1). A new kind of layer is supported by adding its
rule to `RULES`.
"""

import keras
import tensorflow as tf


class DenseRule:
    """Dense layers: the kernel has shape (p_{l-1}, p_l) and neurons are its columns.

    Inputs may have axes between the batch and the units (a Dense layer applied to each
    step of a sequence); G_l then sums over them.
    """

    def linear_map(self, layer, inputs, kernel):
        """<x_{l-1}, kernel>, the preactivation without its bias."""
        return keras.ops.matmul(inputs, kernel)

    def gradient_tensor(self, jacobian, layer_input, neuron=None):
        """G_l of shape (B, p_L, p_{l-1}, p_l), or G_alpha of shape (B, p_L, p_{l-1})."""
        if layer_input.shape.rank == 2:  # an outer product: nothing to sum over
            if neuron is not None:
                return jacobian[:, :, neuron, tf.newaxis] * layer_input[:, tf.newaxis]
            rows = layer_input[:, tf.newaxis, :, tf.newaxis]
            return jacobian[:, :, tf.newaxis, :] * rows
        jacobian, layer_input = _as_positions(jacobian, layer_input)
        if neuron is not None:
            return tf.einsum("bkt,btj->bkj", jacobian[..., neuron], layer_input)
        return tf.einsum("bkta,btj->bkja", jacobian, layer_input)

    def mean_gradient_tensor(self, jacobian, layer_input):
        """Mean of G_l over the minibatch, shape (p_L, p_{l-1}, p_l), without any G_l."""
        jacobian, layer_input = _as_positions(jacobian, layer_input)
        total = tf.einsum("bkta,btj->kja", jacobian, layer_input)
        return total / tf.cast(tf.shape(jacobian)[0], total.dtype)


def _as_positions(jacobian, layer_input):
    """Gathers the axes between batch and units into one, of length 1 if there are none."""
    batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
    units, width = jacobian.shape[-1], layer_input.shape[-1]
    return (
        tf.reshape(jacobian, (batch, components, -1, units)),
        tf.reshape(layer_input, (batch, -1, width)),
    )


RULES = {keras.layers.Dense: DenseRule()}

# Layers that have a kernel but no rule yet; they are refused by name, never skipped.
_KERNEL_LAYERS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.EinsumDense,
)


def supported():
    """Names of the kinds of layer that have a rule.

    Returns:
        A list of class names.

    Example:

    >>> import nta_tf as nta
    >>> nta.linearization.rules.supported()
    ['Dense']
    """
    return [kind.__name__ for kind in RULES]


def has_rule(layer):
    """Whether the layer is of a kind that can be linearized."""
    return type(layer) in RULES


def rule_of(layer):
    """The rule of the layer's kind."""
    return RULES[type(layer)]


def check_none_hidden(graph):
    """Raises if a kernel of the graph would be passed over in silence.

    Args:
        graph: A functional `keras.Model`.

    Raises:
        NotImplementedError: If a layer has a kernel but no rule, or a nested model holds
            layers with kernels.
    """
    for layer in graph.layers:
        if isinstance(layer, _KERNEL_LAYERS) or isinstance(layer, keras.Model):
            raise NotImplementedError(
                f"Layer {layer.name!r} ({type(layer).__name__}) has a kernel that cannot "
                f"be linearized yet; supported are {supported()} at the top level of a "
                "model. Name the layers that you want with layers=[...]."
            )
