"""Figure 3: regret of single neurons of the convnet, and the losses behind it."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from reproduce.neuron_curves import neuron_curves
from reproduce.tables import NoResults

from reproduce import captions, curves, selection, style, tables

_HEIGHT = 2.75  # inches, without the caption
_PAPER_REGRET, _PAPER_LOSS = (0.0, 8.0), (0.0, 16.0)
_OPTIMIZER = "RMSProp"  # the one that the paper shows
_LAYERS = ["conv2d_1", "conv2d_2", "conv2d_3"]
_LOSS_PANELS = {"b": "conv2d_1", "c": "conv2d_2"}
_COLOURS = dict(zip(_LAYERS, style.LAYERS))
_INDIVIDUAL = {"linewidth": 0.7, "linestyle": (0, (3.0, 1.6)), "alpha": 0.75}
# Network and neuron loss coincide where a round takes its whole minibatch: a thin
# dotted line over a wide pale one shows both.
_NETWORK_LINE = {"linewidth": 1.0, "linestyle": (0, (1.0, 1.4)), "zorder": 3}
_LOSS_LINE = {"linewidth": 2.2, "alpha": 0.45}
_OPTIMUM_LINE = {"linewidth": 1.0, "linestyle": (0, (3.5, 2.0))}


def draw(runs, out, records=None, ball=None):
    """Draws Figure 3 for each record, and for each optimizer whose neurons were solved.

    Args:
        runs: Runs of one result set, as `tables.find_runs` gives them.
        out: Directory to write to.
        records: Names of the records to draw; by default those of the named protocols.
        ball: Whether to show optima over the ball of Theorem 2; by default as each
            record's own protocol has it, where the neurons were solved so.

    Returns:
        The paths written: `figure_3_<record>.png` and `.pdf` for RMSProp, which the paper
        shows, and for others `figure_3_<record>_<optimizer>`.

    Raises:
        NoResults: If no neurons of the convnet were solved.
        ResultsError: If tables are damaged, or the runs not of one protocol.
    """
    tables.require_one_protocol(runs)
    convnet = runs[runs["task"] == "convnet"]
    if convnet.empty:
        raise NoResults(
            "Figure 3 needs the regret of neurons of the convnet, and there is no run of it. "
            "Train it with `python -m reproduce train --task convnet`."
        )
    regret = tables.read_regret(convnet)
    neurons = regret[regret["scope"].str.contains(":")]
    if len(regret) and neurons.empty:
        raise NoResults(
            "Figure 3 needs the regret of neurons, and the convnet's tables hold only "
            f"{', '.join(regret['scope'].unique())}. Solve some neurons of each layer with "
            "`python -m reproduce solve RUNS --neurons 50`."
        )
    written = []
    for record in selection.chosen_records(records, regret, neurons):
        own, suffix = selection.chosen_domain(ball, neurons, record)
        for label in _solved(neurons, record, own):
            figure = compose(convnet, neurons, record, label, own)
            ending = "" if label == _OPTIMIZER else f"_{_slug(label)}"
            written += style.save(figure, out, f"figure_3_{record}{suffix}{ending}")
    return written


def compose(runs, regret, record="figures", optimizer=_OPTIMIZER, ball=False):
    """Figure 3: (a) regret in each layer; (b), (c) losses and regret in layers 1 and 2.

    Args:
        runs: Frame of `tables.find_runs`.
        regret: Frame of `tables.read_regret`.
        record: Name of the record to draw.
        optimizer: Label of the optimizer.
        ball: Whether to show optima over the ball of Theorem 2.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        NoResults: If the record has no neurons of the layers.
    """
    table = regret[(regret["task"] == "convnet") & (regret["optimizer"] == optimizer)]
    found = {
        layer: each for layer in _LAYERS if (each := neuron_curves(table, layer, record, ball))
    }
    if not found:
        raise NoResults(
            f"Record '{record}' has no regret of neurons of {optimizer} "
            f"{'with' if ball else 'without'} a ball. Solve some of each layer with "
            "`python -m reproduce solve RUNS --neurons 50`."
        )
    figure = style.new_figure(_HEIGHT)
    with style.context():
        panels = figure.subplots(1, 3)
        notes = [_regret_panel(panels[0], found)]
        for axes, (letter, layer) in zip(panels[1:], _LOSS_PANELS.items()):
            notes.append(_loss_panel(axes, letter, layer, found.get(layer)))
    drawn = runs[runs["optimizer"] == optimizer]
    _caption(figure, drawn, optimizer, found, record, ball, any(notes))
    return figure


def _solved(neurons, record, ball):
    """Optimizers with neurons of the record in that domain, in the paper's order."""
    rows = selection.rows(neurons, record, selection.neurons(neurons, record), ball)
    if rows.empty:
        raise NoResults(
            f"Record '{record}' has no regret of neurons {'with' if ball else 'without'} a "
            "ball. Leave out the option, or solve them with `python -m reproduce solve RUNS`."
        )
    return style.in_order(rows["optimizer"])


def _slug(label):
    """`"SGD lr=0.1"` as `"sgd_0.1"`, for a file's name."""
    for old, new in [(" lr=", "_"), (" ", "_"), ("(", ""), (")", "")]:
        label = label.replace(old, new)
    return label.lower()


def _regret_panel(axes, found):
    shown = []
    for layer, each in found.items():
        for curve in each.individuals.values():
            curves.draw(axes, curve, _COLOURS[layer], "_individual", **_INDIVIDUAL)
        curves.draw(axes, each.regret, _COLOURS[layer], _name(layer))
        shown += [each.regret, *each.individuals.values()]
    handles = [Line2D([], [], color=_COLOURS[layer], label=_name(layer)) for layer in found]
    handles.append(Line2D([], [], color=style.GREY, label="single neurons", **_INDIVIDUAL))
    axes.set_ylabel(r"regret / $\sqrt{N}$")
    axes.set_xlabel("epochs\n(a) Regret of neurons")
    return _finish(axes, shown, _PAPER_REGRET, handles)


def _loss_panel(axes, letter, layer, each):
    axes.set_xlabel(f"epochs\n({letter}) Neurons of {_name(layer)}")
    if each is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, f"no neurons of {layer}", ha="center", transform=axes.transAxes)
        return False
    lines = {
        "network loss": (each.network, style.BLACK, _NETWORK_LINE),
        "neuron loss": (each.loss, style.GREY, _LOSS_LINE),
        "Taylor optimal": (each.optimum, style.BLACK, _OPTIMUM_LINE),
        "regret": (each.regret, _COLOURS[layer], {}),
    }
    for label, (curve, colour, line) in lines.items():
        curves.draw(axes, curve, colour, label, **line)
    handles = [
        Line2D([], [], color=colour, label=label, **line)
        for label, (_, colour, line) in lines.items()
    ]
    axes.set_ylabel(r"cumul. loss, regret / $\sqrt{N}$")
    return _finish(axes, [curve for curve, _, _ in lines.values()], _PAPER_LOSS, handles)


def _finish(axes, shown, paper, handles):
    """Sets both ranges and the legend; returns whether first epochs leave the axis."""
    low, high, leaves = curves.limits(shown, paper)
    positive = all(np.nanmin(curve.low, initial=0.0) >= 0 for curve in shown)
    axes.set_ylim(0.0 if positive else low, high)  # the paper's axes begin at zero
    axes.set_xlim(0, max(curve.epoch.max() for curve in shown))
    curves.round_ticks(axes)
    curves.zero_line(axes)
    curves.paper_axis(axes, paper)
    # Above the panel, where no curve can run through it.
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.0
    )
    return leaves


def _caption(figure, runs, optimizer, found, record, ball, leaves):
    counts = [len(each.neurons) for each in found.values()]
    several = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"
    drawn = "; ".join(
        f"{_name(layer)}: {', '.join(name.split(':')[1] for name in each.individuals)}"
        for layer, each in found.items()
    )
    rows = pd.concat([each.rows for each in found.values()])
    lines = captions.lines(runs, record, ball, bands="neurons")
    lines[-1].insert(0, f"{optimizer}, {several} neurons a layer")
    lines[-1] += [f"single neurons of {drawn}", captions.certificate(rows, ball)]
    lines[-1] += [phrase for phrase in [captions.radii(rows)] if phrase]
    if leaves:
        lines[-1].append("the first epochs lie outside the vertical axis")
    style.caption(figure, lines)


def _name(layer):
    return f"layer {layer.rsplit('_', 1)[1]}"
