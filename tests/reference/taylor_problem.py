"""Cumulative Taylor losses in plain float64 NumPy, and their minima by SciPy."""

import math

import numpy as np
import scipy.optimize
import scipy.special


class ReferenceProblem:
    """F(V) of a dense problem, from G (groups, p_L, P), and its gradient."""

    def __init__(self, gradient_tensors, outputs, targets, weights, centre, loss):
        groups, components = gradient_tensors.shape[:2]
        self.gradient_tensors = gradient_tensors.reshape(groups, components, -1).astype(float)
        self.outputs, self.targets, self.weights = outputs, targets, weights
        self.centre, self.loss = np.ravel(centre), loss

    def value_and_slope(self, flat):
        """F and its gradient at V, as a vector."""
        shift = self.gradient_tensors @ (flat - self.centre)
        values, gradients = self._loss(self.outputs + shift[:, np.newaxis])
        slope = np.einsum("g,gkp,gek->p", self.weights, self.gradient_tensors, gradients)
        return np.einsum("g,ge->", self.weights, values), slope

    def minimum(self, radius=math.inf):
        """(loss, V) over the ball: SLSQP with the ball as a constraint, or L-BFGS without."""
        start = self.centre.astype(float).copy()
        if math.isinf(radius):
            options = {"maxiter": 20_000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-10}
            found = scipy.optimize.minimize(
                self.value_and_slope, start, jac=True, method="L-BFGS-B", options=options
            )
            return found.fun, found.x
        ball = {
            "type": "ineq",
            "fun": lambda v: radius**2 - np.sum((v - self.centre) ** 2),
            "jac": lambda v: -2 * (v - self.centre),
        }
        found = scipy.optimize.minimize(
            self.value_and_slope,
            start,
            jac=True,
            constraints=ball,
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 300},
        )
        return found.fun, found.x

    def _loss(self, outputs):
        return LOSSES[self.loss](outputs, self.targets)


def sum_of_minima(problems, radius=math.inf):
    """The minima of several problems, each over its own V, summed in a loop."""
    return sum(problem.minimum(radius)[0] for problem in problems)


def _cross_entropy(outputs, targets):
    one_hot = np.eye(outputs.shape[-1])[targets]
    log_probabilities = scipy.special.log_softmax(outputs, axis=-1)
    return -np.sum(one_hot * log_probabilities, axis=-1), np.exp(log_probabilities) - one_hot


def _mean_over_components(component):
    def loss(outputs, targets):
        value, slope = component(outputs, targets)
        return value.mean(axis=-1), slope / outputs.shape[-1]

    return loss


def _huber(f, y):
    r = f - y
    inside = np.abs(r) <= 1
    return np.where(inside, r**2 / 2, np.abs(r) - 0.5), np.where(inside, r, np.sign(r))


def _binary_cross_entropy(f, y):
    return np.logaddexp(0, f) - y * f, scipy.special.expit(f) - y


def _poisson(f, y):
    return np.exp(f) - y * f - (y - scipy.special.xlogy(y, y)), np.exp(f) - y


def _hinge(f, y):
    return np.maximum(0, 1 - y * f), np.where(y * f < 1, -y, 0.0)


LOSSES = {
    "cross_entropy": _cross_entropy,
    "mse": _mean_over_components(lambda f, y: ((f - y) ** 2, 2 * (f - y))),
    "huber": _mean_over_components(_huber),
    "binary_cross_entropy": _mean_over_components(_binary_cross_entropy),
    "poisson": _mean_over_components(_poisson),
    "absolute_error": _mean_over_components(lambda f, y: (np.abs(f - y), np.sign(f - y))),
    "hinge": _mean_over_components(_hinge),
}
