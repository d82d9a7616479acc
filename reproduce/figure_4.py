"""Figure 4: regret of a layer for RMSProp, Adam and SGD, and the losses behind it."""

import math

from matplotlib.lines import Line2D

from reproduce import captions, curves, selection, style, tables
from reproduce.layer_curves import layer_curves
from reproduce.tables import ResultsError

_HEIGHT, _CAPTION_HEIGHT = 2.3, 0.27  # inches, of the panels and of a task's caption
_LAYER_WIDTH, _LAYERS_HEIGHT = 1.75, 3.6
_PAPER_REGRET = {"autoencoder": (2.0, 7.0), "convnet": (4.0, 16.0)}
_PAPER_LOSS = (0.1, 0.3)
_DEFAULT_LAYER = {"autoencoder": "dense_3", "convnet": "conv2d_2"}
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
        layer: Layer of the autoencoder; the paper's `"dense_3"` by default.
        sgd: Label or learning rate of the run that stands for SGD; by default
            the one with the lowest final training loss.
        ball: Whether to show optima over the ball of Theorem 2; by default as each
            record's own protocol has it.

    Returns:
        The paths written: `figure_4_<record>.png` and `.pdf`, and with
        several layers `figure_4_<record>_layers`.

    Raises:
        ResultsError: If the results are missing, or not of one protocol.
    """
    tables.require_one_protocol(runs)
    regret, losses = tables.read_regret(runs), tables.read_losses(runs)
    layer = layer or _DEFAULT_LAYER["autoencoder"]
    asked, written = ball, []
    for record in _chosen(records, regret):
        ball = selection.domains(regret, record)[0] if asked is None else asked
        suffix = "" if asked is None else ("_ball" if ball else "_no_ball")
        name = f"figure_4_{record}{suffix}"
        if layer != _DEFAULT_LAYER["autoencoder"]:
            name += f"_{layer}"
        options = {"record": record, "sgd": sgd, "ball": ball}
        written += style.save(compose(runs, regret, losses, layer=layer, **options), out, name)
        autoencoder = regret[regret["task"] == "autoencoder"]
        layers = [
            scope
            for scope in selection.layers(autoencoder, record)
            if len(selection.rows(autoencoder, record, scope, ball))
        ]
        if len(layers) > 1:
            figure = compose_layers(runs, regret, losses, layers=layers, **options)
            written += style.save(figure, out, f"figure_4_{record}{suffix}_layers")
    return written


def compose(runs, regret, losses, record="figures", layer="dense_3", sgd=None, ball=False):
    """Figure 4: (a) convnet, layer 2; (b) autoencoder; (c) losses of the autoencoder.

    Args:
        runs: Frame of `tables.find_runs`.
        regret: Frame of `tables.read_regret`.
        losses: Frame of `tables.read_losses`.
        record: Name of the record to draw.
        layer: Layer of the autoencoder.
        sgd: Label or learning rate of the run that stands for SGD.
        ball: Whether to show optima over the ball of Theorem 2.

    Returns:
        A `matplotlib.figure.Figure`. A task without results has no panel.

    Raises:
        ResultsError: If the record has no results for the layer.
    """
    shown = {"convnet": _DEFAULT_LAYER["convnet"], "autoencoder": layer}
    found = [
        curves_of
        for task, scope in shown.items()
        if (curves_of := layer_curves(regret, losses, task, scope, record, sgd, ball))
    ]
    if not found:
        there = selection.layers(regret, record)
        raise ResultsError(
            f"Record '{record}' has no regret of {layer} {'with' if ball else 'without'} a ball; "
            f"there are {', '.join(there) or 'no layers'}. Choose one of those, or solve it "
            f"with `python -m reproduce solve RUNS`."
        )
    panels = [(_regret_panel, each) for each in found]
    panels += [(_loss_panel, each) for each in found if each.task == "autoencoder"]
    figure = style.new_figure(_HEIGHT + _CAPTION_HEIGHT * len(found))
    with style.context():
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        notes = [panel(axes, each) for axes, (panel, each) in zip(grid, panels)]
        _legend(figure, found, losses)
    drawn = runs[runs["task"].isin([each.task for each in found])]
    _caption(figure, drawn, found, record, ball, any(notes))
    return figure


def compose_layers(runs, regret, losses, layers, record="figures", sgd=None, ball=False):
    """Figure 4(b) and (c) for several layers: "this also holds for the other layers".

    Args:
        runs: Frame of `tables.find_runs`.
        regret: Frame of `tables.read_regret`.
        losses: Frame of `tables.read_losses`.
        layers: Layers of the autoencoder, one column each.
        record: Name of the record to draw.
        sgd: Label or learning rate of the run that stands for SGD.
        ball: Whether to show optima over the ball of Theorem 2.

    Returns:
        A `matplotlib.figure.Figure`, regret above, losses below.

    Raises:
        ResultsError: If a layer has no results.
    """
    found = [
        layer_curves(regret, losses, "autoencoder", layer, record, sgd, ball) for layer in layers
    ]
    if not all(found):
        missing = [layer for layer, each in zip(layers, found) if each is None]
        raise ResultsError(
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
            grid[0, column].set_title(f"{_layer_name(each.layer)} ({each.layer})")
            grid[1, column].set_xlabel("epochs")
        grid[0, 0].set_ylabel(_regret_label(found[0].scale))
        grid[1, 0].set_ylabel(_LOSS_LABEL)
        figure.align_ylabels(grid[:, 0])
        _legend(figure, found, losses)
    drawn = runs[runs["task"] == "autoencoder"]
    _caption(figure, drawn, found, record, ball, any(notes))
    return figure


def _chosen(records, regret):
    there = list(dict.fromkeys(regret["record"]))
    unknown = [record for record in records or [] if record not in there]
    if unknown:
        raise ResultsError(
            f"There is no record {', '.join(unknown)}; there is "
            f"{', '.join(there) or 'none'}. Choose one of those."
        )
    if not there:
        raise ResultsError(
            "The runs have no regret at all: they were trained without Taylor "
            "records. Train with `python -m reproduce train`, which has them."
        )
    return records or selection.shown_records(regret)


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


def _legend(figure, found, losses):
    """One row above all panels: no curve can run through it."""
    labels = {label for each in found for label in each.regret}
    handles = []
    for label, colour in style.colours(labels).items():
        tasks = [each.task for each in found]
        rows = losses[(losses["optimizer"] == label) & losses["task"].isin(tasks)]
        fate = curves.diverged(rows)
        handles.append(Line2D([], [], color=colour, label=f"{label} ({fate})" if fate else label))
    handles += [
        Line2D([], [], color="black", label="cumul. loss", **_LOSS_LINE),
        Line2D([], [], color="black", label="Taylor optimal", **_OPTIMUM_LINE),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _caption(figure, runs, found, record, ball, leaves):
    shown = set().union(*(each.regret for each in found))
    lines = captions.lines(runs[runs["optimizer"].isin(shown)], record, ball)
    lines[-1].append(captions.certificate(max(each.relative_gap for each in found)))
    if leaves:
        lines[-1].append("the first epochs lie outside the vertical axis")
    style.caption(figure, lines)


def _layer_name(layer):
    return f"Layer {layer.rsplit('_', 1)[1]}"


def _regret_label(scale):
    times = "" if math.isclose(scale, 1) else rf" ($\times${scale:g})"
    return r"regret / $\sqrt{N}$" + times
