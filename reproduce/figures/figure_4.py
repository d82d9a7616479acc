"""Figure 4: regret of a layer for RMSProp, Adam and SGD, and the losses behind it."""

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.axes import Axes

from reproduce import optimizers, paper
from reproduce.figures import axes as ranges
from reproduce.figures import captions, layer_panels, registry, style
from reproduce.figures.layer_panels import SHARE_LABEL, Shown
from reproduce.figures.options import Options
from reproduce.figures.sheets import Sheet
from reproduce.optimizers import TENSORFLOW_2016
from reproduce.results import select
from reproduce.results.curves import Curve
from reproduce.results.layer_curves import LayerCurves, alike, layer_curves
from reproduce.results.runs import NoResults
from reproduce.results.select import Reading
from reproduce.results.tables import Tables

_HEIGHT, _LAYERS_HEIGHT = 2.75, 4.1  # inches, without the caption
_LAYER_WIDTH = 1.75  # of each where they need more than the page
_STRIP = 0.42  # height of the strip of shares, of a panel's
_LETTERS = {"convnet": "a", "autoencoder": "b"}
_LOSSES_OF = "autoencoder"  # whose losses are panel (c)
_LOSS_LABEL = r"cumul. loss / $\sqrt{N}$"


def whole(tables: Tables, options: Options) -> Sheet:
    """Draws Figure 4 as the paper lays it out.

    Args:
        tables: Tables of the runs.
        options: Of which all but `optimizer` are taken.

    Returns:
        A `Sheet`; a task without results has no panel.

    Raises:
        NoResults: If no layer was solved so.
    """
    reading = options.reading(tables, _solved(tables))
    return compose(tables, reading, options, options.variant or TENSORFLOW_2016)


def variants(tables: Tables, options: Options) -> Iterator[tuple[str, Sheet]]:
    """Draws Figure 4 of one task for each reading, and all layers beside it.

    Args:
        tables: Tables of one task and experiment.
        options: Of which all but `optimizer` are taken.

    Yields:
        `figure_4_<reading>` and, where several layers were solved, `figure_4_layers_<reading>`;
        `..._keras_3` where optimizers of Keras 3 were solved, `..._<layer>` of another layer
        than the paper's.

    Raises:
        NoResults: If no layer was solved so.
    """
    solved = _solved(tables)
    for reading in options.readings(tables, solved):
        rows = select.of_reading(solved, reading)
        usual = [paper.figure_4_layer(task, reading.record) for task in paper.FIGURE_4_LAYER]
        named = options.layer not in (None, *usual)
        layer = f"_{options.layer}" if named else ""
        for variant, ending in options.variants(optimizers.of_table(rows)).items():
            sheet = compose(tables, reading, options, variant)
            yield f"figure_4_{reading.slug}{layer}{ending}", sheet
            scopes = _scopes(rows, variant)
            if len(scopes) > 1:
                sheet = compose_layers(tables, reading, scopes, options, variant)
                yield f"figure_4_layers_{reading.slug}{ending}", sheet


@style.styled
def compose(
    tables: Tables,
    reading: Reading,
    options: Options = Options(),  # noqa: B008 (frozen)
    variant: str = TENSORFLOW_2016,
) -> Sheet:
    """Figure 4: (a) convnet, layer 2; (b) autoencoder; (c) losses of the autoencoder.

    Args:
        tables: Tables of the runs.
        reading: The `Reading` that is shown.
        options: Of which `layer` and `sgd` are taken.
        variant: Variant of RMSProp and Adam.

    Returns:
        A `Sheet`. A task without results has no panel; losses are the convnet's where there is
        no autoencoder.

    Raises:
        NoResults: If the layer was not solved so.
    """
    layers = _chosen(tables, reading, options, variant)
    shown = Shown(tables, reading, layers, style.looks(optimizers.by_task(tables.runs)))
    figure = style.new_figure(_HEIGHT)
    grid = figure.add_gridspec(2, len(layers) + 1, height_ratios=[1, _STRIP])
    outside = []
    for column, layer in enumerate(layers):
        axes = figure.add_subplot(grid[:, column])
        drawn = layer_panels.draw_regret(axes, layer, shown)
        outside.append(_finish_regret(axes, layer, drawn, reading))
    losses = next((one for one in layers if one.task == _LOSSES_OF), layers[0])
    upper = figure.add_subplot(grid[0, -1])
    strip = figure.add_subplot(grid[1, -1], sharex=upper)
    drawn = layer_panels.draw_losses(upper, losses, shown)
    published = paper.LOSS_AXIS if losses.task == _LOSSES_OF else None
    outside.append(ranges.finish(upper, drawn, published))
    outside.append(_finish_strip(strip, layer_panels.draw_shares(strip, losses, shown)))
    upper.set_ylabel(_LOSS_LABEL)
    upper.tick_params(labelbottom=False)
    strip.set_ylabel(SHARE_LABEL, fontsize=7)
    letter = "(c) " if losses.task == _LOSSES_OF else ""
    strip.set_xlabel(f"epochs\n{letter}Cumul. losses for {losses.task}")
    layer_panels.draw_legend(figure, shown)
    notes = [_absent(tables, layers), _named(layers), captions.OUTSIDE if any(outside) else ""]
    details = layer_panels.write_caption(figure, shown, notes)
    return Sheet(figure, f"Figure 4: regret of layers, {reading.slug}", details)


@style.styled
def compose_layers(
    tables: Tables,
    reading: Reading,
    scopes: Sequence[str],
    options: Options = Options(),  # noqa: B008 (frozen)
    variant: str = TENSORFLOW_2016,
) -> Sheet:
    """Regret and losses of several layers: "this also holds for the other layers".

    Args:
        tables: Tables of one task.
        reading: The `Reading` that is shown.
        scopes: Layers of the task, or its `"network"`; those whose curves are the same share a
            column.
        options: Of which `sgd` is taken.
        variant: Variant of RMSProp and Adam.

    Returns:
        A `Sheet`: regret above, losses below, and how far they lie above their optima.
    """
    (task,) = tables.tasks
    compared = options.compared(tables, task, variant)
    curves = [layer_curves(tables.regret, task, scope, reading, compared) for scope in scopes]
    groups = alike([layer for layer in curves if layer])
    layers = [group[0] for group in groups]
    shown = Shown(tables, reading, layers, style.looks(optimizers.by_task(tables.runs)))
    figure = style.new_figure(_LAYERS_HEIGHT, max(style.WIDTH, _LAYER_WIDTH * len(groups)))
    heights = [1, 1, _STRIP]
    grid = figure.subplots(
        3, len(groups), sharex=True, sharey="row", squeeze=False, height_ratios=heights
    )
    drawn: list[list[Curve]] = [[], [], []]
    draw = [layer_panels.draw_regret, layer_panels.draw_losses, layer_panels.draw_shares]
    for column, group in zip(grid.T, groups):
        column[0].set_title(_title([layer.scope for layer in group]))
        column[-1].set_xlabel("epochs")
        for row, axes in enumerate(column):
            drawn[row] += draw[row](axes, group[0], shown)
    outside = [ranges.finish(axes, curves) for row, curves in zip(grid[:2], drawn) for axes in row]
    outside += [_finish_strip(axes, drawn[2]) for axes in grid[2]]
    grid[0, 0].set_ylabel(layer_panels.regret_label(task, reading))
    grid[1, 0].set_ylabel(_LOSS_LABEL)
    grid[2, 0].set_ylabel(SHARE_LABEL, fontsize=7)
    figure.align_ylabels(grid[:, 0])
    layer_panels.draw_legend(figure, shown)
    notes = [captions.OUTSIDE if any(outside) else ""]
    if any(len(group) > 1 for group in groups):
        notes.append("layers in one panel have the same optima, as far as these are certified")
    details = layer_panels.write_caption(figure, shown, notes)
    details += [layer_panels.not_drawn(layer, reading) for group in groups for layer in group[1:]]
    return Sheet(figure, f"Figure 4, all layers: regret, {reading.slug}", details)


def _solved(tables: Tables) -> pd.DataFrame:
    """Rows of layers and of the network; neurons may have domains of their own."""
    regret = tables.regret
    solved = regret[~regret["scope"].isin(select.neurons(regret))]
    if solved.empty:
        raise NoResults(
            "Figure 4 needs the regret of layers, and the runs have no regret at all. Solve them "
            "with `python -m reproduce solve RUNS`."
        )
    return solved


def _scopes(rows: pd.DataFrame, variant: str) -> list[str]:
    """Layers, and after them the network, that were solved of optimizers of the variant."""
    of_variant = rows[rows["variant"] == variant]
    scales = select.scales(of_variant if len(of_variant) else rows)
    return [*scales["layer"], *scales["network"]]


def _chosen(tables: Tables, reading: Reading, options: Options, variant: str) -> list[LayerCurves]:
    """Curves of the layer of each task: the paper's, or the one that was asked for."""
    solved = select.of_reading(_solved(tables), reading)
    pairs = set(zip(solved["task"], solved["scope"]))
    wanted = {
        task: layer if (task, layer) in pairs else literal
        for task, literal in paper.FIGURE_4_LAYER.items()
        for layer in [paper.figure_4_layer(task, reading.record)]
        if task in tables.tasks
    }
    owners = set(solved["task"][solved["scope"] == options.layer]) & set(paper.FIGURE_4_LAYER)
    wanted |= dict.fromkeys(owners, options.layer)
    curves = [
        layer_curves(tables.regret, task, scope, reading, options.compared(tables, task, variant))
        for task, scope in wanted.items()
    ]
    layers = [layer for layer in curves if layer]
    if not layers or (options.layer and not owners):
        there = ", ".join(_scopes(solved, variant)) or "no layers"
        raise NoResults(
            f"Record '{reading.record}' has no regret of "
            f"{options.layer or ' or '.join(wanted.values())} "
            f"{'with' if reading.ball else 'without'} a ball; there are {there}. "
            "Choose one of those (`--layer`), or solve it with `python -m reproduce solve RUNS`."
        )
    return layers


def _finish_regret(axes: Axes, layer: LayerCurves, drawn: list[Curve], reading: Reading) -> bool:
    axes.set_ylabel(layer_panels.regret_label(layer.task, reading))
    name = _title([layer.scope]).split(" (")[0].lower()
    letter = _LETTERS[layer.task]
    axes.set_xlabel(f"epochs\n({letter}) {layer.task.capitalize()} regret, {name}")
    return ranges.finish(axes, drawn, paper.REGRET_AXIS[layer.task])


def _finish_strip(axes: Axes, drawn: list[Curve]) -> bool:
    low, high, leaves = ranges.limits(drawn)
    axes.set_ylim(low, high)
    ranges.round_ticks(axes, vertical=3)
    ranges.zero_line(axes)
    return leaves


def _absent(tables: Tables, layers: list[LayerCurves]) -> str:
    missing = [task for task in tables.tasks if task not in [layer.task for layer in layers]]
    return f"not solved so: {', '.join(missing)}" if missing else ""


def _named(layers: list[LayerCurves]) -> str:
    """What is told of a layer to which the paper gives another number."""
    third = paper.figure_4_layer("autoencoder", "figures")
    if any((layer.task, layer.scope) == ("autoencoder", third) for layer in layers):
        return "the paper's layer 3 read as the decoder's third"
    return ""


def _title(scopes: Sequence[str]) -> str:
    """`"Layer 2 (dense_2)"`, or `"Layers 1, 2 and network"` of those that share a panel."""
    if scopes == ["network"]:
        return "Network"
    if len(scopes) == 1:
        return f"Layer {scopes[0].rsplit('_', 1)[-1]} ({scopes[0]})"
    names = sorted(scope.rsplit("_", 1)[-1] for scope in scopes if scope != "network")
    text = f"Layer{'s' if len(names) > 1 else ''} {', '.join(names)}"
    return f"{text} and network" if "network" in scopes else text


registry.register(
    registry.Figure(
        "4",
        whole,
        variants,
        options=("records", "ball", "comparator", "layer", "sgd", "variant"),
    )
)
