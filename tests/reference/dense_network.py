"""Slow, obvious float64 NumPy version of a chain of Dense layers and its Taylor problem.

Everything is written out with loops over examples, outputs and layers, straight from
section 2.3 of the paper (with kernels in Keras order, so that a_l = W_l^T x_{l-1} + b_l).
"""

import numpy as np

# TensorFlow keeps the slope of a leaky rectifier in single precision.
_LEAK = float(np.float32(0.2))

ACTIVATIONS = {
    "linear": (lambda a: a, lambda a: np.ones_like(a)),
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0).astype(float)),
    "leaky_relu": (
        lambda a: np.where(a > 0, a, _LEAK * a),
        lambda a: np.where(a > 0, 1.0, _LEAK),
    ),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "sigmoid": (
        lambda a: 1 / (1 + np.exp(-a)),
        lambda a: np.exp(-a) / (1 + np.exp(-a)) ** 2,
    ),
}


class DenseNetwork:
    """A chain of Dense layers, one example at a time."""

    def __init__(self, kernels, biases, activations):
        self.kernels = [np.asarray(kernel, np.float64) for kernel in kernels]
        self.biases = [np.asarray(bias, np.float64) for bias in biases]
        self.activations = activations

    def forward(self, x):
        """Inputs x_{l-1} and preactivations a_l of every layer, and the output."""
        layer_inputs, preactivations = [], []
        for kernel, bias, name in zip(self.kernels, self.biases, self.activations):
            layer_inputs.append(x)
            a = np.zeros(kernel.shape[1])
            for unit in range(kernel.shape[1]):
                a[unit] = sum(x[j] * kernel[j, unit] for j in range(len(x))) + bias[unit]
            preactivations.append(a)
            x = ACTIVATIONS[name][0](a)
        return layer_inputs, preactivations, x

    def jacobian(self, x, layer):
        """J_l^L, (p_L, p_l): the chain rule, one output component after the other."""
        _, preactivations, output = self.forward(x)
        rows = []
        for component in range(len(output)):
            row = np.zeros(len(output))
            row[component] = 1.0
            for k in reversed(range(layer, len(self.kernels))):
                row = row * ACTIVATIONS[self.activations[k]][1](preactivations[k])
                if k > layer:
                    row = np.array([row @ of_unit for of_unit in self.kernels[k]])
            rows.append(row)
        return np.stack(rows)

    def gradient_tensor(self, x, layer):
        """G_l = J_l (x) x_{l-1}, (p_L, p_{l-1}, p_l), entry by entry."""
        jacobian = self.jacobian(x, layer)
        layer_input = self.forward(x)[0][layer]
        tensor = np.zeros((len(jacobian), len(layer_input), jacobian.shape[1]))
        for k in range(len(jacobian)):
            for j in range(len(layer_input)):
                for unit in range(jacobian.shape[1]):
                    tensor[k, j, unit] = jacobian[k, unit] * layer_input[j]
        return tensor

    def taylor(self, x, layer, kernel, gradient_tensor=None):
        """T_l(V) = f + <G_l, V - W_l> (Definition 1)."""
        if gradient_tensor is None:
            gradient_tensor = self.gradient_tensor(x, layer)
        change = kernel - self.kernels[layer]
        return self.forward(x)[2] + np.array(
            [np.sum(gradient * change) for gradient in gradient_tensor]
        )

    def with_kernel(self, layer, kernel):
        """The same network with another kernel."""
        kernels = list(self.kernels)
        kernels[layer] = np.asarray(kernel, np.float64)
        return DenseNetwork(kernels, self.biases, self.activations)


def mean_squared_error(outputs, targets):
    """Mean over components, then over examples."""
    return float(np.mean([np.mean((f - y) ** 2) for f, y in zip(outputs, targets)]))


def taylor_rows(network, inputs, targets, layer, reduction, neuron=None):
    """One round's Taylor loss as ||A v - t||^2, v the scope's weights in kernel order."""
    gradients = [network.gradient_tensor(x, layer) for x in inputs]
    if reduction == "batch_mean":
        gradients = [np.mean(gradients, axis=0)] * len(gradients)
    kernel = network.kernels[layer]
    rows, right = [], []
    for x, y, gradient in zip(inputs, targets, gradients):
        if neuron is not None:
            gradient = gradient[:, :, neuron]
            weights = kernel[:, neuron]
        else:
            gradient = gradient.reshape(len(gradient), -1)
            weights = kernel.reshape(-1)
        f = network.forward(x)[2]
        for k in range(len(f)):
            rows.append(gradient[k])
            right.append(y[k] - f[k] + gradient[k] @ weights)
    scale = 1 / np.sqrt(len(right))
    return np.array(rows) * scale, np.array(right) * scale


def taylor_optimum(rounds, layer, reduction, neuron=None):
    """min over V of the cumulative Taylor loss by `numpy.linalg.lstsq`, and its argmin.

    `rounds` is a list of (network, inputs, targets).
    """
    stacked = [taylor_rows(*one, layer, reduction, neuron) for one in rounds]
    rows = np.concatenate([a for a, _ in stacked])
    right = np.concatenate([t for _, t in stacked])
    weights = np.linalg.lstsq(rows, right, rcond=None)[0]
    return float(np.sum((rows @ weights - right) ** 2)), weights
