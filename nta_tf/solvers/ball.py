"""Minima of convex quadratics on a ball, by the secular equation ||U(damping)|| = radius.

Both solvers work on min 1/2 <U, H U> - <b, U> over ||U|| <= radius: `solve_spectrum` where H
is known in its eigenbasis (small Krylov spaces), `solve_cholesky` where it is a matrix.
Newton's method on 1/||U|| - 1/radius, which is nearly linear in the damping, needs few steps.
"""

import tensorflow as tf

_SECULAR_STEPS = 50


def solve_spectrum(curvature, slope, radius):
    """Minimises sum_i curvature_i y_i^2 / 2 - slope_i y_i over balls, for several columns.

    Args:
        curvature: Eigenvalues, (columns, k), float64; negative ones are rounding.
        slope: (columns, k).
        radius: (columns,), positive and finite.

    Returns:
        y of shape (columns, k) and the damping, (columns,), zero inside the ball.
    """
    largest = tf.reduce_max(tf.abs(curvature), axis=1, keepdims=True)
    length = tf.norm(slope, axis=1)
    tiny = 1e-14 * tf.maximum(largest, (length / radius)[:, tf.newaxis])
    curvature = tf.maximum(curvature, tiny + 1e-300)

    def solution(damping):
        return slope / (curvature + damping[:, tf.newaxis])

    def body(step, damping):
        y = solution(damping)
        size = tf.norm(y, axis=1)
        fall = tf.reduce_sum(y * y / (curvature + damping[:, tf.newaxis]), axis=1)
        change = tf.math.divide_no_nan((size - radius) * size * size, radius * fall)
        return step + 1, tf.maximum(damping + change, tf.zeros_like(damping))

    def unsolved(step, damping):
        # From the left of the root, Newton never passes it: only too long a y is left to mend.
        excess = tf.norm(solution(damping), axis=1) > radius * (1 + 1e-10)
        return (step < _SECULAR_STEPS) & tf.reduce_any(excess)

    _, damping = tf.while_loop(unsolved, body, (0, tf.zeros_like(length)))
    y = solution(damping)
    size = tf.norm(y, axis=1, keepdims=True)
    scale = tf.minimum(tf.math.divide_no_nan(radius[:, tf.newaxis], size), tf.ones_like(size))
    return tf.where(size > 0, y * scale, y), damping


def solve_cholesky(hessian, slope, radius):
    """Minimises <U, H U> / 2 - <slope, U> over a ball (More and Sorensen, 1983).

    Args:
        hessian: H, (P, P), float64, positive semi-definite but for rounding.
        slope: (P,).
        radius: Scalar, positive and finite.

    Returns:
        U, (P,).
    """
    trace = tf.linalg.trace(hessian)
    length = tf.norm(slope)
    # The smallest damping: what makes a singular H, even zero, positive definite in float64.
    least = 1e-15 * tf.maximum(trace, length / radius) + 1e-300

    def solution(damping):
        shifted = tf.linalg.set_diag(hessian, tf.linalg.diag_part(hessian) + damping)
        factor = tf.linalg.cholesky(shifted)
        half = tf.linalg.triangular_solve(factor, slope[:, tf.newaxis])
        u = tf.linalg.triangular_solve(factor, half, adjoint=True)
        again = tf.linalg.triangular_solve(factor, u)
        return u[:, 0], tf.reduce_sum(again**2)

    def body(step, damping, low, high, broken, best, done):
        u, fall = solution(damping)
        size = tf.norm(u)
        definite = tf.math.is_finite(size)
        inside = definite & (size <= radius)
        low, high = tf.where(inside, low, damping), tf.where(inside, damping, high)
        # Rounding may leave H + damping indefinite (Cholesky gives NaN) where none was needed.
        broken = tf.where(definite, broken, damping)
        high = tf.where(definite, high, tf.maximum(high, 16 * damping))
        lowest = (damping <= 1.01 * least) | (damping <= 4 * broken)
        met = definite & (tf.abs(size - radius) <= 1e-6 * radius)
        best = tf.where(definite, u * tf.minimum(radius / size, 1), best)
        newton = damping + (size - radius) / radius * size**2 / fall
        trusted = definite & (newton > low) & (newton < high)
        middle = tf.sqrt(tf.maximum(low, least) * high)
        newton = tf.where(trusted, newton, tf.where(newton <= least, least, middle))
        return step + 1, newton, low, high, broken, best, met | (inside & lowest)

    zero = tf.zeros_like(length)
    start = (0, least, zero, length / radius + 2 * least, zero, tf.zeros_like(slope), False)
    *_, best, _ = tf.while_loop(
        lambda step, *of: (step < _SECULAR_STEPS) & ~of[-1],
        body,
        tf.nest.map_structure(tf.convert_to_tensor, start),
        parallel_iterations=1,
    )
    return tf.where(length > 0, best, tf.zeros_like(slope))
