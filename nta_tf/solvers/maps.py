"""Linear maps A from the weights of a scope to the shift of each group's outputs.

A group is an example (its G of Definition 1) or a round (the mean G of its minibatch); A
stacks the G of all groups, and (A U)_g = <G_g, U>. Each map is a set of tensors and a
`action`, a small hashable object that knows what to do with them: solvers are compiled once
for an action, and then serve every problem of that kind and rank, whatever its sizes.

Inside the solvers weights are rows of a matrix, (columns, P), a column being one candidate
or one prefix: A is read once for all of them, and reading A is what costs time.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nta_tf import grams
from nta_tf.compiling import compiled

# In the shape of the scope: an array, or for a `JointMap` a list of arrays.
Weights = np.ndarray | list[np.ndarray]

_CHUNK_BYTES = 2**28  # what a chunk of groups may occupy


class LinearMap:
    """A linear map from weights to (groups, p_L); see `DenseMap`, `FactoredMap`, `JointMap`.

    Attributes:
        action: How the tensors act; hashable, the same for all problems of a kind.
        tensors: The numbers.
        shapes: Shape of the weights, a list with one shape for each scope.
        groups: Number of groups.
        components: p_L.
        size: P, the number of weights.
        dtype: In which products are computed.
    """

    def __init__(self, action, tensors, shapes, groups, components, dtype):
        self.action, self.tensors, self.shapes = action, tensors, shapes
        self.groups, self.components, self.dtype = groups, components, dtype
        self.size = sum(int(np.prod(shape)) for shape in shapes)

    def forward(self, weights: Weights) -> tf.Tensor:
        """A U, shape (groups, p_L), of weights in the scope's shape."""
        flat = tf.cast(self.flatten(weights), self.dtype)
        return apply(self.action)[0](self.tensors, flat[tf.newaxis])[0]

    def adjoint(self, shift: npt.ArrayLike) -> Weights:
        """A^T r in the scope's shape, of r of shape (groups, p_L)."""
        shift = tf.cast(shift, self.dtype)
        return self.unflatten(apply(self.action)[1](self.tensors, shift[tf.newaxis])[0])

    def prefix(self, groups: int) -> "LinearMap":
        """The map to the first groups only."""
        return self.part(0, groups)

    def part(self, first: int, last: int) -> "LinearMap":
        """The map to the groups from `first` on, up to the one before `last`."""
        tensors = tf.nest.map_structure(lambda tensor: tensor[first:last], self.tensors)
        count = min(last, self.groups) - first
        return LinearMap(self.action, tensors, self.shapes, count, self.components, self.dtype)

    def cast(self, dtype: tf.DType | np.dtype) -> "LinearMap":
        """The same map in another precision."""
        tensors = tf.nest.map_structure(lambda tensor: tf.cast(tensor, dtype), self.tensors)
        return LinearMap(
            self.action, tensors, self.shapes, self.groups, self.components, tf.as_dtype(dtype)
        )

    def dense(self) -> "DenseMap":
        """The same map with all G as one array, (groups, p_L, P)."""
        units = tf.eye(self.size, dtype=self.dtype)
        columns = apply(self.action)[0](self.tensors, units)
        return DenseMap(tf.transpose(columns, (1, 2, 0)))

    def flatten(self, weights: Weights) -> tf.Tensor:
        """Weights of the scope as one vector of length P."""
        parts = weights if self.is_joint else [weights]
        return tf.concat([tf.reshape(part, (-1,)) for part in parts], axis=0)

    def unflatten(self, vector: np.ndarray) -> Weights:
        """A vector of length P in the scope's shape; a list of them for a `JointMap`."""
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = np.split(vector, np.cumsum(sizes)[:-1])
        parts = [part.reshape(shape) for part, shape in zip(map(np.asarray, parts), self.shapes)]
        return parts if self.is_joint else parts[0]

    @property
    def is_dense(self) -> bool:
        """Whether G is held as one array."""
        return isinstance(self.action, _DenseAction)

    @property
    def is_joint(self) -> bool:
        """Whether the weights are a list, one array a scope."""
        return isinstance(self.action, _JointAction)


@functools.cache
def apply(action):
    """Compiled forward and adjoint of an action, from tensors and columns of weights."""
    return (
        compiled(action.forward, reduce_retracing=True, autograph=False),
        compiled(action.adjoint, reduce_retracing=True, autograph=False),
    )


class DenseMap(LinearMap):
    """A map whose G is held as one array.

    Args:
        matrix: G of all groups, (groups, p_L, *shape). A float64 array is computed with in
            float64, anything else in float32.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> G = np.arange(6.0).reshape(1, 2, 3)
    >>> nta.solvers.DenseMap(G).forward(np.ones(3)).numpy()
    array([[ 3., 12.]])
    """

    def __init__(self, matrix: npt.ArrayLike) -> None:
        matrix = as_floats(matrix)
        if matrix.shape.rank < 3:
            raise ValueError(
                "The matrix of a DenseMap must have shape (groups, p_L, *shape of the weights). "
                f"Received: shape {tuple(matrix.shape)}"
            )
        groups, components, *shape = matrix.shape
        flat = tf.reshape(matrix, (groups, components, -1))
        super().__init__(_DenseAction(), (flat,), [tuple(shape)], groups, components, matrix.dtype)


class FactoredMap(LinearMap):
    """A map whose G_l = J_l (x) x_{l-1} is never formed: for layers, with one group an example.

    `A U` is `linear_map(x, U)` contracted with J; `A^T r` is `kernel_gradient` of r^T J. The
    callables should be the same objects for all problems of a layer: solvers are compiled
    for each set of them. Groups are taken in chunks, so that memory stays bounded.

    Args:
        jacobian: J_l, (groups, p_L, *preactivation).
        inputs: x_{l-1}, (groups, ...).
        shape: Shape of the kernel.
        linear_map: Function of (inputs, kernel) that returns preactivations (groups, ...)
            without bias.
        kernel_gradient: Function of (inputs, M), M of the shape of the preactivations, that
            returns the gradient of <linear_map(inputs, V), M> with respect to V: kernel
            shape, summed over groups.
        gram: Function of (jacobian, inputs) that returns G G^T over rows (group, component), in
            NumPy and float64. Only the solver `RowSpace` asks for it.
        chunk: Groups that are computed with at once; the default keeps them to 256 MiB.
    """

    def __init__(
        self,
        jacobian: npt.ArrayLike,
        inputs: npt.ArrayLike,
        shape: Sequence[int],
        linear_map: Callable,
        kernel_gradient: Callable,
        gram: Callable | None,
        chunk: int | None = None,
    ) -> None:
        jacobian = as_floats(jacobian)
        inputs = tf.cast(inputs, jacobian.dtype)
        groups, components = jacobian.shape[:2]
        if inputs.shape[0] != groups:
            raise ValueError(
                f"There must be an input for each of the {groups} groups of the Jacobian. "
                f"Received: inputs of shape {tuple(inputs.shape)}"
            )
        per_group = int(np.prod(jacobian.shape[1:])) + int(np.prod(inputs.shape[1:]))
        chunk = chunk or _CHUNK_BYTES // (8 * per_group) + 1
        action = _FactoredAction(linear_map, kernel_gradient, gram, tuple(shape), int(chunk))
        tensors = (jacobian, inputs)
        super().__init__(action, tensors, [tuple(shape)], groups, components, jacobian.dtype)


class JointMap(LinearMap):
    """Several scopes that vary together, such as all layers of a network.

    Args:
        maps: A list of `DenseMap` and `FactoredMap` with the same groups and p_L. Weights
            and centre of a problem are then lists of arrays.
    """

    def __init__(self, maps: Iterable[LinearMap]) -> None:
        maps = list(maps)
        if len({(m.groups, m.components, m.dtype) for m in maps}) != 1:
            raise ValueError(
                "Joint maps must agree in groups, p_L and dtype. Received: "
                f"{[(m.groups, m.components, m.dtype.name) for m in maps]}"
            )
        action = _JointAction(tuple(m.action for m in maps), tuple(m.size for m in maps))
        shapes = [shape for m in maps for shape in m.shapes]
        first = maps[0]
        tensors = tuple(m.tensors for m in maps)
        super().__init__(action, tensors, shapes, first.groups, first.components, first.dtype)


@dataclasses.dataclass(frozen=True)
class _DenseAction:
    """Products with the matrix; in another precision than its own, chunk by chunk."""

    def forward(self, tensors, weights):
        (matrix,) = tensors

        def part(block):
            rows = tf.reshape(tf.cast(block, weights.dtype), (-1, tf.shape(block)[2]))
            shift = tf.transpose(tf.matmul(rows, weights, transpose_b=True))
            return tf.reshape(shift, (tf.shape(weights)[0], -1, tf.shape(block)[1]))

        if weights.dtype == matrix.dtype:
            return part(matrix)
        return _concatenate(part, tensors, self._chunk(matrix))

    def adjoint(self, tensors, shift):
        (matrix,) = tensors

        def part(block, shift):
            rows = tf.reshape(tf.cast(block, shift.dtype), (-1, tf.shape(block)[2]))
            return tf.matmul(tf.reshape(shift, (tf.shape(shift)[0], -1)), rows)

        if shift.dtype == matrix.dtype:
            return part(matrix, shift)
        size = tf.shape(matrix)[2]
        return _sum(part, tensors, shift, size, self._chunk(matrix))

    def signature(self, tensors):
        """Specs of the tensors of all problems that one compiled solver serves."""
        (matrix,) = tensors
        return (tf.TensorSpec([None, None, None], matrix.dtype),)

    def normal(self, tensors, hessian):
        """A^T diag(hessian) A, (P, P), of hessian (groups, p_L, p_L)."""
        (matrix,) = tensors
        rows = tf.reshape(matrix, (-1, tf.shape(matrix)[2]))
        curved = tf.reshape(tf.matmul(hessian, matrix), tf.shape(rows))
        return tf.matmul(rows, curved, transpose_a=True)

    def gram(self, tensors):
        """A A^T, NumPy, float64."""
        (matrix,) = tensors
        return grams.gram([tf.reshape(matrix, (-1, matrix.shape[2]))])

    @staticmethod
    def _chunk(matrix):
        per_group = 8 * tf.shape(matrix)[1] * tf.shape(matrix)[2]
        return tf.maximum(1, _CHUNK_BYTES // per_group)


@dataclasses.dataclass(frozen=True)
class _FactoredAction:
    linear_map: object
    kernel_gradient: object
    gram_matrix: object
    shape: tuple
    chunk: int

    def forward(self, tensors, weights):
        def part(jacobian, inputs):
            return tf.map_fn(
                lambda kernel: self._forward(jacobian, inputs, kernel), weights, name="columns"
            )

        return _concatenate(part, tensors, self.chunk, weights.dtype)

    def adjoint(self, tensors, shift):
        def part(jacobian, inputs, shift):
            return tf.map_fn(
                lambda column: self._adjoint(jacobian, inputs, column), shift, name="columns"
            )

        size = int(np.prod(self.shape))
        return _sum(part, tensors, shift, size, self.chunk)

    def gram(self, tensors):
        return self.gram_matrix(*tensors)

    def signature(self, tensors):
        return tuple(tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in tensors)

    def _forward(self, jacobian, inputs, kernel):
        change = self.linear_map(inputs, tf.reshape(kernel, self.shape))
        flat = tf.reshape(jacobian, (tf.shape(jacobian)[0], tf.shape(jacobian)[1], -1))
        change = tf.reshape(change, (tf.shape(flat)[0], -1, 1))
        return tf.matmul(flat, change)[..., 0]

    def _adjoint(self, jacobian, inputs, column):
        flat = tf.reshape(jacobian, (tf.shape(jacobian)[0], tf.shape(jacobian)[1], -1))
        sensitivity = tf.matmul(column[:, tf.newaxis], flat)
        shape = tf.concat([tf.shape(jacobian)[:1], tf.shape(jacobian)[2:]], axis=0)
        sensitivity = tf.reshape(sensitivity, shape)
        static = [None, *jacobian.shape[2:]]
        sensitivity = tf.ensure_shape(sensitivity, static)
        return tf.reshape(self.kernel_gradient(inputs, sensitivity), (-1,))


@dataclasses.dataclass(frozen=True)
class _JointAction:
    actions: tuple
    sizes: tuple

    def forward(self, tensors, weights):
        parts = tf.split(weights, self.sizes, axis=1)
        return tf.add_n([action.forward(*of) for action, *of in zip(self.actions, tensors, parts)])

    def adjoint(self, tensors, shift):
        parts = [action.adjoint(of, shift) for action, of in zip(self.actions, tensors)]
        return tf.concat(parts, axis=1)

    def gram(self, tensors):
        parts = (action.gram(of) for action, of in zip(self.actions, tensors))
        return functools.reduce(operator.iadd, parts)  # in place: a Gram matrix is large

    def signature(self, tensors):
        return tuple(action.signature(of) for action, of in zip(self.actions, tensors))


def _concatenate(part, tensors, chunk, dtype=None):
    """Applies `part` to chunks of groups; joins its (columns, groups of the chunk, p_L)."""
    groups = tf.shape(tensors[0])[0]
    count = (groups + chunk - 1) // chunk
    results = tf.TensorArray(
        dtype or tf.float64, size=count, infer_shape=False, element_shape=[None, None, None]
    )

    def body(index, results):
        block = _block(tensors, index, chunk, dtype)
        # Groups first: chunks are joined along the first axis.
        return index + 1, results.write(index, tf.transpose(part(*block), (1, 0, 2)))

    _, results = tf.while_loop(
        lambda index, _: index < count, body, (0, results), parallel_iterations=1
    )
    return tf.transpose(results.concat(), (1, 0, 2))


def _sum(part, tensors, shift, size, chunk):
    """Sums `part` over chunks of groups, each with its part of the shift."""
    groups, columns = tf.shape(tensors[0])[0], tf.shape(shift)[0]

    def body(index, total):
        block = _block(tensors, index, chunk, shift.dtype)
        own = shift[:, index * chunk : (index + 1) * chunk]
        return index + 1, total + part(*block, own)

    total = tf.zeros(tf.stack([columns, size]), shift.dtype)
    invariants = (tf.TensorShape([]), tf.TensorShape([None, None]))
    return tf.while_loop(
        lambda index, _: index * chunk < groups,
        body,
        (0, total),
        shape_invariants=invariants,
        parallel_iterations=1,
    )[1]


def _block(tensors, index, chunk, dtype):
    parts = [part[index * chunk : (index + 1) * chunk] for part in tensors]
    return parts if dtype is None else [tf.cast(part, dtype) for part in parts]


def as_floats(array: npt.ArrayLike) -> tf.Tensor:
    """A tensor that is float64 if it was, and float32 otherwise."""
    tensor = tf.convert_to_tensor(array)
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)
