"""Figure 5: exploration of activation configurations, by three measures."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reproduce import optimizers, paper
from reproduce.figures import axes as ranges
from reproduce.figures import captions, legend, panels, registry, style
from reproduce.figures.options import Options
from reproduce.figures.sheets import Sheet
from reproduce.optimizers import TENSORFLOW_2016
from reproduce.paper import MEASURES
from reproduce.results import exploration, select, words
from reproduce.results.exploration import ExplorationCurves
from reproduce.results.runs import NoResults
from reproduce.results.tables import Tables

_ROW_HEIGHT, _LEGEND_HEIGHT, _LINE_HEIGHT = 1.8, 0.35, 0.2  # inches, without the caption
_LETTERS = dict(zip(MEASURES, "abc"))
_NAMES = {
    "minimum_hamming": "Minimum Hamming distance",
    "switches": "Activation-state switches",
    "log_volume": "Log-product of singular values",
}
_LABELS = {
    "minimum_hamming": "Hamming distance",
    "switches": "switches",
    "log_volume": "log-product",
}
_ALONG = {
    "minimum_hamming": "epochs",
    "switches": "data points (sorted)",
    "log_volume": "neurons (sorted)",
}
_TOTAL_NAMES = {
    "minimum_hamming": "Minimum Hamming distance,\nsum over epochs",
    "switches": "Activation-state switches,\nmean over data points",
    "log_volume": "Log-product of singular values,\nmean over neurons",
}
_LINE: style.Line = {"linewidth": 1.1}
_MARKER: style.Line = {"marker": "o", "markersize": 3.0, "linewidth": 0.9, "capsize": 1.8}
_APART = 0.07  # between the markers of two optimizers, of the distance of two layers


def whole(tables: Tables, options: Options) -> Sheet:
    """Draws Figure 5 as the paper lays it out: convnet above, autoencoder below.

    Args:
        tables: Tables of the runs.
        options: Of which `variant` is taken.

    Returns:
        A `Sheet`; a task without results has no row.

    Raises:
        NoResults: If there are results of neither task.
    """
    return compose(tables, options.variant or TENSORFLOW_2016)


def variants(tables: Tables, options: Options) -> Iterator[tuple[str, Sheet]]:
    """Draws Figure 5 of one task, and the totals by layer beside it.

    Args:
        tables: Tables of one task and experiment.
        options: Of which `variant` is taken.

    Yields:
        `figure_5` and `figure_5_layers`, and both `..._keras_3` where optimizers of Keras 3
        were measured.

    Raises:
        NoResults: If no exploration was measured.
    """
    measured = optimizers.of_table(tables.exploration["totals"])
    for variant, ending in options.variants(measured).items():
        yield f"figure_5{ending}", compose(tables, variant)
        yield f"figure_5_layers{ending}", compose_layers(tables, variant)


@style.styled
def compose(tables: Tables, variant: str = TENSORFLOW_2016) -> Sheet:
    """Figure 5: a row for each task, a column for each measure.

    Args:
        tables: Tables of the runs.
        variant: Variant of RMSProp and Adam.

    Returns:
        A `Sheet`.

    Raises:
        NoResults: If there are results of neither task.
    """
    tables, rows = _measured(tables, variant)
    looks = style.looks(optimizers.by_task(tables.runs))
    figure, grid = _grid(len(rows))
    outside = []
    for row, curves in zip(grid, rows):
        row[0].set_title(curves.task.capitalize(), loc="left")
        left = [_panel(axes, curves, measure, looks) for axes, measure in zip(row, MEASURES)]
        outside.append(any(left))
    for axes, measure in zip(grid[-1], MEASURES):
        axes.set_xlabel(f"{_ALONG[measure]}\n({_LETTERS[measure]}) {_NAMES[measure]}")
    for column in grid.T:
        figure.align_ylabels(column)
    shown = {curves.task: curves.measures["minimum_hamming"] for curves in rows}
    legend.above(figure, legend.entries(shown, looks, tables.losses, dashes=True))
    notes = ["(b), (c): a thin line a seed"] if _several(tables) else []
    if any(outside):
        notes.append(f"{captions.OUTSIDE} of (a)")
    details = _caption(figure, tables, rows, notes, captions.bands(tables.runs))
    details += _lengths(rows)
    return Sheet(figure, "Figure 5: exploration", details)


@style.styled
def compose_layers(tables: Tables, variant: str = TENSORFLOW_2016) -> Sheet:
    """Totals of each measure in each layer: do early layers explore more?

    Args:
        tables: Tables of the runs.
        variant: Variant of RMSProp and Adam.

    Returns:
        A `Sheet`: tasks above each other, a column for each measure, layers from the input to
        the output along the horizontal axis.

    Raises:
        NoResults: If there are results of neither task.
    """
    tables, rows = _measured(tables, variant)
    looks = style.looks(optimizers.by_task(tables.runs))
    totals = exploration.totals(tables.exploration, tables.losses)
    figure, grid = _grid(len(rows), lines=1)
    for row, curves in zip(grid, rows):
        table = totals[(totals["task"] == curves.task) & (totals["scope"] != "network")]
        table = table[~optimizers.is_of(table, *curves.shorter)]
        row[0].set_title(curves.task.capitalize(), loc="left")
        for axes, measure in zip(row, MEASURES):
            _layers_panel(axes, table[table["measure"] == measure], looks)
    for axes, measure in zip(grid[-1], MEASURES):
        axes.set_xlabel(f"layers\n({_LETTERS[measure]}) {_TOTAL_NAMES[measure]}")
    shown = {curves.task: curves.measures["log_volume"] for curves in rows}
    legend.above(figure, legend.entries(shown, looks, tables.losses, dashes=True))
    bars = "bars: 95% intervals over seeds" if _several(tables, least=3) else ""
    details = _caption(figure, tables, rows, [], bars)
    return Sheet(figure, "Figure 5, by layer: exploration", details)


def _measured(tables: Tables, variant: str) -> tuple[Tables, list[ExplorationCurves]]:
    """Tables of the optimizers of a variant, and the curves of each task that has any."""
    trained = {
        task: optimizers.of_table(tables.runs[tables.runs["task"] == task])
        for task in paper.TASKS
        if task in tables.tasks
    }
    tables = tables.only(
        {task: select.of_variant(every, variant) for task, every in trained.items()}
    )
    curves = [
        exploration.exploration_curves(tables.exploration, tables.losses, task) for task in trained
    ]
    rows = [one for one in curves if one]
    if not rows:
        raise NoResults(
            "Figure 5 needs the exploration measures of the convnet or the autoencoder, and the "
            "runs have none. Measure them with `python -m reproduce explore RUNS`, where "
            "activations were recorded (`--protocols activations`)."
        )
    return tables, rows


def _grid(rows: int, lines: int = 0) -> tuple[Figure, np.ndarray]:
    """A figure with rows of panels, and room for further lines under the last of them."""
    figure = style.new_figure(_ROW_HEIGHT * rows + _LEGEND_HEIGHT + _LINE_HEIGHT * lines)
    return figure, figure.subplots(rows, len(MEASURES), squeeze=False)


def _panel(axes: Axes, curves: ExplorationCurves, measure: str, looks: style.Looks) -> bool:
    """Draws one measure of one task; returns whether first epochs leave the axis."""
    drawn, published = curves.measures[measure], paper.EXPLORATION_AXIS[measure]
    over_epochs = measure == "minimum_hamming"
    draw = panels.draw if over_epochs else panels.draw_seeds
    for one, curve in drawn.items():
        look = looks[curves.task, one]
        label = words.label(one, curves.task)
        draw(axes, curve, look.colour, label, linestyle=look.dashes, **_LINE)
    # On its way to infinity a run may switch anything: the others decide on the axis.
    whole_runs = [curve for one, curve in drawn.items() if one not in curves.shorter]
    seen = whole_runs or list(drawn.values())
    if not over_epochs:
        seen = [seed for curve in seen for seed in curve.seeds]
    axes.set_ylabel(_LABELS[measure])
    axes.set_xlabel(_ALONG[measure])
    return ranges.finish(axes, seen, published, transient=over_epochs)


def _layers_panel(axes: Axes, table: pd.DataFrame, looks: style.Looks) -> None:
    layers = list(dict.fromkeys(table["scope"]))
    pairs = optimizers.by_task(table)
    for index, (task, one) in enumerate(pairs):
        look = looks[task, one]
        rows = optimizers.rows(table, one).set_index("scope").reindex(layers)
        shift = _APART * (index - (len(pairs) - 1) / 2)
        places = [place + shift for place in range(1, len(layers) + 1)]
        errors = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        label = words.label(one, task)
        bars = axes.errorbar(
            places, rows["mean"], errors, color=look.colour, label=label, **_MARKER
        )
        bars[0].set_linestyle(look.dashes)
    axes.set_xlim(0.5, len(layers) + 0.5)
    axes.set_xticks(range(1, len(layers) + 1), [layer.rsplit("_", 1)[-1] for layer in layers])
    if table["mean"].min() >= 0:
        axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _caption(
    figure: Figure,
    tables: Tables,
    rows: Sequence[ExplorationCurves],
    notes: list[str],
    bands: str,
) -> list[str]:
    """Writes the short caption and returns the long one."""
    several = len(rows) > 1
    shown = [path for curves in rows for path in curves.paths]
    runs = tables.runs[tables.runs["run"].isin(shown)]
    pairs = [(curves.task, one) for curves in rows for one in curves.measures["minimum_hamming"]]
    missing = captions.names([(c.task, one) for c in rows for one in c.missing], several)
    shorter = captions.names([(c.task, one) for c in rows for one in c.shorter], several)
    notes = [
        bands,
        *notes,
        f"without {shorter} in (b) and (c): too few epochs" if shorter else "",
        f"trained but not measured so: {missing}" if missing else "",
    ]
    variant = captions.variants(pairs)
    captions.write(figure, [*captions.experiments(runs), captions.short_variants(pairs), *notes])
    details = [*captions.details(runs), variant, *notes]
    for curves in rows:
        table = tables.exploration["totals"]
        rests_on = words.floor(table[table["run"].isin(curves.paths)])
        recorded = words.activations(runs[runs["task"] == curves.task])
        details.append(f"{curves.task}: {recorded}; {rests_on}")
    details.append("(a) as a share of all bits, (b) of all possible switches")
    details.append("the paper does not say its floor in (c), where its axis ends at -2000")
    return [text for text in details if text]


def _several(tables: Tables, least: int = 2) -> bool:
    return bool(tables.runs.groupby(["task", *optimizers.COLUMNS])["seed"].nunique().max() >= least)


def _lengths(rows: Sequence[ExplorationCurves]) -> list[str]:
    """What the paper's horizontal axes say of points and units that ours do not."""
    notes = []
    for curves in rows:
        for measure, published in paper.EXPLORATION_PLACES.get(curves.task, {}).items():
            drawn = list(curves.measures[measure].values())
            if drawn and (last := int(max(curve.along.max() for curve in drawn))) != published:
                notes.append(
                    f"{curves.task}: {last:,} {_ALONG[measure].split(' (')[0]}, where the "
                    f"paper's axis ends at {published:,}"
                )
    return notes


registry.register(registry.Figure("5", whole, variants, options=("variant",)))
