"""Weights that a run keeps, and rounds that are replayed from them."""

import keras
import numpy as np
import pytest

import nta_tf as nta
from nta_tf.replaying import _replay_epoch
from tests.networks import dense_chain
from tests.recording import assert_same_record

EPOCHS = 3


def _model(seed=1):
    return dense_chain((6, 5, 4, 6), ("relu", "relu", "linear"), seed=seed, dtype="float32")


def _data():
    return np.random.default_rng(2).normal(size=(45, 6)).astype(np.float32)


def _train(recorders, directory=None, rate=0.05):
    model, x = _model(), _data()
    optimizer = nta.optimizers.get("sgd", rate)
    return nta.train(
        model,
        x,
        x,
        optimizer=optimizer,
        epochs=EPOCHS,
        batch_size=8,
        seed=7,
        recorders=recorders,
        directory=directory,
    )


def _recorders():
    return [
        nta.TaylorRounds(),
        nta.TaylorRounds(reduction="batch_mean", schedule="2 an epoch", dtype="float64"),
    ]


def _assert_same_records(one, other, names=("per_example", "batch_mean")):
    for name in names:
        assert one.records[name].arrays
        assert_same_record(one.records[name], other.records[name])


def test_replayed_records_are_those_of_the_training(tmp_path):
    live = _train([nta.WeightRounds("every step"), *_recorders()])
    kept = _train([nta.WeightRounds("every step")], tmp_path / "run")
    x = _data()
    nta.replay(kept, _model(seed=9), x, x, _recorders())  # the weights of the model do not count
    reopened = nta.Run.open(tmp_path / "run")
    _assert_same_records(live, reopened)
    assert reopened.config["records"] == live.config["records"]
    tables = [nta.regret(run, "dense_2", record="batch_mean") for run in (live, reopened)]
    assert tables[0].equals(tables[1])


@pytest.mark.slow
def test_training_resumes_after_a_record_was_added(tmp_path):
    x = _data()
    run = _train([nta.WeightRounds("every step")], tmp_path / "run")
    nta.replay(run, _model(), x, x, _recorders())
    again = _train([nta.WeightRounds("every step")], tmp_path / "run")
    assert again.status == "finished" and "per_example" in again.config["records"]


@pytest.mark.slow
def test_an_interrupted_replay_is_taken_up(tmp_path, monkeypatch):
    x, calls = _data(), []

    def failing(run, recorder, epoch, *rest):
        calls.append(epoch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        _replay_epoch(run, recorder, epoch, *rest)

    _train([nta.WeightRounds("every step")], tmp_path / "run")
    monkeypatch.setattr("nta_tf.replaying._replay_epoch", failing)
    with pytest.raises(KeyboardInterrupt):
        nta.replay(tmp_path / "run", _model(), x, x, _recorders())
    half = nta.Run.open(tmp_path / "run")
    assert half.records["per_example"].rounds.tolist() == [5, 0, 0]
    nta.replay(tmp_path / "run", _model(), x, x, _recorders())
    assert calls == [0, 1, 1, 2, 0, 1, 2]
    live = _train([nta.WeightRounds("every step"), *_recorders()])
    _assert_same_records(live, nta.Run.open(tmp_path / "run"))


def test_weights_are_those_before_the_step():
    run = _train([nta.WeightRounds("2 an epoch")])
    kept = run.records["weights"].read("variables/dense_1/kernel")
    assert kept.shape == (EPOCHS, 2, 6, 5)
    every = _train([nta.WeightRounds("every step")])
    all_kernels = every.records["weights"].read("variables/dense_1/kernel")
    np.testing.assert_array_equal(kept, all_kernels[:, [1, 4]])
    np.testing.assert_array_equal(all_kernels[0, 0], _model().get_layer("dense_1").kernel)


def test_a_run_that_diverged_is_replayed_up_to_its_last_whole_epoch():
    run = _train([nta.WeightRounds("every step")], rate=1e6)
    assert run.status == "diverged"
    x = _data()
    nta.replay(run, _model(), x, x, _recorders())
    assert run.records["per_example"].rounds.sum() == 5 * (run.epochs - 1)


@pytest.mark.slow
def test_cost_counts_rounds_and_bytes():
    run, x = _train([nta.WeightRounds("every step")]), _data()
    cost = nta.replay_cost(run, _model(), x, x, _recorders())
    assert cost["rounds"].tolist() == [5 * EPOCHS, 2 * EPOCHS]
    nta.replay(run, _model(), x, x, _recorders())
    for row in cost.itertuples():
        record = run.records[row.record]
        stored = sum(record.read(array).nbytes for array in record.arrays)
        assert row.bytes == stored and row.seconds > 0


def test_layers_without_names_of_their_own(tmp_path):
    def unnamed():
        layers = [keras.Input((6,)), keras.layers.Dense(5, "relu"), keras.layers.Dense(6)]
        return keras.Sequential(layers)

    x, first, second = _data(), unnamed(), unnamed()
    assert first.layers[1].name != second.layers[1].name
    run = nta.train(
        first,
        x,
        x,
        optimizer="sgd",
        epochs=2,
        batch_size=8,
        recorders=[
            nta.WeightRounds("every step"),
            nta.TaylorRounds([first.layers[1].name], name="live"),
        ],
    )
    nta.replay(run, second, x, x, [nta.TaylorRounds([second.layers[1].name], name="later")])
    live, later = run.records["live"], run.records["later"]
    for array in ("hessian", "gradient", "kernel"):
        ours = later.read(f"{second.layers[1].name}/{array}")
        np.testing.assert_array_equal(live.read(f"{first.layers[1].name}/{array}"), ours)


class TestWrongInput:
    def test_no_weights(self):
        x = _data()
        with pytest.raises(ValueError, match="no record 'weights'.*WeightRounds"):
            nta.replay(_train([]), _model(), x, x, _recorders())

    def test_steps_that_were_not_kept(self):
        run, x = _train([nta.WeightRounds("1 an epoch")]), _data()
        with pytest.raises(ValueError, match=r"asks for step 0 of epoch 1.*\[4\]"):
            nta.replay(run, _model(), x, x, [nta.TaylorRounds()])

    def test_other_data(self):
        run, x = _train([nta.WeightRounds("every step")]), _data() + 1
        with pytest.raises(ValueError, match="not those on which"):
            nta.replay(run, _model(), x, x, _recorders())

    def test_other_model(self):
        run, x = _train([nta.WeightRounds("every step")]), _data()
        other = dense_chain((6, 5, 6), ("relu", "linear"), seed=0, dtype="float32")
        with pytest.raises(ValueError, match="not built like the one"):
            nta.replay(run, other, x, x, _recorders())

    def test_another_record_of_that_name(self):
        run, x = _train([nta.WeightRounds("every step")]), _data()
        nta.replay(run, _model(), x, x, [nta.TaylorRounds(["dense_2"])])
        with pytest.raises(ValueError, match="another record 'per_example'"):
            nta.replay(run, _model(), x, x, [nta.TaylorRounds(["dense_3"])])
