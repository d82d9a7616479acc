"""Runs that go on: more epochs than planned, and the weights with which they ended."""

import keras
import numpy as np
import pytest

import nta_tf as nta
from tests.networks import dense_chain
from tests.recording import assert_same_trace


def _model(seed=3):
    return dense_chain((8, 6, 5, 8), ("relu", "relu", "linear"), seed=seed, dtype="float32")


def _data():
    return np.random.default_rng(4).normal(size=(40, 8)).astype(np.float32)


def _recorders(schedule="2 an epoch"):
    return [nta.TaylorRounds(schedule=schedule), nta.WeightRounds(schedule)]


def _later():
    return nta.TaylorRounds(["dense_2"], schedule="1 an epoch", name="later")


def _train(directory, epochs, recorders=None, optimizer=None, **options):
    model, x = _model(), _data()
    run = nta.train(
        model,
        x,
        x,
        optimizer=optimizer or nta.optimizers.get("adam", 0.01),
        epochs=epochs,
        batch_size=8,
        recorders=_recorders() if recorders is None else recorders,
        directory=directory,
        **options,
    )
    return model, run


@pytest.mark.slow
def test_an_extended_run_is_that_of_all_the_epochs(tmp_path):
    _train(tmp_path / "run", 2)
    x = _data()
    nta.replay(tmp_path / "run", _model(), x, x, [_later()])
    model, run = _train(tmp_path / "run", 5)
    whole_model, whole = _train(tmp_path / "whole", 5)
    assert (run.status, run.epochs, run.config["epochs"]) == ("finished", 5, 5)
    assert run.records["later"].done == 2  # what was replayed is still there, and can go on
    for added in (run, whole):
        nta.replay(added, _model(), x, x, [_later()])
    assert_same_trace(nta.Run.open(tmp_path / "run"), nta.Run.open(tmp_path / "whole"))
    for one, other in zip(model.get_weights(), whole_model.get_weights()):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_an_extension_that_was_killed_goes_on(tmp_path, monkeypatch):
    _train(tmp_path / "run", 2)
    monkeypatch.setattr("nta_tf.training._Loop.run", lambda *_: (_ for _ in ()).throw(KeyError))
    with pytest.raises(KeyError):
        _train(tmp_path / "run", 4)
    monkeypatch.undo()
    _, run = _train(tmp_path / "run", 4)
    assert (run.status, run.epochs) == ("finished", 4)
    assert_same_trace(run, _train(None, 4)[1])


def test_what_cannot_be_extended(tmp_path):
    _train(tmp_path / "run", 2, _recorders("6 log-spaced"))
    with pytest.raises(nta.RunDirectoryError, match=r"from 2 to 3.*6 log-spaced.*depends"):
        _train(tmp_path / "run", 3, _recorders("6 log-spaced"))
    with pytest.raises(nta.RunDirectoryError, match="epochs: 2 there, 1 here"):
        _train(tmp_path / "run", 1, _recorders("6 log-spaced"))
    with pytest.raises(nta.RunDirectoryError, match="epochs: 2 there.*seed: 0 there"):
        _train(tmp_path / "run", 3, _recorders("6 log-spaced"), seed=1)
    assert nta.Run.open(tmp_path / "run").config["epochs"] == 2


@pytest.mark.slow
def test_weights_of_a_run(tmp_path):
    model, run = _train(tmp_path / "run", 2)
    other = nta.Run.open(tmp_path / "run").load_weights(_model(seed=8))
    for one, two in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(one, two)
    assert run.load_weights(other) is other
    with pytest.raises(ValueError, match="keeps no checkpoint"):
        _train(None, 1)[1].load_weights(other)
    wrong = dense_chain((8, 3, 8), ("relu", "linear"), seed=0, dtype="float32")
    with pytest.raises(nta.RunDirectoryError, match="epoch_0002.*of another model"):
        run.load_weights(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 2.0**10])
def test_a_scaled_loss_trains_as_the_loss_itself(tmp_path, scale):
    def scaled():
        inner = nta.optimizers.get("sgd", 0.1)
        return keras.optimizers.LossScaleOptimizer(inner, initial_scale=scale)

    model, run = _train(tmp_path / "run", 1, optimizer=scaled())
    model, run = _train(tmp_path / "run", 3, optimizer=scaled())
    plain, expected = _train(None, 3, optimizer=nta.optimizers.get("sgd", 0.1))
    np.testing.assert_allclose(run.losses, expected.losses, rtol=1e-5)
    assert run.losses[-1, -1] < run.losses[0, 0]
    for one, other in zip(model.get_weights(), plain.get_weights()):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
