"""Which rows of the tables a figure or a claim speaks about."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reproduce import optimizers
from reproduce.optimizers import ANY, TENSORFLOW_2016, Optimizer
from reproduce.results.runs import NoResults, ResultsError

# The protocols that `nta_tf` names come first where nobody asks for others.
_PRESETS = ("definition", "figures")
_DOMAINS = {"ball": True, "free": False}


@dataclass(frozen=True)
class Reading:
    """A reading of the paper: which rounds were recorded how, and what regret compares with.

    Attributes:
        record: Name of the record, such as `"figures"` or `"definition"`.
        ball: Whether V is kept in the ball of Theorem 2.
        comparator: `"static"` (one V for all rounds), `"each_round"` or `"each_epoch"`.
    """

    record: str
    ball: bool = False
    comparator: str = "static"

    @property
    def slug(self) -> str:
        """For names of files: what differs from a static comparator comes last."""
        suffix = "" if self.comparator == "static" else f"_{self.comparator}"
        return f"{self.record}_{'ball' if self.ball else 'free'}{suffix}"


def own_ball(runs: pd.DataFrame, record: str) -> bool | None:
    """Whether a record's own protocol keeps V in a ball.

    Args:
        runs: Frame of `runs.find_runs`.
        record: Name of the record.

    Returns:
        A boolean, or None where the runs do not say.
    """
    for config in runs["config"]:
        domain = config.get("domains", {}).get(record)
        if domain:
            return _DOMAINS[domain]
    return None


def readings(
    runs: pd.DataFrame,
    solved: pd.DataFrame,
    records: Sequence[str] | None = None,
    ball: bool | None = None,
    comparator: str = "static",
) -> list[Reading]:
    """The readings that are drawn and judged.

    Args:
        runs: Frame of `runs.find_runs`.
        solved: Rows of `load.read_regret` of the scopes in question.
        records: Records that are asked for. By default the protocols that `nta_tf` names,
            where there are any, otherwise every record.
        ball: Which domain of V is asked for. By default the record's own, where that was
            solved, otherwise every domain that was.
        comparator: Which comparator is asked for.

    Returns:
        A list of `Reading`.

    Raises:
        NoResults: If a record that was asked for is not there, or nothing was solved so.
    """
    there = list(dict.fromkeys(solved["record"]))
    unknown = [record for record in records or [] if record not in there]
    if unknown:
        raise NoResults(
            f"There is no record {', '.join(unknown)}; there is "
            f"{', '.join(there) or 'none'}. Choose one of those."
        )
    named = [record for record in there if record in _PRESETS]
    chosen = []
    for record in records or named or there:
        domains = _domains(runs, solved, record, comparator)
        wanted = domains if ball is None else [ball] if ball in domains else []
        chosen += [Reading(record, one, comparator) for one in wanted]
    if not chosen:
        raise NoResults(
            "No regret was solved so: there are the records "
            f"{', '.join(there) or '(none)'}. Solve them with `python -m reproduce solve RUNS`."
        )
    return chosen


def _domains(runs: pd.DataFrame, solved: pd.DataFrame, record: str, comparator: str) -> list[bool]:
    rows = solved[(solved["record"] == record) & (solved["comparator"] == comparator)]
    domains = sorted({bool(ball) for ball in np.isfinite(rows["radius"])})
    own = own_ball(runs, record)
    return [own] if own in domains else domains


def rows(table: pd.DataFrame, reading: Reading, scope: str | Sequence[str]) -> pd.DataFrame:
    """Rows of one reading and scope.

    Args:
        table: Frame of `load.read_regret` or `load.read_exponents`.
        reading: A `Reading`.
        scope: Name of the scope, such as `"dense_3"`, or a list of names.

    Returns:
        The rows; none when the scope was not solved.

    Raises:
        ResultsError: If a run has several finite radii for them.
    """
    scopes = [scope] if isinstance(scope, str) else list(scope)
    chosen = of_reading(table, reading)
    chosen = chosen[chosen["scope"].isin(scopes)]
    key = ["run", "scope", "round"] if "round" in table else ["run", "scope"]
    repeated = chosen[chosen.duplicated(key)]
    if len(repeated):
        run, name = repeated.iloc[0]["run"], repeated.iloc[0]["scope"]
        radii = sorted(set(chosen[(chosen["run"] == run) & (chosen["scope"] == name)]["radius"]))
        raise ResultsError(
            f"{run} has several results of record {reading.record}, scope {name}, with radii "
            f"{radii}. Solve it with one ball at a time (`python -m reproduce solve {run}`)."
        )
    return chosen


def of_reading(table: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Rows of a table of regret or of exponents that belong to a reading.

    Args:
        table: Frame of `load.read_regret` or `load.read_exponents`.
        reading: A `Reading`.

    Returns:
        The rows.
    """
    return table[
        (table["record"] == reading.record)
        & (table["comparator"] == reading.comparator)
        & (np.isfinite(table["radius"]) == reading.ball)
    ]


def layers(table: pd.DataFrame) -> list[str]:
    """Names of the layers among the scopes of a table.

    Args:
        table: A table with a column `scope`.

    Returns:
        A list such as `["dense_2", "dense_3"]`, in the network's order;
        neurons and the network as a whole are other scopes.
    """
    names = [name for name in table["scope"].unique() if name != "network" and ":" not in name]
    return sorted(names, key=_numbered)


def neurons(table: pd.DataFrame, layer: str | None = None) -> list[str]:
    """Names of the neurons among the scopes of a table.

    Args:
        table: A table with a column `scope`.
        layer: Name of the layer; all layers by default.

    Returns:
        A list such as `["conv2d_1:3", "conv2d_1:17"]`, layer by layer, in the
        order of their numbers.
    """
    pairs = [name.rsplit(":", 1) for name in table["scope"].unique() if ":" in name]
    chosen = [(name, int(number)) for name, number in pairs if layer in (None, name)]
    return [f"{name}:{number}" for name, number in sorted(chosen, key=_layer_then_number)]


def scales(table: pd.DataFrame) -> dict[str, list[str]]:
    """The scopes of a table at each scale of Theorem 2.

    Args:
        table: A table with a column `scope`.

    Returns:
        A dictionary from `"network"`, `"layer"` and `"neuron"` to lists of scopes.
    """
    network = (table["scope"] == "network").any()
    return {
        "network": ["network"] if network else [],
        "layer": layers(table),
        "neuron": neurons(table),
    }


def final(losses: pd.DataFrame, column: str = "loss") -> dict[Optimizer, float]:
    """Mean over seeds of a column of the final epoch of every optimizer.

    Args:
        losses: Frame of `load.read_losses`, of one task.
        column: Name of the column, `"loss"` or `"accuracy"`.

    Returns:
        A dictionary from optimizer to mean, without optimizers of which a run
        diverged or that were not measured.
    """
    means = {}
    for optimizer in optimizers.of_table(losses):
        table = optimizers.rows(losses, optimizer)
        if (table["status"] == "diverged").any():
            continue
        mean = table.loc[table.groupby("run")["epoch"].idxmax(), column].mean()
        if np.isfinite(mean):
            means[optimizer] = float(mean)
    return means


def best_sgd(losses: pd.DataFrame) -> Optimizer | None:
    """SGD's best learning rate: the lowest training loss in the final epoch.

    Args:
        losses: Frame of `load.read_losses`, of one task.

    Returns:
        The optimizer; `None` when no run of SGD finished.
    """
    of_sgd = {optimizer: loss for optimizer, loss in final(losses).items() if optimizer.is_sgd}
    return min(of_sgd, key=of_sgd.__getitem__) if of_sgd else None


def of_variant(trained: Iterable[Optimizer], variant: str = TENSORFLOW_2016) -> list[Optimizer]:
    """The optimizers that are shown together: of each name one variant, and what has none.

    Args:
        trained: Optimizers.
        variant: The variant that is wanted of those that have several.

    Returns:
        A list in the order of the paper's legends. Where an optimizer was trained in the other
        variant only, that one stands in: its name says so.
    """
    trained = optimizers.in_order(trained)
    wanted = {one.name for one in trained if one.variant in (variant, ANY)}
    return [one for one in trained if one.variant in (variant, ANY) or one.name not in wanted]


def compared(
    losses: pd.DataFrame,
    sgd: Sequence[float] | None = None,
    variant: str = TENSORFLOW_2016,
) -> list[Optimizer]:
    """The optimizers that Figure 4 compares: all that adapt their steps, and SGD.

    Args:
        losses: Frame of `load.read_losses`, of one task.
        sgd: Learning rates of the SGD that is shown; the best one by default, since the
            paper does not say which it shows.
        variant: Which variant of RMSProp and Adam.

    Returns:
        A list in the order of the paper's legends.

    Raises:
        ResultsError: If there is no run of SGD with a rate that was asked for.
    """
    trained = of_variant(optimizers.of_table(losses), variant)
    rates = {one.rate: one for one in trained if one.is_sgd}
    if sgd is None:
        best = best_sgd(losses) or next(iter(rates.values()), None)  # all diverged: show that
        chosen = [best] if best else []
    else:
        missing = [rate for rate in sgd if rate not in rates]
        if missing:
            raise ResultsError(
                f"There is no run of SGD at rate {', '.join(f'{rate:g}' for rate in missing)}; "
                f"there is {', '.join(f'{rate:g}' for rate in rates) or 'none'}. Choose one of "
                "those, or train it with `python -m reproduce train`."
            )
        chosen = [rates[rate] for rate in sgd]
    return [one for one in trained if not one.is_sgd or one in chosen]


def _numbered(name: str) -> tuple:
    """Sorts `dense_10` behind `dense_9`; names without a number keep their own order."""
    match = re.fullmatch(r"(.*?)_?(\d+)", name)
    return (match[1][:4], int(match[2])) if match else (name, 0)


def _layer_then_number(pair: tuple[str, int]) -> tuple:
    return (*_numbered(pair[0]), pair[1])
