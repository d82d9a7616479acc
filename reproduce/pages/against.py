"""Table of sets of results compared with each other: what `compare --against` makes of them."""

import pandas as pd

from reproduce.optimizers import KERAS_3
from reproduce.pages.markdown import MINUS, significant, table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered
from reproduce.results import against, exchange

_SEEDS = 5  # of each half


@registered("against")
def compared(results: Results) -> str:
    """Halves of the seeds, the other variant of an optimizer, and planted errors."""
    rows = []
    of_seeds = _quantities(results, "sigmoid_he_normal")
    first, second = (of_seeds[of_seeds["seed"] // _SEEDS == half] for half in (0, 1))
    rows += _rows("seeds 0 to 4 against seeds 5 to 9", first, second)
    every = _quantities(results, "linear")
    every = every[every["optimizer"] == "rmsprop"]
    other = every["variant"] == KERAS_3
    renamed = every[other].assign(variant=every.loc[~other, "variant"].iloc[0])
    rows += _rows("RMSProp of 2016 against Keras 3's", every[~other], renamed)
    rows += _rows("regret with a planted wrong sign", first, _planted(second, "regret", -1))
    rows += _rows(
        "losses of a wrong number of pixels", first, _planted(second, "training", 800 / 784)
    )
    header = ["sets", "quantity", "numbers", "the same within seeds", "differ"]
    return table([*header, "largest difference / spread"], rows)


def _quantities(results: Results, experiment: str) -> pd.DataFrame:
    runs = results.runs
    chosen = runs[(runs["task"] == "autoencoder") & (runs["experiment"] == experiment)]
    return exchange.quantities(exchange.of_runs(chosen))


def _planted(quantities: pd.DataFrame, name: str, factor: float) -> pd.DataFrame:
    wrong = quantities["quantity"].str.startswith(name)
    return quantities.assign(value=quantities["value"].where(~wrong, factor * quantities["value"]))


def _rows(name: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[list]:
    """A row a quantity that both sets have of several seeds."""
    found = against.compare(ours, theirs)
    rows = []
    for quantity, group in found[found["verdict"] != against.OPEN].groupby("quantity", sort=False):
        counts = group["verdict"].value_counts()
        same = counts.get(against.SAME, 0) + counts.get(against.IDENTICAL, 0)
        largest = group["difference"].abs().max()
        told = significant(largest) if largest == largest else MINUS
        rows.append(
            [name, quantity, len(group), int(same), int(counts.get(against.DIFFERS, 0)), told]
        )
    return rows
