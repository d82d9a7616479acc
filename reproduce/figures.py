"""Draws the paper's figures from saved results, by number."""

from pathlib import Path

from reproduce import figure_4, figure_6, tables
from reproduce.tables import ResultsError

# A figure's module has `draw(runs, out, ...)`; register it here.
FIGURES = {"4": figure_4.draw, "6": figure_6.draw}

# What the other figures of the paper wait for.
_WAITING = {
    "3": "the regret of neurons of the convnet on CIFAR-10",
    "5": "the exploration measures of the convnet and the autoencoder",
}


def draw(numbers, root, out, **options):
    """Draws figures of every result set below a directory.

    Args:
        numbers: Numbers of the figures, such as `["4", "6"]`.
        root: Directory of runs, or of several result sets.
        out: Directory to write to. With several result sets, each has a
            directory of its own in it.
        **options: `records`, `layer`, `sgd`, `ball` of `figure_4.draw`.

    Returns:
        A list of the files written.

    Raises:
        ResultsError: If a figure is unknown, or its results are missing.
    """
    drawers = [(number, _drawer(str(number), root)) for number in numbers]
    sets = list(tables.find_runs(root).groupby("set"))
    written = []
    for name, runs in sets:
        target = Path(out, name) if len(sets) > 1 else Path(out)
        for number, drawer in drawers:
            written += drawer(runs, target, **(options if str(number) == "4" else {}))
    return written


def _drawer(number, root):
    if number in FIGURES:
        return FIGURES[number]
    if number in _WAITING:
        raise ResultsError(
            f"Figure {number} needs {_WAITING[number]}, and '{root}' has no such "
            f"results; figures {', '.join(FIGURES)} can be drawn."
        )
    known = sorted({*FIGURES, *_WAITING})
    raise ResultsError(f"There is no figure {number}; the figures are {', '.join(known)}.")
