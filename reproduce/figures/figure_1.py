"""Figure 1: a piecewise-linear function and its shattered gradient."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reproduce.figures import captions, registry, style
from reproduce.figures.sheets import Sheet
from reproduce.results import illustrations

_HEIGHT = 3.3  # inches, without the caption
_GRADIENT = style.LAYERS[1]
_KINK: style.Line = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 2.2,
    "markeredgewidth": 0,
    "zorder": 3,
}


def whole(root: Path) -> Sheet:
    """Draws Figure 1.

    Args:
        root: A directory of results, whose `illustrations` hold the tables.

    Returns:
        A `Sheet`.

    Raises:
        NoResults: If the tables are missing.
        ResultsError: If they are damaged.
    """
    return compose(*illustrations.read(root, "figure_1", ["regions"]))


@style.styled
def compose(settings: Mapping, regions: pd.DataFrame) -> Sheet:
    """Figure 1: the function of a network above, its gradient below.

    Args:
        settings: What made the table, as `results.illustrations.read` gives it.
        regions: Frame of `stages.illustrations.smooth_regions`.

    Returns:
        A `Sheet`.
    """
    figure = style.new_figure(_HEIGHT, style.NARROW_WIDTH)
    upper, lower = figure.subplots(2, 1, sharex=True)
    _draw_function(upper, regions)
    _draw_gradient(lower, regions)
    upper.set_xlim(regions["start"].iloc[0], regions["end"].iloc[-1])
    upper.tick_params(labelbottom=False)
    lower.set_xlabel("input $x$")
    figure.align_ylabels()
    phrases = _phrases(settings, regions)
    captions.write(figure, phrases)
    return Sheet(figure, "Figure 1: a piecewise-linear function and its gradient", phrases)


def _draw_function(axes: Axes, regions: pd.DataFrame) -> None:
    places = np.append(regions["start"], regions["end"].iloc[-1])
    values = np.append(regions["value_at_start"], regions["value_at_end"].iloc[-1])
    axes.plot(places, values, color=style.BLACK, label="function")
    axes.plot(places[1:-1], values[1:-1], color=_GRADIENT, label="kinks", **_KINK)
    axes.set_ylabel("function $f(x)$")
    axes.legend(loc="lower center")


def _draw_gradient(axes: Axes, regions: pd.DataFrame) -> None:
    gradient = regions["gradient"].to_numpy()
    axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=0.5)
    # Thin where it jumps: a gradient has no values between.
    jumps = regions["start"].iloc[1:]
    axes.vlines(jumps, gradient[:-1], gradient[1:], color=_GRADIENT, linewidth=0.4, alpha=0.55)
    axes.hlines(gradient, regions["start"], regions["end"], color=_GRADIENT, linewidth=1.6)
    axes.set_ylabel(r"gradient $\nabla f(x)$")


def _phrases(settings: Mapping, regions: pd.DataFrame) -> list[str]:
    widths = "-".join(map(str, settings["widths"]))
    return [
        f"rectifier network {widths} (dense, biases, float64), seed {settings['seed']}",
        f"fitted to {settings['points']} points of a random walk by {settings['epochs']:,} steps "
        f"of Adam {settings['learning_rate']:g}",
        f"{len(regions)} smooth regions, one an activation configuration; kinks located by "
        "bisection, gradients by automatic differentiation",
        illustrations.versions(settings),
    ]


registry.register(registry.Figure("1", whole))
