"""The record of gradient norms: what it keeps, untouched training, resuming and replaying."""

import numpy as np
import pytest

import nta_tf as nta
from tests.networks import dense_chain
from tests.recording import KeepRounds, assert_same_trace

EPOCHS, BATCH = 3, 8


def _train(recorders, directory=None, optimizer="sgd", epochs=EPOCHS):
    model = dense_chain((12, 6, 5, 12), ("relu", "relu", "linear"), seed=3, dtype="float32")
    x = np.random.default_rng(4).normal(size=(50, 12)).astype(np.float32)
    run = nta.train(
        model,
        x,
        x,
        optimizer=nta.optimizers.get(optimizer, 0.05),
        epochs=epochs,
        batch_size=BATCH,
        seed=5,
        recorders=recorders,
        directory=directory,
    )
    return model, run


class _Small(nta.GradientNorms):
    """Takes several blocks for an epoch of six steps."""

    def rounds_at_once(self):
        return 4


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_recording_changes_nothing_of_training(optimizer):
    watched, alone = (_train(one, optimizer=optimizer) for one in ([nta.GradientNorms()], []))
    np.testing.assert_array_equal(watched[1].losses, alone[1].losses)
    for one, other in zip(watched[0].get_weights(), alone[0].get_weights()):
        np.testing.assert_array_equal(one, other)


def test_weights_after_an_epoch_are_those_of_training():
    model, run = _train([_Small(), KeepRounds("1 an epoch")])
    rate = float(np.float32(0.05))
    for layer in ("dense_1", "dense_3"):
        gradients = nta.recorders.GradientNormReader(run).layer(layer, EPOCHS)
        after = [gradients.after(epoch, rate) for epoch in range(EPOCHS)]
        np.testing.assert_array_equal(after[:-1], gradients.first_kernels[1:])
        last = model.get_layer(layer).kernel.numpy()
        np.testing.assert_allclose(after[-1], last, rtol=1e-6, atol=1e-7)
        # The gradients are those that training followed: their sum leads from epoch to epoch.
        moved = gradients.first_kernels[1] - gradients.first_kernels[0]
        np.testing.assert_allclose(-rate * gradients.sums[0], moved, atol=1e-6)


class _Interrupted(Exception):
    pass


class _Bomb(KeepRounds):
    """Ends the training in the middle of an epoch, as a kill would."""

    def record(self, rounds):
        if self._epoch == 1 and rounds.steps[-1] >= 4:
            raise _Interrupted


@pytest.mark.slow
def test_resumed_run_has_the_same_norms_bit_for_bit(tmp_path):
    _, whole = _train([_Small(), KeepRounds()], tmp_path / "whole")
    with pytest.raises(_Interrupted):
        _train([_Small(), _Bomb()], tmp_path / "killed")
    assert nta.Run.open(tmp_path / "killed").epochs == 1
    _, resumed = _train([_Small(), KeepRounds()], tmp_path / "killed")
    assert_same_trace(whole, resumed)
    assert resumed.records["gradient_norms"].rounds.tolist() == [6] * EPOCHS
    assert resumed.verify() == []


@pytest.mark.slow
def test_extended_run_has_the_same_norms(tmp_path):
    _train([_Small()], tmp_path / "run", epochs=1)
    _, extended = _train([_Small()], tmp_path / "run")
    assert_same_trace(extended, _train([_Small()])[1])


def test_replayed_norms_are_those_of_the_training():
    model, run = _train([nta.WeightRounds("every step"), nta.GradientNorms(), nta.TaylorRounds()])
    x = np.random.default_rng(4).normal(size=(50, 12)).astype(np.float32)
    nta.replay(run, model, x, x, [nta.GradientNorms(name="later")])
    for array in run.records["later"].arrays:
        live, later = (run.records[name].read(array) for name in ("gradient_norms", "later"))
        np.testing.assert_allclose(later, live, rtol=1e-6, atol=1e-9)
    tables = [nta.regret_bound(run, "dense_2", norms=name) for name in ("gradient_norms", "later")]
    np.testing.assert_allclose(tables[0]["bound"], tables[1]["bound"], rtol=1e-6)


def test_layers_may_be_chosen():
    _, run = _train([nta.GradientNorms("dense_2")], epochs=1)
    arrays = run.records["gradient_norms"].arrays
    assert {name.partition("/")[0] for name in arrays} == {"rounds", "dense_2"}
    assert arrays["dense_2/squared_norms"] == (6,) and arrays["dense_2/gradient"] == (6, 5)
