"""Judging of small sets of results: rows of one claim, and runs that explore."""

import json

import numpy as np
import pandas as pd
import pytest

from reproduce import claims, paths
from reproduce.optimizers import Optimizer

_UNITS = {"dense_1": 100, "dense_2": 80}
# How much each optimizer explores: as the paper tells it.
_LEVELS = {
    "rmsprop": 4.0,
    "adam": 2.0,
    "sgd:1.0": 1.0,
    "sgd:0.1": 0.6,
    "sgd:0.01": 0.3,
}
_RATES = {"rmsprop": 0.001, "rmsprop_keras": 0.001, "adam": 0.01}
_TOTALS = "scope measure total count rounds values floor rank".split()


def _rows(root, number, part=None, record=None, **columns):
    table = claims.compare(root, [number])
    for name, value in {"part": part, "record": record, **columns}.items():
        if value is not None:
            table = table[table[name] == value]
    return table


@pytest.fixture(scope="session")
def committed():
    """The claims judged on the committed results."""
    return claims.compare(paths.traces())


@pytest.fixture
def rows():
    """Rows of one claim, of a part, a record, or whatever else a column says."""
    return _rows


@pytest.fixture
def only():
    """The one such row."""

    def _only(root, number, part=None, record=None, **columns):
        table = _rows(root, number, part, record, **columns)
        assert len(table) == 1, table[["part", "scale", "record", "ball", "verdict"]]
        return table.iloc[0]

    return _only


@pytest.fixture
def change():
    """Changes the saved table of a run in place."""

    def _change(run, edit, table="regret"):
        path = run / "results" / f"{table}.csv"
        frame = pd.read_csv(path)
        edit(frame)
        frame.to_csv(path, index=False)

    return _change


def explored(run, level, drop=None, volume=0.0, epochs=100, layers=_UNITS, points=4000):
    """Adds an activation record and its tables: all measures are multiples of `level`.

    Log-volumes fall from 200 by one a neuron, less 40 / level, and after neuron `drop` by
    twenty; `volume` is added to all of them.
    """
    config = json.loads((run / "config.json").read_text())
    shapes = {name: {"shape": [2 * units], "units": units} for name, units in layers.items()}
    record = {"kind": "activation_rounds", "schedule": "1 an epoch", "points": points}
    config["records"]["activations"] = record | {"units": 10_000, "seed": 0, "layers": shapes}
    (run / "config.json").write_text(json.dumps(config))
    tables = {"minimum_hamming": [], "switches": [], "log_volume": [], "exploration": []}
    scopes = {"network": sum(layers.values()), **layers}
    for factor, (scope, units) in enumerate(scopes.items(), start=1):
        hamming = np.full(epochs, 0.01 * level * factor)
        hamming[0] = np.nan
        switches = 0.01 * level * factor * np.linspace(1.5, 0.5, 101)
        position = np.linspace(1, units, min(units, 401)).round()
        volumes = 200.0 - position - 40 / level + volume
        if drop:
            volumes -= 19 * np.maximum(position - drop, 0)
        volumes = np.maximum(volumes, 50 * np.log(1e-3))
        frames = {
            "minimum_hamming": {"epoch": np.arange(1, epochs + 1), "minimum_hamming": hamming},
            "switches": {
                "position": np.linspace(1, points, 101).round(),
                "switches": switches,
            },
            "log_volume": {"position": position, "log_volume": volumes, "rank": 49},
            "exploration": {
                "measure": ["minimum_hamming", "switches", "log_volume"],
                "total": [np.nansum(hamming), switches.mean(), volumes.mean()],
                "count": [epochs - 1, points, units],
                "rounds": [epochs, epochs, min(epochs, 50)],
                "values": [np.nan, np.nan, min(epochs, 50)],
                "floor": [np.nan, np.nan, 1e-3],
                "rank": [np.nan, np.nan, 49.0],
            },
        }
        for name, frame in frames.items():
            tables[name].append(pd.DataFrame(frame).assign(scope=scope))
    for name, parts in tables.items():
        pd.concat(parts).to_csv(run / "results" / f"{name}.csv", index=False)
    return run


@pytest.fixture
def explore_set(write):
    """Writes a set of runs as the paper tells it; levels and other options may be replaced."""

    def _write(root, seeds=(0, 1, 2), levels=None, spread=0.02, **options):
        for text, level in {**_LEVELS, **(levels or {})}.items():
            name, _, rate = text.partition(":")
            rate = float(rate or _RATES[name])
            for seed in seeds:
                slug = f"{Optimizer.of(name, rate).slug}_seed{seed}"
                run = write(root, slug, name, rate, seed=seed, layers=["dense_3"])
                chosen = {"drop": 60, "volume": 10.0} if name == "adam" else {}
                turn = -1 if name == "sgd" else 1  # seeds that are lucky for one, not the other
                factor = 1 + turn * spread * (seed - 1)
                explored(run, level * factor, **{**chosen, **options.get(text, {})})
        return root

    return _write


@pytest.fixture
def write_convnet_seeds(write_convnet):
    """Writes three seeds of the convnet as the paper tells it; options may be replaced."""
    paper = {
        "rmsprop": {"optimizer": "rmsprop", "rate": 0.0005, "slope": 0.6},
        "adam": {"optimizer": "adam", "rate": 0.0002, "slope": 0.5},
        "sgd": {"optimizer": "sgd", "rate": 0.1, "slope": 0.75, "noise": 0.02},
    }

    def _write(root, seeds=(0, 1, 2), neurons=0, **changes):
        for name, options in paper.items():
            for seed in seeds:
                chosen = {"neurons": neurons if name == "rmsprop" else 0, "seed": seed}
                write_convnet(
                    root, f"{name}_seed{seed}", **{**chosen, **options, **changes.get(name, {})}
                )
        return root

    return _write
