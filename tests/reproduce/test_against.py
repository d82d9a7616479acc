"""Two sets of results side by side: what is the same, what differs, and a planted error."""

import numpy as np
import pandas as pd
import pytest

from reproduce.cli import main
from reproduce.results import against, exchange
from reproduce.results.runs import ResultsError, find_runs


def _quantities(rng, shift=0.0, seeds=5):
    rows = [
        {
            "quantity": quantity,
            "scope": "dense_3",
            "comparator": "static",
            "reduction": "batch_mean",
            "optimizer": "adam",
            "learning_rate": 0.01,
            "variant": "tensorflow_2016",
            "seed": seed,
            "value": value,
        }
        for quantity, mean in {"training loss": 0.02, "regret / sqrt(N)": 3.0}.items()
        for seed, value in enumerate(mean * (1 + shift + 0.05 * rng.normal(size=seeds)))
    ]
    return pd.DataFrame(rows)


def test_other_seeds_are_the_same_and_a_planted_error_differs():
    rng = np.random.default_rng(1)  # one of twenty seeds differs by chance
    ours = _quantities(rng)
    assert set(against.compare(ours, ours)["verdict"]) == {against.IDENTICAL}
    assert set(against.compare(ours, _quantities(rng))["verdict"]) == {against.SAME}
    planted = against.compare(ours, _quantities(rng, shift=0.5))
    assert set(planted["verdict"]) == {against.DIFFERS}
    assert (planted["difference"] > 3).all()


def test_one_seed_each_says_so(rng):
    table = against.compare(_quantities(rng, seeds=1), _quantities(rng, seeds=1))
    assert set(table["verdict"]) == {against.OPEN}


@pytest.mark.slow  # many sets, drawn by chance
def test_same_means_are_seldom_called_different(rng):
    wrong = sum(
        against.DIFFERS in set(against.compare(_quantities(rng), _quantities(rng))["verdict"])
        for _ in range(400)
    )
    assert wrong <= 0.15 * 400  # two quantities, each a family at 5%


def test_a_port_writes_three_files(write_set, tmp_path, capsys):
    root = write_set(tmp_path / "runs", seeds=(0, 1, 2))
    tables = exchange.of_runs(find_runs(root))
    exchange.write(tables, tmp_path / "port")
    arguments = ["compare", "--runs", str(root), "--against", str(tmp_path / "port")]
    assert main(arguments) == 0
    assert "identical" in capsys.readouterr().out
    table = pd.read_csv(root / "figures/against.csv")
    assert set(table["verdict"]) == {"identical"} and len(table) > 20
    wrong = tables["regret"].assign(regret=-tables["regret"]["regret"])
    generator = np.random.default_rng(0)
    wrong["regret"] *= 1 + 0.01 * generator.normal(size=len(wrong))
    exchange.write({**tables, "regret": wrong}, tmp_path / "port")
    assert main(arguments) == 0
    table = pd.read_csv(root / "figures/against.csv").set_index("quantity")["verdict"]
    assert set(table["training loss"]) == {"identical"}
    assert "differs" in set(table["regret / sqrt(N)"])


def test_a_file_without_a_column_is_refused(tmp_path):
    pd.DataFrame({"optimizer": ["adam"]}).to_csv(tmp_path / "losses.csv", index=False)
    with pytest.raises(ResultsError, match="losses.csv cannot be read.*learning_rate"):
        exchange.read(tmp_path)
