"""Ball-constrained quadratic models from products with H only: GLTR (Gould et al., 1999).

The model is minimised over the span of U and of the Krylov space of the gradient g,
{g, H g, H^2 g, ...}, by Lanczos with full re-orthogonalisation; the small problem is solved
in its eigenbasis every few steps, until the model's own gap is small. That U is in the span
makes every step an improvement, and means that close to the minimum few steps are enough.
"""

import tensorflow as tf

from nta_tf.solvers.ball import solve_spectrum
from nta_tf.solvers.descent import curve

_STRIDE = 5  # Lanczos steps between two solutions of the small problem
MOST_STEPS = 20 * _STRIDE


def model_minimum(action):
    """A `model_minimum` for `descent.minimize_columns`, through forward and adjoint only."""

    def minimum(tensors, point, b, radius, target, active):
        def product(v):
            return action.adjoint(tensors, curve(point.hessian, action.forward(tensors, v)))

        return _minimum(product, point, b, radius, target, active)

    return minimum


def _minimum(product, point, b, radius, target, active):
    """argmin <U', H U'> / 2 - <b, U'> over the ball, with b = H U - g, column by column."""
    columns, size = tf.shape(b)[0], tf.shape(b)[1]
    # U, and at most P Krylov vectors more.
    steps = tf.minimum(MOST_STEPS, _STRIDE * (size // _STRIDE + 1))
    first, distance = _normalised(point.u)
    slope, _ = _normalised(point.slope)
    of_first = product(first)

    def extend(j, basis, vector, projected, left):
        basis = _put(basis, j, vector)
        image = tf.cond(j == 0, lambda: of_first, lambda: product(vector))
        overlap = tf.matmul(basis, image[..., tf.newaxis])[..., 0]
        projected = _put(projected, j, tf.cast(overlap, tf.float64))
        vector, left = _orthogonal(tf.where(j == 0, slope, image), basis)
        return j + 1, basis, vector, projected, tf.cast(left, tf.float64)

    def body(j, basis, vector, projected, left, y, gap):
        end = j + _STRIDE
        j, *lanczos = tf.while_loop(
            lambda j, *_: j < end,
            extend,
            (j, basis, vector, projected, left),
            parallel_iterations=1,
        )
        basis, vector, projected, left = lanczos
        y, damping = _solve(basis[:, :j], projected[:, :j, :j], b, radius)
        # What the gradient of the model at Q y has outside the span of Q.
        unseen = _length(of_first) ** 2 - tf.reduce_sum(projected[:, :j, 0] ** 2, axis=1)
        residual = left * tf.abs(y[:, -1])
        residual += tf.abs(y[:, 0] - distance) * tf.sqrt(tf.maximum(unseen, 0))
        y, gap = tf.pad(y, [[0, 0], [0, steps - j]]), _gap(residual, damping, radius)
        return j, *lanczos, y, gap

    def unsolved(j, basis, vector, projected, left, y, gap):
        return (j < steps) & tf.reduce_any(active & (gap > target))

    y = tf.zeros(tf.stack([columns, steps]), tf.float64)
    start = (
        tf.zeros(tf.stack([columns, steps, size]), b.dtype),
        first,
        tf.zeros(tf.stack([columns, steps, steps]), tf.float64),
        tf.zeros_like(distance),
        y,
        tf.fill(tf.shape(distance), tf.constant(float("inf"), tf.float64)),
    )
    _, basis, *_, y, _ = tf.while_loop(unsolved, body, (0, *start), parallel_iterations=1)
    return tf.matmul(tf.cast(y, b.dtype)[:, tf.newaxis], basis)[:, 0]


def _length(vectors):
    return tf.norm(tf.cast(vectors, tf.float64), axis=1)


def _normalised(vectors):
    length = _length(vectors)
    unit = tf.math.divide_no_nan(tf.cast(vectors, tf.float64), length[:, tf.newaxis])
    return tf.cast(unit, vectors.dtype), length


def _put(matrix, j, vector):
    """Writes the vector of each column as row j of its matrix."""
    columns = tf.range(tf.shape(matrix)[0])
    index = tf.stack([columns, tf.fill(tf.shape(columns), j)], axis=1)
    return tf.tensor_scatter_nd_update(matrix, index, vector)


def _orthogonal(image, basis):
    """The part of the image outside the basis, normalised, and its length."""
    scale = tf.norm(image, axis=1, keepdims=True)
    for _ in range(2):  # once is not enough for orthogonality to rounding
        overlap = tf.matmul(basis, image[..., tf.newaxis])
        image -= tf.matmul(overlap, basis, transpose_a=True)[:, 0]
    left = tf.norm(image, axis=1, keepdims=True)
    # What is left of an exhausted space is rounding.
    epsilon = 1e-6 if image.dtype == tf.float32 else 1e-14
    left = tf.where(left > epsilon * scale, left, tf.zeros_like(left))
    return tf.math.divide_no_nan(image, left), left[:, 0]


def _solve(basis, projected, b, radius):
    """The model in the basis: its minimiser's coordinates, and the damping.

    Row j of `projected` is Q^T H q_j, of which the vectors up to q_j are known.
    """
    lower = tf.linalg.band_part(projected, -1, 0)
    small = lower + tf.linalg.matrix_transpose(lower)
    small = tf.linalg.set_diag(small, tf.linalg.diag_part(projected))
    slope = tf.cast(tf.linalg.matvec(basis, b), tf.float64)
    curvature, vectors = tf.linalg.eigh(small)
    coordinates, damping = solve_spectrum(
        curvature, tf.linalg.matvec(vectors, slope, transpose_a=True), radius
    )
    return tf.linalg.matvec(vectors, coordinates), damping


def _gap(residual, damping, radius):
    """Bound on what the rest of the ball could gain for the model.

    The model's gradient at the minimum in the span is -damping U' plus a residual
    orthogonal to the span: its Frank-Wolfe gap on the ball is at most
    min(radius rho, rho^2 / (2 damping)).
    """
    linear = radius * residual
    damped = residual**2 / tf.maximum(2 * damping, 1e-300)
    return tf.where(damping > 0, tf.minimum(linear, damped), linear)
