"""`python -m reproduce solve`: Taylor optima and regret of saved runs, as tables."""

import math

import pandas as pd

import nta_tf as nta
from reproduce import results, tasks

# Theorem 2's ball (None: the trajectory's own) and the paper's free least squares.
DOMAINS = {"ball": None, "free": math.inf}


def solve(
    directory,
    progress=None,
    neurons=None,
    scopes=None,
    records=None,
    checkpoints=None,
    domains=tuple(DOMAINS),
):
    """Writes the tables of one run: losses, regret and growth exponents.

    The regret table is written again after every scope; rows of other records, scopes and
    domains that an earlier call found are kept, so that a long solving may be done in parts.

    Args:
        directory: A run directory.
        progress: Function that wraps the list of (record, scope) pairs to show progress.
        neurons: Of how many neurons a layer the optima are found, chosen by a seed, where
            rounds were kept as gradient tensors. Defaults to as many as the run's scale says.
        scopes: Scopes to solve, instead of all layers and those neurons.
        records: Names of records to solve. Defaults to all of them.
        checkpoints: At the end of how many epochs; see `nta.regret`.
        domains: Over which V the optima are taken: `"ball"`, `"free"` or both.

    Returns:
        Paths of the written tables.

    Raises:
        nta.RunDirectoryError: If the directory is not a run, or cannot be written.
    """
    run = nta.Run.open(directory)
    pairs = [
        (record, scope)
        for record, kept in run.records.items()
        if kept.kind == "taylor_rounds" and (records is None or record in records)
        if kept.rounds.any()
        for scope in scopes or _scopes(run, record, neurons)
    ]
    path = run.directory / "results" / "regret.csv"
    columns = ["record", "reduction", "scope", "radius"]
    regret = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)
    for record, scope in (progress or iter)(pairs):
        regret = _merged(regret, _regret(run, record, scope, checkpoints, domains))
        run.save_table("regret", regret)
    return [
        run.save_table("losses", results.losses(run)),
        run.save_table("regret", regret),
        run.save_table("exponents", _exponents(regret)),
    ]


def _merged(old, new):
    """Both tables, without old rows of which the new one has record, scope and domain."""

    def problems(table):
        keys = zip(table["record"], table["scope"], table["radius"] < math.inf)
        return pd.Series(list(keys), index=table.index, dtype=object)

    if old.empty or new.empty:
        return new if old.empty else old
    kept = old[~problems(old).isin(set(problems(new)))]
    return pd.concat([kept, new], ignore_index=True)


def _scopes(run, record, neurons):
    """The record's layers and, of gradient tensors, the network and some neurons."""
    config = run.records[record].config
    layers = config["layers"]
    if config["form"] == "normal_equations":
        return layers
    if neurons is None:
        metadata = run.config["metadata"]
        neurons = tasks.TASKS[metadata["task"]].scales[metadata["scale"]].neurons
    sampled, reader = [], nta.recorders.taylor_reader(run, record)
    for layer in layers:
        units = reader.kernel_shape(layer)[-1]
        chosen = nta.sampling.sample_neurons(layer, units, neurons)
        sampled += [(layer, chosen)] if chosen else []
    return [*layers, "network", *sampled]


def _regret(run, record, scope, checkpoints, domains):
    radii = [DOMAINS[domain] for domain in domains]
    if isinstance(scope, tuple) and "ball" in domains:
        # Free minimisers of single neurons lie hundreds of diameters away and take minutes each.
        radii = [DOMAINS["ball"]]
    table = nta.regret(run, scope, record=record, radius=radii, checkpoints=checkpoints)
    table.insert(0, "scope", table.pop("scope"))
    table.insert(0, "record", record)
    table.insert(1, "reduction", run.records[record].config["reduction"])
    return table


def _exponents(regret):
    rows = []
    keys = ["record", "scope", "radius"]
    for key, table in regret.groupby(keys, sort=False):
        rows.append({**dict(zip(keys, key)), **vars(nta.growth_exponent(table))})
    columns = keys + "exponent low high first_epoch last_epoch status".split()
    return pd.DataFrame(rows, columns=columns)
