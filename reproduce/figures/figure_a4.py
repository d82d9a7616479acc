"""Figure A4: the Taylor loss and the Taylor approximation to the loss, which A4 compares.

The paper compares them in words: both have the loss's value and gradient at W^n, but the one
is convex and the other affine, and so decreases without bound. Here they are drawn.
"""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from reproduce.tables import NoResults

from reproduce import captions, illustration_tables, style, tables

_HEIGHT = {1: 2.05, 2: 3.7}  # inches, without the caption, by rows
_TASKS = ["convnet", "autoencoder"]
_NAMES = {"negative gradient": "along the negative gradient"}
_MARGIN = 0.07
_HIGHEST = 3.0  # times the loss at W^n, to which the axis reaches at most

_LOSS = {"color": style.BLACK, "linewidth": 2.4}
_TAYLOR = {"color": style.LAYERS[1], "linewidth": 1.3}
_AFFINE = {"color": style.LAYERS[0], "linewidth": 1.1, "linestyle": (0, (3.5, 2.0))}
_WEIGHTS = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 4.5,
    "color": style.LAYERS[1],
    "markeredgecolor": "white",
    "zorder": 5,
}
_CURVES = {
    "loss": ("loss of the network", _LOSS),
    "taylor_loss": ("Taylor loss", _TAYLOR),
    "taylor_approximation_of_the_loss": ("Taylor approximation to the loss", _AFFINE),
}


def draw(root, out):
    """Draws Figure A4.

    Args:
        root: A directory of results, whose `illustrations` hold the tables.
        out: Directory to write to.

    Returns:
        The paths written, `figure_a4.png` and `figure_a4.pdf`.

    Raises:
        NoResults: If the tables of both tasks are missing.
        ResultsError: If they are damaged.
    """
    found, missing = {}, None
    for task in _TASKS:
        try:
            found[task] = illustration_tables.read(root, f"lines_{task}", ["losses"])
        except NoResults as error:
            missing = error
    if not found:
        raise missing
    return style.save(compose(found), out, "figure_a4")


def compose(found):
    """Figure A4: a row for each task, a column for each direction.

    Args:
        found: {task: (settings, frame of `lines.follow`)}.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    count = max(table["direction"].nunique() for _, table in found.values())
    figure = style.new_figure(_HEIGHT[len(found)], style.WIDTH)
    with style.context():
        grid = figure.subplots(len(found), count, squeeze=False)
        for row, (task, (_, table)) in zip(grid, found.items()):
            for axes, (name, line) in zip(row, table.groupby("direction", sort=False)):
                _panel(axes, line)
                if axes in grid[0]:
                    axes.set_title(_NAMES.get(name, f"along {name.replace(' ', ' direction ')}"))
                if axes in grid[-1]:
                    axes.set_xlabel("position, in norms of $W^n$")
            row[0].set_ylabel(f"loss of the {task}")
        figure.align_ylabels(grid[:, 0])
        handles = [Line2D([], [], label=label, **line) for label, line in _CURVES.values()]
        handles.append(Line2D([], [], label="$W^n$", **_WEIGHTS))
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    style.caption(
        figure, [_phrases(task, *each) for task, each in found.items()] + [_shared(found)]
    )
    return figure


def _panel(axes, line):
    for column, (_, options) in _CURVES.items():
        axes.plot(line["position"], line[column], **options)
    start = line.loc[line["position"].abs().idxmin()]
    axes.plot(start["position"], start["loss"], **_WEIGHTS)
    values = line[list(_CURVES)]
    low, high = values.min().min(), min(values.max().max(), _HIGHEST * start["loss"])
    margin = _MARGIN * (high - low)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(line["position"].min(), line["position"].max())
    if axes.get_ylim()[0] < 0:
        axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))


def _phrases(task, settings, table):
    config = {**settings["config"], **settings["config"]["metadata"]}
    runs = pd.DataFrame([{"config": config, "seed": config["seed"]}])
    optimizer = tables.optimizer_label(
        task, config["optimizer"]["name"], config["optimizer"]["learning_rate"]
    )
    return [
        f"{task}: {optimizer}, step {settings['step']} of epoch {settings['epoch']}, "
        f"minibatch of {settings['examples']}",
        *captions.experiment(runs),
    ]


def _shared(found):
    seeds = sorted({settings["directions_seed"] for settings, _ in found.values()})
    return [
        "network scope: all kernels move, biases stay; computed in float64",
        "random directions: Gaussian, in each layer of the norm of its kernel, seed "
        + " and ".join(map(str, seeds)),
        "gradient: of the minibatch's loss",
        f"axes end at {_HIGHEST:g} times the loss at $W^n$",
    ]
