"""The convnet's seeds under both readings, along the epochs at which all of them were solved so."""

import pandas as pd

from reproduce import optimizers, paper
from reproduce.optimizers import TENSORFLOW_2016
from reproduce.pages.markdown import spread, table
from reproduce.pages.registry import Results, by_optimizer, only
from reproduce.pages.registry import table as registered

# Optima of `definition` were found of seed 0's whole run, and of the first epochs of the others.
_WHOLE, _SHORTER = "cifar10", "cifar10_30_epochs"
_EPOCHS = (10, 20, 30)
_LAYER = paper.FIGURE_4_LAYER["convnet"]


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
    again = only(results.losses, task="convnet", experiment=_SHORTER)
    first = only(frame, task="convnet", experiment=_WHOLE, seed=0)
    frame = pd.concat([first, only(frame, task="convnet", experiment=_SHORTER)])
    return frame[optimizers.is_of(frame, *optimizers.of_table(again))]


def _named(rows: pd.DataFrame) -> str:
    """The seeds of rows, such as "0, 1, 2"."""
    return ", ".join(str(seed) for seed in sorted({int(seed) for seed in rows["seed"]}))
