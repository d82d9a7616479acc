"""Figure 6: training loss of every optimizer."""

from matplotlib.lines import Line2D

from reproduce import captions, curves, style, tables
from reproduce.tables import ResultsError

_PANEL_HEIGHT, _CAPTION_HEIGHT, _ROW_HEIGHT = 2.1, 0.25, 0.21  # inches
_WIDTH = {1: 5.1, 2: style.WIDTH}
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
    height = max(_PANEL_HEIGHT, _ROW_HEIGHT * rows) + _CAPTION_HEIGHT * len(tasks)
    figure = style.new_figure(height, _WIDTH[len(tasks)])
    with style.context():
        grid = figure.subplots(1, len(tasks), squeeze=False)[0]
        for axes, task in zip(grid, tasks):
            _panel(axes, losses[losses["task"] == task], task)
        handles = [Line2D([], [], color=colour, label=label) for label, colour in entries.items()]
        # The paper gives the legend a place of its own, left of the curves.
        figure.legend(handles=handles, loc="outside left upper", labelspacing=0.9)
    style.caption(figure, captions.lines(runs[runs["task"].isin(tasks)]))
    return figure


def _panel(axes, losses, task):
    for label, colour in style.colours(losses["optimizer"]).items():
        rows = losses[losses["optimizer"] == label]
        curves.draw(axes, curves.over_seeds(rows, "loss"), colour, label)
    axes.set_xlim(0, losses["epoch"].max())
    axes.set_ylim(_range(losses, _PAPER_LOSS[task]))
    curves.round_ticks(axes)
    axes.set_ylabel("loss")
    axes.set_xlabel(f"epochs\n({_LETTER[task]}) {_NAME[task]}")


def _range(losses, paper):
    """The paper's range, widened for every run that did not diverge.

    A loss on its way to infinity would flatten all other curves; the legend
    says of such a run that it diverged.
    """
    bad = losses[losses["status"] == "diverged"]["run"].unique()
    finished = losses[~losses["run"].isin(bad)]["loss"]
    highest = finished.max() if len(finished) else 0.0
    return paper[0], paper[1] if highest <= paper[1] else 1.04 * highest


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
