"""The paper's optimizers, with the semantics they had in the TensorFlow of 2016.

Keras has since changed constants that matter here: its RMSprop starts the mean square at zero and
not at one, so that its first steps are hundreds of times larger, and its epsilons differ.
Cumulative loss, regret and exploration all count from the first step, so the old variants are the
default and the new ones carry the suffix `_keras`.
"""

import importlib
import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from nta_tf._types import Config

Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule | Callable[[], float]


@keras.saving.register_keras_serializable(package="nta_tf")
class RMSProp(keras.optimizers.Optimizer):
    """RMSProp as in the TensorFlow of 2016: its mean square starts at one.

    Bit for bit `tf.compat.v1.train.RMSPropOptimizer`, through the same fused kernel:

        mean_square <- rho * mean_square + (1 - rho) * gradient**2
        velocity    <- momentum * velocity + learning_rate * gradient / sqrt(mean_square + epsilon)
        variable    <- variable - velocity

    Sparse gradients are made dense.

    Args:
        learning_rate: A float, a `keras.optimizers.schedules.LearningRateSchedule`, or a callable.
        rho: Decay of the mean square.
        momentum: Decay of the velocity; the paper uses none.
        epsilon: Added under the square root.
        **kwargs: Further arguments of `keras.optimizers.Optimizer`, such as `clipnorm` or `name`.

    Example:

    >>> import nta_tf as nta
    >>> optimizer = nta.optimizers.RMSProp(learning_rate=0.001)
    >>> optimizer.rho, optimizer.momentum, optimizer.epsilon
    (0.9, 0.0, 1e-10)
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-10,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates the mean squares, at one, and the velocities, at zero.

        Args:
            variables: The list of variables to optimize.
        """
        if self.built:
            return
        super().build(variables)
        self._mean_squares, self._velocities = self.add_optimizer_variables(
            variables, ["mean_square", "velocity"], initializer=["ones", "zeros"]
        )

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Updates one variable in place.

        Args:
            gradient: Tensor of the variable's shape.
            variable: The `tf.Variable` to update.
            learning_rate: Scalar tensor.
        """
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=self._mean_squares[index].value.handle,
            mom=self._velocities[index].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            rho=tf.constant(self.rho, variable.dtype),
            momentum=tf.constant(self.momentum, variable.dtype),
            epsilon=tf.constant(self.epsilon, variable.dtype),
            grad=tf.cast(tf.convert_to_tensor(gradient), variable.dtype),
        )

    def get_config(self) -> Config:
        """Returns the arguments from which `from_config` builds the same optimizer."""
        settings = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **settings}


@keras.saving.register_keras_serializable(package="nta_tf")
class Adam(keras.optimizers.Optimizer):
    """Adam as in the TensorFlow of 2016, with epsilon 1e-8.

    Bit for bit `tf.compat.v1.train.AdamOptimizer`, through the same fused kernel:

        momentum <- beta_1 * momentum + (1 - beta_1) * gradient
        velocity <- beta_2 * velocity + (1 - beta_2) * gradient**2
        rate     =  learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
        variable <- variable - rate * momentum / (sqrt(velocity) + epsilon)

    Sparse gradients are made dense.

    Args:
        learning_rate: A float, a `keras.optimizers.schedules.LearningRateSchedule`, or a callable.
        beta_1: Decay of the momentum.
        beta_2: Decay of the velocity.
        epsilon: Added to the square root, the "epsilon hat" of Kingma and Ba.
        **kwargs: Further arguments of `keras.optimizers.Optimizer`, such as `clipnorm` or `name`.

    Example:

    >>> import nta_tf as nta
    >>> optimizer = nta.optimizers.Adam(learning_rate=0.01)
    >>> optimizer.beta_1, optimizer.beta_2, optimizer.epsilon
    (0.9, 0.999, 1e-08)
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates momentums and velocities, at zero, and the powers of both decays.

        Args:
            variables: The list of variables to optimize.
        """
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        # The old optimizer multiplies up its powers step by step; beta ** t rounds differently.
        dtype = variables[0].dtype
        self._beta_1_power = self._add_power(self.beta_1, "beta_1_power", dtype)
        self._beta_2_power = self._add_power(self.beta_2, "beta_2_power", dtype)

    def _add_power(self, decay, name, dtype):
        # Keras's Constant initializer would round a float64 decay to float32.
        def initializer(shape, dtype):
            return tf.constant(decay, dtype, shape)

        return self.add_variable((), initializer, dtype=dtype, name=name)

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Updates one variable in place.

        Args:
            gradient: Tensor of the variable's shape.
            variable: The `tf.Variable` to update.
            learning_rate: Scalar tensor.
        """
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(self._beta_1_power.value, variable.dtype),
            beta2_power=tf.cast(self._beta_2_power.value, variable.dtype),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=tf.constant(self.beta_1, variable.dtype),
            beta2=tf.constant(self.beta_2, variable.dtype),
            epsilon=tf.constant(self.epsilon, variable.dtype),
            grad=tf.cast(tf.convert_to_tensor(gradient), variable.dtype),
        )

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # The one place that runs once a step, after all variables, and not for steps that only
        # accumulate gradients.
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self.assign(self._beta_1_power, self._beta_1_power.value * self.beta_1)
        self.assign(self._beta_2_power, self._beta_2_power.value * self.beta_2)

    def get_config(self) -> Config:
        """Returns the arguments from which `from_config` builds the same optimizer."""
        settings = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **settings}


# Plain gradient descent is the one whose arithmetic has not changed.
SGD = keras.optimizers.SGD

_OPTIMIZERS = {
    "adam": Adam,
    "rmsprop": RMSProp,
    "sgd": SGD,
    "adam_keras": keras.optimizers.Adam,
    "rmsprop_keras": keras.optimizers.RMSprop,
}


def get(name: str, learning_rate: Rate | None = None, **options: Any) -> keras.optimizers.Optimizer:
    """Returns a new optimizer by its name.

    The optimizers of the paper's experiments (section 2.4 and appendix A5), or any other class.

    Args:
        name: `"adam"`, `"rmsprop"` or `"sgd"` as in the TensorFlow of 2016, `"adam_keras"` or
            `"rmsprop_keras"` as in Keras 3, or where a class of Keras optimizers can be imported
            from: `"keras.optimizers:AdamW"`, `"my_module:MyOptimizer"`.
        learning_rate: A positive number or a learning rate schedule. `None` takes the optimizer's
            own default (0.001; 0.01 for `"sgd"`). The paper has 0.01 and 0.0002 for Adam,
            0.001 and 0.0005 for RMSProp (autoencoder and convnet), and 1.0, 0.1 and 0.01 for SGD.
        **options: Further arguments of the optimizer, such as `momentum=0.9`.

    Returns:
        A `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If there is no optimizer of that name, the learning rate is a number that
            is not positive and finite, or the optimizer does not take the options.

    Example:

    >>> import nta_tf as nta
    >>> optimizer = nta.optimizers.get("rmsprop", learning_rate=0.001)
    >>> round(float(optimizer.learning_rate), 6)
    0.001
    >>> nta.optimizers.get("keras.optimizers:Lion", 0.01, beta_1=0.95).beta_1
    0.95
    """
    kind = _OPTIMIZERS[name] if name in _OPTIMIZERS else _imported(name)
    if isinstance(learning_rate, (int, float)) and not 0 < learning_rate < float("inf"):
        raise ValueError(
            "The learning rate must be positive and finite. "
            f"Received: learning_rate={learning_rate}"
        )
    if learning_rate is not None:
        options["learning_rate"] = learning_rate
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The optimizer {name!r} cannot be made with {options}: {error}"
        ) from error


def check(optimizer: Any, variables: Sequence[keras.Variable]) -> None:
    """Raises unless a training with the optimizer can be repeated and taken up again.

    Its config must say all that makes it: a run is known by that of its optimizer.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.
        variables: The variables that it is to train.

    Raises:
        ValueError: If it is a class or no Keras optimizer, belongs to other variables, or its
            config leaves out arguments, is not JSON, or does not make it again.

    Example:

    >>> import keras
    >>> import nta_tf as nta
    >>> model = nta.models.autoencoder(seed=0)
    >>> nta.optimizers.check(keras.optimizers.AdamW(), model.trainable_variables)
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        hint = ""
        if isinstance(optimizer, type) and issubclass(optimizer, keras.optimizers.Optimizer):
            hint = f" Call the class: {optimizer.__name__}(learning_rate=...)."
        raise ValueError(
            "The optimizer must be a keras.optimizers.Optimizer, or a name that "
            f"nta.optimizers.get takes.{hint} Received: optimizer={optimizer!r}"
        )
    own = getattr(optimizer, "_trainable_variables", None) if optimizer.built else None
    if own is not None and {id(one) for one in own} != {id(one) for one in variables}:
        raise ValueError(
            f"The optimizer {optimizer.name!r} belongs to another model, or to this one before "
            "layers were frozen, whose moments it keeps; make a new one for each training."
        )
    _check_config(optimizer)


def _imported(name):
    """The class that `"module:Class"` stands for."""
    module, separator, attribute = str(name).partition(":")
    if not isinstance(name, str) or not separator:
        raise ValueError(
            f"The name of an optimizer must be one of {', '.join(map(repr, _OPTIMIZERS))}, or "
            "where a class is imported from, such as 'keras.optimizers:AdamW'. "
            f"Received: name={name!r}"
        )
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"The optimizer cannot be imported ({error}). It must stand in a module that Python "
            f"finds, in the working directory for example. Received: name={name!r}"
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, keras.optimizers.Optimizer)):
        raise ValueError(
            f"{name!r} must be a sub-class of keras.optimizers.Optimizer. Received: {kind!r}"
        )
    return kind


def _check_config(optimizer):
    kind, config = type(optimizer), optimizer.get_config()
    parameters = inspect.signature(kind.__init__).parameters.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [one.name for one in parameters if one.kind not in several][1:]  # not self
    missing = [name for name in named if name not in config]
    if missing:
        raise ValueError(
            f"get_config() of the optimizer {kind.__name__} leaves out {missing}, so that two runs "
            "with different values would count as one. Add them to the dictionary that it returns."
        )
    try:
        again = kind.from_config(json.loads(json.dumps(config))).get_config()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The optimizer {kind.__name__} cannot be made again from its get_config(), which must "
            f"hold numbers, texts, lists and dictionaries that its constructor takes: {error}"
        ) from error
    changed = [key for key in config if json.dumps(config[key]) != json.dumps(again.get(key))]
    if changed:
        raise ValueError(
            f"The optimizer {kind.__name__} made again from its get_config() differs in {changed}: "
            f"{[config[key] for key in changed]} before, {[again.get(key) for key in changed]} "
            "after."
        )
