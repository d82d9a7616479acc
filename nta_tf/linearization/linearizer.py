"""A model prepared for linearization, and the check of what is fed into it."""

import collections.abc
import functools
import weakref

import keras
import numpy as np
import tensorflow as tf

from nta_tf.linearization import chain as chains
from nta_tf.linearization import methods
from nta_tf.linearization.taps import TappedModel

# Nothing here has Python control flow that depends on tensors.
_compiled = functools.partial(tf.function, autograph=False)

# One tapped model and its compiled functions for each model, so that a second call of
# linearize on the same model neither opens nor traces it again.
_LINEARIZERS = weakref.WeakKeyDictionary()

_METHODS = {"per_output": methods.per_output, "pfor": methods.pfor, "auto": methods.sweep}


class Linearizer:
    """A model prepared for linearization: tapped once, compiled once per input shape.

    Args:
        model: A `keras.Model`.
        layers: Names of layers, or None for every layer with a kernel.
        method: `"auto"`, `"per_output"` or `"pfor"`.

    Attributes:
        tapped: The `TappedModel`.
        taps: `Tap` of each wanted layer by name.
        chain: `DenseChain` if the model is one and the method is `"auto"`, else None.
        evaluate: Compiled function from inputs to outputs, layer inputs by name,
            preactivations by name, and the chain's evaluation as a dictionary or None.
    """

    def __init__(self, model, layers=None, method="auto"):
        methods.check_method(method)
        self.tapped = TappedModel(model, layers)
        self.taps = self.tapped.taps
        self.method = method
        self.chain = None
        if method == "auto":
            self._find_chain(model, layers)
        self.evaluate = _compiled(self._evaluate)
        of_layers = {"tapped": self.tapped, "names": list(self.taps)}
        self._by_tape = _compiled(self._evaluate_with_jacobians)
        self._means = _compiled(functools.partial(methods.mean_gradient_tensors, **of_layers))
        self._by_chain = {}

    def chain_jacobian(self, evaluation, name):
        """J_l^L of the layer called `name`, from a chain's `Evaluation`."""
        if name not in self._by_chain:
            index = self.chain.names.index(name)
            self._by_chain[name] = _compiled(
                lambda parts: chains.jacobian(chains.Evaluation(**parts), index)
            )
        return self._by_chain[name](vars(evaluation))

    def evaluate_with_jacobians(self, inputs, weights):
        """What `evaluate` returns, and J_l^L of all layers by name, for one forward pass.

        Args:
            inputs: A list of batches.
            weights: Weights like those of `TappedModel.snapshot`.

        Returns:
            Outputs, layer inputs, preactivations and Jacobians by name.
        """
        return self._by_tape(inputs, weights)

    def mean_gradient_tensors(self, inputs, weights):
        """Means of G_l over the minibatch, by name, at weights like those of `jacobians`."""
        return self._means(inputs=inputs, weights=weights)

    def _find_chain(self, model, layers):
        """Looks for a chain in the whole model, however few of its layers are wanted."""
        try:
            whole = self.tapped if layers is None else TappedModel(model)
        except (ValueError, NotImplementedError):  # some layer has no rule, or is shared
            return
        self.chain = chains.find_chain(whole)
        if self.chain is not None:
            self.tapped = whole

    def _evaluate_with_jacobians(self, inputs, weights):
        # Both run the network forward; in one graph TensorFlow does it once.
        jacobians = _METHODS[self.method](self.tapped, inputs, list(self.taps), weights)
        return *self.tapped(inputs, weights), jacobians

    def _evaluate(self, inputs, weights=None):
        outputs, layer_inputs, preactivations = self.tapped(inputs, weights)
        if self.chain is None:
            return outputs, layer_inputs, preactivations, None
        first = layer_inputs[self.chain.names[0]]
        evaluation = self.chain.evaluate(first, *self.chain.weights())
        names = self.chain.names
        return (
            evaluation.outputs,
            dict(zip(names, evaluation.layer_inputs)),
            dict(zip(names, evaluation.preactivations)),
            vars(evaluation),
        )


def linearizer_of(model, layers, method):
    """The `Linearizer` of a model, made at the first call."""
    key = (None if layers is None else tuple(np.atleast_1d(layers)), method)
    by_settings = _LINEARIZERS.setdefault(model, {})
    if key not in by_settings:
        by_settings[key] = Linearizer(model, layers, method)
    return by_settings[key]


def checked_inputs(tapped, x):
    """The inputs as a list of tensors of the model's dtypes.

    Args:
        tapped: A `TappedModel`.
        x: A batch; a list, tuple or dictionary of batches if the model has several inputs.

    Returns:
        A list of tensors, one an input of the model.

    Raises:
        ValueError: If inputs are missing, have wrong shapes, or hold NaN or infinities.
    """
    given = _as_list(tapped, x)
    inputs = [
        tf.cast(tf.convert_to_tensor(tensor), symbol.dtype)
        for tensor, symbol in zip(given, tapped.inputs)
    ]
    fit = len(given) == len(tapped.inputs) and all(
        tensor.shape.is_compatible_with(symbol.shape)
        for tensor, symbol in zip(inputs, tapped.inputs)
    )
    if not fit or len({tensor.shape[0] for tensor in inputs}) != 1:
        expected = [tuple(symbol.shape) for symbol in tapped.inputs]
        received = [tuple(np.shape(tensor)) for tensor in given]
        several = len(expected) > 1
        raise ValueError(
            f"Inputs must have shape {expected if several else expected[0]}, batch first"
            f"{', as many examples in each of the list' if several else ''}. "
            f"Received: {received if len(received) > 1 else received[0]}"
        )
    for tensor in inputs:
        if tensor.dtype.is_floating and not np.isfinite(keras.ops.convert_to_numpy(tensor)).all():
            raise ValueError("The inputs hold NaN or infinite values; remove them first.")
    return inputs


def _as_list(tapped, x):
    if isinstance(x, collections.abc.Mapping):
        names = tapped.input_names
        if set(x) != set(names):
            raise ValueError(f"The model's inputs are called {names}. Received: {list(x)}")
        return [x[name] for name in names]
    if not isinstance(x, (list, tuple)):
        return [x]
    # With one input a list may also be the batch itself, as NumPy would read it.
    rank = len(tapped.inputs[0].shape)
    alone = len(tapped.inputs) == 1 and not (len(x) == 1 and np.ndim(x[0]) == rank)
    return [x] if alone else list(x)
