"""Which reading of the paper its published autoencoder figures agree with."""

import pandas as pd

from reproduce.pages.markdown import significant, table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered
from reproduce.results import readings

_SHOWN = 12
_OPTIMIZERS = ("rmsprop", "adam", "sgd")


@registered("readings")
def best(results: Results) -> str:
    """The readings that agree with most facts of the paper, and their regret."""
    every = readings.table(results.regret)
    rows = []
    for _, row in every.head(_SHOWN).iterrows():
        regret = [
            " / ".join(significant(row[f"regret_{epoch}_{one}"], 2) for one in _OPTIMIZERS)
            for epoch in (20, 80)
        ]
        facts = [readings.holds(row, fact) for fact in readings.FACTS]
        rows.append([_setting(row), f"`{row['scope']}`", *regret, *facts, row["agrees"]])
    header = ["network; record, V in, comparator", "layer", "epoch 20", "epoch 80"]
    return table([*header, *_titles(), "holds"], rows)


@registered("facts")
def facts(results: Results) -> str:
    """What the columns of the table of readings say."""
    return "\n".join(f"* *{title}*: {readings.FACTS[name]}" for title, name in _named())


def _setting(row: pd.Series) -> str:
    ball = "ball" if row["ball"] else "no ball"
    return f"{row['experiment']}; `{row['record']}`, {ball}, {row['comparator']}"


def _named() -> list[tuple[str, str]]:
    return [(name.replace("_", " "), name) for name in readings.FACTS]


def _titles() -> list[str]:
    return [title for title, _ in _named()]
