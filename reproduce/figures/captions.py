"""The small print of figures: short at their foot, all that they rest on beside them."""

from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.figure import Figure

from reproduce import optimizers, paper
from reproduce.optimizers import Optimizer
from reproduce.results import words
from reproduce.results.select import Reading

_SIZE = 6.5
_ROW_HEIGHT = 0.135  # inches, of a row
_CHARACTERS_PER_INCH = 24.5  # of STIX at the caption's size
_SEPARATOR = "  |  "
OUTSIDE = "the first epochs lie outside the vertical axis"


def write(figure: Figure, phrases: Sequence[str]) -> None:
    """Writes the small print at the foot of a figure, which grows by its height.

    Args:
        figure: Figure to write on.
        phrases: What it says; rows are broken between phrases.
    """
    limit = int(figure.get_figwidth() * _CHARACTERS_PER_INCH)
    rows = _wrap([phrase for phrase in phrases if phrase], limit)
    figure.set_figheight(figure.get_figheight() + _ROW_HEIGHT * len(rows))
    figure.supxlabel("\n".join(rows), fontsize=_SIZE, color="#4D4D4D", linespacing=1.35)


def experiments(runs: pd.DataFrame) -> list[str]:
    """Which training each task's curves come from, a short phrase each.

    Args:
        runs: Runs that are drawn, as `runs.find_runs` gives them.

    Returns:
        A list of phrases.
    """
    return [f"{task}: {words.training(of_task)}" for task, of_task in _by_task(runs)]


def readings(runs: pd.DataFrame, reading: Reading) -> str:
    """How regret was recorded and minimised, with what differs between tasks in brackets.

    Args:
        runs: Runs that are drawn.
        reading: The `Reading`.

    Returns:
        One phrase.
    """
    told = {task: words.reading(of_task, reading).split(", ") for task, of_task in _by_task(runs)}
    first = next(iter(told.values()))
    shared = [word for word in first if all(word in every for every in told.values())]
    others = {task: [w for w in every if w not in shared] for task, every in told.items()}
    apart = [f"{task}: {', '.join(every)}" for task, every in others.items() if every]
    return ", ".join(shared) + (f" ({'; '.join(apart)})" if apart else "")


def short_variants(shown: Iterable[tuple[str, Optimizer]]) -> str:
    """Which variants of RMSProp and Adam are drawn, without what makes them differ."""
    return variants(shown).split(" (")[0]


def variants(shown: Iterable[tuple[str, Optimizer]]) -> str:
    """Which variants of RMSProp and Adam are drawn."""
    return words.variants([optimizer for _, optimizer in shown])


def bands(runs: pd.DataFrame, over: str = "seeds") -> str:
    """What bands are, where there are several seeds."""
    several = over != "seeds" or runs.groupby("task")["seed"].nunique().max() > 1
    return f"bands: one standard deviation over {over}" if several else ""


def names(shown: Iterable[tuple[str, Optimizer]], several: bool) -> str:
    """Labels of optimizers, with their tasks where a figure has several."""
    by_task: dict[str, list[Optimizer]] = {}
    for task, optimizer in shown:
        by_task.setdefault(task, []).append(optimizer)
    parts = []
    for task, chosen in by_task.items():
        labels = [words.label(one, task) for one in optimizers.in_order(chosen)]
        parts += [f"{label} ({task})" if several else label for label in labels]
    return ", ".join(parts)


def details(runs: pd.DataFrame) -> list[str]:
    """All of each task's training, a sentence each.

    Args:
        runs: Runs that are drawn.

    Returns:
        A list of sentences.
    """
    lines = []
    for task, of_task in _by_task(runs):
        lines.append(f"{task}: {'; '.join(words.experiment(of_task))}")
        seeds = {
            words.label(one, task): words.seeds(optimizers.rows(of_task, one))
            for one in optimizers.of_table(of_task)
        }
        if len(set(seeds.values())) > 1:
            lines.append(f"{task}: {', '.join(f'{name} {text}' for name, text in seeds.items())}")
    return lines


def _by_task(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    there = list(dict.fromkeys(runs["task"]))
    ordered = [task for task in paper.TASKS if task in there]
    ordered += [task for task in there if task not in ordered]
    return [(task, runs[runs["task"] == task]) for task in ordered]


def _wrap(phrases: list[str], limit: int) -> list[str]:
    """Rows of phrases, as few as the limit allows and then as even as they can be."""
    rows = _fill(phrases, limit)
    while limit > 1 and len(shorter := _fill(phrases, limit - 1)) == len(rows):
        rows, limit = shorter, limit - 1
        if max(len(row) for row in rows) > limit:  # a phrase that no limit can break
            break
    return rows


def _fill(phrases: list[str], limit: int) -> list[str]:
    rows = phrases[:1]
    for phrase in phrases[1:]:
        longer = rows[-1] + _SEPARATOR + phrase
        if len(longer) <= limit:
            rows[-1] = longer
        else:
            rows.append(phrase)
    return rows
