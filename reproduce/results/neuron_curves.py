"""The curves of a layer's neurons: averages of Figure 3, and a few neurons by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reproduce.results import select
from reproduce.results.curves import Curve, over_seeds
from reproduce.results.layer_curves import is_dead
from reproduce.results.select import Reading


@dataclass(frozen=True)
class NeuronCurves:
    """Curves of the neurons of one layer, all but `gap` over sqrt(N).

    Attributes:
        layer: Name of the layer.
        neurons: Names of the neurons.
        regret: `Curve` whose members are the neurons.
        loss: The same of the cumulative loss of the examples that the neurons saw.
        optimum: The same of the Taylor optimum.
        network: `Curve` of the cumulative loss of the rounds' whole minibatches.
        gap: `Curve` of the neurons' regret in percent of their cumulative loss.
        individuals: {a few neurons: `Curve` of their regret}.
        rows: The rows of `load.read_regret` that the curves were made of.
        dead: Whether all regret is rounding.
    """

    layer: str
    neurons: list[str]
    regret: Curve
    loss: Curve
    optimum: Curve
    network: Curve
    gap: Curve
    individuals: Mapping[str, Curve]
    rows: pd.DataFrame
    dead: bool


def neuron_curves(
    regret: pd.DataFrame, layer: str, reading: Reading, individuals: int = 3
) -> NeuronCurves | None:
    """Curves of the neurons of a layer.

    Args:
        regret: Frame of `load.read_regret`, of one task and optimizer.
        layer: Name of the layer.
        reading: The `Reading` that is shown.
        individuals: How many neurons to give curves of their own.

    Returns:
        `NeuronCurves`, or `None` when no neurons of the layer were solved so.
    """
    rows = select.rows(regret, reading, select.neurons(regret, layer))
    if rows.empty:
        return None
    # A mean over other neurons at other checkpoints would be another quantity at each.
    count = rows.groupby("round")["scope"].transform("size")
    rows = rows[count == count.max()]
    names = select.neurons(rows, layer)
    one_neuron = rows[rows["scope"] == names[0]]
    share = 100 * rows["regret"] / rows["cumulative_loss"]
    return NeuronCurves(
        layer,
        names,
        regret=_mean(rows, "regret", True),
        loss=_mean(rows, "cumulative_loss", False),
        optimum=_mean(rows, "taylor_optimum", True),
        network=_mean(one_neuron, "network_loss", False),
        gap=over_seeds(rows, share, "round", ["seed", "scope"], rows["certified"]),
        individuals={
            name: _mean(rows[rows["scope"] == name], "regret", True)
            for name in _spread(names, individuals)
        },
        rows=rows,
        dead=is_dead(rows),
    )


def _mean(table: pd.DataFrame, column: str, of_optimum: bool) -> Curve:
    certified = table["certified"] if of_optimum else None
    values = table[column] / table["round"] ** 0.5
    return over_seeds(table, values, "round", ["seed", "scope"], certified)


def _spread(names: list[str], count: int) -> list[str]:
    """First, last and evenly spaced between: chosen by place, never by what was measured."""
    count = min(count, len(names))
    steps = max(count - 1, 1)
    return [names[index * (len(names) - 1) // steps] for index in range(count)]
