"""What the Jacobian tensor needs to know of each kind of layer.

A rule says how a layer's kernel acts on its input (`linear_map`) and how J_l and x_{l-1}
make G_l = J_l (x) x_{l-1} (Definition 1). A new kind of layer is supported by adding its
rule to `RULES`.

A sub-class of a supported layer is not supported by itself: it may do anything in `call`.
Where it only adds to its parent, say so: `rules.RULES[MyDense] = rules.DenseRule()`.
"""

import abc
import math

import keras
import numpy as np
import tensorflow as tf

from nta_tf import grams

# Up to so many units the outer product of J and x is cheaper as a matrix product on CPUs:
# broadcasting takes 2 to 3 times as long as the multiplications by zero.
_NARROW = 64
_BLOCK_BYTES = 2**29  # what a block of G's columns may occupy, and what makes it


class Rule(abc.ABC):
    """How one kind of layer acts, for all its layers; the last axis of a kernel is neurons."""

    @abc.abstractmethod
    def linear_map(self, layer, inputs, kernel, neurons=None):
        """<x_{l-1}, kernel>, the preactivation without its bias.

        Args:
            layer: The layer.
            inputs: x_{l-1}, (B, ...).
            kernel: V_l, of the shape of the layer's kernel.
            neurons: Indices (integers) of the neurons that `kernel` holds on its last
                axis, or None for all neurons of the layer in order.

        Returns:
            Tensor of the preactivation's shape, with the given neurons on its last axis.
        """

    @abc.abstractmethod
    def gradient_tensor(self, layer, jacobian, layer_input, neuron=None):
        """G_l of every example, or G_alpha without forming G_l.

        Args:
            layer: The layer.
            jacobian: J_l, (B, p_L, *preactivation.shape[1:]).
            layer_input: x_{l-1}, (B, ...).
            neuron: Index alpha of a neuron, or None for the whole layer.

        Returns:
            Tensor (B, p_L, *kernel.shape), for a neuron (B, p_L, *kernel.shape[:-1]).
        """

    def neurons(self, layer):
        """Number of neurons of the layer."""
        return layer.kernel.shape[-1]

    def refusal(self, layer):
        """Why this layer cannot be linearized although its kind can, or None."""
        kernel = layer.kernel
        if not isinstance(kernel, keras.Variable) or not keras.backend.is_float_dtype(kernel.dtype):
            return "its kernel is quantized or adapted (LoRA) instead of one variable of floats"
        return None

    def kernel_gradient(self, layer, layer_input, weighted, neurons=None):
        """Gradient of sum_b <linear_map(x_b, V), M_b> with respect to V.

        This is the adjoint of `linear_map`: backpropagation to the kernel, summed over the
        minibatch. The map is linear in V, so the gradient does not depend on V.

        Args:
            layer: The layer.
            layer_input: x_{l-1}, (B, ...).
            weighted: M, (B, *preactivation.shape[1:]); with `neurons`, those alone on its
                last axis.
            neurons: Indices of neurons, or None for all.

        Returns:
            Tensor of the shape of the kernel; with `neurons`, those alone on its last axis.
        """
        count = self.neurons(layer) if neurons is None else len(neurons)
        anywhere = tf.zeros((*layer.kernel.shape[:-1], count), layer_input.dtype)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(anywhere)
            mapped = self.linear_map(layer, layer_input, anywhere, neurons)
        return tape.gradient(mapped, anywhere, output_gradients=weighted)

    def mean_gradient_tensor(self, layer, jacobian, layer_input):
        """Mean of G_l over the minibatch, shape (p_L, *kernel.shape), without any G_l."""
        by_component = tf.einsum("bk...->kb...", jacobian)
        total = tf.map_fn(lambda m: self.kernel_gradient(layer, layer_input, m), by_component)
        return total / tf.cast(tf.shape(jacobian)[0], total.dtype)

    def columns(self, layer, jacobian, layer_input, neurons):
        """G of several neurons at once: those columns of G as a matrix.

        Args:
            layer: The layer.
            jacobian: J_l, (B, p_L, *preactivation.shape[1:]).
            layer_input: x_{l-1}, (B, ...).
            neurons: Indices of the neurons.

        Returns:
            Tensor (B, p_L, weights of these neurons): neuron after neuron, but for grouped
            convolutions, whose neurons come group by group.
        """
        tensors = [self.gradient_tensor(layer, jacobian, layer_input, one) for one in neurons]
        lead = tf.shape(jacobian)[:2]
        return tf.concat([tf.reshape(one, (*lead, -1)) for one in tensors], axis=-1)

    def gram(self, layer, jacobian, layer_input):
        """K = G G^T over rows (example, component): all that a problem of few rows needs of G.

        G is never held: its columns are made for some neurons at a time.

        Args:
            layer: The layer.
            jacobian: J_l, (B, p_L, *preactivation.shape[1:]).
            layer_input: x_{l-1}, (B, ...).

        Returns:
            NumPy array (B p_L, B p_L), float64; products are in the dtype of J_l.
        """
        examples, components, *positions = jacobian.shape[:-1]
        weights = math.prod(layer.kernel.shape[:-1])
        size = jacobian.dtype.size * weights
        at_once = max(1, _BLOCK_BYTES // (size * examples * components))
        # What the neurons see at all positions is made for some examples at a time.
        chunk = max(1, _BLOCK_BYTES // (size * math.prod(positions)))

        def block(neurons):
            parts = [
                self.columns(layer, jacobian[low : low + chunk], layer_input[low:][:chunk], neurons)
                for low in range(0, examples, chunk)
            ]
            return tf.reshape(tf.concat(parts, axis=0), (examples * components, -1))

        count = self.neurons(layer)
        starts = range(0, count, at_once)
        return grams.gram(block(range(low, min(low + at_once, count))) for low in starts)


class DenseRule(Rule):
    """Dense layers: the kernel has shape (p_{l-1}, p_l) and neurons are its columns.

    Inputs may have axes between the batch and the units (a Dense layer applied to each
    step of a sequence); G_l then sums over them.
    """

    def linear_map(self, layer, inputs, kernel, neurons=None):
        return keras.ops.matmul(inputs, kernel)

    def gradient_tensor(self, layer, jacobian, layer_input, neuron=None):
        if layer_input.shape.rank == 2:  # an outer product: nothing to sum over
            if neuron is not None:
                return jacobian[:, :, neuron, tf.newaxis] * layer_input[:, tf.newaxis]
            return _outer(jacobian, layer_input)
        jacobian, layer_input = _as_positions(jacobian, layer_input)
        if neuron is not None:
            return tf.matmul(jacobian[..., neuron], layer_input)
        return tf.einsum("bkta,btj->bkja", jacobian, layer_input)

    def gram(self, layer, jacobian, layer_input):
        if layer_input.shape.rank > 2:
            return super().gram(layer, jacobian, layer_input)
        # <J (x) x, J' (x) x'> = <J, J'> <x, x'>
        of_jacobian = grams.gram([tf.reshape(jacobian, (-1, jacobian.shape[-1]))])
        of_input = grams.gram([layer_input])
        tiles = of_jacobian.reshape(len(of_input), -1, len(of_input), jacobian.shape[1])
        tiles *= of_input[:, np.newaxis, :, np.newaxis]
        return of_jacobian

    def mean_gradient_tensor(self, layer, jacobian, layer_input):
        jacobian, layer_input = _as_positions(jacobian, layer_input)
        total = tf.einsum("bkta,btj->kja", jacobian, layer_input)
        return total / tf.cast(tf.shape(jacobian)[0], total.dtype)


class Conv2DRule(Rule):
    """Conv2D layers, channels last: the kernel has shape (kh, kw, c_in / groups, c_out).

    Neurons are filters. Any strides, dilation and padding; in a grouped convolution a
    filter sees the channels of its group alone.
    """

    def refusal(self, layer):
        if layer.data_format != "channels_last":
            return "its data_format is channels_first; use channels_last"
        return super().refusal(layer)

    def linear_map(self, layer, inputs, kernel, neurons=None):
        # One convolution a group: TensorFlow cannot differentiate grouped ones on CPUs.
        groups = self._groups(layer, neurons)
        mapped = [
            keras.ops.conv(
                self._channels(layer, inputs, group),
                kernel if places is None else tf.gather(kernel, places, axis=-1),
                strides=layer.strides,
                padding=layer.padding,
                data_format="channels_last",
                dilation_rate=layer.dilation_rate,
            )
            for group, places in groups
        ]
        if len(mapped) == 1:
            return mapped[0]
        order = np.argsort(np.concatenate([places for _, places in groups]))
        mapped = tf.concat(mapped, axis=-1)
        if (order == np.arange(len(order))).all():
            return mapped
        return tf.gather(mapped, order, axis=-1)

    def gradient_tensor(self, layer, jacobian, layer_input, neuron=None):
        batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
        if neuron is not None:
            tensor = self.columns(layer, jacobian, layer_input, [neuron])
            return tf.reshape(tensor, (batch, components, *layer.kernel.shape[:-1]))
        flat = tf.reshape(jacobian, (batch, components, -1, layer.filters))
        tensors = []
        for group, rows in enumerate(tf.split(flat, layer.groups, axis=-1)):
            patches = self._patches(layer, self._channels(layer, layer_input, group))
            tensors.append(tf.matmul(patches[:, tf.newaxis], rows, transpose_a=True))
        tensor = tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis=-1)
        return tf.reshape(tensor, (batch, components, *layer.kernel.shape))

    def columns(self, layer, jacobian, layer_input, neurons):
        batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
        neurons, columns = np.asarray(neurons), []
        for group, places in self._groups(layer, neurons):
            own = neurons if places is None else neurons[places]
            patches = self._patches(layer, self._channels(layer, layer_input, group))
            rows = tf.einsum("bkhwa->bkahw", tf.gather(jacobian, own, axis=-1))
            rows = tf.reshape(rows, (batch, -1, tf.shape(patches)[1]))
            columns.append(tf.reshape(tf.matmul(rows, patches), (batch, components, -1)))
        return columns[0] if len(columns) == 1 else tf.concat(columns, axis=-1)

    def _groups(self, layer, neurons):
        """For each group its number and where its neurons lie in `neurons`; None is all."""
        if layer.groups == 1:
            return [(0, None)]
        neurons = np.arange(layer.filters) if neurons is None else np.asarray(neurons)
        group_of = neurons // (layer.filters // layer.groups)
        return [(group, np.flatnonzero(group_of == group)) for group in np.unique(group_of)]

    def _channels(self, layer, inputs, group):
        """The channels that the filters of a group see."""
        if layer.groups == 1:
            return inputs
        width = inputs.shape[-1] // layer.groups
        return inputs[..., group * width : (group + 1) * width]

    def _patches(self, layer, inputs):
        """What the filters see at each position: (B, positions, kh * kw * channels)."""
        patches = tf.image.extract_patches(
            inputs,
            sizes=(1, *layer.kernel_size, 1),
            strides=(1, *layer.strides, 1),
            rates=(1, *layer.dilation_rate, 1),
            padding=layer.padding.upper(),
        )
        return tf.reshape(patches, (tf.shape(patches)[0], -1, patches.shape[-1]))


def _outer(jacobian, layer_input):
    """J[b, k, a] x[b, j] as a tensor (B, p_L, p_{l-1}, p_l)."""
    units, width = jacobian.shape[-1], layer_input.shape[-1]
    rows = layer_input[:, tf.newaxis, :, tf.newaxis]
    if units > _NARROW:
        return jacobian[:, :, tf.newaxis, :] * rows
    # The same numbers as one product with x spread over a matrix that is mostly zeros.
    spread = rows * tf.eye(units, dtype=rows.dtype)[:, tf.newaxis, :]
    product = tf.matmul(jacobian, tf.reshape(spread, (-1, units, width * units)))
    return tf.reshape(product, (-1, jacobian.shape[1], width, units))


def _as_positions(jacobian, layer_input):
    """Gathers the axes between batch and units into one, of length 1 if there are none."""
    batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
    units, width = jacobian.shape[-1], layer_input.shape[-1]
    return (
        tf.reshape(jacobian, (batch, components, -1, units)),
        tf.reshape(layer_input, (batch, -1, width)),
    )


RULES = {keras.layers.Dense: DenseRule(), keras.layers.Conv2D: Conv2DRule()}

# Layers with weights of two or more axes that scale single units and are no kernels.
_SCALES = (
    keras.layers.PReLU,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.Normalization,
)


def supported():
    """Names of the kinds of layer that have a rule.

    Returns:
        A list of class names.

    Example:

    >>> import nta_tf as nta
    >>> nta.linearization.rules.supported()
    ['Dense', 'Conv2D']
    """
    return [kind.__name__ for kind in RULES]


def has_rule(layer):
    """Whether the layer is of a kind that can be linearized."""
    return type(layer) in RULES


def rule_of(layer):
    """The rule of the layer's kind."""
    return RULES[type(layer)]


def has_kernel(layer):
    """Whether a layer has a kernel: a weight of two or more axes that is no mere scale."""
    if isinstance(layer, _SCALES):
        return False
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", []))


def check_layer(name, layer):
    """Raises if a layer that has a rule cannot be linearized all the same.

    Args:
        name: What the layer is called.
        layer: The layer.

    Raises:
        NotImplementedError: If so, with the reason.
    """
    reason = rule_of(layer).refusal(layer)
    if reason is not None:
        raise NotImplementedError(
            f"Layer {name!r} ({type(layer).__name__}) cannot be linearized: {reason}."
        )


def check_none_hidden(calls):
    """Raises if a kernel of the graph would be passed over in silence.

    Args:
        calls: The `LayerCall`s of a graph.

    Raises:
        NotImplementedError: If a layer has a kernel but no rule.
    """
    for call in calls:
        if has_kernel(call.layer) and not has_rule(call.layer):
            raise NotImplementedError(
                f"Layer {call.path!r} ({type(call.layer).__name__}) has a kernel that "
                f"cannot be linearized; supported are {supported()} themselves, not their "
                "sub-classes (see nta.linearization.rules). Name the layers that you want "
                "with layers=[...]; the others are then differentiated through."
            )
