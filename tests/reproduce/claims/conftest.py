"""Judging of small sets of results: rows of one claim, and runs that explore."""

import pandas as pd
import pytest

from reproduce import claims, paths
from tests.reproduce.explored import set_writer


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


@pytest.fixture
def three(write):
    """Writes the three methods on the autoencoder as the paper tells it, Figure 4's layer alone."""
    paper = {
        "adam": {"rate": 0.01, "final": 0.015, "slope": 0.003},
        "rmsprop": {"rate": 0.001, "final": 0.018, "slope": 0.004},
        "sgd": {"rate": 1.0, "final": 0.03, "slope": 0.006},
    }

    def _write(root, seeds=(0, 1, 2), **changes):
        for name, options in paper.items():
            for seed in seeds:
                chosen = {**options, "layers": ["dense_6"], **changes.get(name, {})}
                write(root, f"{name}_seed{seed}", name, seed=seed, **chosen)
        return root

    return _write


@pytest.fixture
def explore_set(write):
    """Writes runs of the paper's five optimizers that explore, three seeds each."""
    return set_writer(write)


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
