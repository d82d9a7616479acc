"""Cumulative losses, Taylor optima and regret (Theorem 2), as tables."""

import dataclasses
import math

import numpy as np
import pandas as pd

from nta_tf.recorders.taylor import make_form
from nta_tf.solvers import Quadratic, minimize_on_balls
from nta_tf.trace import as_run

# Relative size of an eigenvalue, times 1 / P, below which it is rounding. The float32
# value is measured: products are rounded to 6e-8, but independently, and the sum over
# examples and rounds is float64 (tests/test_taylor_rounds.py, README "Precision").
PRECISION = {"float64": np.finfo(np.float64).eps, "float32": 1e-12}


def regret(run_or_directory, scope, record=None, radius=None, progress=None):
    """Cumulative loss, Taylor optimum and regret at the end of every epoch (Theorem 2).

    With N recorded rounds, regret(N) is the loss incurred on them minus the minimum over
    one V of their cumulative Taylor loss. It may be negative: the theorem bounds it from
    above only.

    Args:
        run_or_directory: A run of `nta.train` with a `nta.TaylorRounds` recorder, or its
            directory.
        scope: A layer by name (`"dense_3"`), or a neuron of it (`("dense_3", 7)` or
            `"dense_3:7"`).
        record: Name of the record; may be left out when the run has only one.
        radius: Radius D of the ball around the centre of the trajectory {W^n} over which
            V may range. None is the largest distance from the centre on that trajectory
            (as known at the first recorded round and the last one of each epoch);
            `math.inf` lets V range freely. A list of radii gives the rows of each.
        progress: Function that wraps the iterable of epochs, such as `tqdm.tqdm`, to show
            progress.

    Returns:
        A `pandas.DataFrame` with one row a checkpoint round: `round` (N), `epoch`,
        `cumulative_loss`, `taylor_optimum`, `regret`, `regret_over_sqrt_n`, `gap` (bound on
        how far the Taylor optimum may lie below), `radius`, `distance` (of the minimiser
        from the centre), `rank`, `status`.

    Raises:
        ValueError: For an unknown record or scope, or a neuron that is not there.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="sgd",
    ...                 epochs=3, batch_size=64, recorders=[nta.TaylorRounds(["dense_3"])])
    >>> table = nta.regret(run, "dense_3", radius=float("inf"))
    >>> table["round"].tolist()
    [4, 8, 12]
    """
    run = as_run(run_or_directory)
    problem = _Problem(run, *_parse_scope(scope), _record_name(run, record))
    radii = [problem.radius if r is None else float(r) for r in _as_list(radius)]
    rows = []
    epochs = problem.epochs if progress is None else progress(problem.epochs)
    for round_number, epoch, incurred, quadratic in problem.prefixes(epochs):
        optima = minimize_on_balls(quadratic, problem.centre, radii)
        for limit, optimum in zip(radii, optima):
            rows.append(_row(round_number, epoch + 1, incurred, optimum, limit, problem.centre))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.sort_values(["radius", "round"], ignore_index=True)


_COLUMNS = (
    "round epoch cumulative_loss taylor_optimum regret regret_over_sqrt_n gap radius "
    "distance rank status"
).split()


def _row(round_number, epoch, incurred, optimum, radius, centre):
    difference = incurred - optimum.loss
    return (
        round_number,
        epoch,
        incurred,
        optimum.loss,
        difference,
        difference / math.sqrt(round_number),
        optimum.gap,
        radius,
        float(np.linalg.norm(optimum.weights - centre)),
        optimum.rank,
        optimum.status.name,
    )


class _Problem:
    """The cumulative Taylor loss of one scope of one record, prefix by prefix."""

    def __init__(self, run, layer, neuron, record):
        self._config = run.config["records"][record]
        if layer not in self._config["layers"]:
            raise ValueError(
                f"Record {record!r} has layers {self._config['layers']}. Received: scope {layer!r}"
            )
        self._run, self._neuron = run, neuron
        self._record_prefix = f"records/{record}/"
        self._prefix = f"{self._record_prefix}{layer}/"
        shapes = {
            name.removeprefix(self._prefix): shape
            for name, shape in run.arrays(self._prefix).items()
        }
        self._form = make_form(self._config, layer, shapes)
        units = shapes["kernel"][1]
        if neuron is not None and not 0 <= neuron < units:
            raise ValueError(
                f"Layer {layer!r} has neurons 0 to {units - 1}. Received: neuron {neuron}"
            )
        self._has_weight = "weight" in shapes
        self._rounds = run.read(f"{self._record_prefix}rounds")
        self.epochs = np.flatnonzero(self._rounds)
        if not len(self.epochs):
            raise ValueError(
                f"Record {record!r} of {run!r} holds no rounds yet; train at least one "
                "epoch that has some."
            )
        trajectory = self._trajectory()
        self.centre = trajectory.mean(axis=0)
        distances = np.sqrt(((trajectory - self.centre) ** 2).sum(axis=(1, 2)))
        self.radius = float(distances.max())

    def prefixes(self, epochs):
        """Yields N, epoch, incurred loss and `Quadratic` after each of the epochs."""
        rounds, incurred, total = 0, 0.0, None
        for epoch in epochs:
            rounds += int(self._rounds[epoch])
            incurred += float(self._run.read(f"{self._record_prefix}incurred", int(epoch)))
            increment = self._increment(int(epoch))
            total = increment if total is None else total + increment
            yield rounds, int(epoch), incurred, total

    def _increment(self, epoch):
        own = {} if not self._has_weight else {"weight": self._read("weight", epoch)}
        hessian = self._form.hessian(self._read("hessian", epoch), self._neuron, **own)
        by = "" if self._neuron is None else "neuron_"
        gradient = self._read(f"{by}gradient", epoch)
        constant = self._read(f"{by}constant", epoch)
        if self._neuron is not None:
            gradient, constant = gradient[[self._neuron]], constant[self._neuron]
        return Quadratic(
            hessian if hessian.ndim == 3 else hessian[None],
            self._blocks(gradient.T),
            float(constant),
            PRECISION[self._config["dtype"]],
        )

    def _trajectory(self):
        """Weights at the first recorded round, then at the last one of each epoch."""
        first = self._read("first_kernel", int(self.epochs[0]))[None]
        later = self._read("kernel")[self.epochs]
        kernels = np.concatenate([first, later]).astype(np.float64)
        if self._neuron is not None:
            kernels = kernels[..., [self._neuron]]
        return np.stack([self._blocks(kernel) for kernel in kernels])

    def _blocks(self, kernel):
        """A kernel (p_{l-1}, p_l) as blocks of weights: (1, P), or its columns."""
        if self._neuron is not None or self._form.decoupled:
            return kernel.T
        return kernel.reshape(1, -1)

    def _read(self, array, epoch=None):
        return self._run.read(self._prefix + array, epoch)


def _record_name(run, record):
    names = [
        name for name, config in run.config["records"].items() if config["kind"] == "taylor_rounds"
    ]
    if record is None and len(names) == 1:
        return names[0]
    if record not in names:
        raise ValueError(f"Taylor records of {run!r} are {names}. Received: record={record!r}")
    return record


def _parse_scope(scope):
    """("dense_3", 7), "dense_3:7" or "dense_3" as (layer, neuron or None)."""
    if isinstance(scope, str):
        layer, _, neuron = scope.partition(":")
        scope = (layer, neuron) if neuron else (layer,)
    try:
        layer, *neuron = scope
        return str(layer), int(neuron[0]) if neuron else None
    except (TypeError, ValueError):
        raise ValueError(
            "A scope is a layer ('dense_3') or a neuron (('dense_3', 7) or 'dense_3:7'). "
            f"Received: {scope!r}"
        ) from None


def _as_list(radius):
    return list(radius) if isinstance(radius, (list, tuple)) else [radius]


@dataclasses.dataclass(frozen=True)
class GrowthExponent:
    """Exponent e of a fit `quantity ~ N^e`, with a bootstrap interval.

    Attributes:
        exponent: Least-squares slope of log quantity against log N.
        low: Lower end of the interval.
        high: Upper end of the interval.
        first_epoch: First epoch of the fit.
        last_epoch: Last epoch of the fit.
        status: "fitted", or why there is no exponent.
    """

    exponent: float
    low: float
    high: float
    first_epoch: float
    last_epoch: float
    status: str


def growth_exponent(
    table,
    column="regret",
    first_epoch=20,
    confidence=0.95,
    resamples=2000,
    block=None,
    seed=0,
):
    """Fits how a cumulative quantity grows with N: 0.5 is the sqrt(N) of Theorem 2.

    The slope of log quantity against log N is fitted to the increments that remain after
    the first epochs (the paper's Figure 4 begins at epoch 20). Residuals of a cumulative
    quantity are strongly dependent, so that the interval comes from a moving-block
    bootstrap of the residuals.

    Args:
        table: A table of `nta.regret` with one radius.
        column: Which column to fit.
        first_epoch: Checkpoints before this epoch are left out.
        confidence: Coverage of the interval.
        resamples: Number of bootstrap samples.
        block: Length of a block of residuals. Defaults to the cube root rule, at least 4.
        seed: Seed of the bootstrap.

    Returns:
        A `GrowthExponent`; its numbers are NaN, and its status says why, when the quantity
        is not positive or fewer than eight checkpoints are left.

    Example:

    >>> import numpy as np, pandas as pd
    >>> import nta_tf as nta
    >>> n = np.arange(1, 101)
    >>> table = pd.DataFrame({"round": n, "epoch": n, "regret": 0.3 * np.sqrt(n)})
    >>> round(nta.growth_exponent(table).exponent, 6)
    0.5
    """
    table = table[table["epoch"] >= first_epoch]
    values = table[column].to_numpy(np.float64)
    span = (
        (float(first_epoch), float(table["epoch"].max()))
        if len(table)
        else (
            float(first_epoch),
            math.nan,
        )
    )
    status = _why_no_exponent(table, column, values)
    if status:
        return GrowthExponent(math.nan, math.nan, math.nan, *span, status)
    log_rounds, log_values = np.log(table["round"].to_numpy(float)), np.log(values)
    slope, intercept = np.polyfit(log_rounds, log_values, 1)
    fitted = slope * log_rounds + intercept
    block = block or max(4, round(2 * len(values) ** (1 / 3)))
    samples = _moving_blocks(log_values - fitted, min(block, len(values)), resamples, seed)
    slopes = np.polyfit(log_rounds, (fitted + samples).T, 1)[0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(slopes, [tail, 1 - tail])
    return GrowthExponent(float(slope), float(low), float(high), *span, "fitted")


def _why_no_exponent(table, column, values):
    if len(values) < 8:
        return f"only {len(values)} checkpoints, 8 are needed"
    wrong = ~(values > 0)
    if wrong.any():
        epoch = table["epoch"].to_numpy()[wrong][0]
        return (
            f"{column} is not positive from epoch {epoch:g} on"
            if wrong.all()
            else (f"{column} is not positive at epoch {epoch:g}")
        )
    return ""


def _moving_blocks(residuals, block, resamples, seed):
    """Resampled residuals (resamples, n), in blocks that keep their dependence."""
    generator = np.random.default_rng(seed)
    count = -(-len(residuals) // block)
    starts = generator.integers(0, len(residuals) - block + 1, (resamples, count))
    index = starts[..., None] + np.arange(block)
    return residuals[index.reshape(resamples, -1)[:, : len(residuals)]]
