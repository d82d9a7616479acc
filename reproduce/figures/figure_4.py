"""Figure 4: regret of a layer for RMSProp, Adam and SGD, and the losses behind it."""

import math

import pandas as pd
from matplotlib.lines import Line2D
from reproduce.layer_curves import layer_curves
from reproduce.tables import NoResults

from reproduce import captions, curves, legend, selection, style, tables

_HEIGHT = 2.3  # inches, without the caption
_LAYER_WIDTH, _LAYERS_HEIGHT = 1.75, 3.33
_PAPER_REGRET = {"autoencoder": (2.0, 7.0), "convnet": (4.0, 16.0)}
_PAPER_LOSS = (0.1, 0.3)
_DEFAULT_LAYER = {"convnet": "conv2d_2", "autoencoder": "dense_3"}  # from left to right
_LAYERS_NAME = {"convnet": "_convnet_layers", "autoencoder": "_layers"}
_LOSS_LABEL = r"cumul. loss / $\sqrt{N}$"
# The two lie within a few percent of each other: dashes over a paler line
# show both even where they coincide.
_LOSS_LINE = {"linewidth": 1.7, "alpha": 0.5}
_OPTIMUM_LINE = {"linewidth": 1.0, "linestyle": (0, (3.5, 2.0))}


def draw(runs, out, records=None, layer=None, sgd=None, ball=None):
    """Draws Figure 4 for each record, and for all layers beside it.

    Args:
        runs: Runs of one result set, as `tables.find_runs` gives them.
        out: Directory to write to.
        records: Names of the records to draw; by default those of the named protocols.
        layer: Layer to show of its task; the paper's `"conv2d_2"` and `"dense_3"` by default.
        sgd: Label or learning rate of the run that stands for SGD; by default
            the one with the lowest final training loss.
        ball: Whether to show optima over the ball of Theorem 2; by default as each
            record's own protocol has it.

    Returns:
        The paths written: `figure_4_<record>.png` and `.pdf`, and for a task with
        several layers `figure_4_<record>_layers` (of the autoencoder) and
        `figure_4_<record>_convnet_layers`.

    Raises:
        NoResults: If there is no regret of the layers.
        ResultsError: If tables are damaged, or the runs not of one protocol.
    """
    tables.require_one_protocol(runs)
    regret, losses = tables.read_regret(runs), tables.read_losses(runs)
    written = []
    solved = regret[~regret["scope"].str.contains(":")]  # neurons may have domains of their own
    for record in selection.chosen_records(records, regret, solved):
        own, suffix = selection.chosen_domain(ball, solved, record)
        name = f"figure_4_{record}{suffix}"
        named = name if layer in (None, *_DEFAULT_LAYER.values()) else f"{name}_{layer}"
        options = {"record": record, "sgd": sgd, "ball": own}
        figure = compose(runs, regret, losses, layer=layer, **options)
        written += style.save(figure, out, named)
        for task, ending in _LAYERS_NAME.items():
            layers = _solved_layers(regret[regret["task"] == task], record, own)
            if len(layers) > 1:
                figure = compose_layers(runs, regret, losses, layers, task=task, **options)
                written += style.save(figure, out, name + ending)
    return written


def compose(runs, regret, losses, record="figures", layer=None, sgd=None, ball=False):
    """Figure 4: (a) convnet, layer 2; (b) autoencoder; (c) losses of the autoencoder.

    Args:
        runs: Frame of `tables.find_runs`.
        regret: Frame of `tables.read_regret`.
        losses: Frame of `tables.read_losses`.
        record: Name of the record to draw.
        layer: Layer to show of its task; the paper's by default.
        sgd: Label or learning rate of the run that stands for SGD.
        ball: Whether to show optima over the ball of Theorem 2.

    Returns:
        A `matplotlib.figure.Figure`. A task without results has no panel.

    Raises:
        NoResults: If the record has no results for the layer.
    """
    shown = dict(_DEFAULT_LAYER)
    if layer:
        shown["convnet" if layer.startswith("conv2d") else "autoencoder"] = layer
    found = [
        curves_of
        for task, scope in shown.items()
        if (curves_of := layer_curves(regret, losses, task, scope, record, sgd, ball))
    ]
    if not found or layer not in (None, *(each.layer for each in found)):
        there = selection.layers(regret, record)
        wanted = [scope for task, scope in shown.items() if task in set(runs["task"])]
        raise NoResults(
            f"Record '{record}' has no regret of {layer or ' or '.join(wanted)} "
            f"{'with' if ball else 'without'} a ball; "
            f"there are {', '.join(there) or 'no layers'}. Choose one of those, or solve it "
            f"with `python -m reproduce solve RUNS`."
        )
    panels = [(_regret_panel, each) for each in found]
    panels += [(_loss_panel, each) for each in found if each.task == "autoencoder"]
    figure = style.new_figure(_HEIGHT, style.WIDTH if len(panels) > 1 else style.NARROW_WIDTH)
    with style.context():
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        notes = [panel(axes, each) for axes, (panel, each) in zip(grid, panels)]
        _legend(figure, found, losses, with_losses=len(panels) > len(found))
    layers = regret[~regret["scope"].str.contains(":")]
    others = selection.in_other_domain(layers, record, ball)
    _caption(figure, runs, found, record, ball, any(notes), others)
    return figure


def compose_layers(
    runs, regret, losses, layers, record="figures", sgd=None, ball=False, task="autoencoder"
):
    """Regret and losses of several layers: "this also holds for the other layers".

    Args:
        runs: Frame of `tables.find_runs`.
        regret: Frame of `tables.read_regret`.
        losses: Frame of `tables.read_losses`.
        layers: Layers of the task, or its `"network"`, one column each.
        record: Name of the record to draw.
        sgd: Label or learning rate of the run that stands for SGD.
        ball: Whether to show optima over the ball of Theorem 2.
        task: `"convnet"` or `"autoencoder"`.

    Returns:
        A `matplotlib.figure.Figure`, regret above, losses below.

    Raises:
        NoResults: If a layer has no results.
    """
    found = [layer_curves(regret, losses, task, layer, record, sgd, ball) for layer in layers]
    if not all(found):
        missing = [layer for layer, each in zip(layers, found) if each is None]
        raise NoResults(
            f"Record '{record}' has no regret of {', '.join(missing)}. Solve it "
            "with `python -m reproduce solve RUNS`."
        )
    figure = style.new_figure(_LAYERS_HEIGHT, max(style.WIDTH, _LAYER_WIDTH * len(layers)))
    with style.context():
        grid = figure.subplots(2, len(layers), sharex=True, squeeze=False)
        notes = []
        for column, each in enumerate(found):
            notes.append(_draw_regret(grid[0, column], each, paper=None))
            notes.append(_draw_losses(grid[1, column], each, paper=None))
            grid[0, column].set_title(_title(each.layer))
            grid[1, column].set_xlabel("epochs")
        grid[0, 0].set_ylabel(_regret_label(found[0].scale))
        grid[1, 0].set_ylabel(_LOSS_LABEL)
        figure.align_ylabels(grid[:, 0])
        _legend(figure, found, losses, with_losses=True)
    _caption(figure, runs, found, record, ball, any(notes))
    return figure


def _solved_layers(regret, record, ball):
    """Layers, and after them the whole network, with results in the domain."""
    scales = selection.scales(regret, record)
    return [
        scope
        for scope in [*scales["layer"], *scales["network"]]
        if len(selection.rows(regret, record, scope, ball))
    ]


def _regret_panel(axes, found):
    letter = "b" if found.task == "autoencoder" else "a"
    leaves = _draw_regret(axes, found, _PAPER_REGRET[found.task])
    axes.set_ylabel(_regret_label(found.scale))
    name = _layer_name(found.layer).lower()
    axes.set_xlabel(f"epochs\n({letter}) {found.task.capitalize()} regret, {name}")
    return leaves


def _loss_panel(axes, found):
    leaves = _draw_losses(axes, found, _PAPER_LOSS)
    axes.set_ylabel(_LOSS_LABEL)
    axes.set_xlabel("epochs\n(c) Cumul. losses for autoencoder")
    return leaves


def _draw_regret(axes, found, paper):
    for label, colour in style.colours(found.regret).items():
        curves.draw(axes, found.regret[label], colour, label)
    return _finish(axes, list(found.regret.values()), paper)


def _draw_losses(axes, found, paper):
    for label, colour in style.colours(found.loss).items():
        curves.draw(axes, found.loss[label], colour, label, **_LOSS_LINE)
        curves.draw(axes, found.optimum[label], colour, f"{label}, Taylor optimal", **_OPTIMUM_LINE)
    return _finish(axes, [*found.loss.values(), *found.optimum.values()], paper)


def _finish(axes, shown, paper):
    """Sets both ranges; returns whether the first epochs leave the axis."""
    low, high, leaves = curves.limits(shown, paper)
    axes.set_ylim(low, high)
    axes.set_xlim(0, max(curve.epoch.max() for curve in shown))
    curves.round_ticks(axes)
    curves.zero_line(axes)
    if paper:
        curves.paper_axis(axes, paper)
    return leaves


def _legend(figure, found, losses, with_losses):
    shown = {}
    for each in found:
        shown.setdefault(each.task, set()).update(each.regret)
    entries = legend.optimizers(shown, losses)
    if with_losses:
        entries += [
            Line2D([], [], color="black", label="cumul. loss", **_LOSS_LINE),
            Line2D([], [], color="black", label="Taylor optimal", **_OPTIMUM_LINE),
        ]
    legend.above(figure, entries)


def _caption(figure, runs, found, record, ball, leaves, others=()):
    shown = {(each.task, label) for each in found for label in each.regret}
    pairs = zip(runs["task"], runs["optimizer"])
    lines = captions.lines(runs[[pair in shown for pair in pairs]], record, ball)
    rows = pd.concat([each.rows for each in found])
    lines[-1] += [phrase for phrase in [captions.radii(rows)] if phrase]
    lines[-1].append(captions.certificate(rows, ball))
    missing = style.in_order(label for each in found for label in each.missing)
    if missing:
        lines[-1].append(f"trained but not solved so: {', '.join(missing)}")
    if others:
        domain = "without a ball" if ball else "over a ball"
        lines[-1].append(f"not shown, as solved {domain} only: {', '.join(others)}")
    if leaves:
        lines[-1].append("the first epochs lie outside the vertical axis")
    style.caption(figure, lines)


def _title(scope):
    return "Network" if scope == "network" else f"{_layer_name(scope)} ({scope})"


def _layer_name(layer):
    return f"Layer {layer.rsplit('_', 1)[1]}"


def _regret_label(scale):
    times = "" if math.isclose(scale, 1) else rf" ($\times${scale:g})"
    return r"regret / $\sqrt{N}$" + times
