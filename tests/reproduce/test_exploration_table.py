"""The table of exploration has every experiment, layer and optimizer, whose identity is columns."""

import pandas as pd
import pytest

from reproduce import paths
from reproduce.optimizers import COLUMNS
from reproduce.results import exploration_table
from tests.reproduce.explored import set_writer


@pytest.fixture
def explore_set(write):
    """Writes the paper's five optimizers, three seeds each."""
    return set_writer(write)


def test_the_table_has_a_row_for_each_layer_and_optimizer(tmp_path, explore_set):
    totals = exploration_table.of_directory(explore_set(tmp_path / "runs"))
    csv, text = exploration_table.write(totals, tmp_path / "out")
    table = pd.read_csv(csv)
    assert len(table) == 5 * 3 * 3 and set(COLUMNS) <= set(table.columns)
    rows = text.read_text().splitlines()
    assert len(rows) == 2 + 5 * 3
    assert (
        "| network | RMSProp | 3 | 3.9600 [3.7633, 4.1567] | 0.0400 [0.0380, 0.0420] |" in rows[2]
    )


def test_the_committed_table_has_both_tasks_and_both_variants():
    table = pd.read_csv(paths.figures() / "exploration.csv")
    assert set(table["task"]) == {"autoencoder", "convnet"}
    assert set(table["variant"]) == {"tensorflow_2016", "keras_3", "any"}
    text = (paths.figures() / "exploration.md").read_text()
    assert "RMSProp (Keras 3)" in text


def test_without_exploration_there_is_no_table(tmp_path, write):
    root = write(tmp_path / "runs", "adam_seed0", "adam", 0.01, layers=["dense_3"])
    assert exploration_table.of_directory(root).empty
    assert exploration_table.write(exploration_table.of_directory(root), tmp_path / "out") == []
