"""Recorders inside `model.fit`: the same records as in `nta.train`, and the same training."""

import keras
import numpy as np
import pytest

import nta_tf as nta
from tests.networks import dense_chain
from tests.recording import assert_same_trace

BATCH, EPOCHS = 8, 4


def _model():
    return dense_chain((6, 5, 4, 6), ("relu", "relu", "linear"), seed=1, dtype="float32")


def _data(examples=BATCH):
    return np.random.default_rng(2).normal(size=(examples, 6)).astype(np.float32)


def _recorders():
    return [
        nta.TaylorRounds(dtype="float64", schedule="1 an epoch"),
        nta.TaylorRounds(reduction="batch_mean", form="gradient_tensors", schedule="1 an epoch"),
        nta.ActivationRounds(_data(20)),
    ]


def _fit(model, x, callbacks, epochs=EPOCHS, rate=0.05, **options):
    compiled = {"steps_per_execution": options.pop("steps_per_execution", 1)}
    if not model.compiled:
        model.compile(keras.optimizers.SGD(rate), "mse", **compiled)
    settings = {"batch_size": BATCH, "verbose": 0, "shuffle": False}
    return model.fit(x, x, epochs=epochs, callbacks=callbacks, **settings, **options)


def _rounds(recorders=None, directory=None):
    x = _data()
    return nta.callbacks.RecordRounds(x, x, recorders or _recorders(), "mse", directory)


def test_records_are_those_of_train_where_the_minibatch_is_the_same():
    x, in_fit = _data(), _rounds()
    _fit(_model(), x, [in_fit])
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "recorders": _recorders()}
    trained = nta.train(_model(), x, x, optimizer=nta.optimizers.get("sgd", 0.05), **settings)
    run = in_fit.run
    assert (run.status, run.epochs) == ("finished", EPOCHS)
    np.testing.assert_allclose(run.losses, trained.losses, rtol=1e-5)
    assert list(run.records) == list(trained.records)
    for name in run.records:
        assert run.records[name].arrays == trained.records[name].arrays
    for name in ("per_example", "activations"):
        one, other = run.records[name], trained.records[name]
        for array in one.arrays:  # the order of the examples within the minibatch differs
            np.testing.assert_allclose(
                one.read(array), other.read(array), rtol=1e-4, atol=1e-6, err_msg=array
            )
    for record in ("per_example", "batch_mean"):
        ours, theirs = (nta.regret(each, "dense_2", record=record) for each in (run, trained))
        np.testing.assert_allclose(ours["taylor_optimum"], theirs["taylor_optimum"], rtol=2e-3)
        np.testing.assert_allclose(ours["cumulative_loss"], theirs["cumulative_loss"], rtol=1e-5)
    assert np.isfinite(nta.exploration.switches(run)).all()


def test_the_training_is_not_changed():
    x, with_rounds, without = _data(40), _model(), _model()
    _fit(with_rounds, x, [_rounds()])
    _fit(without, x, [])
    for one, other in zip(with_rounds.get_weights(), without.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_a_round_has_the_weights_before_its_step():
    x, model = _data(40), _model()
    before = model.get_layer("dense_2").kernel.numpy()
    rounds = _rounds([nta.TaylorRounds(["dense_2"], schedule="every step")])
    _fit(model, x, [rounds], epochs=1)
    first = rounds.run.records["per_example"].read("dense_2/first_kernel", 0)
    np.testing.assert_array_equal(first, before)
    assert rounds.run.records["per_example"].rounds.tolist() == [5]
    assert np.isfinite(rounds.run.losses).all()


@pytest.mark.slow
def test_a_classifier_with_any_layers(sample):
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(4, 3, strides=2, name="conv"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, name="logits"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = sample.x[:64], sample.y[:64]
    recorders = [
        nta.TaylorRounds(["conv", "logits"], "batch_mean", "2 an epoch"),
        nta.ActivationRounds(x[:10], schedule="2 an epoch"),
    ]
    rounds = nta.callbacks.RecordRounds(x[:16], y[:16], recorders, "cross_entropy")
    model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[rounds])
    table = nta.regret(rounds.run, "logits", record="batch_mean", radius=None)
    assert table["round"].tolist() == [2, 4, 6]
    assert (table["gap"] <= 1e-3 * table["taylor_optimum"] + 1e-6).all()
    recorded = np.isfinite(rounds.run.losses)
    assert (recorded.sum(axis=1) == 2).all()
    assert (np.isfinite(rounds.run.read("accuracies")) == recorded).all()
    assert np.isfinite(nta.exploration.minimum_hamming(rounds.run)[1:]).all()


class _Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_an_interrupted_run_is_taken_up(tmp_path):
    x, whole, model = _data(40), _rounds(), _model()
    _fit(_model(), x, [whole])
    with pytest.raises(KeyboardInterrupt):
        _fit(model, x, [_rounds(directory=tmp_path / "run"), _Interrupt()])
    resumed = _rounds(directory=tmp_path / "run")
    with pytest.raises(ValueError, match="initial_epoch=2"):
        _fit(model, x, [resumed])
    _fit(model, x, [resumed], initial_epoch=2)
    assert resumed.run.status == "finished"
    assert_same_trace(whole.run, resumed.run)


@pytest.mark.slow
def test_early_stopping_ends_the_run():
    rounds, x = _rounds(), _data(40)
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=10.0)
    _fit(_model(), x, [rounds, stop])
    assert (rounds.run.status, rounds.run.epochs) == ("finished", 2)
    assert nta.regret(rounds.run, "dense_2", record="batch_mean")["round"].tolist() == [1, 2]


def test_divergence_is_recorded_and_fit_goes_on():
    rounds, x = _rounds(), _data(40)
    history = _fit(_model(), x, [rounds], rate=1e6)
    assert len(history.epoch) == EPOCHS
    assert rounds.run.status == "diverged"
    assert not np.isfinite(rounds.run.losses[-1]).all()


@pytest.mark.slow
def test_steps_that_fit_hides_are_refused():
    x = _data(40)
    with pytest.raises(ValueError, match="step 4 of an epoch.*steps_per_execution"):
        _fit(_model(), x, [_rounds()], steps_per_execution=5)
    seen = _rounds([nta.TaylorRounds(schedule="every 2 steps")])
    _fit(_model(), x[:32], [seen], steps_per_execution=2)
    assert seen.run.records["per_example"].rounds.tolist() == [2] * EPOCHS


def test_what_cannot_be_recorded_is_refused():
    def endless():
        while True:
            yield _data(), _data()

    model = _model()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(endless(), epochs=1, verbose=0, callbacks=[_rounds()])
    with pytest.raises(ValueError, match="Inputs of"):
        wrong = nta.callbacks.RecordRounds(_data()[:, :5], _data(), _recorders(), "mse")
        _fit(_model(), _data(), [wrong])
    kept = _rounds([nta.WeightRounds("1 an epoch")])
    x = _data()
    _fit(_model(), x, [kept])
    with pytest.raises(ValueError, match="model.fit"):
        nta.replay(kept.run, _model(), x, x, [nta.TaylorRounds(schedule="1 an epoch")])


@pytest.mark.parametrize("compiled", ["huber", "mae", keras.losses.Huber(0.1)])
def test_another_compiled_loss_is_refused(compiled):
    model, x = _model(), _data()
    model.compile("sgd", compiled)
    with pytest.raises(ValueError, match='compiled with loss=.*"mse"'):
        model.fit(x, x, BATCH, verbose=0, callbacks=[_rounds()])


@pytest.mark.parametrize("compiled", ["mse", keras.losses.MeanSquaredError(), None])
def test_the_same_loss_under_other_names_is_taken(compiled):
    model, x = _model(), _data()
    model.compile("sgd", compiled or (lambda y, f: nta.losses.mean_squared_error(f, y)))
    rounds = _rounds([nta.WeightRounds()])
    model.fit(x, x, BATCH, verbose=0, callbacks=[rounds])
    assert rounds.run.status == "finished"


def test_a_softmax_counted_twice_is_refused():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
    x, y = _data(), np.arange(len(_data())) % 3
    model.compile("sgd", "sparse_categorical_crossentropy")
    rounds = nta.callbacks.RecordRounds(x, y, [nta.WeightRounds()], "cross_entropy")
    with pytest.raises(ValueError, match="ends in a softmax.*logits"):
        model.fit(x, y, BATCH, verbose=0, callbacks=[rounds])
