"""Gram matrices G G^T, from blocks of columns and from the factors of a layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nta_tf import grams
from nta_tf.linearization import rules
from nta_tf.linearization.rules import base
from tests.reference import layer_network as reference

EXAMPLES, COMPONENTS = 4, 3


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of two neurons, of one example, and of a few columns and rows."""
    monkeypatch.setattr(base, "_BLOCK_BYTES", 8 * EXAMPLES * COMPONENTS * 30)
    monkeypatch.setattr(grams, "_WIDTH", 7)
    monkeypatch.setattr(grams, "_TILE", 5)


def test_blocks_of_columns(rng):
    matrix = rng.normal(size=(13, 40))
    blocks = [matrix[:, :25], matrix[:, 25:]]
    np.testing.assert_allclose(grams.gram(iter(blocks)), matrix @ matrix.T, atol=1e-12)


@pytest.mark.slow
def test_sum_is_float64(rng, monkeypatch):
    """Products of a few columns are rounded to float32, their sum is not."""
    monkeypatch.setattr(grams, "_WIDTH", 16)
    matrix = rng.normal(size=(3, 60_000)).astype(np.float32)
    exact = matrix.astype(np.float64) @ matrix.T.astype(np.float64)
    found = grams.gram([tf.constant(matrix)])
    assert found.dtype == np.float64
    assert np.abs(found - exact).max() < 1e-8 * exact.max()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "strides, dilation", [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 1))]
)
def test_convolution(groups, padding, strides, dilation, rng):
    layer = keras.layers.Conv2D(
        4, (3, 2), strides, padding, dilation_rate=dilation, groups=groups, dtype="float64"
    )
    layer.build((None, 7, 6, 4))
    x = rng.normal(size=(EXAMPLES, 7, 6, 4))
    jacobian = rng.normal(size=(EXAMPLES, COMPONENTS, *layer.compute_output_shape(x.shape)[1:]))
    slow = reference.Convolution(strides, padding, dilation, groups)
    shape = layer.kernel.shape
    tensors = np.stack([slow.gradient_tensor(e, j, shape) for e, j in zip(x, jacobian)])
    check(layer, jacobian, x, tensors)


@pytest.mark.parametrize("axes", [(), (6,), (2, 3)])
def test_dense(axes, rng):
    """Also where a Dense layer is applied to each step of a sequence."""
    layer = keras.layers.Dense(4, dtype="float64")
    layer.build((None, *axes, 5))
    x = rng.normal(size=(EXAMPLES, *axes, 5))
    jacobian = rng.normal(size=(EXAMPLES, COMPONENTS, *axes, 4))
    positions = x.reshape(EXAMPLES, -1, 5), jacobian.reshape(EXAMPLES, COMPONENTS, -1, 4)
    check(layer, jacobian, x, np.einsum("btj,bkta->bkja", *positions))


def check(layer, jacobian, x, tensors):
    rule, lead = rules.rule_of(layer), (EXAMPLES, COMPONENTS)
    jacobian, x = tf.constant(jacobian), tf.constant(x)
    rows = tensors.reshape(EXAMPLES * COMPONENTS, -1)
    np.testing.assert_allclose(rule.gram(layer, jacobian, x), rows @ rows.T, atol=1e-10)
    for neurons in ([1], [0, 2, 3]):
        columns = rule.columns(layer, jacobian, x, neurons)
        expected = np.moveaxis(tensors[..., neurons], -1, 2).reshape(*lead, -1)
        np.testing.assert_allclose(columns, expected, atol=1e-12)
