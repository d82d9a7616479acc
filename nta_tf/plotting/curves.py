"""Curves on axes: losses, regret, losses beside their Taylor optima, exploration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nta_tf.plotting.sources import Source, sources
from nta_tf.solvers import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = {
    "minimum_hamming": ("epoch", "minimum Hamming distance"),
    "switches": ("data points", "switches"),
    "log_volume": ("units", "log-volume"),
}
_SOLVED = {status.name for status in Status if status.solved}
_LARGEST_GAP, _NEGLIGIBLE = 1e-3, 1e-4  # of the optimum, and of the cumulative loss


def losses(
    runs: Any, ax: Axes | None = None, *, measure: str = "loss", colours: Sequence | None = None
) -> Axes:
    """Draws the training loss of each epoch (Figure 6): the mean over its steps.

    Args:
        runs: A source, a list of them, or a dictionary by label; see `nta.plotting`.
        ax: Axes of matplotlib to draw on, or None for new ones.
        measure: `"loss"`, or `"accuracy"` of classifiers.
        colours: A colour for each source, instead of matplotlib's own.

    Returns:
        The axes.

    Raises:
        ValueError: If a source has no losses.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:128].reshape(128, 784)
    >>> runs = [nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer=name,
    ...                   epochs=2, batch_size=64) for name in ("sgd", "adam")]
    >>> ax = nta.plotting.losses(runs)
    >>> [line.get_label() for line in ax.lines]
    ['SGD 0.01', 'Adam 0.001']
    """
    if measure not in ("loss", "accuracy"):
        raise ValueError(f"The measure must be 'loss' or 'accuracy'. Received: {measure!r}")
    ax = _axes(ax)
    for source, style in _styled(sources(runs), colours):
        table = source.losses()
        if measure not in table or table[measure].isna().all():
            raise ValueError(f"{source.label!r} has no {measure}; it has {list(table)}.")
        mark = "o" if len(table) == 1 else None
        ax.plot(table["epoch"], table[measure], label=source.label, marker=mark, **style)
    return _finished(ax, "epoch", f"training {measure}")


def regret(
    runs: Any,
    scope: Any,
    ax: Axes | None = None,
    *,
    record: str | None = None,
    radius: float | None = None,
    normalized: bool = True,
    colours: Sequence | None = None,
    **options: Any,
) -> Axes:
    """Draws the regret of a layer, of neurons or of the network (Figures 3(a), 4(a), 4(b)).

    Regret that grows like sqrt(N) is flat when it is divided by sqrt(N). Rounds whose optimum was
    not found to 1e-3 have hollow marks.

    Args:
        runs: A source, a list of them, or a dictionary by label; see `nta.plotting`.
        scope: As for `nta.regret`; each neuron of several has a curve.
        ax: Axes of matplotlib to draw on, or None for new ones.
        record: Name of the record of Taylor rounds. Defaults to the first one of each run.
        radius: As for `nta.regret`: None is the ball of the trajectory, `math.inf` none.
        normalized: Whether regret is divided by sqrt(N).
        colours: A colour for each source, instead of matplotlib's own.
        **options: Further arguments of `nta.regret`, such as `checkpoints`.

    Returns:
        The axes.

    Raises:
        ValueError: If a source has no such regret.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:128].reshape(128, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="sgd",
    ...                 epochs=3, batch_size=64, recorders=[nta.TaylorRounds(["dense_3"])])
    >>> theirs = nta.regret(run, "dense_3")  # a table, from wherever it is
    >>> ax = nta.plotting.regret({"mine": run, "theirs": theirs}, "dense_3")
    >>> len(ax.lines), ax.get_title()
    (2, 'dense_3')
    """
    ax = _axes(ax)
    for (source, style), table in _tables(runs, scope, colours, record, radius, options):
        for name, rows in table.groupby("scope", sort=False):
            curve = rows["cumulative_loss"] - rows["taylor_optimum"]
            curve = curve / np.sqrt(rows["round"]) if normalized else curve
            _marked(ax, rows, curve, _label(source, table, name), style)
    _title(ax, scope)
    return _finished(ax, "epoch", "regret / sqrt(N)" if normalized else "regret")


def taylor_optimum(
    runs: Any,
    scope: Any,
    ax: Axes | None = None,
    *,
    record: str | None = None,
    radius: float | None = None,
    colours: Sequence | None = None,
    **options: Any,
) -> Axes:
    """Draws cumulative losses beside their Taylor optima, over sqrt(N) (Figures 3(b), 3(c), 4(c)).

    Args:
        runs: A source, a list of them, or a dictionary by label; see `nta.plotting`.
        scope: As for `nta.regret`.
        ax: Axes of matplotlib to draw on, or None for new ones.
        record: Name of the record of Taylor rounds. Defaults to the first one of each run.
        radius: As for `nta.regret`.
        colours: A colour for each source, instead of matplotlib's own.
        **options: Further arguments of `nta.regret`, such as `checkpoints`.

    Returns:
        The axes: for each source a solid line (the loss) and a dashed one (the optimum).

    Raises:
        ValueError: If a source has no such regret.
    """
    ax = _axes(ax)
    for (source, style), table in _tables(runs, scope, colours, record, radius, options):
        for name, rows in table.groupby("scope", sort=False):
            root = np.sqrt(rows["round"])
            label = _label(source, table, name)
            (line,) = ax.plot(rows["epoch"], rows["cumulative_loss"] / root, label=label, **style)
            same = {"color": line.get_color(), "linestyle": "--"}
            _marked(ax, rows, rows["taylor_optimum"] / root, "_optimum", same)
    _title(ax, scope)
    return _finished(ax, "epoch", "loss (solid), optimum (dashed) / sqrt(N)")


def exploration(
    runs: Any,
    measure: str = "minimum_hamming",
    ax: Axes | None = None,
    *,
    layers: str | None = None,
    record: str | None = None,
    colours: Sequence | None = None,
) -> Axes:
    """Draws a measure of exploration (Figure 5), of all rectifiers or of a layer's.

    Args:
        runs: A source, a list of them, or a dictionary by label; see `nta.plotting`.
        measure: `"minimum_hamming"` against epochs, or `"switches"` of data points or
            `"log_volume"` of units, sorted.
        ax: Axes of matplotlib to draw on, or None for new ones.
        layers: Name of a layer. Defaults to all.
        record: Name of the record of configurations. Defaults to the first one of each run.
        colours: A colour for each source, instead of matplotlib's own.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no such measure, or a source has no configurations.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> bits = np.random.default_rng(0).random((5, 100, 12)) < 0.5
    >>> ax = nta.plotting.exploration(bits, "switches")
    >>> ax.get_xlabel(), len(ax.lines[0].get_ydata())
    ('data points', 100)
    """
    if measure not in MEASURES:
        raise ValueError(f"Measures are {list(MEASURES)}. Received: measure={measure!r}")
    ax = _axes(ax)
    for source, style in _styled(sources(runs), colours):
        places, values = source.exploration(measure, layers, record)
        ax.plot(places, values, label=source.label, **style)
    if layers is not None:
        ax.set_title(layers)
    return _finished(ax, *MEASURES[measure])


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from matplotlib.figure import Figure  # drawing alone needs it, and it takes long to import

    return Figure(layout="constrained").subplots()


def _styled(given: list[Source], colours: Sequence | None) -> list[tuple[Source, dict[str, Any]]]:
    if colours is None:
        return [(source, {}) for source in given]
    return [(s, {"color": colours[n % len(colours)]}) for n, s in enumerate(given)]


def _tables(runs, scope, colours, record, radius, options):
    """((source, style), its table of regret) of every source."""
    styled = _styled(sources(runs), colours)
    found = [source.regret(scope, record, radius, **options) for source, _ in styled]
    kinds = [_kind(table) for table in found]
    if len(set(kinds)) > 1:  # of different readings: said in the legend
        styled = [
            (Source(f"{source.label} ({kind})", source.data), style)
            for (source, style), kind in zip(styled, kinds)
        ]
    return zip(styled, found)


def _kind(table: pd.DataFrame) -> str:
    """How regret was recorded and minimised, as far as the table says."""
    words = list(dict.fromkeys(table["reduction"])) if "reduction" in table else []
    if "radius" in table and not np.isfinite(table["radius"].astype(float)).any():
        words.append("no ball")
    return ", ".join(map(str, words)) or "reading not known"


def _label(source: Source, table: pd.DataFrame, name: str) -> str:
    return f"{source.label}, {name}" if table["scope"].nunique() > 1 else source.label


def _marked(
    ax: Axes, rows: pd.DataFrame, curve: pd.Series, label: str, style: Mapping[str, Any]
) -> None:
    """A curve, with hollow marks where the optimum is no better known than its gap says."""
    (line,) = ax.plot(rows["epoch"], curve, label=label, **style)
    uncertain = ~_certified(rows)
    if uncertain.any():
        ax.scatter(
            rows["epoch"][uncertain],
            curve[uncertain],
            facecolors="none",
            edgecolors=line.get_color(),
            s=18,
            zorder=3,
        )
    if len(rows) == 1:
        line.set_marker("o")


def _certified(rows: pd.DataFrame) -> pd.Series:
    found = pd.Series(True, rows.index)
    if "gap" in rows:
        found &= (rows["gap"] <= _LARGEST_GAP * rows["taylor_optimum"].abs()) | (
            rows["gap"] <= _NEGLIGIBLE * rows["cumulative_loss"]
        )
    if "status" in rows:
        found &= rows["status"].isin(_SOLVED)
    return found


def _title(ax: Axes, scope: Any) -> None:
    names = scope if isinstance(scope, str) else scope[0] if isinstance(scope, tuple) else ""
    ax.set_title(str(names))


def _finished(ax: Axes, along: str, up: str) -> Axes:
    ax.set_xlabel(along)
    ax.set_ylabel(up)
    if len([line for line in ax.lines if not str(line.get_label()).startswith("_")]) > 1:
        ax.legend()
    return ax
