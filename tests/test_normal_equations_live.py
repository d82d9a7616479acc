"""Normal equations without dead rectifiers against those of the whole chain."""

import numpy as np
import pytest
import tensorflow as tf

from nta_tf.linearization.chain import find_chain
from nta_tf.linearization.taps import TappedModel
from nta_tf.recorders.normal_equations import forms
from nta_tf.recorders.normal_equations.linearized_chain import LinearizedChain
from nta_tf.recorders.normal_equations.live import live_part, whole
from tests.networks import dense_chain

ROUNDS, BATCH, WIDTHS = 3, 4, [5, 7, 6, 4, 5, 3]
DEAD = {
    "none": {},
    "some in every layer": {0: [0, 3], 1: [1], 2: [0, 1, 2], 3: [4]},
    "a whole layer": {1: range(6)},
    "all but one": {0: range(6), 1: range(5), 2: range(3), 3: range(4)},
}


@pytest.mark.parametrize("dead", DEAD)
@pytest.mark.parametrize(("output", "bias"), [("linear", True), ("sigmoid", False)])
def test_dead_units_change_no_sum(dead, output, bias, seed):
    """Every sum of every layer, where units never act on any example of the block."""
    activations = ["relu"] * (len(WIDTHS) - 2) + [output]
    chain = find_chain(TappedModel(dense_chain(WIDTHS, activations, seed=seed)))
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(ROUNDS, BATCH, WIDTHS[0]))
    targets = generator.normal(size=(ROUNDS, BATCH, WIDTHS[-1]))
    kernels = [layer.kernel.numpy() for layer in chain.layers]
    kernels = [tf.constant(w + generator.normal(size=(ROUNDS, *w.shape))) for w in kernels]
    biases = [layer.bias.numpy() for layer in chain.layers]
    biases = [b + generator.normal(size=(ROUNDS, *b.shape)) for b in biases]
    for layer, units in DEAD[dead].items():
        biases[layer][:, list(units)] = -1e3
    evaluation = chain.evaluate(tf.constant(inputs), kernels, list(map(tf.constant, biases)))
    parts = [part(evaluation, biases) for part in (whole, live_part)]
    for layer, units in DEAD[dead].items():
        assert not set(units) & set(parts[1].units[layer].numpy())
    linears = [LinearizedChain(part, tf.constant(targets), bias, 0) for part in parts]
    last = len(WIDTHS) - 2
    for layer in range(last + 1):
        shape = layer, WIDTHS[layer] + bias, WIDTHS[layer + 1], WIDTHS[-1], False
        is_output = {"linear": output == "linear"} if layer == last else {}
        form = (forms.OutputLayer if layer == last else forms.PerExample)(*shape, **is_output)
        expected, found = (form.accumulate(linear) for linear in linears)
        for name, specification in form.arrays().items():
            assert found[name].shape == specification.shape
            np.testing.assert_allclose(
                found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=f"{layer} {name}"
            )
