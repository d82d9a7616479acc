"""The curves of a layer's neurons: averages of Figure 3, and a few neurons by themselves."""

from dataclasses import dataclass

import pandas as pd

from reproduce import curves, selection


@dataclass(frozen=True)
class NeuronCurves:
    """Curves of the neurons of one layer, all over sqrt(N).

    Attributes:
        layer: Name of the layer.
        neurons: Names of the neurons.
        regret: `curves.Curve` of the mean over neurons, its band their deviation.
        loss: The same of the cumulative loss of the examples that the neurons saw.
        optimum: The same of the Taylor optimum.
        network: `curves.Curve` of the cumulative loss of the rounds' whole minibatches.
        individuals: Dictionary from a few neurons to the `Curve` of their regret.
        rows: The rows of `tables.read_regret` that the curves were made of.
    """

    layer: str
    neurons: list
    regret: curves.Curve
    loss: curves.Curve
    optimum: curves.Curve
    network: curves.Curve
    individuals: dict
    rows: pd.DataFrame


def neuron_curves(regret, layer, record, ball, individuals=3):
    """Curves of the neurons of a layer.

    Args:
        regret: Frame of `tables.read_regret`, of one task and optimizer.
        layer: Name of the layer.
        record: Name of the record.
        ball: Whether to show optima over the ball of Theorem 2.
        individuals: How many neurons to give curves of their own.

    Returns:
        `NeuronCurves`, or `None` when the record has no neurons of the layer.
    """
    rows = selection.rows(regret, record, selection.neurons(regret, record, layer), ball)
    if rows.empty:
        return None
    # A mean over other neurons at other checkpoints would be another quantity at each.
    count = rows.groupby("round")["scope"].transform("size")
    rows = rows[count == count.max()]
    names = selection.neurons(rows, record, layer)

    def mean(table, column, of_optimum):
        certified = table["certified"] if of_optimum else None
        values = table[column] / table["round"] ** 0.5
        return curves.over_seeds(table, values, "round", ["seed", "scope"], certified)

    one_neuron = rows[rows["scope"] == names[0]]
    return NeuronCurves(
        layer,
        names,
        regret=mean(rows, "regret", True),
        loss=mean(rows, "cumulative_loss", False),
        optimum=mean(rows, "taylor_optimum", True),
        network=mean(one_neuron, "network_loss", False),
        individuals={
            name: mean(rows[rows["scope"] == name], "regret", True)
            for name in _spread(names, individuals)
        },
        rows=rows,
    )


def _spread(names, count):
    """First, last and evenly spaced between: chosen by place, never by what was measured."""
    count = min(count, len(names))
    steps = max(count - 1, 1)
    return [names[index * (len(names) - 1) // steps] for index in range(count)]
