"""Newton with the dense Hessian: for scopes of few weights, such as one neuron."""

import tensorflow as tf

from nta_tf.solvers.ball import solve_cholesky

# Relative error of H, by the precision of its products.
_PRECISION = {tf.float32: 1e-7, tf.float64: 1e-15}


def model_minimum(rule):
    """A `model_minimum` for `descent.minimize_columns`, by Cholesky of H + damping.

    H = sum_g A_g^T Hess_g A_g is formed in the precision of A, and factorised in float64.
    """

    def minimum(tensors, point, b, radius, target, active):
        del target  # the model is solved exactly

        def column(of):
            hessian, b, radius, u, active = of
            return tf.cond(active, lambda: solve(hessian, b, radius, u), lambda: u)

        def solve(hessian, b, radius, u):
            normal = tf.cast(rule.normal(tensors, hessian), tf.float64)
            normal = (normal + tf.transpose(normal)) / 2
            # A pull towards U, as strong as H is uncertain: it keeps H positive definite, and
            # vanishes at the minimum as the step does.
            pull = _PRECISION[u.dtype] * tf.norm(normal)
            normal = tf.linalg.set_diag(normal, tf.linalg.diag_part(normal) + pull)
            b = tf.cast(b, tf.float64) + pull * tf.cast(u, tf.float64)
            return tf.cast(solve_cholesky(normal, b, radius), u.dtype)

        return tf.map_fn(
            column,
            (point.hessian, b, radius, point.u, active),
            fn_output_signature=tf.TensorSpec((None,), point.u.dtype),
            parallel_iterations=1,
        )

    return minimum
