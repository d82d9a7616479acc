"""Figure 2: the Taylor losses of a network in one weight, convex snapshots of its landscape."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reproduce.figures import captions, registry, style
from reproduce.figures.sheets import Sheet
from reproduce.results import illustrations

_HEIGHT = 3.4  # inches, without the caption
_COLOURS = ["#0072B2", "#6A3D9A", "#C4417A", "#D55E00", "#B8860B", "#00523B"]
_TOP = 0.16  # of the landscape's height, that is left above it

_KINK: style.Line = {
    "linestyle": "none",
    "marker": "|",
    "markersize": 7,
    "markeredgewidth": 0.8,
    "zorder": 2,
}
_WEIGHT: style.Line = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 5,
    "markeredgecolor": "white",
}
_OPTIMUM: style.Line = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 1.0,
}


def whole(root: Path) -> Sheet:
    """Draws Figure 2.

    Args:
        root: A directory of results, whose `illustrations` hold the tables.

    Returns:
        A `Sheet`.

    Raises:
        NoResults: If the tables are missing.
        ResultsError: If they are damaged.
    """
    return compose(*illustrations.read(root, "figure_2", ["losses", "rounds"]))


@style.styled
def compose(settings: Mapping, losses: pd.DataFrame, rounds: pd.DataFrame) -> Sheet:
    """Figure 2: the loss in one weight, and the Taylor loss of each round.

    Args:
        settings: What made the tables, as `results.illustrations.read` gives it.
        losses: First frame of `stages.illustrations.taylor_losses_in_one_weight`.
        rounds: Second frame of it.

    Returns:
        A `Sheet`.
    """
    figure = style.new_figure(_HEIGHT, style.WIDTH)
    axes = figure.subplots()
    for start, end, colour in zip(rounds["start"], rounds["end"], _COLOURS):
        axes.axvspan(start, end, color=colour, alpha=0.10, linewidth=0, zorder=0)
    axes.plot(losses["weight"], losses["loss"], color=style.BLACK, linewidth=2.4, zorder=2)
    kinks = losses[losses["kink"]]
    axes.plot(kinks["weight"], kinks["loss"], color=style.BLACK, **_KINK)
    for row, colour in zip(rounds.itertuples(), _COLOURS):
        _draw_round(axes, losses, row, colour)
    _finish(axes, losses, rounds)
    phrases = _phrases(settings)
    captions.write(figure, phrases)
    return Sheet(figure, "Figure 2: Taylor losses of a network in one weight", phrases)


def _draw_round(axes: Axes, losses: pd.DataFrame, row: Any, colour: str) -> None:
    """The Taylor loss, the round's weight on it, and its optimum."""
    number = int(row.round)
    axes.plot(losses["weight"], losses[f"taylor_loss_{number}"], color=colour, zorder=3)
    axes.plot(row.weight, row.loss, color=colour, zorder=5, **_WEIGHT)
    axes.plot(row.optimal_weight, row.taylor_optimum, color=colour, zorder=5, **_OPTIMUM)
    axes.annotate(
        f"$W^{{{number}}}$",
        (row.weight, row.loss),
        xytext=(-3, -6),
        textcoords="offset points",
        ha="right",
        va="top",
        color=colour,
    )
    axes.annotate(
        rf"$\mathfrak{{T}}^{{{number}}}$",
        (row.optimal_weight, row.taylor_optimum),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        color=colour,
    )


def _finish(axes: Axes, losses: pd.DataFrame, rounds: pd.DataFrame) -> None:
    low = min(losses["loss"].min(), rounds["taylor_optimum"].min())
    high = losses["loss"].max()
    axes.set_ylim(low - _TOP * (high - low), high + _TOP * (high - low))
    axes.set_xlim(losses["weight"].iloc[0], losses["weight"].iloc[-1])
    axes.set_xlabel("weight $W$")
    axes.set_ylabel("loss")
    handles = [
        Line2D([], [], color=style.BLACK, linewidth=2.4, label="loss of the network"),
        Line2D([], [], color=style.BLACK, label="its kinks", **_KINK),
        Line2D([], [], color=style.GREY, label=r"Taylor loss $\mathfrak{T}^n$ of round $n$"),
        Line2D([], [], color=style.GREY, label="$W^n$, where it touches the loss", **_WEIGHT),
        Line2D([], [], color=style.GREY, label=r"minimum of $\mathfrak{T}^n$", **_OPTIMUM),
        Patch(color=style.GREY, alpha=0.25, linewidth=0, label="smooth region of $W^n$"),
    ]
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, handlelength=1.5
    )


def _phrases(settings: Mapping) -> list[str]:
    widths = "-".join(map(str, settings["widths"]))
    return [
        f"one weight of layer 1 of a random rectifier network {widths} (dense, biases, float64)",
        f"mean squared error on {settings['points']} random data points, seed {settings['seed']}",
        "seed chosen so that rounds can be told apart",
        f"{settings['rounds']} rounds of gradient descent in this weight, learning rate "
        f"{settings['learning_rate']:g}, all data points on each",
        "in the smooth region of a round, loss and Taylor loss are the same",
        illustrations.versions(settings),
    ]


registry.register(registry.Figure("2", whole))
