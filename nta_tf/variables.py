"""Which variables of a model a training step may move, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras
import tensorflow as tf

LOW_PRECISION = ("float16", "bfloat16")


def moving_variables(model: keras.Model) -> list[keras.Variable]:
    """All variables that a training step may change and the network's outputs depend on.

    These are W, and statistics such as the moving averages of BatchNormalization, which the network
    uses in inference mode; not the weights of frozen layers, nor seeds of dropout.

    Args:
        model: A `keras.Model`.

    Returns:
        List of variables: the trainable ones first, each in the order in which Keras has them.

    Example:

    >>> import keras
    >>> import nta_tf as nta
    >>> layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    >>> [variable.name for variable in nta.variables.moving_variables(keras.Sequential(layers))]
    ['kernel', 'bias', 'gamma', 'beta', 'moving_mean', 'moving_variance']
    """
    variables = list(model.trainable_variables)
    known = {id(variable) for variable in variables}
    for layer in _leaves(model):
        if layer.trainable:
            for variable in layer.non_trainable_weights:  # has no seeds among them
                if id(variable) not in known:
                    known.add(id(variable))
                    variables.append(variable)
    return variables


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """The states of a model's random seeds: what says which masks dropout draws next.

    Args:
        model: A `keras.Model`.

    Returns:
        List of variables of integers.

    Example:

    >>> import keras
    >>> import nta_tf as nta
    >>> layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5, seed=1)]
    >>> [state.numpy() for state in nta.variables.seed_states(keras.Sequential(layers))]
    [array([1, 0])]
    """
    others = [*model.weights, *model.metrics_variables]
    known = {id(variable) for variable in others}
    return [
        variable
        for variable in model.variables
        if id(variable) not in known and not keras.backend.is_float_dtype(variable.dtype)
    ]


def recorded_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """What a round keeps of a model: what a step moves, and the states of its seeds.

    Args:
        model: A `keras.Model`.

    Returns:
        {name: variable}: its Keras path, numbered from the second on where variables of nested
        models share one (`"conv/kernel"`, `"conv/kernel:2"`).

    Example:

    >>> import keras
    >>> import nta_tf as nta
    >>> def part():
    ...     inputs = keras.Input((4,))
    ...     return keras.Model(inputs, keras.layers.Dense(4, name="top")(inputs))
    >>> model = keras.Sequential([keras.Input((4,)), part(), part()])
    >>> list(nta.variables.recorded_variables(model))
    ['top/kernel', 'top/bias', 'top/kernel:2', 'top/bias:2']
    """
    named: dict[str, keras.Variable] = {}
    counts: dict[str, int] = {}
    for variable in [*moving_variables(model), *seed_states(model)]:
        counts[variable.path] = count = counts.get(variable.path, 0) + 1
        named[variable.path if count == 1 else f"{variable.path}:{count}"] = variable
    return named


def recorded_dtype(variable: keras.Variable) -> str:
    """In which dtype a round keeps a variable: float32 at least, which holds all that is shorter.

    Args:
        variable: A variable.

    Returns:
        Name of a dtype.
    """
    return "float32" if variable.dtype in LOW_PRECISION else variable.dtype


class Values:
    """Puts the recorded values of a round in the places of variables.

    Args:
        model: The model that trains.
        variables: Variables in some order, such as those of an evaluated model.
    """

    def __init__(self, model: keras.Model, variables: list[keras.Variable]) -> None:
        names = {id(variable): name for name, variable in recorded_variables(model).items()}
        self._places = [(variable, names.get(id(variable))) for variable in variables]

    def __call__(self, recorded: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        """The value of every variable: what was recorded, or what it is if it never moves.

        Args:
            recorded: {name: value} of one round.

        Returns:
            A list of tensors like `variables`.
        """
        return [
            tf.convert_to_tensor(variable.value) if name is None else recorded[name]
            for variable, name in self._places
        ]

    def name_of(self, variable: keras.Variable) -> str | None:
        """The name under which a round has a variable, or None if it never moves."""
        return next((name for other, name in self._places if other is variable), None)


def _leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer
