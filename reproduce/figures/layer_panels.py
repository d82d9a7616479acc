"""Panels of a layer's curves, and the legend and small print that they share."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reproduce import optimizers, paper
from reproduce.figures import captions, legend, panels
from reproduce.figures.style import Looks
from reproduce.optimizers import Optimizer
from reproduce.results import words
from reproduce.results.curves import Curve
from reproduce.results.layer_curves import LayerCurves
from reproduce.results.select import Reading
from reproduce.results.tables import Tables

SHARE_LABEL = "regret\n(% of loss)"


@dataclass(frozen=True)
class Shown:
    """What a drawing shows.

    Attributes:
        tables: Tables of the runs.
        reading: The `Reading`.
        layers: Curves of each scope.
        looks: What `style.looks` gave.
    """

    tables: Tables
    reading: Reading
    layers: list[LayerCurves]
    looks: Looks

    @property
    def optimizers(self) -> dict[str, list[Optimizer]]:
        """{task: optimizers with curves}."""
        shown: dict[str, list[Optimizer]] = {}
        for layer in self.layers:
            shown.setdefault(layer.task, []).extend(layer.regret)
        return {task: optimizers.in_order(chosen) for task, chosen in shown.items()}

    @property
    def pairs(self) -> list[tuple[str, Optimizer]]:
        """Pairs of a task and an optimizer with curves."""
        return [(task, one) for task, chosen in self.optimizers.items() for one in chosen]

    @property
    def rows(self) -> pd.DataFrame:
        """The rows of the table of regret behind all curves."""
        return pd.concat([layer.rows for layer in self.layers])


def draw_regret(axes: Axes, layer: LayerCurves, shown: Shown) -> list[Curve]:
    """Draws regret of every optimizer that has any; returns what it drew."""
    alive = {one: curve for one, curve in layer.regret.items() if one not in layer.dead}
    for one, curve in alive.items():
        colour = shown.looks[layer.task, one].colour
        panels.draw(axes, curve, colour, words.label(one, layer.task))
    if not alive:
        panels.note(axes, "not applicable:\nall regret is rounding")
    return list(alive.values())


def draw_losses(axes: Axes, layer: LayerCurves, shown: Shown) -> list[Curve]:
    """Draws cumulative losses and Taylor optima; returns what it drew."""
    for one, curve in layer.loss.items():
        colour, label = shown.looks[layer.task, one].colour, words.label(one, layer.task)
        panels.draw(axes, curve, colour, label, **panels.LOSS_LINE)
        optimal = f"{label}, Taylor optimal"
        panels.draw(axes, layer.optimum[one], colour, optimal, **panels.OPTIMUM_LINE)
    return [*layer.loss.values(), *layer.optimum.values()]


def draw_shares(axes: Axes, layer: LayerCurves, shown: Shown) -> list[Curve]:
    """Draws how far losses lie above their optima, in percent; returns what it drew."""
    alive = {one: curve for one, curve in layer.gap.items() if one not in layer.dead}
    for one, curve in alive.items():
        colour = shown.looks[layer.task, one].colour
        panels.draw(axes, curve, colour, words.label(one, layer.task), linewidth=1.0)
    return list(alive.values())


def regret_label(task: str, reading: Reading) -> str:
    """Label of the vertical axis of regret."""
    scale = paper.REGRET_SCALE.get(task, 1.0)
    times = "" if math.isclose(scale, 1) else rf" ($\times${scale:g})"
    name = "regret" if reading.comparator == "static" else "dynamic regret"
    return rf"{name} / $\sqrt{{N}}$" + times


def draw_legend(figure: Figure, shown: Shown) -> None:
    """Draws the legend above all panels."""
    dead = [(layer.task, one) for layer in shown.layers for one in layer.dead]
    entries = legend.entries(shown.optimizers, shown.looks, shown.tables.losses, dead)
    entries += [
        Line2D([], [], color="black", label="cumul. loss", **panels.LOSS_LINE),
        Line2D([], [], color="black", label="Taylor optimal", **panels.OPTIMUM_LINE),
    ]
    legend.above(figure, entries)


def write_caption(figure: Figure, shown: Shown, notes: list[str]) -> list[str]:
    """Writes the short caption of a figure.

    Args:
        figure: Figure to write on.
        shown: What it shows.
        notes: What else there is to say, in short and in long.

    Returns:
        The long caption, a list of sentences.
    """
    rows, tables = shown.rows, shown.tables
    runs = tables.runs[tables.runs["run"].isin(rows["run"])]
    certificate = words.certificate(rows, shown.reading.ball)
    missing = _named(shown, lambda layer: layer.missing)
    dead = _named(shown, lambda layer: layer.dead)
    notes = [
        certificate,
        f"trained but not solved so: {missing}" if missing else "",
        f"no regret but rounding, not drawn: {dead}" if dead else "",
        *notes,
    ]
    reading = captions.readings(runs, shown.reading)
    others = _other_rates(shown)
    captions.write(
        figure,
        [
            reading,
            captions.short_variants(shown.pairs),
            *captions.experiments(runs),
            captions.bands(runs),
            "not all rates of SGD are drawn" if others else "",
            *notes,
        ],
    )
    details = [reading, *captions.details(runs), captions.variants(shown.pairs), words.radii(rows)]
    details += [captions.bands(runs), f"not drawn: {others}" if others else "", *notes]
    return [text for text in details if text]


def not_drawn(layer: LayerCurves, reading: Reading) -> str:
    """A sentence on a layer whose curves are those of another.

    Args:
        layer: Its curves.
        reading: The `Reading`.

    Returns:
        What its own optima rest on.
    """
    missing = captions.names([(layer.task, one) for one in layer.missing], False)
    text = f"{layer.scope}, in the panel of another: {words.certificate(layer.rows, reading.ball)}"
    return text.replace(" (hollow points)", "") + (f"; not solved: {missing}" if missing else "")


def _named(shown: Shown, chosen: Callable[[LayerCurves], list[Optimizer]]) -> str:
    pairs = [(layer.task, one) for layer in shown.layers for one in chosen(layer)]
    return captions.names(pairs, len(shown.optimizers) > 1)


def _other_rates(shown: Shown) -> str:
    """Which of SGD's rates are not drawn: the paper does not say which it shows."""
    tried = {(layer.task, one) for layer in shown.layers for one in layer.missing}
    left = [
        (task, one)
        for task, one in optimizers.by_task(shown.tables.runs)
        if one.is_sgd and task in shown.optimizers and (task, one) not in {*shown.pairs, *tried}
    ]
    return captions.names(left, len(shown.optimizers) > 1)
