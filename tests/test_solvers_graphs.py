"""Whole optimisations are one graph, of ops that have GPU kernels, without host callbacks."""

import numpy as np
import pytest
import tensorflow as tf

from nta_tf import losses
from nta_tf.solvers import (
    DenseMap,
    FactoredMap,
    JointMap,
    certificate,
    krylov,
    newton,
    outer,
    second_order,
    sgd,
)
from tests import graphs

MODELS = {"newton": newton.model_minimum, "newton_cg": krylov.model_minimum}


def linear(inputs, kernel):
    return tf.matmul(inputs, kernel)


def kernel_gradient(inputs, weighted):
    return tf.matmul(inputs, weighted, transpose_a=True)


def maps(dtype):
    dense = DenseMap(np.ones((2, 3, 4), dtype))
    factors = np.ones((2, 3, 4), dtype), np.ones((2, 5), dtype)
    factored = FactoredMap(*factors, (5, 4), linear, kernel_gradient, gram=None)
    return {"dense": dense, "factored": factored, "joint": JointMap([dense, factored])}


def _is_slow(solver, kind, loss, dtype):
    """Whether the graph is one of the others around other products, which those others have."""
    on_factors = kind == "joint" or (solver == "sgd" and kind != "dense")
    of_newton = solver != "newton" and (loss, dtype) != ("cross_entropy", np.float32)
    return on_factors or of_newton


CASES = [
    pytest.param(
        *(solver, kind, loss, dtype),
        marks=pytest.mark.slow if _is_slow(solver, kind, loss, dtype) else (),
    )
    for solver in ("newton", "newton_cg", "sgd")
    for kind in ("dense", "factored", "joint")
    for loss in ("cross_entropy", "mse")
    for dtype in (np.float32, np.float64)
    if kind == "dense" or (solver != "newton" and loss == "cross_entropy" and dtype == np.float32)
]


@pytest.mark.parametrize("solver, kind, loss, dtype", CASES)
def test_graph_has_gpu_kernels_and_no_callbacks(solver, kind, loss, dtype):
    linear_map = maps(dtype)[kind]
    if solver == "sgd":
        concrete = sgd.concrete(linear_map, losses.get(loss))
    else:
        concrete = second_order.concrete(MODELS[solver], linear_map, losses.get(loss))
    assert graphs.host_callbacks(concrete) == []
    assert any(node.op in ("While", "StatelessWhile") for node in graphs.nodes(concrete))
    _skip_without_registry()
    assert graphs.without_gpu_kernel(concrete) == []


def test_certificate_has_gpu_kernels():
    linear_map = maps(np.float32)["dense"]
    function = certificate.certified(linear_map.action, losses.get("cross_entropy"))
    concrete = function.get_concrete_function(
        linear_map.action.signature(linear_map.tensors),
        outer.signature(tf.float64),
        tf.TensorSpec([None, None], tf.float64),
        tf.TensorSpec([None, None], tf.float64),
        tf.TensorSpec([None], tf.float64),
        tf.TensorSpec([None], tf.float64),
    )
    assert graphs.host_callbacks(concrete) == []
    _skip_without_registry()
    assert graphs.without_gpu_kernel(concrete) == []


def test_the_walk_finds_what_is_hidden_in_a_loop():
    def body(i, x):
        x = tf.numpy_function(np.sin, [x], tf.float32)
        return i + 1, tf.strings.to_number(tf.strings.as_string(tf.ensure_shape(x, ())))

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def hidden(x):
        return tf.while_loop(lambda i, x: i < 3, body, (0, x))[1]

    concrete = hidden.get_concrete_function()
    assert graphs.host_callbacks(concrete) != []
    _skip_without_registry()
    assert "AsString" in {op for op, *_ in graphs.without_gpu_kernel(concrete)}


def _skip_without_registry():
    if not graphs.lists_gpu_kernels():
        pytest.skip("this build of TensorFlow does not register GPU kernels")
