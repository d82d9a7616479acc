"""`nta.linearize` and `nta.taylor_loss`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nta_tf import losses
from nta_tf.linearization.called import CalledModel
from nta_tf.linearization.engines import engine_of
from nta_tf.linearization.evaluated import Outputs
from nta_tf.linearization.graph import is_graph
from nta_tf.linearization.linearization import REDUCTIONS, Linearization
from nta_tf.linearization.mixing import check_examples_apart
from nta_tf.linearization.opened import OpenedModel


def linearize(
    model: keras.Model,
    x: Any,
    layers: str | Sequence[str] | None = None,
    method: str = "auto",
    reduction: str = "per_example",
    verify: bool = False,
    outputs: Outputs = None,
) -> Linearization:
    """Linearizes a Keras model around its weights, on one minibatch (Definition 1).

    Any model that Keras can call is taken, as one finds it in inference mode (dropout does
    nothing, batch normalization uses its moving statistics), with all its trainable weights
    that multiply: kernels, tables of embeddings, recurrent kernels, scales. Where a rule knows
    a layer (`nta.linearization.layer_table()`), its J_l makes its G_l; everything else is
    differentiated with respect to the variable itself, as exactly, at more cost. Layers inside
    nested models are found under their own names, or, where two share a name, under their path
    (`"encoder/conv"`).

    Args:
        model: A `keras.Model`: functional, sequential, subclassed, nested.
        x: A batch of inputs, NumPy array or tensor, (B, ...); a list or a dictionary of
            them for a model with several inputs.
        layers: What varies. A layer's name stands for its kernel, and any other variable is
            called by its path (`"dense_1/bias"`, `"lstm/lstm_cell/recurrent_kernel"`); the
            name of a layer or nested model without a kernel of its own stands for all weights
            in it that multiply. None is every trainable weight that multiplies.
        method: How Jacobians are computed: `"auto"` (through masks and kernels, or in one
            sweep for all layers: the fastest), `"per_output"` (the paper's appendix A5),
            or `"pfor"` (`GradientTape.batch_jacobian`). All are equal to rounding error.
        reduction: `"per_example"` (Definition 1, one G an example) or `"batch_mean"`
            (one G a round, applied to every example).
        verify: Whether to check, with two more forward passes, that no layer mixes the
            examples of the minibatch.
        outputs: Name or position of an output of a model with several, or a list of them,
            which are then concatenated; None is the only one.

    Returns:
        A `Linearization`, with `outputs`, `jacobian(layer)`, `gradient_tensor(layer,
        neuron=None)` and `predict({layer: kernel})`.

    Raises:
        ValueError: For an unknown layer, method, output or reduction, inputs of the wrong
            shape, NaN inputs, or a layer that is called in training mode.
        NotImplementedError: If a variable that is named cannot be differentiated.

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
    engine = engine_of(model, x, layers, method, outputs)
    inputs = engine.model.checked(x)
    if verify:
        check_examples_apart(engine.model, inputs)
    return Linearization(model, engine, inputs, reduction)


def taylor_loss(
    lin: Linearization, kernels: Mapping[str, Any], y: Any, loss: Any = "mse"
) -> tf.Tensor:
    """The Taylor loss: mean over the minibatch of loss(T_i(V), y_i).

    It is convex in V (T3), equals the training loss at V = W (T1), and so does its
    gradient, under the `per_example` reduction (T2).

    Args:
        lin: A `Linearization`.
        kernels: Dictionary from layer names to kernels, as in `Linearization.predict`.
        y: Targets, as for `nta.train`: rows (B, p_L) or what flattens to them; labels (B,) or
            one-hot rows for `"cross_entropy"`.
        loss: A loss, as for `nta.train`: `"mse"`, `"cross_entropy"` (on logits), ...

    Returns:
        A scalar tensor.

    Raises:
        ValueError: If targets do not fit, a label is out of range, or the loss is
            cross-entropy and the model ends in a softmax.

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
    loss = losses.get(loss)
    if loss.name == "cross_entropy":
        lin.check_logits()
    rows = losses.as_rows(loss, np.asarray(y), lin.outputs.shape)
    losses.check_targets(loss, rows, *lin.outputs.shape)
    targets = tf.convert_to_tensor(rows)
    if not targets.dtype.is_integer or loss.name == "mse":
        targets = tf.cast(targets, lin.outputs.dtype)
    return tf.reduce_mean(loss(lin.predict(kernels), targets))


def outputs_at(model: keras.Model, x: Any, weights: Mapping[str, Any]) -> tf.Tensor:
    """Outputs of a model in inference mode at other weights, which it keeps none of.

    Args:
        model: A `keras.Model`, as for `nta.linearize`.
        x: A batch of inputs, as for `nta.linearize`.
        weights: Dictionary from `variable.path` to the tensors that stand in the place of
            these variables; the others are as they are.

    Returns:
        The model's output.

    Raises:
        ValueError: If a path is not that of exactly one variable, or inputs do not fit.

    Example:

    >>> import nta_tf as nta
    >>> import tensorflow as tf
    >>> model = nta.models.autoencoder(seed=0)
    >>> digits = nta.data.load("sample").x[:4].reshape(4, 784)
    >>> path = model.get_layer("dense_6").kernel.path
    >>> outputs = nta.linearization.outputs_at(model, digits, {path: tf.zeros((50, 784))})
    >>> bool((outputs == model.get_layer("dense_6").bias).numpy().all())
    True
    """
    evaluated = OpenedModel(model) if is_graph(model) else CalledModel(model, x)
    values = {path: tf.convert_to_tensor(value) for path, value in weights.items()}
    return evaluated.exact_outputs(evaluated.checked(x), values)[0]
