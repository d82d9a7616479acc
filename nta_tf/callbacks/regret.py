"""Regret while `model.fit` runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nta_tf import scopes
from nta_tf.callbacks.measuring import MeasuredRounds
from nta_tf.recorders import Recorder, TaylorRounds
from nta_tf.regret import regret

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = ("cumulative_loss", "taylor_optimum", "regret", "regret_over_sqrt_n", "gap")


class Regret(MeasuredRounds):
    """Measures regret (Theorem 2) of layers, neurons or the network while a model trains.

    At the end of each epoch `"regret/SCOPE"` is in Keras's logs, for the progress bar, the
    history and callbacks that come after this one, such as `EarlyStopping(monitor="regret/SCOPE",
    mode="min")`. TensorBoard and the CSV file get cumulative loss, Taylor optimum, regret,
    regret / sqrt(N) and gap of each scope.

    Rounds are those of `RecordRounds`: W^n before a step, at one minibatch that you give. Numbers
    of an epoch are those of `nta.regret` on the run so far, with the ball of the trajectory so
    far; `nta.regret(callback.run, scope)` afterwards has one ball for all epochs. Where there is
    no closed form each epoch solves for all rounds anew: `every=10` does so less often.

    Args:
        x: The minibatch at which the rounds are taken, (B, ...).
        y: Its targets.
        scopes: A scope or a list of scopes, as for `nta.regret`: `"dense_3"`, `"dense_3:7"`,
            `"network"`.
        loss: The loss that the model is trained on, as for `nta.train`.
        recorder: The `nta.TaylorRounds` to measure. Defaults to one of the layers of the scopes,
            with a round an epoch, its last step.
        directory: Where the run is kept, or None to keep it in memory.
        every: After how many epochs regret is measured; after the last one in any case.
        log_dir: Directory of TensorBoard event files, or None.
        csv: Path of a CSV file with a row an epoch, or None.
        **options: Further arguments of `nta.regret`, such as `radius` or `solver`.

    Attributes:
        run: The `nta.Run`, once `fit` was called.

    Raises:
        ValueError: As `RecordRounds`; and if the recorder lacks a scope.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> model = nta.models.autoencoder(seed=0)
    >>> model.compile("adam", "mse")
    >>> watch = nta.callbacks.Regret(digits[:64], digits[:64], "dense_3", "mse")
    >>> history = model.fit(digits, digits, 64, epochs=3, verbose=0, callbacks=[watch])
    >>> len(history.history["regret/dense_3"])
    3
    >>> figure = watch.figure()
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        scopes: str | tuple | Sequence[str | tuple],
        loss: Any,
        recorder: TaylorRounds | None = None,
        directory: str | os.PathLike[str] | None = None,
        *,
        every: int = 1,
        log_dir: str | os.PathLike[str] | None = None,
        csv: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self._scopes = _parsed(scopes)
        recorder = _default_recorder(self._scopes) if recorder is None else recorder
        recorders: list[Recorder] = [recorder]
        super().__init__(x, y, recorders, loss, directory, every=every, log_dir=log_dir, csv=csv)
        self._record_name, self._options = recorder.name, {"checkpoints": 1, **options}

    def _measure(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        if not self.run.records[self._record_name].rounds.any():
            return {}, {}
        numbers: dict[str, float] = {}
        for scope in self._scopes:
            table = regret(self.run, scope, self._record_name, **self._options)
            last = table[table["round"] == table["round"].max()]
            for _, row in last.groupby("scope", sort=False).first().reset_index().iterrows():
                numbers |= {f"{column}/{row['scope']}": float(row[column]) for column in _COLUMNS}
        shown = {name: value for name, value in numbers.items() if name.startswith("regret/")}
        return shown, numbers

    def figure(self, **options: Any) -> Figure:
        """Draws losses, and regret and optima of the scopes, so far; see `nta.plotting.figure`."""
        given = {name: value for name, value in self._options.items() if name != "checkpoints"}
        layers = [scope.names[0] if len(scope.names) == 1 else scope for scope in self._scopes]
        return super().figure(**{"scopes": layers, **given, **options})


def _parsed(given: Any) -> list[scopes.Scope]:
    several = isinstance(given, list) or (
        isinstance(given, tuple) and not (len(given) == 2 and not isinstance(given[1], str))
    )
    parsed = [scopes.parse(scope) for scope in (given if several else [given])]
    if not parsed:
        raise ValueError("There must be at least one scope, such as 'dense_3'.")
    return parsed


def _default_recorder(parsed: list[scopes.Scope]) -> TaylorRounds:
    """A round an epoch, of the layers that are needed; normal equations know no network."""
    if any(scope.layer is None for scope in parsed):
        return TaylorRounds(None, schedule="1 an epoch", form="gradient_tensors")
    layers = list(dict.fromkeys(scope.layer for scope in parsed))
    return TaylorRounds(layers, schedule="1 an epoch")
