"""Slow, obvious float64 NumPy versions of gradients, linearized regret and its bound."""

import numpy as np


def gradient(network, inputs, targets, layer):
    """Gradient of the mean squared error by a kernel: G^T (f - y), example by example."""
    total = np.zeros_like(network.kernels[layer])
    for x, y in zip(inputs, targets):
        errors = network.forward(x)[2] - y
        for component, tensor in enumerate(network.gradient_tensor(x, layer)):
            total += 2 * errors[component] * tensor / len(y)
    return total / len(inputs)


def linearized_regret(gradients, kernels, v):
    """sum_n <g^n, W^n - V>."""
    return sum(float(np.sum(g * (w - v))) for g, w in zip(gradients, kernels))


def right_hand_side(gradients, first, last, rate, v):
    """(||W^1 - V||^2 - ||W^{N+1} - V||^2) / (2 eta) + (eta / 2) sum_n ||g^n||^2."""
    distances = np.sum((first - v) ** 2) - np.sum((last - v) ** 2)
    return distances / (2 * rate) + rate / 2 * sum(float(np.sum(g**2)) for g in gradients)


def second_order(rounds, layer, v):
    """What convexity leaves out for the mean squared error: the mean of (G (W^n - V))^2."""
    total = 0.0
    for network, inputs, _ in rounds:
        moved = network.kernels[layer] - v
        for x in inputs:
            tensor = network.gradient_tensor(x, layer)
            shift = np.array([np.sum(component * moved) for component in tensor])
            total += np.mean(shift**2) / len(inputs)
    return float(total)
