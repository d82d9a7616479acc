"""Tables of the convnet's seeds: the epochs that all of them trained for."""

import pandas as pd

from reproduce import optimizers, paper
from reproduce.optimizers import TENSORFLOW_2016
from reproduce.pages.markdown import spread, table
from reproduce.pages.registry import Results, by_optimizer, only
from reproduce.pages.registry import table as registered

# Seed 0 was trained to the end, the others for fewer epochs.
_WHOLE, _SHORTER = "cifar10", "cifar10_30_epochs"
_EPOCHS = (10, 20, 30)
_LAYER = paper.FIGURE_4_LAYER["convnet"]


@registered("convnet_seeds")
def seeds(results: Results) -> str:
    """Losses, accuracy and explored distance of every seed, along the common epochs."""
    losses = _of_seeds(results.losses, results)
    distances = _of_seeds(results.exploration["minimum_hamming"], results)
    distances = distances[(distances["scope"] == "network") & (distances["epoch"] <= _EPOCHS[-1])]
    explored = distances.groupby("run")["minimum_hamming"].sum()
    rows = []
    for name, of_one in by_optimizer(losses, TENSORFLOW_2016):
        at = {epoch: only(of_one, epoch=epoch) for epoch in _EPOCHS}
        last = at[_EPOCHS[-1]]
        cells = [spread(at[epoch]["loss"]) for epoch in _EPOCHS]
        cells.append(spread(100 * last["accuracy"], 1) + " %")
        cells.append(spread(explored.reindex(last["run"]).dropna()))
        rows.append([name, *cells, _named(last)])
    header = ["optimizer", *(f"loss, epoch {epoch}" for epoch in _EPOCHS)]
    return table([*header, "accuracy", "minimum Hamming distance, summed", "seeds"], rows)


@registered("convnet_seeds_regret")
def regret(results: Results) -> str:
    """regret / sqrt(N) of layer 2 and of its average neuron, along the common epochs.

    On a ball only of the shorter runs: that of the whole run is wider.
    """
    solved = _of_seeds(results.regret, results)
    solved = only(solved, comparator="static", epoch=list(_EPOCHS))
    neurons = solved["scope"].str.startswith(f"{_LAYER}:")
    rows = []
    for words, of_scope in (("layer 2", solved["scope"] == _LAYER), ("its neurons", neurons)):
        for record, ball in (("figures", False), ("figures", True), ("definition", True)):
            chosen = only(solved[of_scope], record=record, ball=ball)
            if ball:
                chosen = only(chosen, experiment=_SHORTER)
            domain = "ball" if ball else "no ball"
            for name, of_one in by_optimizer(chosen, TENSORFLOW_2016):
                means = of_one.groupby(["seed", "epoch"])["regret_over_sqrt_n"].mean().unstack()
                cells = [spread(means[epoch].dropna()) for epoch in _EPOCHS]
                rows.append([f"{words}, `{record}`, {domain}", name, *cells, _named(of_one)])
    header = ["scope, reading", "optimizer", *(f"epoch {epoch}" for epoch in _EPOCHS), "seeds"]
    return table(header, rows)


def _of_seeds(frame: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Rows of the optimizers of which there are several seeds."""
    frame = only(frame, task="convnet", experiment=[_WHOLE, _SHORTER])
    again = only(results.losses, task="convnet", experiment=_SHORTER)
    return frame[optimizers.is_of(frame, *optimizers.of_table(again))]


def _named(rows: pd.DataFrame) -> str:
    """The seeds of rows, such as "0, 1, 2"."""
    return ", ".join(str(seed) for seed in sorted({int(seed) for seed in rows["seed"]}))
