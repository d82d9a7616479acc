"""What the paper leaves open, as one object with two named presets.

Every choice that a figure depends on and that the paper does not settle is a field here,
with its default, and is written into the config of every run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from nta_tf import comparators, data, models, optimizers, precision
from nta_tf._types import Config
from nta_tf.recorders import TaylorRounds

# Fields that change the training; the others say how it is recorded and solved.
_TRAINING = (
    "output_activation",
    "kernel_initializer",
    "use_bias",
    "input_scaling",
    "optimizer_variant",
    "dtype_policy",
)
_VARIANTS = ("tensorflow_2016", "keras_3")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How an experiment of section 2.4 is run, recorded and solved.

    Attributes:
        name: Name of the protocol, and of the record that it makes in a run.
        reduction: `"per_example"` (Definition 1) or `"batch_mean"` (one mean G a round,
            what gradients summed over a minibatch give).
        schedule: Which steps are rounds, as `nta.schedules.get` reads it.
        radius: Ball over which V ranges: None for the trajectory's own (Theorem 2's
            bounded diameter), `math.inf` for none, or a number.
        comparator: With what the loss is compared: `"static"` (one V for all rounds, Theorem 2),
            `"each_epoch"` or `"each_round"`, as in `nta.regret`.
        bias_in_scope: Whether the biases of a layer are part of its V.
        dtype: Dtype of the recorder's products; sums are float64 in any case.
        examples: How many examples of its minibatch a round takes, where rounds are kept as
            gradient tensors; None for all.
        output_activation: Of the autoencoder: `"linear"` as in section 2.3, where
            x_L = a_L, `"sigmoid"` or `"relu"`.
        kernel_initializer: Name of a Keras initializer; see `nta.models.autoencoder`.
        use_bias: Whether layers have biases.
        input_scaling: As in `nta.data.load`.
        optimizer_variant: `"tensorflow_2016"`, the TensorFlow of the authors, or
            `"keras_3"`, for RMSProp and Adam.
        dtype_policy: Keras dtype policy in which the training steps compute, such as
            `"mixed_bfloat16"`, or None for the model's own. Records are of the model's own
            dtype in any case.

    Raises:
        ValueError: If one of these is none of the values that it may have.
    """

    name: str
    reduction: str = "per_example"
    schedule: str = "every step"
    radius: float | None = None
    comparator: str = "static"
    bias_in_scope: bool = False
    dtype: str = "float32"
    examples: int | None = None
    output_activation: str = "linear"
    kernel_initializer: str = "glorot_uniform"
    use_bias: bool = True
    input_scaling: str = "unit"
    optimizer_variant: str = "tensorflow_2016"
    dtype_policy: str | None = None

    def __post_init__(self) -> None:
        if self.optimizer_variant not in _VARIANTS:
            raise ValueError(
                f"The optimizer variant must be one of {_VARIANTS}. "
                f"Received: {self.optimizer_variant!r}"
            )
        models.check_choices(self.output_activation, self.kernel_initializer, self.use_bias)
        if self.input_scaling not in data.SCALINGS:
            raise ValueError(
                f"The input scaling must be one of {data.SCALINGS}. "
                f"Received: {self.input_scaling!r}"
            )
        if self.radius is not None and not _is_radius(self.radius):
            raise ValueError(
                f"The radius is None, a number from zero on, or math.inf. Received: {self.radius!r}"
            )
        if self.dtype_policy is not None:
            precision.check_name(self.dtype_policy)
        comparators.check(self.comparator)
        self.recorder()  # checks reduction, schedule, dtype, biases and examples

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Protocol:
        """A named preset, with some fields changed.

        Args:
            name: `"definition"`: what the text defines; one G an example, every step a
                round, V in the ball of the trajectory. `"figures"`: the reading that
                explains the published figures best (docs/results.md); one mean G a round, one
                round an epoch, V in the ball, a sigmoid behind the autoencoder, He's initializer.
            **changes: Fields to change.

        Returns:
            A `Protocol`.

        Raises:
            ValueError: If there is no such preset.

        Example:

        >>> import nta_tf as nta
        >>> nta.Protocol.preset("figures").schedule
        '1 an epoch'
        >>> nta.Protocol.preset("definition", schedule="every 10 steps").reduction
        'per_example'
        """
        if name not in PRESETS:
            raise ValueError(f"Protocols are {sorted(PRESETS)}. Received: name={name!r}")
        return dataclasses.replace(PRESETS[name], **changes)

    def training_options(self) -> Config:
        """The fields that change the training, as a JSON-ready dictionary."""
        return {field: getattr(self, field) for field in _TRAINING}

    def recorder(self, layers: str | Sequence[str] | None = None) -> TaylorRounds:
        """The recorder of this protocol's Taylor rounds.

        Args:
            layers: Names of layers, or None for every Dense layer but the first.

        Returns:
            A `nta.TaylorRounds` under the protocol's name.
        """
        return TaylorRounds(
            layers,
            self.reduction,
            self.schedule,
            bias=self.bias_in_scope,
            dtype=self.dtype,
            name=self.name,
            examples=self.examples,
        )

    def optimizer(self, name: str, learning_rate: float) -> keras.optimizers.Optimizer:
        """The paper's optimizer of that name, in this protocol's variant.

        Args:
            name: `"adam"`, `"rmsprop"` or `"sgd"`; a name that says its own variant, such
                as `"rmsprop_keras"`, is taken at its word.
            learning_rate: A positive number.

        Returns:
            A Keras optimizer.
        """
        if self.optimizer_variant == "keras_3" and name in ("adam", "rmsprop"):
            name = f"{name}_keras"
        return optimizers.get(name, learning_rate)


def _is_radius(value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and value >= 0


PRESETS = {
    "definition": Protocol("definition"),
    "figures": Protocol(
        "figures",
        reduction="batch_mean",
        schedule="1 an epoch",
        output_activation="sigmoid",
        kernel_initializer="he_normal",
    ),
}
