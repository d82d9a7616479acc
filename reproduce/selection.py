"""Which rows of the tables a figure or a claim speaks about."""

import re

import numpy as np

from reproduce.tables import NoResults, ResultsError

# The domain of V in the protocols that `nta_tf` names: Theorem 2's ball, or none.
_OWN_BALL = {"definition": True, "figures": False}


def shown_records(regret):
    """The records that are drawn and judged unless others are asked for.

    Args:
        regret: Frame of `tables.read_regret`.

    Returns:
        A list of names: the protocols that `nta_tf` names where there are any,
        otherwise every record.
    """
    there = list(regret["record"].unique())
    return [record for record in there if record in _OWN_BALL] or there


def domains(regret, record):
    """The domains of V in which a record is shown: with the ball of Theorem 2, or without.

    Args:
        regret: Frame of `tables.read_regret`, or its rows of the scopes in question.
        record: Name of the record.

    Returns:
        A list of booleans, whether there is a ball: the domain of the record's own protocol
        where that is solved, otherwise every domain that is.
    """
    radii = regret.loc[regret["record"] == record, "radius"]
    solved = [bool(ball) for ball in np.isfinite(radii).unique()]
    own = [ball for ball in solved if ball == _OWN_BALL.get(record)]
    return own or sorted(solved)


def chosen_records(records, regret, solved):
    """Names of the records to draw.

    Args:
        records: Names asked for, or `None`.
        regret: Frame of `tables.read_regret`.
        solved: Rows of `regret` that the figure needs. Records without any are
            drawn only when they are asked for.

    Returns:
        A list of names.

    Raises:
        NoResults: If there is no record at all, or none with such rows.
        ResultsError: If a record that was asked for is not there.
    """
    there = list(dict.fromkeys(regret["record"]))
    unknown = [record for record in records or [] if record not in there]
    if unknown:
        raise ResultsError(
            f"There is no record {', '.join(unknown)}; there is "
            f"{', '.join(there) or 'none'}. Choose one of those."
        )
    if not there:
        raise NoResults(
            "The runs have no regret at all: they have no Taylor records, or none that was "
            "solved. Train with `python -m reproduce train`, then record (convnets) and solve."
        )
    chosen = records or shown_records(solved)
    if not chosen:
        raise NoResults(
            f"The records {', '.join(there)} were not solved for the scopes that the figure shows. "
            "Solve them with `python -m reproduce solve RUNS`."
        )
    return chosen


def chosen_domain(ball, solved, record):
    """Whether V is kept in a ball, and what a file's name says of it.

    Args:
        ball: What was asked for, or `None`.
        solved: Rows of `tables.read_regret` of the scopes that are drawn.
        record: Name of the record.

    Returns:
        A boolean, and a suffix, empty unless a domain was asked for.
    """
    if ball is None:
        return (domains(solved, record) or [False])[0], ""
    return ball, "_ball" if ball else "_no_ball"


def in_other_domain(solved, record, ball):
    """Tasks that a record was solved for, but only in the other domain of V.

    Args:
        solved: Rows of `tables.read_regret` of the scopes that are drawn.
        record: Name of the record.
        ball: Whether optima over the ball of Theorem 2 are drawn.

    Returns:
        A sorted list of names.
    """
    of_record = solved[solved["record"] == record]
    drawn = np.isfinite(of_record["radius"]) == ball
    return sorted(set(of_record["task"]) - set(of_record[drawn]["task"]))


def rows(table, record, scope, ball=False):
    """Rows of one record and scope, with or without the ball of Theorem 2.

    Args:
        table: Frame of `tables.read_regret` or `tables.read_exponents`.
        record: Name of the record, such as `"figures"`.
        scope: Name of the scope, such as `"dense_3"`, or a list of names.
        ball: Whether optima were taken over a ball: a finite `radius`.

    Returns:
        The rows; none when the scope was not solved.

    Raises:
        ResultsError: If a run has several finite radii for them.
    """
    chosen = table[
        (table["record"] == record)
        & table["scope"].isin([scope] if isinstance(scope, str) else scope)
        & (np.isfinite(table["radius"]) == ball)
    ]
    key = ["run", "scope", "round"] if "round" in table else ["run", "scope"]
    repeated = chosen[chosen.duplicated(key)]
    if len(repeated):
        run = repeated.iloc[0]["run"]
        scope = repeated.iloc[0]["scope"]
        radii = sorted(set(chosen[(chosen["run"] == run) & (chosen["scope"] == scope)]["radius"]))
        raise ResultsError(
            f"{run} has several results of record {record}, scope {scope}, with radii "
            f"{radii}. Solve it with one ball at a time (`python -m reproduce solve {run}`)."
        )
    return chosen


def layers(regret, record):
    """Names of the layers that a record was solved for.

    Args:
        regret: Frame of `tables.read_regret`.
        record: Name of the record.

    Returns:
        A list such as `["dense_2", "dense_3"]`, in the network's order;
        neurons and the network as a whole are other scopes.
    """
    scopes = regret[regret["record"] == record]["scope"].unique()
    found = [scope for scope in scopes if re.fullmatch(r"(dense|conv2d)_\d+", scope)]
    return sorted(found, key=lambda scope: (scope[:4], int(scope.rsplit("_", 1)[1])))


def neurons(regret, record, layer=None):
    """Names of the neurons that a record was solved for.

    Args:
        regret: Frame of `tables.read_regret`.
        record: Name of the record.
        layer: Name of the layer; all layers by default.

    Returns:
        A list such as `["conv2d_1:3", "conv2d_1:17"]`, layer by layer, in the
        order of their numbers.
    """
    scopes = regret[regret["record"] == record]["scope"].unique()
    found = [scope for scope in scopes if ":" in scope]
    chosen = [scope for scope in found if layer is None or scope.split(":")[0] == layer]
    return sorted(chosen, key=lambda scope: (scope.split(":")[0], int(scope.split(":")[1])))


def scales(regret, record):
    """The scopes of a record at each scale of Theorem 2.

    Args:
        regret: Frame of `tables.read_regret`.
        record: Name of the record.

    Returns:
        A dictionary from `"network"`, `"layer"` and `"neuron"` to lists of scopes.
    """
    network = (regret["record"] == record) & (regret["scope"] == "network")
    return {
        "network": ["network"] if network.any() else [],
        "layer": layers(regret, record),
        "neuron": neurons(regret, record),
    }


def best_sgd(losses):
    """SGD's best learning rate: the lowest training loss in the final epoch.

    Args:
        losses: Frame of `tables.read_losses`, of one task.

    Returns:
        The label, such as `"SGD lr=1.0"`; `None` when no run of SGD finished.
    """
    final = final_losses(losses)
    rates = {label: loss for label, loss in final.items() if label.startswith("SGD")}
    return min(rates, key=rates.get) if rates else None


def final_losses(losses):
    """Mean training loss of the final epoch of every optimizer, over its seeds.

    Args:
        losses: Frame of `tables.read_losses`, of one task.

    Returns:
        A dictionary from label to loss, without optimizers of which a run diverged.
    """
    return final(losses, "loss")


def final(losses, column):
    """Mean over seeds of a column of the final epoch of every optimizer.

    Args:
        losses: Frame of `tables.read_losses`, of one task.
        column: Name of the column, `"loss"` or `"accuracy"`.

    Returns:
        A dictionary from label to mean, without optimizers of which a run
        diverged or that were not measured.
    """
    diverged = set(losses[losses["status"] == "diverged"]["optimizer"])
    finished = losses[~losses["optimizer"].isin(diverged)]
    last = finished.loc[finished.groupby("run")["epoch"].idxmax()]
    means = last.groupby("optimizer")[column].mean()
    return {label: float(mean) for label, mean in means.items() if np.isfinite(mean)}


def compared(losses, sgd=None):
    """The three optimizers that Figure 4 compares.

    Args:
        losses: Frame of `tables.read_losses`, of one task.
        sgd: Label or learning rate of the run that stands for SGD; the best
            one by default, since the paper does not say which it shows.

    Returns:
        A list of labels. Where RMSProp or Adam were trained in their Keras 3
        variant only, that variant stands in, under its own name.

    Raises:
        ResultsError: If there is no run of SGD with the rate asked for.
    """
    labels = set(losses["optimizer"])
    found = [
        label
        for name in ("RMSProp", "Adam")
        for label in (name, f"{name} (Keras 3)")
        if label in labels
    ]
    chosen = [
        label
        for label in found
        if not (label.endswith(" (Keras 3)") and label.removesuffix(" (Keras 3)") in found)
    ]
    rates = sorted(label for label in labels if label.startswith("SGD"))
    if sgd is None:
        best = best_sgd(losses)
        return chosen + ([best] if best else rates[:1])  # all diverged: show that
    wanted = sgd if isinstance(sgd, str) and sgd.startswith("SGD") else f"SGD lr={float(sgd)}"
    if wanted not in rates:
        raise ResultsError(
            f"There is no run of {wanted}; there is {', '.join(rates) or 'none'}. "
            "Choose one of those, or train it with `python -m reproduce train`."
        )
    return chosen + [wanted]
