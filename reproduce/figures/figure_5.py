"""Figure 5: exploration of activation configurations, by three measures."""

import dataclasses

from matplotlib.ticker import MaxNLocator
from reproduce.exploration_curves import MEASURES
from reproduce.tables import NoResults

from reproduce import captions, curves, exploration_curves, legend, style, tables

_ROW_HEIGHT, _LEGEND_HEIGHT, _LINE_HEIGHT = 1.8, 0.35, 0.2  # inches, without the caption
_TASKS = {"convnet": "Convnet", "autoencoder": "Autoencoder"}  # from top to bottom
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
_PAPER = {
    "minimum_hamming": (0.0, 0.07),
    "switches": (0.0, 0.06),
    "log_volume": (-2000.0, 500.0),
}
_TOTAL_NAMES = {
    "minimum_hamming": "Minimum Hamming distance,\nsum over epochs",
    "switches": "Activation-state switches,\nmean over data points",
    "log_volume": "Log-product of singular values,\nmean over neurons",
}
_MARKER = {"marker": "o", "markersize": 3.0, "linewidth": 0.9, "capsize": 1.8}
_APART = 0.07  # between the markers of two optimizers, of the distance of two layers


def draw(runs, out):
    """Draws Figure 5, and the totals by layer beside it.

    Args:
        runs: Runs of one result set, as `tables.find_runs` gives them.
        out: Directory to write to.

    Returns:
        The paths written: `figure_5.png` and `.pdf`, and `figure_5_layers`.

    Raises:
        NoResults: If no exploration was measured.
        ResultsError: If tables are damaged, or the runs not of one protocol.
    """
    tables.require_one_protocol(runs)
    exploration, losses = tables.read_exploration(runs), tables.read_losses(runs)
    figure = compose(runs, exploration, losses)
    layers = compose_layers(runs, exploration, losses)
    return style.save(figure, out, "figure_5") + style.save(layers, out, "figure_5_layers")


def compose(runs, exploration, losses):
    """Figure 5: convnet above, autoencoder below; a column for each measure.

    Args:
        runs: Frame of `tables.find_runs`.
        exploration: Frames of `tables.read_exploration`.
        losses: Frame of `tables.read_losses`.

    Returns:
        A `matplotlib.figure.Figure`. A task without results has no row.

    Raises:
        NoResults: If there are results of neither task.
    """
    found = _found(exploration, losses)
    figure, grid = _grid(len(found))
    with style.context():
        notes = []
        for row, each in zip(grid, found):
            row[0].set_title(_TASKS[each.task], loc="left")
            notes.append([_panel(axes, each, measure) for axes, measure in zip(row, MEASURES)])
        for axes, measure in zip(grid[-1], MEASURES):
            name = f"({_LETTERS[measure]}) {_NAMES[measure]}"
            axes.set_xlabel(f"{_ALONG[measure]}\n{name}")
        for column in grid.T:
            figure.align_ylabels(column)
        shown = {each.task: each.measures["minimum_hamming"] for each in found}
        legend.above(figure, legend.optimizers(shown, losses))
    _caption(figure, runs, exploration, found, [any(row) for row in notes])
    return figure


def compose_layers(runs, exploration, losses):
    """Totals of each measure in each layer: do early layers explore more?

    Args:
        runs: Frame of `tables.find_runs`.
        exploration: Frames of `tables.read_exploration`.
        losses: Frame of `tables.read_losses`.

    Returns:
        A `matplotlib.figure.Figure`: tasks above each other, a column for each measure,
        layers from the input to the output along the horizontal axis.

    Raises:
        NoResults: If there are results of neither task.
    """
    found = _found(exploration, losses)
    totals = exploration_curves.totals(exploration, losses)
    figure, grid = _grid(len(found), lines=1)
    with style.context():
        for row, each in zip(grid, found):
            table = totals[(totals["task"] == each.task) & (totals["scope"] != "network")]
            table = table[~table["optimizer"].isin(each.shorter)]
            row[0].set_title(_TASKS[each.task], loc="left")
            for axes, measure in zip(row, MEASURES):
                _layers_panel(axes, table[table["measure"] == measure])
        for axes, measure in zip(grid[-1], MEASURES):
            axes.set_xlabel(f"layers\n({_LETTERS[measure]}) {_TOTAL_NAMES[measure]}")
        shown = {each.task: each.measures["log_volume"] for each in found}
        legend.above(figure, legend.optimizers(shown, losses))
    _caption(figure, runs, exploration, found, [False] * len(found), by_layer=True)
    return figure


def _found(exploration, losses):
    """The curves of each task that has any."""
    every = [exploration_curves.exploration_curves(exploration, losses, task) for task in _TASKS]
    found = [each for each in every if each]
    if not found:
        raise NoResults(
            "Figure 5 needs the exploration measures of the convnet or the autoencoder, and the "
            "runs have none. Measure them with `python -m reproduce explore RUNS`, where "
            "activations were recorded (`--protocols activations`)."
        )
    return found


def _grid(rows, lines=0):
    """A figure with rows of panels, and room for further lines under the last of them."""
    figure = style.new_figure(_ROW_HEIGHT * rows + _LEGEND_HEIGHT + _LINE_HEIGHT * lines)
    with style.context():
        return figure, figure.subplots(rows, len(MEASURES), squeeze=False)


def _panel(axes, each, measure):
    """Draws one measure of one task; returns whether first epochs leave the axis."""
    drawn, paper = each.measures[measure], _PAPER[measure]
    for label, colour in style.colours(drawn).items():
        curves.draw(axes, drawn[label], colour, label)
    # On its way to infinity a run may switch anything: the others decide on the axis.
    shown = [drawn[label] for label in drawn if label not in each.shorter] or list(drawn.values())
    if measure == "log_volume":  # a band may reach below the floor, where no neuron is
        shown = [dataclasses.replace(curve, deviation=None) for curve in shown]
    low, high, leaves = curves.limits(shown, paper, transient=measure == "minimum_hamming")
    axes.set_ylim(low if measure == "log_volume" else 0.0, high)
    axes.set_xlim(0, max(curve.epoch.max() for curve in shown))
    curves.round_ticks(axes)
    curves.zero_line(axes)
    curves.paper_axis(axes, paper)
    axes.set_ylabel(_LABELS[measure])
    axes.set_xlabel(_ALONG[measure])
    return leaves


def _layers_panel(axes, table):
    layers = list(dict.fromkeys(table["scope"]))
    colours = style.colours(table["optimizer"])
    for index, (label, colour) in enumerate(colours.items()):
        rows = table[table["optimizer"] == label].set_index("scope").reindex(layers)
        shift = _APART * (index - (len(colours) - 1) / 2)
        places = [place + shift for place in range(1, len(layers) + 1)]
        errors = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        axes.errorbar(places, rows["mean"], errors, color=colour, label=label, **_MARKER)
    axes.set_xlim(0.5, len(layers) + 0.5)
    axes.set_xticks(range(1, len(layers) + 1), [layer.rsplit("_", 1)[-1] for layer in layers])
    if table["mean"].min() >= 0:
        axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _caption(figure, runs, exploration, found, leaves, by_layer=False):
    shown = [path for each in found for path in each.paths]
    drawn = runs[runs["run"].isin(shown)]
    totals = exploration["totals"]
    lines = captions.lines(drawn, bands=None if by_layer else "seeds")
    for line, each, outside in zip(lines, found, leaves):
        of_task = drawn[drawn["task"] == each.task]
        rows = totals[totals["run"].isin(each.paths)]
        line += [captions.activations(of_task), captions.floor(rows)]
        if by_layer and of_task["seed"].nunique() > 2:
            line.append("bars: 95% intervals over seeds")
        if each.shorter:
            panels = "all panels" if by_layer else "(b) and (c)"
            line.append(f"without {', '.join(each.shorter)} in {panels}: too few epochs")
        if each.missing:
            line.append(f"trained but not measured so: {', '.join(each.missing)}")
        if outside:
            line.append("the first epochs lie outside the vertical axis of (a)")
    lines.append(["(a) as a share of all bits, (b) of all possible switches"])
    lines[-1].append("the paper does not say its floor in (c), where its axis ends at -2000")
    lines[-1] += [phrase for phrase in [captions.rmsprop(drawn)] if phrase]
    style.caption(figure, lines)
