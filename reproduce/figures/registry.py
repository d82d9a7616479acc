"""Draws the paper's figures from saved results, by number."""

from pathlib import Path

from reproduce.tables import NoResults, ResultsError

from reproduce import (
    figure_1,
    figure_2,
    figure_3,
    figure_4,
    figure_5,
    figure_6,
    figure_a4,
    tables,
)

# A figure's module has `draw(runs, out, ...)`; register it here, with the options it takes.
FIGURES = {"3": figure_3.draw, "4": figure_4.draw, "5": figure_5.draw, "6": figure_6.draw}
_OPTIONS = {"3": ["records", "ball"], "4": ["records", "layer", "sgd", "ball"], "5": [], "6": []}
# These rest on no runs but on tables of their own, computed beforehand: `draw(root, out)`.
ILLUSTRATIONS = {"1": figure_1.draw, "2": figure_2.draw, "A4": figure_a4.draw}
ALL = sorted({**FIGURES, **ILLUSTRATIONS})


def draw(numbers, root, out, **options):
    """Draws figures of every result set below a directory.

    A set need not hold the results of every figure: it has those figures that it has
    results for. A figure that was asked for must have results in one set at least; asking
    for all of them (`ALL`) without options draws whatever there is.

    Args:
        numbers: Numbers of the figures, such as `["4", "A4"]`.
        root: Directory of runs, or of several result sets.
        out: Directory to write to. With several result sets, each has a
            directory of its own in it.
        **options: `records`, `layer`, `sgd`, `ball` of `figure_3.draw` and `figure_4.draw`.

    Returns:
        A list of the files written.

    Raises:
        ResultsError: If a figure is unknown, or its results are missing.
    """
    numbers = [_known(number) for number in numbers]
    of_runs = [number for number in numbers if number in FIGURES]
    illustrations = [number for number in numbers if number in ILLUSTRATIONS]
    whatever_there_is = set(of_runs) == set(FIGURES)
    written = _draw_illustrations(illustrations, root, out, whatever_there_is)
    return written + (_draw_sets(of_runs, root, out, options) if of_runs else [])


def _draw_illustrations(numbers, root, out, whatever_there_is):
    written = []
    for number in numbers:
        try:
            written += ILLUSTRATIONS[number](root, out)
        except NoResults:
            if not whatever_there_is:
                raise
    return written


def _draw_sets(numbers, root, out, options):
    sets = list(tables.find_runs(root).groupby("set"))
    written, missing = {number: [] for number in numbers}, {}
    for name, runs in sets:
        target = Path(out, name) if len(sets) > 1 else Path(out)
        for number in numbers:
            taken = {key: options[key] for key in _OPTIONS[number] if key in options}
            try:
                written[number] += FIGURES[number](runs, target, **taken)
            except NoResults as error:
                missing.setdefault(number, error)
    _require_asked(written, missing, options)
    return [path for paths in written.values() for path in paths]


def _require_asked(written, missing, options):
    """Raises what the first figure lacks that was asked for and is in no set."""
    asked = set(written)
    if asked == set(FIGURES):  # all there are; an option asks for Figure 4, which has them all
        asked = {"4"} if any(value is not None for value in options.values()) else set()
    empty = [number for number, paths in written.items() if not paths]
    for number in empty:
        if number in asked or len(empty) == len(written):
            raise missing[number]


def _known(number):
    """The number as it is registered: `"a4"` becomes `"A4"`."""
    number = str(number).upper()
    if number not in ALL:
        raise ResultsError(f"There is no figure {number}; the figures are {', '.join(ALL)}.")
    return number
