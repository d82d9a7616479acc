"""`python -m reproduce solve`: Taylor optima and regret of saved runs, as tables."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import nta_tf as nta
from reproduce import tasks
from reproduce.results.runs import ResultsError
from reproduce.stages import engines, jobs, outputs

# Theorem 2's ball (None: the trajectory's own) and the paper's free least squares.
DOMAINS = {"ball": None, "free": math.inf}

_PROBLEM = ["record", "comparator", "scope", "radius"]
_NOTHING = pd.DataFrame(columns=["reduction", *_PROBLEM])  # what a run without rounds is left with


class Problem(NamedTuple):
    """What of a run is solved at a time.

    Attributes:
        record: Name of a record of Taylor rounds.
        scope: A scope, as `nta.regret` takes it.
        comparator: What the loss is compared with.
    """

    record: str
    scope: str | tuple
    comparator: str


def solve(
    directory: str | Path,
    progress: Callable | None = None,
    *,
    checkpoints: int | None = None,
    domains: Sequence[str] = tuple(DOMAINS),
    again: bool = False,
    **chosen: Any,
) -> list[Path]:
    """Writes the tables of one run: losses, regret and growth exponents.

    The regret table is written again after every scope; rows that other calls left are kept, and
    what they have solved at the same checkpoints is not solved again, so that a long solving may
    be done in parts, and by several processes at once.

    Args:
        directory: A run directory.
        progress: Function that wraps the list of problems to show progress.
        checkpoints: At the end of how many epochs; see `nta.regret`.
        domains: Over which V the optima are taken: `"ball"`, `"free"` or both.
        again: Whether to solve what is solved already, too.
        **chosen: `records`, `scopes`, `neurons` and `comparators`, as for `problems`.

    Returns:
        Paths of the written tables.

    Raises:
        nta.RunDirectoryError: If the directory is not a run, or cannot be written.
        ValueError: If the run has no such record or scope.
        ResultsError: If the table of an earlier call is damaged.
    """
    run = nta.Run.open(directory)
    plan = _plan(run, checkpoints, domains, again, chosen)
    for problem in (progress or iter)(plan):
        _solve(run, problem, checkpoints, domains)
    return _finish(run)


def solve_side_by_side(
    directories: Sequence[str | Path],
    workers: int = 1,
    scheduler: str | None = None,
    *,
    checkpoints: int | None = None,
    domains: Sequence[str] = tuple(DOMAINS),
    again: bool = False,
    **chosen: Any,
) -> Iterator[tuple[Path, list[Path]]]:
    """Writes the tables of several runs, each problem of each run a job.

    Args:
        directories: Run directories.
        workers: How many processes of this machine.
        scheduler: Address of a Dask scheduler instead; see `engines.completed`.
        checkpoints: As for `solve`.
        domains: As for `solve`.
        again: As for `solve`.
        **chosen: As for `solve`.

    Yields:
        Each directory as it is solved, with the paths of its tables, which are those of `solve`.

    Raises:
        Exception: As `solve` and `engines.completed` raise.
    """
    runs = [nta.Run.open(os.path.abspath(directory)) for directory in directories]
    plans = [_plan(run, checkpoints, domains, again, chosen) for run in runs]
    calls = {
        (place, turn): (str(run.directory), tuple(problem), checkpoints, domains)
        for place, (run, plan) in enumerate(zip(runs, plans))
        for turn, problem in enumerate(plan)
    }
    solved: list[dict[int, list[str]]] = [{} for _ in runs]
    for place, plan in enumerate(plans):
        if not plan:
            yield Path(directories[place]), _finish(runs[place])
    for (place, turn), scopes in engines.completed(jobs.solve, calls, workers, scheduler):
        solved[place][turn] = scopes
        if len(solved[place]) == len(plans[place]):
            run, order = runs[place], _order(plans[place], solved[place], domains)
            nta.trace.change_table(_table_of(run), partial(_in_order, order=order))
            yield Path(directories[place]), _finish(run)


def problems(
    run: nta.Run,
    *,
    neurons: int | None = None,
    scopes: Sequence[str] | None = None,
    records: Sequence[str] | None = None,
    comparators: Sequence[str] = ("static",),
) -> list[Problem]:
    """What there is to solve of a run, checked before hours are spent on the first of it.

    Args:
        run: An `nta.Run`.
        neurons: Of how many neurons a layer the optima are found, chosen by a seed, where
            rounds were kept as gradient tensors. Defaults to as many as the run's scale says.
        scopes: Scopes to solve, instead of all layers and those neurons.
        records: Names of records to solve. Defaults to all of them.
        comparators: What the loss is compared with; see `nta.regret`.

    Returns:
        A list of `Problem`.

    Raises:
        ValueError: If the run has no such record or scope.
    """
    solved = _solved_records(run, records)
    chosen = {record: scopes or _scopes(run, record, neurons) for record in solved}
    for record, of_record in chosen.items():
        for scope in of_record:
            layer = nta.scopes.parse(scope).layer
            nta.scopes.check_layer(record, layer, run.records[record].config["layers"])
    return [
        Problem(record, scope, comparator)
        for record in solved
        for comparator in comparators
        for scope in chosen[record]
    ]


def solve_problem(
    directory: str | Path, problem: Problem, checkpoints: int | None, domains: Sequence[str]
) -> list[str]:
    """Solves one problem, and puts its rows into the run's table.

    Args:
        directory: A run directory.
        problem: One of its `problems`.
        checkpoints: As for `solve`.
        domains: As for `solve`.

    Returns:
        The scopes that it solved, as they stand in the table.
    """
    return _solve(nta.Run.open(directory), problem, checkpoints, domains)


def _solve(run, problem, checkpoints, domains):
    table = _regret(run, problem, checkpoints, domains)
    nta.trace.change_table(_table_of(run), partial(_merged, new=table))
    return list(dict.fromkeys(table["scope"]))


def _finish(run: nta.Run) -> list[Path]:
    """Writes the other tables once all problems are solved."""
    regret = _table_of(run)
    nta.trace.change_table(regret, lambda table: _NOTHING if table is None else table)
    growth = regret.with_name("exponents.csv")
    nta.trace.change_table(growth, lambda _: exponents(nta.trace.read_table(regret)))
    return [run.save_table("losses", outputs.losses(run)), regret, growth]


def _table_of(run: nta.Run) -> Path:
    return Path(run.directory, "results", "regret.csv")


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


def _plan(
    run: nta.Run,
    checkpoints: int | None,
    domains: Sequence[str],
    again: bool,
    chosen: Mapping[str, Any],
) -> list[Problem]:
    """The problems of a run that are not solved at these checkpoints, or all of them."""
    every, table = problems(run, **chosen), _earlier(_table_of(run))
    if again or table.empty:
        return every
    balls = table["radius"] < math.inf
    there = table["epoch"].groupby([table["record"], table["scope"], table["comparator"], balls])
    solved = {key: set(epochs) for key, epochs in there}
    ends = {}
    for record in {problem.record for problem in every}:
        reader = nta.recorders.taylor_reader(run, record)
        ends[record] = {epoch + 1 for epoch in reader.checkpoint_epochs(checkpoints)}

    def is_solved(problem: Problem) -> bool:
        names = nta.scopes.parse(problem.scope).names
        return all(
            solved.get((problem.record, name, problem.comparator, radius is None))
            == ends[problem.record]
            for name in names
            for radius in _radii(problem.scope, domains)
        )

    return [problem for problem in every if not is_solved(problem)]


def _earlier(path: Path) -> pd.DataFrame:
    """The table of an earlier call, or an empty one; raises if nothing can be added to it."""
    if not path.exists():
        return _NOTHING
    try:
        table = nta.trace.read_table(path)
        table[_PROBLEM if table.empty else [*_PROBLEM, "round", "epoch", "regret"]]
        return table
    except (nta.RunDirectoryError, ValueError, KeyError) as error:
        raise ResultsError(
            f"{path} is damaged ({error}). Take it away, then solve again: what it held is "
            "computed anew."
        ) from error


def _merged(old: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    """Both tables, without old rows of problems that the new one has."""
    if old is None or old.empty or new.empty:
        return new if old is None or old.empty else old
    kept = old[~_keys(old).isin(set(_keys(new)))]
    return pd.concat([kept, new], ignore_index=True)


def _keys(table: pd.DataFrame) -> pd.Series:
    """Of each row its record, comparator and scope, and whether V is held in a ball."""
    names = (table[column] for column in _PROBLEM[:-1])
    return pd.Series(list(zip(*names, table["radius"] < math.inf)), table.index, dtype=object)


def _order(
    plan: Sequence[Problem], scopes: dict[int, list[str]], domains: Sequence[str]
) -> dict[tuple, int]:
    """In which order `solve` would have left the rows of a plan: {key of a row: place}."""
    balls = {DOMAINS[domain] is None for domain in domains}
    every = [
        (problem.record, problem.comparator, scope)
        for turn, problem in enumerate(plan)
        for scope in scopes[turn]
    ]
    return {(*key, ball): place for place, key in enumerate(every) for ball in balls}


def _in_order(table: pd.DataFrame, order: dict[tuple, int]) -> pd.DataFrame:
    """Rows of other calls first, as they stand."""
    places = _keys(table).map(lambda key: order.get(key, -1))
    return table.iloc[np.argsort(places.to_numpy(), kind="stable")].reset_index(drop=True)


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


def _radii(scope: str | tuple, domains: Sequence[str]) -> list[float | None]:
    if isinstance(scope, tuple) and "ball" in domains:
        # Free minimisers of single neurons lie hundreds of diameters away and take minutes each.
        return [DOMAINS["ball"]]
    return [DOMAINS[domain] for domain in domains]


def _regret(
    run: nta.Run, problem: Problem, checkpoints: int | None, domains: Sequence[str]
) -> pd.DataFrame:
    record, scope, comparator = problem
    radii = _radii(scope, domains)
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
