"""`python -m reproduce solve`: Taylor optima and regret of saved runs, as tables."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

import nta_tf as nta
from reproduce import tasks
from reproduce.results.runs import ResultsError
from reproduce.stages import outputs

# Theorem 2's ball (None: the trajectory's own) and the paper's free least squares.
DOMAINS = {"ball": None, "free": math.inf}

_PROBLEM = ["record", "comparator", "scope", "radius"]
_NOTHING = pd.DataFrame(columns=["reduction", *_PROBLEM])  # what a run without rounds is left with


def solve(
    directory: str | Path,
    progress: Callable | None = None,
    *,
    neurons: int | None = None,
    scopes: Sequence[str] | None = None,
    records: Sequence[str] | None = None,
    checkpoints: int | None = None,
    domains: Sequence[str] = tuple(DOMAINS),
    comparators: Sequence[str] = ("static",),
) -> list[Path]:
    """Writes the tables of one run: losses, regret and growth exponents.

    The regret table is written again after every scope; rows of other records, comparators,
    scopes and domains that other calls left are kept, so that a long solving may be done in
    parts, and by several processes at once.

    Args:
        directory: A run directory.
        progress: Function that wraps the list of problems to show progress.
        neurons: Of how many neurons a layer the optima are found, chosen by a seed, where
            rounds were kept as gradient tensors. Defaults to as many as the run's scale says.
        scopes: Scopes to solve, instead of all layers and those neurons.
        records: Names of records to solve. Defaults to all of them.
        checkpoints: At the end of how many epochs; see `nta.regret`.
        domains: Over which V the optima are taken: `"ball"`, `"free"` or both.
        comparators: What the loss is compared with; see `nta.regret`.

    Returns:
        Paths of the written tables.

    Raises:
        nta.RunDirectoryError: If the directory is not a run, or cannot be written.
        ValueError: If the run has no such record or scope.
        ResultsError: If the table of an earlier call is damaged.
    """
    run = nta.Run.open(directory)
    solved = _solved_records(run, records)
    chosen = {record: scopes or _scopes(run, record, neurons) for record in solved}
    for record, of_record in chosen.items():  # before hours are spent on the first of them
        for scope in of_record:
            layer = nta.scopes.parse(scope).layer
            nta.scopes.check_layer(record, layer, run.records[record].config["layers"])
    problems = [
        (record, scope, comparator)
        for record in solved
        for comparator in comparators
        for scope in chosen[record]
    ]
    regret = Path(run.directory, "results", "regret.csv")
    _check_earlier(regret)
    for record, scope, comparator in (progress or iter)(problems):
        table = _regret(run, record, scope, comparator, checkpoints, domains)
        nta.trace.change_table(regret, partial(_merged, new=table))
    nta.trace.change_table(regret, lambda table: _NOTHING if table is None else table)
    growth = regret.with_name("exponents.csv")
    nta.trace.change_table(growth, lambda _: exponents(nta.trace.read_table(regret)))
    return [run.save_table("losses", outputs.losses(run)), regret, growth]


def exponents(regret: pd.DataFrame) -> pd.DataFrame:
    """Growth exponents of every curve of a table of regret.

    Args:
        regret: Table of one run, as `solve` writes it.

    Returns:
        A `pandas.DataFrame` with one row a (record, comparator, scope, radius).
    """
    rows = []
    for key, table in regret.groupby(_PROBLEM, sort=False):
        rows.append({**dict(zip(_PROBLEM, key)), **vars(nta.growth_exponent(table))})
    columns = _PROBLEM + "exponent low high first_epoch last_epoch status".split()
    return pd.DataFrame(rows, columns=columns)


def _solved_records(run: nta.Run, wanted: Sequence[str] | None) -> list[str]:
    """Records of Taylor rounds that hold any, or of those that were asked for."""
    records = [name for name, record in run.records.items() if record.kind == "taylor_rounds"]
    unknown = [name for name in wanted or () if name not in records]
    if unknown:
        raise ValueError(f"{run!r} has the Taylor records {records}. Received: {unknown}")
    return [
        name
        for name in records
        if (wanted is None or name in wanted) and run.records[name].rounds.any()
    ]


def _check_earlier(path: Path) -> None:
    """Raises if there is a table of an earlier call to which nothing can be added."""
    if not path.exists():
        return
    try:
        table = nta.trace.read_table(path)
        table[_PROBLEM if table.empty else [*_PROBLEM, "round", "epoch", "regret"]]
    except (nta.RunDirectoryError, ValueError, KeyError) as error:
        raise ResultsError(
            f"{path} is damaged ({error}). Take it away, then solve again: what it held is "
            "computed anew."
        ) from error


def _merged(old: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    """Both tables, without old rows of problems that the new one has."""

    def problems(table: pd.DataFrame) -> pd.Series:
        names = (table[column] for column in _PROBLEM[:-1])
        return pd.Series(list(zip(*names, table["radius"] < math.inf)), table.index, dtype=object)

    if old is None or old.empty or new.empty:
        return new if old is None or old.empty else old
    kept = old[~problems(old).isin(set(problems(new)))]
    return pd.concat([kept, new], ignore_index=True)


def _scopes(run: nta.Run, record: str, neurons: int | None) -> list:
    """The record's layers and, of gradient tensors, the network and some neurons."""
    config = run.records[record].config
    layers = config["layers"]
    if config["form"] == "normal_equations":
        return layers
    if neurons is None:
        metadata = run.config["metadata"]  # of a run of nta.train it may be anything
        task = tasks.TASKS.get(metadata.get("task"))
        scale = None if task is None else task.scales.get(metadata.get("scale"))
        neurons = 0 if scale is None else scale.neurons
    sampled, reader = [], nta.recorders.taylor_reader(run, record)
    for layer in layers:
        units = reader.kernel_shape(layer)[-1]
        chosen = nta.sampling.sample_neurons(layer, units, neurons)
        sampled += [(layer, chosen)] if chosen else []
    return [*layers, "network", *sampled]


def _regret(
    run: nta.Run,
    record: str,
    scope: str | tuple,
    comparator: str,
    checkpoints: int | None,
    domains: Sequence[str],
) -> pd.DataFrame:
    radii = [DOMAINS[domain] for domain in domains]
    if isinstance(scope, tuple) and "ball" in domains:
        # Free minimisers of single neurons lie hundreds of diameters away and take minutes each.
        radii = [DOMAINS["ball"]]
    table = nta.regret(
        run, scope, record=record, radius=radii, checkpoints=checkpoints, comparator=comparator
    )
    about = {
        "record": record,
        "reduction": run.records[record].config["reduction"],
        "comparator": comparator,
        "scope": table.pop("scope"),
    }
    return pd.concat([pd.DataFrame(about, index=table.index), table], axis="columns")
