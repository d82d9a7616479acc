"""The curves of one layer: regret, cumulative loss and Taylor optimum over sqrt(N)."""

from dataclasses import dataclass

import pandas as pd

from reproduce import curves, selection

# The paper scales the regret of the autoencoder, whose loss is small.
_SCALE = {"autoencoder": 1000.0}


@dataclass(frozen=True)
class LayerCurves:
    """Curves of one layer of one task.

    Attributes:
        task: Name of the task.
        layer: Name of the layer.
        scale: Factor by which `regret` is multiplied.
        regret: Dictionary from optimizer label to `curves.Curve` of the
            normalised regret, Figure 4(a) and (b).
        loss: The same of the cumulative loss over sqrt(N), Figure 4(c).
        optimum: The same of the Taylor optimum over sqrt(N), Figure 4(c).
        rows: The rows of `tables.read_regret` that the curves were made of.
        missing: Labels of optimizers that were trained, but not solved so.
    """

    task: str
    layer: str
    scale: float
    regret: dict
    loss: dict
    optimum: dict
    rows: pd.DataFrame
    missing: list


def layer_curves(regret, losses, task, layer, record, sgd=None, ball=False):
    """Curves of a layer for RMSProp, Adam and SGD.

    Args:
        regret: Frame of `tables.read_regret`.
        losses: Frame of `tables.read_losses`.
        task: Name of the task.
        layer: Name of the layer.
        record: Name of the record.
        sgd: Label or learning rate of the run that stands for SGD.
        ball: Whether to show optima over the ball of Theorem 2.

    Returns:
        `LayerCurves`, or `None` when the record has no results for the layer.
    """
    table = selection.rows(regret[regret["task"] == task], record, layer, ball)
    if table.empty:
        return None
    labels = selection.compared(losses[losses["task"] == task], sgd)
    solved = {label: table[table["optimizer"] == label] for label in labels}
    solved = {label: rows for label, rows in solved.items() if len(rows)}
    if not solved:
        return None
    scale = _SCALE.get(task, 1.0)

    def each(value, of_optimum=True):
        return {
            label: curves.over_seeds(
                rows,
                value(rows),
                index="round",
                certified=rows["certified"] if of_optimum else None,
            )
            for label, rows in solved.items()
        }

    return LayerCurves(
        task,
        layer,
        scale,
        regret=each(lambda rows: scale * rows["regret_over_sqrt_n"]),
        loss=each(lambda rows: rows["cumulative_loss"] / rows["round"] ** 0.5, of_optimum=False),
        optimum=each(lambda rows: rows["taylor_optimum"] / rows["round"] ** 0.5),
        rows=pd.concat(list(solved.values())),
        missing=[label for label in labels if label not in solved],
    )
