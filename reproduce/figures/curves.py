"""Curves that figures share: mean over seeds, band, diverged runs, the paper's axis."""

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from reproduce import style

# The axis shows all of a curve unless its first tenth is a transient more
# than this many times as tall as the rest.
_TRANSIENT = 3.0
_TRANSIENT_PART = 0.1
# The paper's axis is shown whole unless that would leave the data less than
# one part in this many of the height.
_WIDEST = 3.0
# What is flat must look flat: no axis is narrower than this share of its values.
_NARROWEST = 0.25
_MARGIN = 0.06

_HOLLOW = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 3.2,
    "markerfacecolor": "white",
    "markeredgewidth": 0.8,
}
_SMALLEST_SHARE = 0.05  # of the axis, below which the paper's range is not marked


@dataclass(frozen=True)
class Curve:
    """Mean over seeds (in Figure 3, over neurons) of one quantity of one optimizer.

    Attributes:
        epoch: Array of epochs; in Figure 5(b) and (c), of places in a sorted order.
        mean: Mean over seeds; NaN from where a seed has diverged, since the
            mean over the survivors would be another quantity.
        deviation: Standard deviation over seeds, `None` with a single seed.
        certified: Whether every optimum behind a point is certified; `None`
            where no optimum is.
    """

    epoch: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray | None
    certified: np.ndarray | None = None

    @property
    def low(self):
        """Lower edge of the band, or the curve itself."""
        return self.mean if self.deviation is None else self.mean - self.deviation

    @property
    def high(self):
        """Upper edge of the band, or the curve itself."""
        return self.mean if self.deviation is None else self.mean + self.deviation


def over_seeds(table, value, index="epoch", over="seed", certified=None, along="epoch"):
    """Curve of a quantity over epochs, averaged over seeds.

    Args:
        table: Rows of one optimizer (and record, scope, radius).
        value: Column to average, or a series aligned with `table`.
        index: Column in which seeds are aligned, such as `"round"`.
        over: Column, or list of columns, to average over.
        certified: Boolean series aligned with `table`: whether the optimum that
            the value rests on is certified.
        along: Column of the horizontal axis.

    Returns:
        A `Curve`.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"seed": [0, 0, 1, 1], "epoch": [1, 2, 1, 2],
    ...                       "loss": [4.0, 2.0, 2.0, 2.0]})
    >>> over_seeds(table, "loss").mean.tolist()
    [3.0, 2.0]
    """
    values = table[value] if isinstance(value, str) else value
    frame = table.assign(_value=values.where(np.isfinite(values)))
    grid = frame.pivot(index=index, columns=over, values="_value")
    epoch = frame.groupby(index)[along].mean().to_numpy(float)
    grid = grid.to_numpy(float)
    deviation = grid.std(axis=1, ddof=1) if grid.shape[1] > 1 else None
    if certified is not None:
        certified = certified.groupby(frame[index]).all().to_numpy(bool)
    return Curve(epoch, grid.mean(axis=1), deviation, certified)


def draw(axes, curve, colour, label, **line):
    """Draws a curve and its band.

    A cross marks where a run diverged, hollow points optima without a certificate.

    Args:
        axes: Axes to draw on.
        curve: `Curve` to draw.
        colour: Colour of line and band.
        label: Entry in the legend.
        **line: Further properties of the line, such as `linestyle`.
    """
    axes.plot(curve.epoch, curve.mean, color=colour, label=label, **line)
    if curve.deviation is not None:
        axes.fill_between(curve.epoch, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    if curve.certified is not None and not curve.certified.all():
        loose = ~curve.certified
        axes.plot(
            curve.epoch[loose], curve.mean[loose], color=colour, label="_not certified", **_HOLLOW
        )
    finite = np.flatnonzero(np.isfinite(curve.mean))
    if finite.size and finite[-1] + 1 < curve.mean.size:
        axes.plot(
            curve.epoch[finite[-1]],
            curve.mean[finite[-1]],
            marker="x",
            markersize=4,
            color=colour,
            clip_on=False,
            label="_diverged",
        )


def diverged(losses):
    """What to add to an optimizer's label when runs of it diverged.

    Args:
        losses: Rows of `tables.read_losses` of one optimizer.

    Returns:
        Text such as `"diverged in epoch 3"`, `"1 of 3 seeds diverged"`, or `""`.
    """
    epochs = [_diverged_epoch(rows) for _, rows in losses.groupby("seed")]
    bad = [epoch for epoch in epochs if epoch is not None]
    if not bad:
        return ""
    if len(epochs) == 1:
        return f"diverged in epoch {bad[0]}"
    return f"{len(bad)} of {len(epochs)} seeds diverged"


def limits(curves, paper=None, transient=True):
    """Range of the vertical axis.

    Args:
        curves: Curves to show.
        paper: Lower and upper end of the paper's axis, shown whole where the
            data allow it.
        transient: Whether a curve's first tenth may leave the axis.

    Returns:
        Lower end, upper end, and whether the first epochs of a curve leave
        the axis, which a caption must then say.
    """
    everything = _span(curves, 0.0)
    if everything is None:
        return (*(paper or (0.0, 1.0)), False)
    settled = _span(curves, _TRANSIENT_PART) or everything
    leaves = transient and np.ptp(everything) > _TRANSIENT * max(np.ptp(settled), 1e-12)
    low, high = settled if leaves else everything
    missing = max(_NARROWEST * max(abs(low), abs(high)) - (high - low), 0.0)
    low, high = low - missing / 2, high + missing / 2
    height = high - low or 1e-12
    low, high = low - _MARGIN * height, high + _MARGIN * height
    if paper:
        widened = min(low, paper[0]), max(high, paper[1])
        if np.ptp(widened) <= _WIDEST * height:
            low, high = widened
    return low, high, bool(leaves)


def round_ticks(axes):
    """Puts ticks at steps of 1, 2 or 5, as the paper has them."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))


def zero_line(axes):
    """Draws a thin line at zero where zero lies within the axis."""
    low, high = axes.get_ylim()
    if low < 0 < high:
        axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=0.5)


def paper_axis(axes, paper):
    """Marks at the right margin the range that the paper's axis has.

    Args:
        axes: Axes with their final range.
        paper: Lower and upper end of the paper's axis.
    """
    low, high = axes.get_ylim()
    if paper[1] - paper[0] < _SMALLEST_SHARE * (high - low):
        return  # another count of rounds: the paper's axis would be a speck on this one
    bottom, top = max(low, paper[0]), min(high, paper[1])
    text = "paper's axis"
    if (bottom, top) != paper:  # what is marked is not all of it
        text += f": {paper[0]:g} to {paper[1]:g}"
    if top <= bottom:
        text += f", {'above' if paper[0] >= high else 'below'}"
        bottom, top = low, high
    else:
        axes.axhspan(
            bottom,
            top,
            xmin=1.012,
            xmax=1.03,
            color="#D9D9D9",
            linewidth=0,
            clip_on=False,
            zorder=0,
        )
    axes.annotate(
        text,
        (1.04, (bottom + top) / 2),
        xycoords=axes.get_yaxis_transform(),
        rotation=90,
        ha="left",
        va="center",
        fontsize=6,
        color=style.GREY,
        annotation_clip=False,
    )


def _span(curves, part):
    """Least and greatest value from the given part of the epochs on."""
    if not curves:
        return None
    start = part * max(curve.epoch.max(initial=0) for curve in curves)
    edges = [edge[curve.epoch >= start] for curve in curves for edge in (curve.low, curve.high)]
    values = np.concatenate(edges)
    values = values[np.isfinite(values)]
    return (values.min(), values.max()) if values.size else None


def _diverged_epoch(losses):
    if not (losses["status"] == "diverged").any():
        return None
    bad = losses[~np.isfinite(losses["loss"])]
    return int(bad["epoch"].min() if len(bad) else losses["epoch"].max())
