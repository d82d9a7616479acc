"""What panels are made of: a curve with its band, the seeds of a curve, a note."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from reproduce.figures import style
from reproduce.results.curves import Curve

_HOLLOW: style.Line = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 3.2,
    "markerfacecolor": "white",
    "markeredgewidth": 0.8,
}
_SEED: style.Line = {"linewidth": 0.7, "alpha": 0.7}

# Loss and Taylor optimum may lie close to each other: dashes over a paler, wider line show both
# even where they coincide.
LOSS_LINE: style.Line = {"linewidth": 1.9, "alpha": 0.45}
OPTIMUM_LINE: style.Line = {"linewidth": 1.0, "linestyle": (0, (3.5, 2.0))}


def draw(axes: Axes, curve: Curve, colour: str, label: str, **line: Any) -> None:
    """Draws the mean of a curve and its band.

    A cross marks where a run diverged, hollow points optima without a certificate.

    Args:
        axes: Axes to draw on.
        curve: `Curve` to draw.
        colour: Colour of line and band.
        label: Entry in the legend.
        **line: Further properties of the line, such as `linestyle`.
    """
    axes.plot(curve.along, curve.mean, color=colour, label=label, **line)
    if curve.deviation is not None:
        axes.fill_between(curve.along, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
    if curve.certified is not None and not curve.certified.all():
        loose = ~curve.certified
        axes.plot(
            curve.along[loose], curve.mean[loose], color=colour, label="_not certified", **_HOLLOW
        )
    finite = np.flatnonzero(np.isfinite(curve.mean))
    if finite.size and finite[-1] + 1 < curve.mean.size:
        last = finite[-1]
        axes.plot(
            curve.along[last],
            curve.mean[last],
            marker="x",
            markersize=4,
            color=colour,
            clip_on=False,
            label="_diverged",
        )


def draw_seeds(axes: Axes, curve: Curve, colour: str, label: str, **line: Any) -> None:
    """Draws each seed of a curve: the mean of sorted curves is the curve of no seed.

    Args:
        axes: Axes to draw on.
        curve: `Curve` to draw.
        colour: Colour of the lines.
        label: Entry in the legend.
        **line: Further properties of the lines.
    """
    thin = _SEED if curve.members.shape[1] > 1 else {}
    for place, member in enumerate(curve.members.T):
        name = "_seed" if place else label
        axes.plot(curve.along, member, color=colour, label=name, **{**line, **thin})


def note(axes: Axes, text: str) -> None:
    """Writes in the middle of a panel why it shows nothing."""
    axes.text(
        0.5,
        0.5,
        text,
        ha="center",
        va="center",
        fontsize=8,
        color=style.GREY,
        transform=axes.transAxes,
    )
