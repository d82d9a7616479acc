"""A call that is an operation computes what an ordinary one does, where it may be one."""

import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf import compiling


@pytest.fixture
def operations(monkeypatch):
    """Names of the functions that were called as operations."""
    called, original = [], tf.raw_ops.StatefulPartitionedCall

    def operation(args, Tout, f):
        called.append(f.name)
        return original(args=args, Tout=Tout, f=f)

    monkeypatch.setattr(tf.raw_ops, "StatefulPartitionedCall", operation)
    return called


def test_outputs_keep_their_places(operations):
    scale = tf.Variable(2.0)

    def method(inputs, weights):
        return {"none": [None, inputs[0] * scale], "both": (weights[0], inputs[0] + weights[0])}

    call = compiling.by_shapes(method)
    x, w = tf.constant([1.0, 2.0]), tf.constant(3.0)
    for value in (2.0, 5.0):
        scale.assign(value)
        found = call([x], [w])
        assert found["none"][0] is None
        np.testing.assert_array_equal(found["none"][1], value * x)
        np.testing.assert_array_equal(found["both"][0], w)
        np.testing.assert_array_equal(found["both"][1], x + w)
    assert len(operations) == 2


def test_each_shape_is_traced_once():
    traced = []

    def method(inputs, weights):
        traced.append(inputs[0].shape)
        return inputs[0] * weights[0]

    call = compiling.by_shapes(method)
    for size in (2, 3, 2, 3):
        found = call([tf.ones(size)], [tf.constant(4.0)])
        np.testing.assert_array_equal(found, 4 * np.ones(size))
    assert traced == [(2,), (3,)]


def test_a_tape_gets_derivatives(operations):
    call = compiling.by_shapes(lambda inputs, weights: inputs[0] * weights[0] ** 2)
    x, w = tf.constant([1.0, 2.0]), tf.Variable(3.0)
    call([x], [w.value()])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(call([x], [w.value()]))
    assert float(tape.gradient(loss, w)) == 18.0
    assert len(operations) == 1  # the call outside of the tape


def test_within_a_function(operations):
    call = compiling.by_shapes(lambda inputs, weights: inputs[0] + weights[0])
    within = tf.function(lambda x: call([x], [tf.constant(1.0)]))
    np.testing.assert_array_equal(within(tf.ones(2)), 2 * np.ones(2))
    assert not operations


def test_a_jacobian_on_a_tape_can_be_differentiated():
    """d/dW of the sum of J of the layer below is the same, whichever way the call was made."""
    model = nta.models.autoencoder(seed=0)
    x = nta.data.load("sample").x[:3].reshape(3, 784)
    last = model.get_layer("dense_6").kernel
    nta.linearize(model, x).jacobian("dense_5")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(nta.linearize(model, x).jacobian("dense_5"))
    gradient = tape.gradient(total, last.value)
    before = float(total)
    np.testing.assert_allclose(float(tf.reduce_sum(gradient * last.value)), before, rtol=1e-4)


def test_without_a_name_for_tapes_calls_are_ordinary(operations, monkeypatch):
    monkeypatch.setattr(compiling, "_may_be_recorded", lambda: True)
    call = compiling.by_shapes(lambda inputs, weights: inputs[0] + weights[0])
    np.testing.assert_array_equal(call([tf.ones(2)], [tf.ones(())]), 2 * np.ones(2))
    assert not operations
