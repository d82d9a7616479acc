"""Tables are tidy, and what is wrong with a file is said in one sentence."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from reproduce.optimizers import Optimizer, of_table
from reproduce.results import load, runs, words
from reproduce.results.runs import ResultsError


def test_runs_are_found_at_any_depth(tmp_path, write):
    write(tmp_path / "autoencoder" / "linear", "adam_seed0", "adam", 0.01)
    write(tmp_path / "autoencoder" / "sigmoid", "sgd_seed1", "sgd", 1.0, seed=1)
    found = runs.find_runs(tmp_path)
    assert found["experiment"].tolist() == ["linear", "sigmoid"]
    assert found["task"].tolist() == ["autoencoder"] * 2
    assert of_table(found) == [Optimizer.of("adam", 0.01), Optimizer.of("sgd", 1.0)]
    assert found["variant"].tolist() == ["tensorflow_2016", "any"]
    assert found["seed"].tolist() == [0, 1]


def test_a_run_is_its_own_root(tmp_path, write):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    assert runs.find_runs(run)["run"].tolist() == [str(run)]


def test_nothing_inside_a_run_is_taken_for_a_run(tmp_path, write):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    (run / "trace.zarr").mkdir()
    (run / "trace.zarr" / "config.json").write_text("{}")
    assert len(runs.find_runs(tmp_path)) == 1


@pytest.mark.parametrize(
    "task, name, rate, label",
    [
        ("autoencoder", "adam", 0.01, "Adam"),
        ("convnet", "adam", 0.0002, "Adam"),
        ("autoencoder", "adam", 0.001, "Adam lr=0.001"),
        ("autoencoder", "rmsprop_keras", 0.001, "RMSProp (Keras 3)"),
        ("autoencoder", "sgd", 1, "SGD lr=1.0"),
    ],
)
def test_labels_are_those_of_the_paper(task, name, rate, label):
    assert words.label(Optimizer.of(name, rate), task) == label


def test_every_table_has_one_row_a_saved_row(tmp_path, write_set):
    root = write_set(tmp_path, seeds=(0, 1))
    losses, regret = load.read_losses(root), load.read_regret(root)
    exponents = load.read_exponents(root)
    assert len(losses) == 10 * 100
    assert len(regret) == 10 * 100 * 5 * 2
    assert len(exponents) == 10 * 5 * 2
    for table in (losses, regret, exponents):
        assert set(runs.IDENTITY) <= set(table.columns)
        assert set(table["seed"]) == {0, 1}
    assert (regret["radius"] == float("inf")).all()


@pytest.mark.parametrize(
    "name, read",
    [
        ("losses.csv", load.read_losses),
        ("regret.csv", load.read_regret),
        ("exponents.csv", load.read_exponents),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "empty", "binary", "column", "text"])
def test_a_missing_or_damaged_file_is_named_with_its_remedy(tmp_path, write, name, read, damage):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    write(tmp_path, "sgd_seed0", "sgd", 0.1)
    path = run / "results" / name
    number = {"losses.csv": "loss", "regret.csv": "regret", "exponents.csv": "exponent"}[name]
    table = pd.read_csv(path)
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_text("")
    elif damage == "binary":
        path.write_bytes(b"\x00\xff\xfe\x80" * 50)
    elif damage == "column":
        table.drop(columns=number).to_csv(path, index=False)
    else:
        table[number] = "many"
        table.to_csv(path, index=False)
    with pytest.raises(ResultsError) as error:
        read(tmp_path)
    assert str(path) in str(error.value)
    assert f"python -m reproduce solve {run}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["regret", "exponents"])
def test_what_no_run_was_solved_for_is_an_empty_table(tmp_path, write_set, name):
    for path in write_set(tmp_path).glob(f"*/results/{name}.csv"):
        path.unlink()
    table = getattr(load, f"read_{name}")(tmp_path)
    assert table.empty and {"optimizer", "scope", "radius"} <= set(table)


def test_regret_normalised_by_something_else_is_refused(tmp_path, write):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    path = run / "results" / "regret.csv"
    table = pd.read_csv(path)
    table["round"] *= 937
    table.to_csv(path, index=False)
    with pytest.raises(ResultsError, match="root of the round"):
        load.read_regret(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"task": "autoencoder"}', '{"optimizer": 3}'])
def test_a_foreign_config_is_refused(tmp_path, write, text):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    (run / "config.json").write_text(text)
    with pytest.raises(ResultsError, match="config.json does not describe a run"):
        runs.find_runs(tmp_path)


def test_an_absent_or_empty_directory_is_named(tmp_path):
    with pytest.raises(ResultsError, match="There is no directory"):
        runs.find_runs(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match="holds no run"):
        runs.find_runs(tmp_path)


def test_runs_of_two_protocols_are_not_mixed(tmp_path, write):
    write(tmp_path, "adam_seed0", "adam", 0.01)
    write(tmp_path, "adam_seed1", "adam", 0.01, seed=1, protocol={"output_activation": "linear"})
    with pytest.raises(ResultsError, match="share their protocol"):
        runs.require_one_protocol(runs.find_runs(tmp_path))


def test_runs_of_two_schedules_are_not_mixed(tmp_path, write):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    records = json.loads((run / "config.json").read_text())["records"]
    write(
        tmp_path,
        "sgd_seed0",
        "sgd",
        1.0,
        records={"figures": {**records["figures"], "schedule": "2 an epoch"}},
    )
    with pytest.raises(ResultsError, match="share their records"):
        runs.require_one_protocol(runs.find_runs(tmp_path))


def test_datasets_are_not_mixed(tmp_path, write_convnet, mnist):
    write_convnet(tmp_path, "adam_seed0", "adam", 0.0002)
    write_convnet(tmp_path, "sgd_seed0", "sgd", 0.1, data=mnist)
    with pytest.raises(ResultsError, match="share their data.*JPEG.*MNIST"):
        runs.require_one_protocol(runs.find_runs(tmp_path))


def test_runs_with_different_examples_a_round_are_not_mixed(tmp_path, write_convnet):
    write_convnet(tmp_path, "adam_seed0", "adam", 0.0002)
    records = json.loads((tmp_path / "adam_seed0/config.json").read_text())["records"]
    records["definition"]["examples"] = 16
    write_convnet(tmp_path, "sgd_seed0", "sgd", 0.1, records=records)
    with pytest.raises(ResultsError, match=r"share their records \(definition\).*8\).*16\)"):
        runs.require_one_protocol(runs.find_runs(tmp_path))


def test_partial_results_may_share_a_figure(tmp_path, write, write_convnet):
    write_convnet(tmp_path / "convnet", "adam_seed0", "adam", 0.0002)
    records = json.loads((tmp_path / "convnet/adam_seed0/config.json").read_text())["records"]
    for name in ("definition", "weights"):
        del records[name]
    write_convnet(tmp_path / "convnet", "sgd_seed0", "sgd", 0.1, records=records)
    # An option that is not named has its default.
    write(tmp_path / "autoencoder", "adam_seed0", "adam", 0.01)
    given = {"dtype_policy": None}
    write(tmp_path / "autoencoder", "sgd_seed0", "sgd", 1.0, protocol=given)
    runs.require_one_protocol(runs.find_runs(tmp_path))


def test_optional_columns_are_filled_in(tmp_path, write, write_convnet):
    write(tmp_path / "autoencoder", "adam_seed0", "adam", 0.01)
    write_convnet(tmp_path / "convnet", "adam_seed0", "adam", 0.0002)
    losses, regret = load.read_losses(tmp_path), load.read_regret(tmp_path)
    assert losses.groupby("task")["accuracy"].count().to_dict() == {
        "autoencoder": 0,
        "convnet": 100,
    }
    old = regret[regret["task"] == "autoencoder"]
    assert (old["network_loss"] == old["cumulative_loss"]).all()
    new = regret[(regret["task"] == "convnet") & (regret["record"] == "definition")]
    assert np.allclose(new["cumulative_loss"], 1.02 * new["network_loss"])


def test_a_run_that_was_trained_but_not_recorded_has_empty_tables(tmp_path, write_convnet):
    run = write_convnet(tmp_path, "adam_seed0", "adam", 0.0002)
    write_convnet(tmp_path, "sgd_seed0", "sgd", 0.1)
    (run / "results/regret.csv").write_text("record,reduction,scope,radius\n")
    regret = load.read_regret(tmp_path)
    assert of_table(regret) == [Optimizer.of("sgd", 0.1)]
    assert regret["round"].dtype == "int64"
    alone = load.read_regret(run)
    assert alone.empty and {"scope", "network_loss", "certified"} <= set(alone)


@pytest.mark.parametrize(
    "gap, status, certified",
    [
        (1e-3, "OPTIMAL", True),
        (9e-4, "ON_BALL", True),
        (9e-4, "RANK_DEFICIENT", True),
        (1.1e-3, "OPTIMAL", False),
        (9e-4, "MAX_ITERATIONS", False),
        (9e-4, "UNATTAINED", False),
        (float("nan"), "OPTIMAL", False),
    ],
)
def test_an_optimum_is_certified_by_its_gap_and_its_status(tmp_path, write, gap, status, certified):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    path = run / "results" / "regret.csv"
    table = pd.read_csv(path)
    table.assign(gap=gap * table["taylor_optimum"], status=status).to_csv(path, index=False)
    assert (load.read_regret(tmp_path)["certified"] == certified).all()


@pytest.mark.parametrize("share, certified", [(1e-4, True), (2e-4, False)])
def test_an_optimum_that_is_all_but_zero_is_certified(tmp_path, write, share, certified):
    run = write(tmp_path, "adam_seed0", "adam", 0.01)
    path = run / "results" / "regret.csv"
    table = pd.read_csv(path)
    zero = share * table["cumulative_loss"]
    table.assign(gap=zero, taylor_optimum=zero, status="OPTIMAL").to_csv(path, index=False)
    regret = load.read_regret(tmp_path)
    assert (regret["certified"] == certified).all()
    phrase = f"of {len(regret):,} are zero to within 1e-4 of the cumulative loss"
    assert (phrase in words.certificate(regret)) == certified


def test_the_same_run_twice_is_refused(tmp_path, write):
    write(tmp_path, "one", "adam", 0.01)
    write(tmp_path, "two", "adam", 0.01)
    with pytest.raises(ResultsError, match="one' and .*two' are both seed 0 of adam_0.01"):
        runs.require_one_protocol(runs.find_runs(tmp_path))


def test_drawing_does_not_import_tensorflow():
    code = (
        "import sys, reproduce.figures, reproduce.claims; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'nta_tf')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
