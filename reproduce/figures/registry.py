"""The figures by number, and drawing them from a directory of results."""

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from reproduce.figures import sheets
from reproduce.figures.options import Options, merged, require_rates
from reproduce.figures.sheets import Sheet
from reproduce.results import manifest
from reproduce.results.manifest import Drawing
from reproduce.results.runs import NoResults, ResultsError, find_runs
from reproduce.results.tables import Tables

PAPER = "paper"  # the folder of the paper's figures


@dataclass(frozen=True)
class Figure:
    """One figure of the paper.

    Attributes:
        number: Its number, such as `"4"`.
        whole: Draws it as the paper lays it out: `whole(tables, options)`, a `Sheet`; of an
            illustration, which rests on no runs but on tables of its own, `whole(root)`.
        variants: Draws it of one task and experiment: `variants(tables, options)`, pairs of a
            file's name and a `Sheet`. None for an illustration.
        options: Names of the `Options` that it takes.
    """

    number: str
    whole: Callable[..., Sheet]
    variants: Callable[[Tables, Options], Iterator[tuple[str, Sheet]]] | None = None
    options: Sequence[str] = ()


FIGURES: dict[str, Figure] = {}
ALL: list[str] = []


def register(figure: Figure) -> None:
    """Adds a figure, which is then drawn with all others.

    Args:
        figure: The `Figure`.
    """
    FIGURES[figure.number] = figure
    if figure.number not in ALL:
        bisect.insort(ALL, figure.number)


def draw(
    numbers: Iterable[str | int],
    root: str | Path,
    out: str | Path,
    variants: bool = True,
    **options: Any,
) -> list[Path]:
    """Draws figures: the paper's in `paper`, their variants by task and experiment.

    What the paper's figures show is said by the manifest of the results. Results need not hold
    what every figure needs: asking for all of them (`ALL`) draws whatever there is; a figure
    that was asked for must have results.

    Args:
        numbers: Numbers of the figures, such as `["4", "A4"]`.
        root: Directory of results.
        out: Directory to write to.
        variants: Whether those of each task and experiment are drawn as well.
        **options: Fields of `Options`, instead of the manifest's.

    Returns:
        A list of the files written.

    Raises:
        ResultsError: If a figure or an option is unknown, or results are missing.
    """
    chosen = list(dict.fromkeys(_known(number) for number in numbers))
    asked = {name: value for name, value in options.items() if value is not None}
    _require_taken(chosen, asked)
    drawn: dict[str, list[Path]] = {number: [] for number in chosen}
    missing: dict[str, NoResults] = {}
    for job in _jobs(chosen, Path(root), asked):
        if not variants and job.folder != PAPER:
            continue
        try:
            for name, sheet in job.sheets():
                pdf = job.folder == PAPER
                drawn[job.number] += sheets.save(sheet, Path(out, job.folder), name, pdf)
        except NoResults as error:
            missing.setdefault(job.number, error)
    for number in drawn:
        nothing = NoResults(f"There are no results of Figure {number} with the options {asked}.")
        missing.setdefault(number, nothing)
    _require_asked(drawn, missing, asked)
    written = [path for paths in drawn.values() for path in paths]
    folders = dict.fromkeys(path.parent for path in written)
    return written + [
        sheets.write_index(folder, str(folder.relative_to(out))) for folder in folders
    ]


@dataclass(frozen=True)
class _Job:
    """What is drawn into one folder for one figure; `sheets` gives names of files and sheets."""

    number: str
    folder: str
    sheets: Callable[[], Iterable[tuple[str, Sheet]]]


def _jobs(numbers: list[str], root: Path, asked: dict) -> Iterator[_Job]:
    for number in (number for number in numbers if FIGURES[number].variants is None):
        yield _Job(number, PAPER, partial(_illustration, number, root))
    every = {number: FIGURES[number].variants for number in numbers}
    of_runs = {number: variants for number, variants in every.items() if variants}
    if not of_runs:
        return
    runs = find_runs(root)
    if "sgd" in asked:
        require_rates(runs, asked["sgd"])
    for drawing in manifest.read(root, runs).drawings:
        if drawing.figure in of_runs:
            yield _Job(drawing.figure, PAPER, partial(_whole, drawing, runs, asked))
    options = Options(**asked)
    for (task, experiment), group in runs.groupby(["task", "experiment"], sort=False):
        tables = Tables(group)
        for number, draw_variants in of_runs.items():
            folder = str(Path(str(task), str(experiment)))
            yield _Job(number, folder, partial(draw_variants, tables, options))


def _illustration(number: str, root: Path) -> list[tuple[str, Sheet]]:
    return [(f"figure_{number.lower()}", FIGURES[number].whole(root))]


def _whole(drawing: Drawing, runs: pd.DataFrame, asked: dict) -> list[tuple[str, Sheet]]:
    tables = Tables(drawing.runs(runs))
    sheet = FIGURES[drawing.figure].whole(tables, merged(drawing.options, asked))
    return [(f"figure_{drawing.figure}", sheet)]


def registered(number: str | int) -> str | None:
    """The number of a figure as it is registered.

    Args:
        number: In capitals or not.

    Returns:
        `"A4"` for `"a4"`; None if there is no such figure.
    """
    return next((name for name in FIGURES if name.lower() == str(number).lower()), None)


def _known(number: str | int) -> str:
    name = registered(number)
    if name is None:
        raise ResultsError(f"There is no figure {number}; the figures are {', '.join(ALL)}.")
    return name


def _takers(numbers: Iterable[str], asked: dict) -> list[str]:
    """The figures that take all of the options."""
    return [number for number in numbers if set(asked) <= set(FIGURES[number].options)]


def _require_taken(numbers: list[str], asked: dict) -> None:
    if asked and not _takers(numbers, asked):
        takers = ", ".join(_takers(ALL, asked)) or "no figure"
        raise ResultsError(
            f"The options {', '.join(asked)} are taken by {takers}. "
            f"Received: figures {', '.join(numbers)}."
        )


def _require_asked(
    drawn: dict[str, list[Path]], missing: dict[str, NoResults], asked: dict
) -> None:
    """Raises what the first figure lacks that was asked for and has no results at all."""
    if set(drawn) == set(ALL):  # whatever there is; an option asks for a figure that takes it
        takers = _takers(drawn, asked) if asked else list(drawn)
        needed = [] if any(drawn[number] for number in takers) else takers
    else:
        needed = [number for number, paths in drawn.items() if not paths]
    for number in needed:
        raise missing[number]
