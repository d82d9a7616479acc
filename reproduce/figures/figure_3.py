"""Figure 3: regret of single neurons of the convnet, and the losses behind it."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reproduce import optimizers, paper
from reproduce.figures import axes as ranges
from reproduce.figures import captions, panels, registry, style
from reproduce.figures.options import Options
from reproduce.figures.sheets import Sheet
from reproduce.optimizers import TENSORFLOW_2016, Optimizer
from reproduce.results import select, words
from reproduce.results.curves import Curve
from reproduce.results.neuron_curves import NeuronCurves, neuron_curves
from reproduce.results.runs import NoResults
from reproduce.results.select import Reading
from reproduce.results.tables import Tables

_HEIGHT, _STRIP = 3.1, 0.42  # inches without the caption; height of a strip, of a panel's
_LOSS_PANELS = {"b": "conv2d_1", "c": "conv2d_2"}
_COLOURS = dict(zip(paper.CONVOLUTIONS, style.LAYERS))
_INDIVIDUAL: style.Line = {"linewidth": 0.7, "linestyle": (0, (3.0, 1.6)), "alpha": 0.75}
# Network and neuron loss may lie close to each other: a thin dotted line over a wide pale one
# shows both, down to a share of themselves that nobody sees.
_VISIBLE = 5e-3
_NETWORK_LINE: style.Line = {"linewidth": 1.0, "linestyle": style.DOTTED, "zorder": 3}
_LOSS_LINE: style.Line = {"linewidth": 2.2, "alpha": 0.45}


def whole(tables: Tables, options: Options) -> Sheet:
    """Draws Figure 3 as the paper lays it out, of one optimizer.

    Args:
        tables: Tables of the runs.
        options: Of which `records`, `ball`, `comparator`, `variant` and `optimizer` are taken.

    Returns:
        A `Sheet`.

    Raises:
        NoResults: If no neurons of the convnet were solved so.
    """
    convnet = _convnet(tables)
    solved = _solved(convnet, None)
    reading = options.reading(convnet, solved)
    name = options.optimizer or paper.FIGURE_3_OPTIMIZER
    there = optimizers.of_table(select.of_reading(solved, reading))
    shown = select.of_variant(there, options.variant or TENSORFLOW_2016)
    wanted = [one for one in shown if one.name == name] or shown
    return compose(convnet, reading, wanted[0])


def variants(tables: Tables, options: Options) -> Iterator[tuple[str, Sheet]]:
    """Draws Figure 3 for each reading, and for each optimizer whose neurons were solved.

    Args:
        tables: Tables of one task and experiment.
        options: Of which `records`, `ball`, `comparator` and `variant` are taken.

    Yields:
        `figure_3_<reading>` for the optimizer that the paper shows, and for others
        `figure_3_<reading>_<optimizer>`.

    Raises:
        NoResults: If no neurons of the convnet were solved so.
    """
    convnet = _convnet(tables)
    solved = _solved(convnet, options.variant)
    for reading in options.readings(convnet, solved):
        for one in optimizers.of_table(select.of_reading(solved, reading)):
            ending = "" if _is_of_paper(one) else f"_{one.slug}"
            yield f"figure_3_{reading.slug}{ending}", compose(convnet, reading, one)


@style.styled
def compose(tables: Tables, reading: Reading, optimizer: Optimizer) -> Sheet:
    """Figure 3: (a) regret in each layer; (b), (c) losses and regret in layers 1 and 2.

    Args:
        tables: Tables of the convnet.
        reading: The `Reading` that is shown.
        optimizer: The `Optimizer`.

    Returns:
        A `Sheet`.

    Raises:
        NoResults: If no neurons of that optimizer were solved so.
    """
    regret = optimizers.rows(tables.regret, optimizer)
    found = {layer: neuron_curves(regret, layer, reading) for layer in paper.CONVOLUTIONS}
    shown = {layer: curves for layer, curves in found.items() if curves}
    if not shown:
        raise NoResults(
            f"Record '{reading.record}' has no regret of neurons of {optimizer.slug} "
            f"{'with' if reading.ball else 'without'} a ball. Solve some of each layer with "
            "`python -m reproduce solve RUNS --neurons 50`."
        )
    figure = style.new_figure(_HEIGHT)
    grid = figure.add_gridspec(2, 3, height_ratios=[1, _STRIP])
    outside = [_regret_panel(figure.add_subplot(grid[:, 0]), shown)]
    strips: list[tuple[Axes, NeuronCurves]] = []
    for column, (letter, layer) in enumerate(_LOSS_PANELS.items(), start=1):
        if layer in shown:
            upper = figure.add_subplot(grid[0, column])
            strip = figure.add_subplot(grid[1, column], sharex=upper)
            outside.append(_loss_panel(upper, shown[layer]))
            strips.append((strip, shown[layer]))
        else:
            strip = figure.add_subplot(grid[:, column])
            panels.note(strip, f"no neurons of {layer}")
            strip.set(xticks=[], yticks=[])
        strip.set_xlabel(f"epochs\n({letter}) Neurons of {_name(layer)}")
    _draw_strips(strips)
    details = _caption(figure, tables, shown, reading, optimizer, any(outside))
    label = words.label(optimizer, "convnet")
    return Sheet(figure, f"Figure 3: regret of neurons, {label}, {reading.slug}", details)


def _convnet(tables: Tables) -> Tables:
    if "convnet" not in tables.tasks:
        raise NoResults(
            "Figure 3 needs the regret of neurons of the convnet, and there is no run of it. "
            "Train it with `python -m reproduce train --task convnet`."
        )
    return tables.of("convnet")


def _solved(tables: Tables, variant: str | None) -> pd.DataFrame:
    regret = tables.regret
    neurons = regret[regret["scope"].isin(select.neurons(regret))]
    if neurons.empty:
        there = ", ".join(regret["scope"].unique())
        raise NoResults(
            "Figure 3 needs the regret of neurons, and the convnet's tables hold "
            f"{f'only {there}' if there else 'no regret at all'}. Solve some neurons of each "
            "layer with `python -m reproduce solve RUNS --neurons 50`."
        )
    if variant:
        shown = select.of_variant(optimizers.of_table(neurons), variant)
        neurons = neurons[optimizers.is_of(neurons, *shown)]
    return neurons


def _is_of_paper(one: Optimizer) -> bool:
    rates = paper.RATES["convnet"][paper.FIGURE_3_OPTIMIZER]
    old = one.variant == TENSORFLOW_2016
    return old and one.name == paper.FIGURE_3_OPTIMIZER and one.rate in rates


def _regret_panel(axes: Axes, shown: Mapping[str, NeuronCurves]) -> bool:
    axes.set_xlabel("epochs\n(a) Regret of neurons")
    axes.set_ylabel(r"regret / $\sqrt{N}$")
    alive = {layer: curves for layer, curves in shown.items() if not curves.dead}
    if not alive:
        panels.note(axes, "not applicable:\nall regret is rounding,\nthe network is dead")
        ranges.set_width(axes, [curves.regret for curves in shown.values()])
        ranges.round_ticks(axes)
        axes.set(yticks=[])
        return False
    drawn = []
    for layer, curves in alive.items():
        for curve in curves.individuals.values():
            panels.draw(axes, curve, _COLOURS[layer], "_individual", **_INDIVIDUAL)
        panels.draw(axes, curves.regret, _COLOURS[layer], _name(layer))
        drawn += [curves.regret, *curves.individuals.values()]
    handles = [Line2D([], [], color=_COLOURS[layer], label=_name(layer)) for layer in alive]
    handles.append(Line2D([], [], color=style.GREY, label="single neurons", **_INDIVIDUAL))
    _legend(axes, handles)
    return ranges.finish(axes, drawn, paper.NEURON_REGRET_AXIS)


def _loss_panel(axes: Axes, curves: NeuronCurves) -> bool:
    """The losses as the paper has them: network, neurons, their optimum, and regret."""
    one = _apart(curves) < _VISIBLE
    lines: dict[str, tuple[Curve, str, dict]] = {
        "network loss": (curves.network, style.BLACK, _NETWORK_LINE),
        "network, neuron loss" if one else "neuron loss": (curves.loss, style.GREY, _LOSS_LINE),
        "Taylor optimal": (curves.optimum, style.BLACK, panels.OPTIMUM_LINE),
        "regret": (curves.regret, _COLOURS[curves.layer], {}),
    }
    if one:
        del lines["network loss"]
    if curves.dead:
        del lines["regret"]
    for label, (curve, colour, line) in lines.items():
        panels.draw(axes, curve, colour, label, **line)
    _legend(
        axes,
        [
            Line2D([], [], color=colour, label=label, **line)
            for label, (_, colour, line) in lines.items()
        ],
    )
    axes.set_ylabel(r"cumulative / $\sqrt{N}$")
    axes.tick_params(labelbottom=False)
    drawn = [curve for curve, _, _ in lines.values()]
    return ranges.finish(axes, drawn, paper.NEURON_LOSS_AXIS)


def _draw_strips(strips: list[tuple[Axes, NeuronCurves]]) -> None:
    """Regret on a scale of its own, one for both layers: losses hide what is 1% of them."""
    drawn = [curves.gap for _, curves in strips if not curves.dead]
    for axes, curves in strips:
        axes.set_ylabel("regret\n(% of loss)", fontsize=7)
        if curves.dead:
            panels.note(axes, "regret: not applicable")
            axes.set(yticks=[])
            continue
        panels.draw(axes, curves.gap, _COLOURS[curves.layer], "regret, % of loss")
        low, high, _ = ranges.limits(drawn)
        axes.set_ylim(low, high)
        ranges.round_ticks(axes, vertical=3)
        ranges.zero_line(axes)


def _legend(axes: Axes, handles: list[Line2D]) -> None:
    """Above the panel, where no curve can run through it."""
    axes.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
        columnspacing=1.0,
        fontsize=7.5,
    )


def _caption(
    figure: Figure,
    tables: Tables,
    shown: Mapping[str, NeuronCurves],
    reading: Reading,
    optimizer: Optimizer,
    outside: bool,
) -> list[str]:
    """Writes the short caption and returns the long one."""
    rows = pd.concat([curves.rows for curves in shown.values()])
    runs = tables.runs[tables.runs["run"].isin(rows["run"])]
    counts = [len(curves.neurons) for curves in shown.values()]
    several = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"
    certificate = words.certificate(rows, reading.ball)
    captions.write(
        figure,
        [
            f"{words.label(optimizer, 'convnet')}, {several} neurons a layer",
            captions.readings(runs, reading),
            captions.short_variants([("convnet", optimizer)]),
            *captions.experiments(runs),
            captions.bands(runs, "neurons"),
            certificate,
            captions.OUTSIDE if outside else "",
        ],
    )
    individuals = "; ".join(
        f"{_name(layer)}: {', '.join(name.split(':')[1] for name in curves.individuals)}"
        for layer, curves in shown.items()
    )
    details = [captions.readings(runs, reading), *captions.details(runs)]
    details += [words.variants([optimizer]), f"{several} neurons a layer", certificate]
    details += [words.radii(rows), f"single neurons of {individuals}"]
    apart = max(_apart(curves) for curves in shown.values())
    details.append(f"network and neuron loss are at most {apart:.2g} of themselves apart")
    return [text for text in details if text]


def _apart(curves: NeuronCurves) -> float:
    """How far the network's loss and that of what the neurons saw lie apart, as a share."""
    return float(np.nanmax(np.abs(curves.network.mean / curves.loss.mean - 1)))


def _name(layer: str) -> str:
    return f"layer {layer.rsplit('_', 1)[1]}"


registry.register(
    registry.Figure(
        "3",
        whole,
        variants,
        options=("records", "ball", "comparator", "variant", "optimizer"),
    )
)
