"""Tables of exploration (Figure 5)."""

import pandas as pd

from reproduce import optimizers
from reproduce.pages.markdown import interval, number, table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered
from reproduce.paper import MEASURES
from reproduce.results import words

# The network of the figures, and that of section 2.3.
_AUTOENCODERS = ("sigmoid", "linear")
_TITLES = {
    "minimum_hamming": "minimum Hamming distance, summed over epochs",
    "switches": "switches, share of the possible ones",
    "log_volume": "log-volume, mean over units",
}


@registered("exploration_autoencoder")
def autoencoder(results: Results) -> str:
    """Totals over the network, mean and 95% t-interval over seeds."""
    return "\n\n".join(
        _totals(results, "autoencoder", experiment, f"{experiment} output")
        for experiment in _AUTOENCODERS
    )


@registered("exploration_convnet")
def convnet(results: Results) -> str:
    """The same of the convnet on CIFAR-10."""
    return _totals(results, "convnet", "cifar10")


@registered("exploration_layers")
def layers(results: Results) -> str:
    """Summed minimum Hamming distance of each layer, for the paper's rate of each optimizer."""
    totals = _of(results, "autoencoder", "linear"), _of(results, "convnet", "cifar10")
    parts = []
    for of_task in totals:
        task = of_task["task"].iloc[0]
        distances = of_task[of_task["measure"] == "minimum_hamming"]
        scopes = list(dict.fromkeys(distances["scope"]))
        rows = []
        for one in optimizers.of_table(distances):
            of_one = optimizers.rows(distances, one).set_index("scope")["mean"]
            rows.append([_label(one, task), *(number(of_one[scope]) for scope in scopes)])
        parts.append(table([f"{task}", *(f"`{scope}`" for scope in scopes)], rows))
    return "\n\n".join(parts)


def _of(results: Results, task: str, experiment: str) -> pd.DataFrame:
    totals = results.exploration_totals
    return totals[(totals["task"] == task) & (totals["experiment"] == experiment)]


def _totals(results: Results, task: str, experiment: str, title: str = "optimizer") -> str:
    totals = _of(results, task, experiment)
    network = totals[totals["scope"] == "network"]
    rows = []
    for one in optimizers.of_table(network):
        of_one = optimizers.rows(network, one).set_index("measure")
        cells = [_total(of_one.loc[measure], measure) for measure in MEASURES]
        rows.append([_label(one, task), *cells, of_one["seeds"].max()])
    return table([title, *(_TITLES[measure] for measure in MEASURES), "seeds"], rows)


def _total(row: pd.Series, measure: str) -> str:
    mean, low, high = row[["mean", "low", "high"]].to_numpy(float)
    if measure == "switches":
        return interval(100 * mean, 100 * low, 100 * high) + " %"
    return interval(mean, low, high, 2 if measure == "minimum_hamming" else 0)


def _label(optimizer: optimizers.Optimizer, task: str) -> str:
    return words.label(optimizer, task).replace(" lr=", " ")
