"""What is assumed of the convnet's seeds is no less than what the committed ones deviate by."""

import itertools

import numpy as np
import pytest

from reproduce import optimizers, paths
from reproduce.claims import spreads
from reproduce.results import load, runs

EXPERIMENTS = ["cifar10", "cifar10_30_epochs"]
LAST = 30


@pytest.fixture(scope="module")
def convnets():
    found = runs.find_runs(paths.traces())
    return found[(found["task"] == "convnet") & found["experiment"].isin(EXPERIMENTS)]


def deviation(numbers):
    """Pooled deviation over seeds of the differences of {optimizer: {seed: number}}."""
    squares, freedom = 0.0, 0
    for first, second in itertools.combinations(numbers.values(), 2):
        apart = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
        squares += np.var(apart) * len(apart)
        freedom += len(apart) - 1
    assert freedom >= 6
    return (squares / freedom) ** 0.5


def test_of_hamming_distances(convnets):
    table = load.read_exploration(convnets)["minimum_hamming"]
    table = table[(table["scope"] == "network") & (table["epoch"] <= LAST)]
    numbers = {}
    for one in optimizers.of_table(table[table["experiment"] == EXPERIMENTS[1]]):
        totals = optimizers.rows(table, one).groupby("seed")["minimum_hamming"].sum()
        assert totals.index.tolist() == [0, 1, 2]
        numbers[one] = np.log(totals).to_dict()
    measured = deviation(numbers)
    assert measured <= spreads.assumed("minimum_hamming", "convnet") <= 2 * measured


def test_of_the_regret_of_layer_2(convnets):
    table = load.read_regret(convnets[convnets["experiment"] == EXPERIMENTS[1]])
    table = table[(table["scope"] == "conv2d_2") & (table["epoch"] == LAST)]
    table = table[(table["record"] == "figures") & np.isfinite(table["radius"])]
    numbers = {
        one: np.log(optimizers.rows(table, one).set_index("seed")["regret"]).to_dict()
        for one in optimizers.of_table(table)
    }
    measured = deviation(numbers)
    assert measured <= spreads.assumed("regret", "convnet") <= 2 * measured


def test_other_tasks_keep_the_plausible_sizes():
    assert spreads.assumed("minimum_hamming", "autoencoder") == 0.25
    assert spreads.of_share(0.3, "convnet") > spreads.of_share(0.3, "autoencoder")
