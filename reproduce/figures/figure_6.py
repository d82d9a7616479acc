"""Figure 6: training loss of every optimizer."""

from matplotlib.lines import Line2D
from reproduce.tables import ResultsError

from reproduce import captions, curves, style, tables

_PANEL_HEIGHT, _ROW_HEIGHT = 2.08, 0.21  # inches, of the panels and of a row of the legend
_WIDTH = {1: style.NARROW_WIDTH, 2: style.WIDTH}
_PAPER_LOSS = {"convnet": (0.0, 2.5), "autoencoder": (0.0, 0.12)}
_LETTER = {"convnet": "b", "autoencoder": "c"}
_NAME = {"convnet": "Convnet", "autoencoder": "Autoencoder"}


def draw(runs, out):
    """Draws Figure 6.

    Args:
        runs: Runs of one result set, as `tables.find_runs` gives them.
        out: Directory to write to.

    Returns:
        The paths written, `figure_6.png` and `figure_6.pdf`.

    Raises:
        ResultsError: If losses are missing, or the runs not of one protocol.
    """
    tables.require_one_protocol(runs)
    return style.save(compose(runs, tables.read_losses(runs)), out, "figure_6")


def compose(runs, losses):
    """Figure 6: legend, (b) convnet, (c) autoencoder, as the paper lays it out.

    Args:
        runs: Frame of `tables.find_runs`.
        losses: Frame of `tables.read_losses`.

    Returns:
        A `matplotlib.figure.Figure`. A task without results has no panel.

    Raises:
        ResultsError: If neither task has losses.
    """
    tasks = [task for task in _LETTER if (losses["task"] == task).any()]
    if not tasks:
        raise ResultsError(
            "The runs have no losses of the convnet or the autoencoder. Write "
            "them with `python -m reproduce solve RUNS`."
        )
    entries = _entries(losses, tasks)
    rows = sum(1 + label.count("\n") for label in entries)
    height = max(_PANEL_HEIGHT, _ROW_HEIGHT * rows)
    figure = style.new_figure(height, _WIDTH[len(tasks)])
    with style.context():
        grid = figure.subplots(1, len(tasks), squeeze=False)[0]
        leaves = [
            _panel(axes, losses[losses["task"] == task], task) for axes, task in zip(grid, tasks)
        ]
        handles = [Line2D([], [], color=colour, label=label) for label, colour in entries.items()]
        # The paper gives the legend a place of its own, left of the curves.
        figure.legend(handles=handles, loc="outside left upper", labelspacing=0.9)
    lines = captions.lines(runs[runs["task"].isin(tasks)])
    for line, task, left in zip(lines, tasks, leaves):
        line += [
            phrase for phrase in [captions.accuracies(losses[losses["task"] == task])] if phrase
        ]
        line += ["the first epochs lie outside the vertical axis"] if left else []
    style.caption(figure, lines)
    return figure


def _panel(axes, losses, task):
    """Draws a task's losses; returns whether first epochs leave the axis."""
    drawn = {
        label: curves.over_seeds(losses[losses["optimizer"] == label], "loss")
        for label in style.in_order(losses["optimizer"])
    }
    for label, colour in style.colours(drawn).items():
        curves.draw(axes, drawn[label], colour, label)
    # A loss on its way to infinity would flatten all other curves, and so would a burst.
    diverged = set(losses[losses["status"] == "diverged"]["optimizer"])
    shown = [curve for label, curve in drawn.items() if label not in diverged]
    low, high = _PAPER_LOSS[task]
    high = max(high, curves.limits(shown)[1] if shown else high)
    axes.set_xlim(0, losses["epoch"].max())
    axes.set_ylim(low, high)
    curves.round_ticks(axes)
    axes.set_ylabel("loss")
    axes.set_xlabel(f"epochs\n({_LETTER[task]}) {_NAME[task]}")
    return any((curve.mean > high).any() for curve in shown)


def _entries(losses, tasks):
    """Legend entries and their colours; runs that diverged say so."""
    entries = {}
    for label, colour in style.colours(losses["optimizer"]).items():
        lines = [label]
        for task in tasks:
            rows = losses[(losses["optimizer"] == label) & (losses["task"] == task)]
            fate = curves.diverged(rows)
            if fate:
                lines += [f"{task}:", fate] if len(tasks) > 1 else [f"({fate})"]
        entries["\n".join(lines)] = colour
    return entries
