"""Record of Taylor rounds: what the Taylor optimum of each scope needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nta_tf import schedules
from nta_tf.linearization import REDUCTIONS
from nta_tf.recorders import gradient_tensors, normal_equations
from nta_tf.recorders.base import ArraySpecification, Recorder, Rounds, Training
from nta_tf.recorders.gradient_tensors import GradientTensorReader, GradientTensorRecorder
from nta_tf.recorders.normal_equations import (
    NormalEquationReader,
    NormalEquationRecorder,
    dense_chain_of,
)
from nta_tf.recorders.taylor_reader import KIND, TaylorReader
from nta_tf.schedules import Schedule
from nta_tf.trace import Run

DTYPES = ("float32", "float64")
FORMS = ("auto", normal_equations.FORM, gradient_tensors.FORM)
_READERS: dict[str, type[TaylorReader]] = {
    normal_equations.FORM: NormalEquationReader,
    gradient_tensors.FORM: GradientTensorReader,
}


class TaylorRounds(Recorder):
    """Records Taylor rounds, layer by layer, while a model trains.

    At every recorded round n it keeps what the cumulative Taylor loss of each layer
    (Theorem 2) needs, so that the Taylor optimum can be found later. There are two forms:

    * `"normal_equations"`: for the mean squared error and chains of Dense layers, where the
      Taylor loss is a quadratic of the kernel. Sums over the rounds of an epoch are kept,
      exact and small, so that every step can be a round and every example counts.
    * `"gradient_tensors"`: for any loss and any model that `nta.linearize` takes. Every
      round is kept: the outputs and G_l, or its factors J_l and x_{l-1} where those are
      smaller. It serves all layers, their neurons, and the network.

    Weights W^n at the rounds are kept as well: they give the ball of Theorem 2.

    Args:
        layers: Names of layers or variables, as for `nta.linearize`, or None for every trainable
            weight that multiplies (in the normal equations: every Dense layer but the first, whose
            P x P hessian is usually too large: 39,200 squared for the autoencoder).
        reduction: `"per_example"` (Definition 1) or `"batch_mean"` (one mean G a round).
        schedule: Which steps are rounds; see `nta.schedules.get`.
        bias: Whether the biases of a layer belong to its weights V, or stay at their
            recorded values.
        dtype: Dtype of the products of the normal equations, `"float32"` or `"float64"`.
            Sums are float64 either way; with `"float64"` everything from the recorded weights
            on is. Gradient tensors are of the model's own dtype.
        name: Name of the record in the trace. Defaults to the reduction.
        form: One of the two forms, or `"auto"` for the normal equations where they exist.
        examples: How many examples of each minibatch a round of gradient tensors takes,
            chosen with `seed`; None for all. The loss incurred is that of the same examples.
        seed: Seed of the choice of examples.
        training_mode: Whether the network of a round is that of training mode, with the masks (and
            the noise) that dropout drew in the step, clamped as rectifiers are; otherwise it is
            that of inference mode. Rounds are then gradient tensors of all examples. Refused for
            layers that mix examples in training mode, such as BatchNormalization.

    Raises:
        ValueError: For an unknown reduction, schedule, dtype or form, or other values that are
            none of these.

    Example:

    >>> import nta_tf as nta
    >>> recorder = nta.TaylorRounds(["dense_3"], schedule="10 an epoch")
    >>> recorder.name, str(recorder.schedule)
    ('per_example', '10 an epoch')
    """

    def __init__(
        self,
        layers: str | Sequence[str] | None = None,
        reduction: str = "per_example",
        schedule: str | Schedule = "every step",
        bias: bool = False,
        dtype: str = "float32",
        name: str | None = None,
        form: str = "auto",
        examples: int | None = None,
        seed: int = 0,
        training_mode: bool = False,
    ) -> None:
        if reduction not in REDUCTIONS or dtype not in DTYPES or form not in FORMS:
            raise ValueError(
                f"The reduction must be one of {REDUCTIONS}, the dtype one of {DTYPES} and the "
                f"form one of {FORMS}. Received: reduction={reduction!r}, dtype={dtype!r}, "
                f"form={form!r}"
            )
        whole = isinstance(examples, (int, np.integer)) and not isinstance(examples, bool)
        if examples is not None and not (whole and examples > 0):
            raise ValueError(
                f"examples must be a positive whole number or None. Received: {examples!r}"
            )
        if not isinstance(bias, (bool, np.bool_)):
            raise ValueError(f"bias must be True or False. Received: {bias!r}")
        self.layers = None if layers is None else [str(name) for name in np.atleast_1d(layers)]
        self.reduction = reduction
        self.schedule = schedules.get(schedule)
        self.bias = bool(bias)
        self.dtype = dtype
        self.name = name or reduction
        self.form = form
        self.examples = examples
        self.seed = seed
        self.training_mode = bool(training_mode)

    def start(self, training: Training) -> dict[str, ArraySpecification]:
        common = (self.layers, self.reduction, self.schedule, self.bias)
        if self._takes_normal_equations(training):
            self._recorder = NormalEquationRecorder(*common, self.dtype, self.name)
        else:
            chosen = (self.examples, self.seed, self.training_mode)
            self._recorder = GradientTensorRecorder(*common, self.name, *chosen)
        return self._recorder.start(training)

    def steps(self, epoch: int) -> np.ndarray:
        return self._recorder.steps(epoch)

    def rounds_at_once(self) -> int:
        return self._recorder.rounds_at_once()

    def begin_epoch(self, epoch: int) -> None:
        self._recorder.begin_epoch(epoch)

    def record(self, rounds: Rounds) -> None:
        self._recorder.record(rounds)

    def end_epoch(self) -> dict[str, Any]:
        return self._recorder.end_epoch()

    def config(self) -> dict[str, Any]:
        return self._recorder.config()

    def _takes_normal_equations(self, training):
        if self.form == gradient_tensors.FORM:
            return False
        exist = training.loss == "mse" and not training.weighted
        exist = exist and dense_chain_of(training.model) is not None
        if exist and self.examples is None and not self.training_mode:
            return True
        if self.form == normal_equations.FORM:
            raise ValueError(
                "Normal equations exist for the mean squared error of all examples, each counted "
                f"once, on chains of Dense layers. Received: loss={training.loss!r}, model "
                f"{training.model.name!r} with layers "
                f"{[layer.name for layer in training.model.layers]}, examples={self.examples}, "
                f"training_mode={self.training_mode}"
            )
        return False


def taylor_reader(run: Run, record: str | None = None) -> TaylorReader:
    """The reader of a record of Taylor rounds, whichever form it has.

    Args:
        run: A `nta.Run`.
        record: Name of the record; may be left out when the run has only one.

    Returns:
        A `TaylorReader`, whose `problems(scope)` can be solved.

    Raises:
        ValueError: If the run has no such record, or it holds no rounds yet.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:128].reshape(128, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="sgd",
    ...                 epochs=2, batch_size=64, recorders=[nta.TaylorRounds(["dense_3"])])
    >>> nta.recorders.taylor_reader(run).rounds.tolist()
    [2, 2]
    """
    names = [name for name, kept in run.records.items() if kept.kind == KIND]
    if record is None and len(names) == 1:
        record = names[0]
    if record not in names:
        raise ValueError(f"Taylor records of {run!r} are {names}. Received: record={record!r}")
    return _READERS[run.records[record].config["form"]](run.records[record])
