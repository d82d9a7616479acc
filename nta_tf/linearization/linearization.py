"""`nta.linearize`: J_l, G_l and the neural Taylor approximation of a Keras model."""

import numpy as np
import tensorflow as tf

from nta_tf import losses
from nta_tf.linearization import chain as chains
from nta_tf.linearization.linearizer import checked_inputs, linearizer_of
from nta_tf.linearization.mixing import check_examples_apart

REDUCTIONS = ("per_example", "batch_mean")


class Linearization:
    """The neural Taylor approximation of a model around its weights, on one minibatch.

    Made by `nta.linearize`. It belongs to the weights that the model had then: what it
    returns does not change when the model trains on.

    Attributes:
        layers: Names of the linearized layers, from the input to the output.
        reduction: `"per_example"` or `"batch_mean"`.
    """

    def __init__(self, linearizer, inputs, reduction):
        self._linearizer = linearizer
        self._inputs = inputs
        self.reduction = reduction
        self._taps = linearizer.taps
        self.layers = list(self._taps)
        self._evaluation = None
        self._forward = None
        if linearizer.chain is not None:
            *self._forward, parts = linearizer.evaluate(inputs)
            self._evaluation = chains.Evaluation(**parts)
        # Other models are evaluated when they are asked, at the weights as they are now.
        self._all_weights = None if self._forward else linearizer.tapped.snapshot()
        self._weights = {
            name: tuple(map(tf.identity, _weights(tap.layer))) for name, tap in self._taps.items()
        }
        self._jacobians = {}
        self._means = {}

    @property
    def outputs(self):
        """f_W(x_0), (B, p_L)."""
        return self._evaluated()[0]

    def kernel(self, layer):
        """W_l, the kernel around which the layer was linearized."""
        return self._weights[self._known(layer)][0]

    def layer_input(self, layer):
        """x_{l-1}, (B, ..., p_{l-1})."""
        return self._evaluated()[1][self._known(layer)]

    def preactivation(self, layer):
        """a_l, (B, ..., p_l)."""
        return self._evaluated()[2][self._known(layer)]

    def jacobian(self, layer):
        """J_l^L, the Jacobian of the outputs with respect to the layer's preactivation.

        The first call computes it for all linearized layers, unless the model is a chain
        of Dense layers; name the layers that you want in `nta.linearize`.

        Args:
            layer: Name of the layer.

        Returns:
            Tensor of shape (B, p_L, *preactivation.shape[1:]).
        """
        layer = self._known(layer)
        if layer not in self._jacobians:
            if self._evaluation is not None:
                jacobian = self._linearizer.chain_jacobian(self._evaluation, layer)
                self._jacobians[layer] = jacobian
            else:  # all at once: they share every backward pass
                *self._forward, self._jacobians = self._linearizer.evaluate_with_jacobians(
                    self._inputs, self._all_weights
                )
        return self._jacobians[layer]

    def gradient_tensor(self, layer, neuron=None):
        """G_l = J_l^L (x) x_{l-1}, the Jacobian tensor of Definition 1.

        Args:
            layer: Name of the layer.
            neuron: Index alpha of a neuron, or None for the whole layer.

        Returns:
            Tensor of shape (B, p_L, *kernel.shape), or (B, p_L, *kernel.shape[:-1]) for
            one neuron; without the leading B under the `batch_mean` reduction.
        """
        layer = self._known(layer)
        if neuron is not None:
            neuron = self._known_neuron(layer, neuron)
        if self.reduction == "batch_mean":
            mean = self._mean_gradient_tensor(layer)
            return mean if neuron is None else mean[..., neuron]
        tap = self._taps[layer]
        jacobian = self.jacobian(layer)  # first, for it brings the layer's input along
        return tap.rule.gradient_tensor(tap.layer, jacobian, self.layer_input(layer), neuron)

    def predict(self, kernels):
        """T(V), the neural Taylor approximation at other weights (Definition 1).

        Args:
            kernels: Dictionary from layer names to kernels V_l, or to pairs (kernel,
                bias). Layers that are not named, and biases, stay at their values W.

        Returns:
            Tensor of shape (B, p_L).
        """
        changes = {name: self._change(name, new) for name, new in kernels.items()}
        if self.reduction == "batch_mean":
            return self.outputs + self._mean_change(changes)
        moved = {
            name: self._preactivation_change(name, *change) for name, change in changes.items()
        }
        if self._evaluation is not None:
            names = self._linearizer.chain.names
            return self.outputs + chains.directional_derivative(
                self._evaluation, [moved.get(name) for name in names]
            )
        total = self.outputs
        for name, change in moved.items():
            total += _contract(self.jacobian(name), change, total.dtype)
        return total

    def _evaluated(self):
        """Outputs, layer inputs by name, preactivations by name."""
        if self._forward is None:
            *self._forward, _ = self._linearizer.evaluate(self._inputs, self._all_weights)
        return self._forward

    def _mean_gradient_tensor(self, layer):
        if layer not in self._means:
            if self._evaluation is not None:
                tap = self._taps[layer]
                self._means[layer] = tap.rule.mean_gradient_tensor(
                    tap.layer, self.jacobian(layer), self.layer_input(layer)
                )
            else:
                self._means = self._linearizer.mean_gradient_tensors(
                    self._inputs, self._all_weights
                )
        return self._means[layer]

    def _mean_change(self, changes):
        total = tf.zeros_like(self.outputs[:1])
        for name, (kernel, bias) in changes.items():
            gradient = self.gradient_tensor(name)
            kernel = tf.cast(kernel, gradient.dtype)
            total += tf.cast(tf.tensordot(gradient, kernel, kernel.shape.rank), total.dtype)
            if bias is not None:
                spread = tf.broadcast_to(bias, tf.shape(self.preactivation(name)))
                moved = _contract(self.jacobian(name), spread, total.dtype)
                total += tf.reduce_mean(moved, axis=0)
        return total

    def _preactivation_change(self, name, kernel, bias):
        tap, layer_input = self._taps[name], self.layer_input(name)
        change = tap.rule.linear_map(tap.layer, layer_input, tf.cast(kernel, layer_input.dtype))
        return change if bias is None else change + tf.cast(bias, change.dtype)

    def _change(self, name, new):
        """(V - W, change of the bias or None), checked against the layer's shapes."""
        old = self._weights[self._known(name)]
        new = list(new) if isinstance(new, (tuple, list)) else [new]
        if len(new) > len(old):
            raise ValueError(f"Layer {name!r} has {len(old)} weights. Received: {len(new)} for it")
        changes = []
        for value, weight in zip(new, old):
            value = tf.cast(tf.convert_to_tensor(value), weight.dtype)
            if value.shape != weight.shape:
                raise ValueError(
                    f"Weights for layer {name!r} must have shape {weight.shape}. "
                    f"Received: shape {value.shape}"
                )
            changes.append(value - weight)
        return tuple(changes + [None] * (2 - len(changes)))

    def _known(self, layer):
        if layer not in self._taps:
            raise ValueError(f"Linearized layers are {self.layers}. Received: layer={layer!r}")
        return layer

    def _known_neuron(self, layer, neuron):
        count = self.kernel(layer).shape[-1]
        if not 0 <= neuron < count:
            raise ValueError(
                f"Layer {layer!r} has neurons 0 to {count - 1}. Received: neuron={neuron}"
            )
        return int(neuron)


def linearize(model, x, layers=None, method="auto", reduction="per_example", verify=False):
    """Linearizes a Keras model around its weights, on one minibatch (Definition 1).

    Dense and Conv2D layers have a Jacobian tensor G; between them may lie anything that is
    differentiable almost everywhere, as one finds it in inference mode (dropout does
    nothing, batch normalization uses its moving statistics). Layers inside nested models
    are found under their own names, or, where two share a name, under their path
    (`"encoder/conv"`).

    Args:
        model: A `keras.Model` that is a graph of layers with one output.
        x: A batch of inputs, NumPy array or tensor, (B, ...); a list or a dictionary of
            them for a model with several inputs.
        layers: Name or names of the layers to linearize; None is every Dense and Conv2D
            layer, and is refused if there are other kinds of layer with kernels.
        method: How Jacobians are computed: `"auto"` (through masks and kernels, or in one
            sweep for all layers: the fastest), `"per_output"` (the paper's appendix A5),
            or `"pfor"` (`GradientTape.batch_jacobian`). All are equal to rounding error.
        reduction: `"per_example"` (Definition 1, one G an example) or `"batch_mean"`
            (one G a round, applied to every example).
        verify: Whether to check, with two more forward passes, that no layer mixes the
            examples of the minibatch.

    Returns:
        A `Linearization`, with `outputs`, `jacobian(layer)`, `gradient_tensor(layer,
        neuron=None)` and `predict({layer: kernel})`.

    Raises:
        ValueError: For an unknown layer, method or reduction, a layer that is used twice,
            inputs of the wrong shape, or NaN inputs.
        NotImplementedError: If the model has kernels that cannot be linearized.

    Example:

    >>> import nta_tf as nta
    >>> model = nta.models.autoencoder(seed=0)
    >>> digits = nta.data.load("sample").x[:4].reshape(4, 784)
    >>> lin = nta.linearize(model, digits)
    >>> lin.jacobian("dense_3").shape
    TensorShape([4, 784, 20])
    >>> lin.gradient_tensor("dense_3", neuron=0).shape
    TensorShape([4, 784, 30])
    >>> at_w = lin.predict({"dense_3": model.get_layer("dense_3").kernel})
    >>> bool(abs(at_w - lin.outputs).numpy().max() < 1e-6)
    True
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"The reduction must be one of {REDUCTIONS}. Received: {reduction!r}")
    linearizer = linearizer_of(model, layers, method)
    inputs = checked_inputs(linearizer.tapped, x)
    if verify:
        check_examples_apart(linearizer.tapped, inputs)
    return Linearization(linearizer, inputs, reduction)


def taylor_loss(lin, kernels, y, loss="mse"):
    """The Taylor loss: mean over the minibatch of loss(T_i(V), y_i).

    It is convex in V (T3), equals the training loss at V = W (T1), and so does its
    gradient, under the `per_example` reduction (T2).

    Args:
        lin: A `Linearization`.
        kernels: Dictionary from layer names to kernels, as in `Linearization.predict`.
        y: Targets: rows of shape (B, p_L) for `"mse"`; labels (B,) or one-hot rows for
            `"cross_entropy"`.
        loss: `"mse"` or `"cross_entropy"` (on logits).

    Returns:
        A scalar tensor.

    Raises:
        ValueError: If targets do not fit, or a label is out of range.

    Example:

    >>> import nta_tf as nta
    >>> model = nta.models.autoencoder(seed=0)
    >>> digits = nta.data.load("sample").x[:4].reshape(4, 784)
    >>> lin = nta.linearize(model, digits)
    >>> taylor = nta.taylor_loss(lin, {}, digits)
    >>> training = ((model(digits) - digits) ** 2).numpy().mean()
    >>> bool(abs(float(taylor) - training) < 1e-7)
    True
    """
    examples, components = lin.outputs.shape
    losses.check_targets(loss, np.asarray(y), examples, components)
    targets = tf.convert_to_tensor(y)
    if not targets.dtype.is_integer or loss == "mse":
        targets = tf.cast(targets, lin.outputs.dtype)
    return tf.reduce_mean(losses.get(loss)(lin.predict(kernels), targets))


def _weights(layer):
    values = [layer.kernel.value]
    return values + ([layer.bias.value] if layer.use_bias else [])


def _contract(jacobian, change, dtype):
    """<J_i, change_i> over all axes of the preactivation: (B, p_L)."""
    batch, components = tf.shape(jacobian)[0], tf.shape(jacobian)[1]
    flat = tf.reshape(jacobian, (batch, components, -1))
    return tf.cast(tf.linalg.matvec(flat, tf.reshape(change, (batch, -1))), dtype)
