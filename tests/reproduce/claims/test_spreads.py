"""What is assumed of the convnet's seeds is no less than what the committed ones deviate by."""

import itertools

import numpy as np
import pytest

from reproduce import optimizers, paths
from reproduce.claims import spreads
from reproduce.results import load, runs

SEEDS = [0, 1, 2]


@pytest.fixture(scope="module")
def convnets():
    """Runs of the optimizers that were trained from three seeds."""
    found = runs.find_runs(paths.traces())
    found = found[(found["task"] == "convnet") & (found["experiment"] == "cifar10")]
    seeds = found.groupby(["optimizer", "learning_rate", "variant"])["seed"]
    return found[seeds.transform("nunique") == len(SEEDS)]


def deviation(numbers):
    """Pooled deviation over seeds of the differences of {optimizer: {seed: number}}."""
    squares, freedom = 0.0, 0
    for first, second in itertools.combinations(numbers.values(), 2):
        apart = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
        squares += np.var(apart) * len(apart)
        freedom += len(apart) - 1
    assert freedom >= 6
    return (squares / freedom) ** 0.5


def of_network(table, value):
    """Logarithms {optimizer: {seed: sum over the epochs}} of the network's exploration."""
    table = table[table["scope"] == "network"]
    numbers = {}
    for one in optimizers.of_table(table):
        totals = optimizers.rows(table, one).groupby("seed")[value].sum()
        assert totals.index.tolist() == SEEDS
        numbers[one] = np.log(totals).to_dict()
    return numbers


@pytest.mark.parametrize("measure", ["minimum_hamming", "switches"])
def test_of_exploration(convnets, measure):
    measured = deviation(of_network(load.read_exploration(convnets)[measure], measure))
    assert measured <= spreads.assumed(measure, "convnet") <= 2 * measured


def test_of_the_regret_of_layer_2(convnets):
    table = load.read_regret(convnets)
    table = table[(table["scope"] == "conv2d_2") & (table["epoch"] == 100)]
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
