"""The legend above the panels of a figure: optimizers, and what became of their runs."""

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reproduce import optimizers
from reproduce.figures import style
from reproduce.figures.style import Look, Looks
from reproduce.optimizers import Optimizer
from reproduce.results import words

_HANDLE, _CHARACTERS = 7, 15.0  # characters, of a handle and of an inch of legend


def entries(
    shown: Mapping[str, Iterable[Optimizer]],
    looks: Looks,
    losses: pd.DataFrame,
    dead: Iterable[tuple[str, Optimizer]] = (),
    dashes: bool = False,
) -> list[Line2D]:
    """Entries of optimizers in the order of the paper's legends.

    Args:
        shown: {task: optimizers that are drawn}.
        looks: What `style.looks` gave.
        losses: Frame of `load.read_losses`.
        dead: Pairs of a task and an optimizer that has no regret but rounding.
        dashes: Whether optimizers differ by dashes besides colours.

    Returns:
        A list of lines. What both tasks call by one name has one entry; it says where runs
        diverged.
    """
    dead = set(dead)
    lines: dict[str, tuple[Look, dict[str, str]]] = {}
    for optimizer in optimizers.in_order(one for some in shown.values() for one in some):
        for task in (task for task in shown if optimizer in shown[task]):
            look = looks[task, optimizer]
            fate = _fate(losses, task, optimizer, (task, optimizer) in dead)
            lines.setdefault(words.label(optimizer, task), (look, {}))[1][task] = fate
    return [
        Line2D(
            [],
            [],
            color=look.colour,
            linestyle=look.dashes if dashes else style.SOLID,
            label=_label(text, fates, len(shown) > 1),
        )
        for text, (look, fates) in lines.items()
    ]


def above(figure: Figure, handles: list[Line2D]) -> None:
    """Draws the legend in rows above all panels, where no curve can run through them.

    Args:
        figure: Figure to draw on.
        handles: List of lines with labels.
    """
    columns, rows = len(handles), 1
    fitting = figure.get_figwidth() * _CHARACTERS
    length = sum(len(str(handle.get_label())) + _HANDLE for handle in handles)
    while length > fitting * rows and columns > 1:
        rows += 1
        columns = -(-len(handles) // rows)
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def _fate(losses: pd.DataFrame, task: str, optimizer: Optimizer, dead: bool) -> str:
    of_task = losses[losses["task"] == task]
    return "dead" if dead else words.diverged(optimizers.rows(of_task, optimizer))


def _label(text: str, fates: Mapping[str, str], several: bool) -> str:
    """One label may stand for runs of both tasks, of which only one diverged."""
    told = [f"{task} {fate}" if several else fate for task, fate in fates.items() if fate]
    return f"{text} ({', '.join(told)})" if told else text
