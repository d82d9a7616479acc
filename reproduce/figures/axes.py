"""Ranges of axes, their ticks, and marks of the paper's own ranges."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from reproduce.figures import style
from reproduce.results.curves import Curve

# The axis shows all of a curve unless its first tenth is a transient more than this many times
# as tall as the rest.
_TRANSIENT = 3.0
_TRANSIENT_PART = 0.1
# The paper's axis is shown whole unless that would leave the data less than one part in this
# many of the height.
_WIDEST = 3.0
_MARGIN = 0.06
_SMALLEST_SHARE = 0.05  # of the axis, below which the paper's range is not marked
_LONG = 1e4  # from where on the numbers on a horizontal axis are wide
_ROOM = 1.25  # above and below the curves, of a logarithmic axis
_FEW_DECADES = 2  # on which there is room for ticks between the powers of ten
_MARK: style.Line = {"color": "#D9D9D9", "linewidth": 0, "clip_on": False, "zorder": 0}


def limits(
    curves: Sequence[Curve], paper: tuple[float, float] | None = None, transient: bool = True
) -> tuple[float, float, bool]:
    """Range of a vertical axis. It always has zero, so that what is flat looks flat.

    Args:
        curves: Curves to show.
        paper: Lower and upper end of the paper's axis, shown whole where the data allow it.
        transient: Whether a curve's first tenth may leave the axis.

    Returns:
        Lower end, upper end, and whether the first epochs of a curve leave the axis, which a
        caption must then say.
    """
    everything = _span(curves, 0.0)
    if everything is None:
        return (*(paper or (0.0, 1.0)), False)
    settled = _span(curves, _TRANSIENT_PART) or everything
    leaves = transient and np.ptp(everything) > _TRANSIENT * max(np.ptp(settled), 1e-12)
    low, high = settled if leaves else everything
    low, high = min(low, 0.0), max(high, 0.0)
    height = high - low or 1.0
    low, high = low - _MARGIN * height * (low < 0), high + _MARGIN * height
    if paper:
        widened = min(low, paper[0]), max(high, paper[1])
        if np.ptp(widened) <= _WIDEST * height:
            low, high = widened
    return float(low), float(high), bool(leaves)


def finish(
    axes: Axes,
    curves: Sequence[Curve],
    paper: tuple[float, float] | None = None,
    transient: bool = True,
) -> bool:
    """Sets both ranges of a panel, its ticks and marks.

    Args:
        axes: The panel.
        curves: Curves that it shows.
        paper: The paper's vertical axis.
        transient: Whether a curve's first tenth may leave the axis.

    Returns:
        Whether first epochs leave the axis.
    """
    low, high, leaves = limits(curves, paper, transient)
    axes.set_ylim(low, high)
    set_width(axes, curves)
    round_ticks(axes)
    zero_line(axes)
    if paper:
        paper_axis(axes, paper)
    return leaves


def set_width(axes: Axes, curves: Iterable[Curve]) -> None:
    """Sets the horizontal range: from zero to the end of the longest curve."""
    axes.set_xlim(0, max((curve.along.max(initial=0) for curve in curves), default=1) or 1)


def round_ticks(axes: Axes, vertical: int = 6) -> None:
    """Puts ticks at steps of 1, 2 or 5, as the paper has them."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=vertical, steps=[1, 2, 5, 10]))
    horizontal = 4 if axes.get_xlim()[1] >= _LONG else 5
    axes.xaxis.set_major_locator(MaxNLocator(nbins=horizontal, steps=[1, 2, 5, 10], integer=True))


def logarithmic(axes: Axes, curves: Sequence[Curve], paper: tuple[float, float]) -> None:
    """Makes the vertical axis of a panel logarithmic, with all of its curves' means.

    Args:
        axes: The panel.
        curves: Curves that it shows.
        paper: The paper's vertical axis, whose upper end is shown.
    """
    values = np.concatenate([curve.mean for curve in curves])
    values = values[np.isfinite(values) & (values > 0)]
    low, high = values.min(initial=paper[1]) / _ROOM, values.max(initial=paper[1])
    high *= _ROOM if high > paper[1] else 1.0
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    few = high / low < 10**_FEW_DECADES
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(_power))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
    set_width(axes, curves)
    paper_axis(axes, paper)


def zero_line(axes: Axes) -> None:
    """Draws a thin line at zero where zero lies within the axis."""
    low, high = axes.get_ylim()
    if low < 0 < high:
        axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=0.5)


def paper_axis(axes: Axes, paper: tuple[float, float]) -> None:
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
        axes.axhspan(bottom, top, xmin=1.012, xmax=1.03, **_MARK)
    axes.annotate(
        text,
        (1.04, _middle(axes, bottom, top)),
        xycoords="axes fraction",
        rotation=90,
        ha="left",
        va="center",
        fontsize=6,
        color=style.GREY,
        annotation_clip=False,
    )


def _power(value: float, _: int) -> str:
    return f"{value:g}" if value >= 0.001 else f"$10^{{{round(np.log10(value))}}}$"


def _middle(axes: Axes, bottom: float, top: float) -> float:
    """Where the middle of a range lies as a fraction of the axis, which may be logarithmic."""
    low, high, bottom, top = (
        axes.transScale.transform((1.0, value))[1] for value in (*axes.get_ylim(), bottom, top)
    )
    return ((bottom + top) / 2 - low) / (high - low)


def _span(curves: Sequence[Curve], part: float) -> tuple[float, float] | None:
    """Least and greatest value from the given part of the epochs on."""
    if not curves:
        return None
    start = part * max(curve.along.max(initial=0) for curve in curves)
    edges = [edge[curve.along >= start] for curve in curves for edge in (curve.low, curve.high)]
    values = np.concatenate(edges)
    values = values[np.isfinite(values)]
    return (values.min(), values.max()) if values.size else None
