"""Figure A4: the Taylor loss and the Taylor approximation to the loss, which A4 compares.

The paper compares them in words: both have the loss's value and gradient at W^n, but the one
is convex and the other affine, and so decreases without bound. Here they are drawn.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reproduce import optimizers, paper
from reproduce.figures import captions, registry, style
from reproduce.figures.sheets import Sheet
from reproduce.optimizers import Optimizer
from reproduce.results import illustrations, words
from reproduce.results.runs import NoResults

_HEIGHT = {1: 2.05, 2: 3.7}  # inches, without the caption, by rows
_NAMES = {"negative gradient": "along the negative gradient"}
_MARGIN = 0.07
_HIGHEST = 3.0  # times the loss at W^n, to which the axis reaches at most

_LOSS: style.Line = {"color": style.BLACK, "linewidth": 2.4}
_TAYLOR: style.Line = {"color": style.LAYERS[1], "linewidth": 1.3}
_AFFINE: style.Line = {"color": style.LAYERS[0], "linewidth": 1.1, "linestyle": (0, (3.5, 2.0))}
_WEIGHTS: style.Line = {
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


def whole(root: Path) -> Sheet:
    """Draws Figure A4.

    Args:
        root: A directory of results, whose `illustrations` hold the tables.

    Returns:
        A `Sheet`.

    Raises:
        NoResults: If the tables of both tasks are missing.
        ResultsError: If they are damaged.
    """
    lines, missing = {}, []
    for task in paper.TASKS:
        try:
            lines[task] = illustrations.read(root, f"lines_{task}", ["losses"])
        except NoResults as error:
            missing.append(error)
    if not lines:
        raise missing[0]
    return compose(lines)


@style.styled
def compose(lines: Mapping[str, Sequence]) -> Sheet:
    """Figure A4: a row for each task, a column for each direction.

    Args:
        lines: {task: (settings, frame of `stages.lines.follow`)}.

    Returns:
        A `Sheet`.
    """
    count = max(table["direction"].nunique() for _, table in lines.values())
    figure = style.new_figure(_HEIGHT[len(lines)], style.WIDTH)
    grid = figure.subplots(len(lines), count, squeeze=False)
    for row, (task, (_, table)) in zip(grid, lines.items()):
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
    runs = {task: _run(settings) for task, (settings, _) in lines.items()}
    rounds = [_round(task, settings, runs[task]) for task, (settings, _) in lines.items()]
    shared = _shared([settings for settings, _ in lines.values()])
    variants = captions.variants((task, _optimizer(run)) for task, run in runs.items())
    captions.write(figure, [*rounds, variants, shared[-1]])
    trainings = [f"{task}: {'; '.join(words.experiment(run))}" for task, run in runs.items()]
    details = [*rounds, *trainings, variants, *shared]
    title = "Figure A4: the Taylor loss and the Taylor approximation to the loss"
    return Sheet(figure, title, [text for text in details if text])


def _panel(axes: Axes, line: pd.DataFrame) -> None:
    for column, (_, options) in _CURVES.items():
        axes.plot(line["position"], line[column], **options)
    start = line.iloc[int(line["position"].abs().argmin())]
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


def _run(settings: Mapping) -> pd.DataFrame:
    """The run that a line was followed in, as `runs.find_runs` gives runs."""
    config = {**settings["config"], **settings["config"]["metadata"]}
    options = config["optimizer"]
    optimizer = Optimizer(options["name"], options["learning_rate"], options["variant"])
    return pd.DataFrame([{**optimizer.columns, "config": config, "seed": config["seed"]}])


def _optimizer(run: pd.DataFrame) -> Optimizer:
    return optimizers.of_table(run)[0]


def _round(task: str, settings: Mapping, run: pd.DataFrame) -> str:
    return (
        f"{task}: {words.label(_optimizer(run), task)}, step {settings['step']} of epoch "
        f"{settings['epoch']}, minibatch of {settings['examples']}, {words.training(run)}"
    )


def _shared(settings: list[Mapping]) -> list[str]:
    seeds = sorted({one["directions_seed"] for one in settings})
    return [
        "network scope: all kernels move, biases stay; computed in float64",
        "random directions: Gaussian, in each layer of the norm of its kernel, seed "
        + " and ".join(map(str, seeds)),
        "gradient: of the minibatch's loss",
        f"axes end at {_HIGHEST:g} times the loss at $W^n$",
    ]


registry.register(registry.Figure("A4", whole))
