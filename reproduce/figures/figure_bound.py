"""Figure "bound": regret beside the bound of the run's own gradients. The paper has none such."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reproduce import optimizers
from reproduce.figures import axes as ranges
from reproduce.figures import captions, panels, registry, style
from reproduce.figures.options import Options
from reproduce.figures.sheets import Sheet
from reproduce.optimizers import Optimizer
from reproduce.results import words
from reproduce.results.curves import Curve, over_seeds
from reproduce.results.runs import NoResults
from reproduce.results.tables import Tables

_ROW_HEIGHT, _LEGEND_HEIGHT = 1.35, 0.75  # inches
_PANEL_WIDTH = 1.42
_SCALE = 1000.0  # by which regret is multiplied, as in Figure 4(b)
# Regret is wide and pale, so that a bound that coincides with it is seen on it.
_REGRET: style.Line = {"linewidth": 2.6, "alpha": 0.55}
_BOUND: style.Line = {"linewidth": 0.9, "linestyle": "-", "color": style.BLACK}
_LINEARIZED: style.Line = {**_BOUND, "linestyle": style.DASHED}
_WORST: style.Line = {"linewidth": 0.9, "linestyle": style.DOTTED, "color": style.GREY}
# G D is drawn unless the axis would be this many times as tall as the other curves need; else it
# is written above them, in so much room.
_TALLEST, _ROOM = 2.5, 0.22


@dataclass(frozen=True)
class _Panel:
    """The curves of one optimizer in one scope, each divided by sqrt(N)."""

    regret: Curve
    bound: Curve
    has_bound: bool  # its own; else it is the linearized regret
    worst: Curve  # G D

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "_Panel":
        def curve(column: str) -> Curve:
            return over_seeds(rows, _SCALE * rows[column] / np.sqrt(rows["round"]))

        has_bound = bool(rows["bound"].notna().any())
        upper = "bound" if has_bound else "linearized_regret"
        return cls(curve("regret"), curve(upper), has_bound, curve("g_d_root_n"))


def whole(tables: Tables, options: Options) -> Sheet:
    """Draws the figure of the first record and domain of V that there is.

    Args:
        tables: Tables of the runs.
        options: None is taken.

    Returns:
        A `Sheet`.

    Raises:
        NoResults: If no run has a bound.
    """
    return next(variants(tables, options))[1]


def variants(tables: Tables, options: Options) -> Iterator[tuple[str, Sheet]]:
    """Draws the figure of every task, record and domain of V of one experiment.

    Args:
        tables: Tables of one task and experiment.
        options: None is taken.

    Yields:
        `figure_bound` of V in the ball, `figure_bound_free` of any V; behind it the record's
        name, from the second record on.

    Raises:
        NoResults: If no run has a bound.
    """
    every = tables.bound.assign(ball=np.isfinite(tables.bound["radius"]))
    if every.empty:
        raise NoResults(
            "No run has a table of bounds. Train with `--protocols definition gradient_norms`, "
            "then write it with `python -m reproduce bound RUNS`."
        )
    first = every["record"].iloc[0]
    for (record, ball), rows in every.groupby(["record", "ball"], sort=False):
        name = "figure_bound" + ("" if ball else "_free")
        yield name + ("" if record == first else f"_{record}"), compose(tables, rows)


@style.styled
def compose(tables: Tables, rows: pd.DataFrame) -> Sheet:
    """A column of panels an optimizer, a row a layer.

    Args:
        tables: Tables of the runs.
        rows: Rows of `load.read_bound` of one record and domain of V.

    Returns:
        A `Sheet`.
    """
    trained, scopes = optimizers.by_task(rows), list(dict.fromkeys(rows["scope"]))
    looks = style.looks(optimizers.by_task(tables.runs))
    width = min(style.WIDTH, max(style.NARROW_WIDTH, _PANEL_WIDTH * len(trained)))
    figure = style.new_figure(_ROW_HEIGHT * len(scopes) + _LEGEND_HEIGHT, width)
    grid = figure.subplots(len(scopes), len(trained), squeeze=False, sharex=True)
    for line, scope in zip(grid, scopes):
        for axes, (task, one) in zip(line, trained):
            of_panel = optimizers.rows(rows[rows["task"] == task], one)
            of_panel = of_panel[of_panel["scope"] == scope]
            if of_panel.empty:
                axes.set_axis_off()
            else:
                _draw(axes, _Panel.of(of_panel), looks[task, one].colour)
        line[0].set_ylabel(rf"{scope}" + "\n" + rf"regret / $\sqrt{{N}}$ ($\times${_SCALE:g})")
    for axes, (task, one) in zip(grid[0], trained):
        axes.set_title(words.label(one, task).replace(" lr=", " "))
    for axes in grid[-1]:
        axes.set_xlabel("epochs")
    _draw_legend(figure, rows)
    return Sheet(
        figure,
        "Regret beside the bound of the run's own gradients",
        _caption(figure, tables, rows, trained),
    )


def _draw(axes: Axes, panel: _Panel, colour: str) -> None:
    panels.draw(axes, panel.regret, colour, "regret", **_REGRET)
    line = dict(_BOUND if panel.has_bound else _LINEARIZED)
    panels.draw(axes, panel.bound, line.pop("color"), "bound", **line)
    shown = [panel.regret, panel.bound]
    low, high, _ = ranges.limits(shown, transient=False)
    top = float(np.nanmax(panel.worst.mean, initial=-np.inf))
    fits = top - low <= _TALLEST * (high - low)
    if fits:
        line = dict(_WORST)
        panels.draw(axes, panel.worst, line.pop("color"), "G D", **line)
        shown.append(panel.worst)
    ranges.finish(axes, shown, transient=False)
    if not fits:
        last = panel.worst.mean[np.isfinite(panel.worst.mean)][-1]
        axes.set_ylim(top=high + _ROOM * (high - low))
        axes.annotate(
            rf"$\uparrow G D \sqrt{{N}}$ {last:,.{0 if last >= 100 else 1}f}",
            (0.98, 0.97),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=6.5,
            color=style.GREY,
        )
    ranges.round_ticks(axes, vertical=4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=2, steps=[1, 2, 5, 10], integer=True))


def _draw_legend(figure: Figure, rows: pd.DataFrame) -> None:
    handles = [Line2D([], [], color=style.GREY, label="regret", **_REGRET)]
    if rows["bound"].notna().any():
        handles.append(Line2D([], [], label="bound of gradient descent", **_BOUND))
    if rows["bound"].isna().any():
        handles.append(
            Line2D([], [], label="linearized regret: a bound for any optimizer", **_LINEARIZED)
        )
    handles.append(Line2D([], [], label=r"$G D \sqrt{N}$", **_WORST))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _caption(
    figure: Figure, tables: Tables, rows: pd.DataFrame, trained: list[tuple[str, Optimizer]]
) -> list[str]:
    runs = tables.runs[tables.runs["run"].isin(rows["run"])]
    ball = bool(np.isfinite(rows["radius"]).all())
    reading = (
        f"{rows['record'].iloc[0]} protocol: per_example, every step, "
        f"{'inside the ball' if ball else 'no ball'}"
    )
    own = rows[rows["bound"].notna()]
    broken = int((~own["holds"] | ~own["agrees"]).sum())
    holds = (
        f"regret is at most the bound at {len(own) - broken:,} of {len(own):,} checkpoints"
        if len(own)
        else ""
    )
    captions.write(figure, [reading, *captions.experiments(runs), captions.bands(runs), holds])
    details = [
        reading,
        *captions.details(runs),
        captions.variants(trained),
        words.radii(rows),
        captions.bands(runs),
        "all curves are divided by sqrt(N) and multiplied by 1000",
        "bound: (||W^1 - V||^2 - ||W^{N+1} - V||^2) / (2 eta) + (eta / 2) sum_n ||g^n||^2",
        "linearized regret: sum_n <g^n, W^n - V>",
        "G: the largest ||g^n||; D: no W^n lies farther from V",
        holds,
    ]
    return [text for text in details if text]


registry.register(registry.Figure("bound", whole, variants))
