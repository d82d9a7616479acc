"""`python -m reproduce explore`: the three measures of exploration of saved runs, as tables."""

import numpy as np
import pandas as pd

import nta_tf as nta
from reproduce import results, tasks

# Section 3.3 and appendix A6: 50 singular values, of the first 50 epochs.
ROUNDS, VALUES = 50, 50
# Sorted curves are kept at so many evenly spaced positions: of the network, which Figure 5
# draws, more than any figure resolves; of a layer, enough to see its shape.
NETWORK_POSITIONS, LAYER_POSITIONS = 401, 101

_COLUMNS = {
    "minimum_hamming": ["scope", "epoch", "minimum_hamming"],
    "switches": ["scope", "position", "switches"],
    "log_volume": ["scope", "position", "log_volume", "rank"],
    "exploration": "scope measure total count rounds values floor rank".split(),
}


def find_recorded(root):
    """Directories of runs at or below `root` that recorded activation configurations.

    Args:
        root: A run directory, or a directory of them.

    Returns:
        A list of paths, and a list of those of the other runs.

    Raises:
        nta.RunDirectoryError: If there is no run.
        ValueError: If none has such a record.
    """
    found = {path: _is_recorded(nta.Run.open(path)) for path in results.find_run_directories(root)}
    recorded = [path for path, is_recorded in found.items() if is_recorded]
    if not recorded:
        raise ValueError(
            f"No run in {root} has a record of activation configurations. Convnets get one by "
            f"`python -m reproduce record {root} --protocols {tasks.ACTIVATIONS}`, "
            "autoencoders while they train."
        )
    return recorded, [path for path in found if path not in recorded]


def explore(directory, progress=None):
    """Writes the tables of one run: losses, the three measures, and their totals.

    Every measure is taken of the network (all its units) and of each layer. A run with
    fewer than two recorded rounds, because it diverged, has tables without rows.

    Args:
        directory: A run directory with a record of activation configurations.
        progress: Function that wraps the list of scopes to show progress.

    Returns:
        Paths of the written tables.

    Raises:
        nta.RunDirectoryError: If the directory is not a run, or cannot be written.
        ValueError: If the run has no record of activation configurations.
    """
    run = nta.Run.open(directory)
    found = {name: [] for name in _COLUMNS}
    scopes = _scopes(run)
    volumes = _volumes(run) if scopes else {}
    for scope, layers in (progress or iter)(list(scopes.items())):
        for name, table in _measured(run, scope, layers, volumes[scope]).items():
            found[name].append(table)
    written = [run.save_table("losses", results.losses(run))]
    for name, columns in _COLUMNS.items():
        whole = pd.concat(found[name]) if found[name] else pd.DataFrame(columns=columns)
        written.append(run.save_table(name, whole[columns]))
    return written


def evenly_spaced(values, positions):
    """Some of an array, evenly spaced, the first and the last included.

    Args:
        values: Array (n, ...), sorted.
        positions: At most how many.

    Returns:
        Their positions, counted from one, and their values.

    Example:

    >>> import numpy as np
    >>> evenly_spaced(np.arange(10.0), 4)
    (array([ 1,  4,  7, 10]), array([0., 3., 6., 9.]))
    """
    count = min(len(values), positions)
    chosen = np.linspace(0, len(values) - 1, count).round().astype(int)
    return chosen + 1, values[chosen]


def _is_recorded(run):
    return tasks.ACTIVATIONS in run.records and (
        run.records[tasks.ACTIVATIONS].kind == "activation_rounds"
    )


def _scopes(run):
    """{scope: its layers}; empty where there are too few rounds to compare."""
    configurations = nta.exploration.Configurations(run, record=tasks.ACTIVATIONS)
    if configurations.rounds < 2:
        return {}
    return {"network": None, **{layer: layer for layer in configurations.layers}}


def _volumes(run):
    """{scope: (log-volume, rank) of each of its units, in the order of the units}."""
    configurations = nta.exploration.Configurations(run, record=tasks.ACTIVATIONS)
    found = nta.exploration.singular_values(configurations, rounds=ROUNDS)
    volume = nta.exploration.volumes(found, VALUES)
    rank = nta.exploration.ranks(found[:, :VALUES])
    units = configurations.layers
    ends = np.cumsum(list(units.values()))
    parts = {layer: slice(end - units[layer], end) for layer, end in zip(units, ends)}
    parts["network"] = slice(None)
    return {scope: (volume[part], rank[part]) for scope, part in parts.items()}


def _measured(run, scope, layers, volumes):
    """The tables of one scope."""
    configurations = nta.exploration.Configurations(run, layers, tasks.ACTIVATIONS)
    positions = NETWORK_POSITIONS if scope == "network" else LAYER_POSITIONS
    hamming = nta.exploration.minimum_hamming(configurations)
    switches = np.sort(nta.exploration.switches(configurations))[::-1]
    volume, rank = volumes
    order = np.argsort(-volume, kind="stable")
    at_point, some_switches = evenly_spaced(switches, positions)
    at_unit, some = evenly_spaced(order, positions)
    curves = {
        "minimum_hamming": {"epoch": configurations.epochs, "minimum_hamming": hamming},
        "switches": {"position": at_point, "switches": some_switches},
        "log_volume": {"position": at_unit, "log_volume": volume[some], "rank": rank[some]},
        "exploration": _totals(hamming, switches, volume, rank),
    }
    return {name: pd.DataFrame({"scope": scope, **table}) for name, table in curves.items()}


def _totals(hamming, switches, volume, rank):
    """One number a measure: summed over epochs, or averaged over data points or neurons."""
    rounds = len(hamming)
    taken = min(ROUNDS, rounds)
    return {
        "measure": ["minimum_hamming", "switches", "log_volume"],
        "total": [np.nansum(hamming), switches.mean(), volume.mean()],
        "count": [rounds - 1, len(switches), len(volume)],
        "rounds": [rounds, rounds, taken],
        "values": [np.nan, np.nan, min(VALUES, taken)],
        "floor": [np.nan, np.nan, nta.exploration.FLOOR],
        "rank": [np.nan, np.nan, rank.mean()],
    }
