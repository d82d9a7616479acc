"""Regret and exploration while `fit` runs: numbers are those of the library on the run so far."""

import glob

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import nta_tf as nta
from tests.networks import dense_chain

BATCH, EPOCHS = 8, 4


def _model():
    return dense_chain((6, 5, 4, 6), ("relu", "relu", "linear"), seed=1, dtype="float32")


def _data(examples=24):
    return np.random.default_rng(2).normal(size=(examples, 6)).astype(np.float32)


def _fit(callbacks, epochs=EPOCHS, rate=0.05, model=None, **options):
    model, x = model or _model(), _data()
    if not model.compiled:
        model.compile(keras.optimizers.SGD(rate), "mse")
    settings = {"batch_size": BATCH, "verbose": 0, "shuffle": False, **options}
    return model.fit(x, x, epochs=epochs, callbacks=callbacks, **settings)


def _regret(scopes="dense_2", **options):
    x = _data(BATCH)
    return nta.callbacks.Regret(x, x, scopes, "mse", **options)


def _scalars(directory):
    """{name: {step: value}} of the event files below a directory."""
    found = {}
    for path in glob.glob(f"{directory}/**/events*", recursive=True):
        for record in tf.data.TFRecordDataset(path):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                number = float(tf.make_ndarray(value.tensor))
                found.setdefault(value.tag, {})[event.step] = number
    return found


def test_regret_is_that_of_the_run_so_far(tmp_path):
    watch = _regret(["dense_2", ("dense_3", [0, 2])], log_dir=tmp_path / "log", csv=tmp_path / "c")
    history = _fit([watch]).history
    assert watch.run.status == "finished"
    names = ["dense_2", "dense_3:0", "dense_3:2"]
    assert [key for key in history if key != "loss"] == [f"regret/{name}" for name in names]
    scalars, table = _scalars(tmp_path / "log"), pd.read_csv(tmp_path / "c")
    assert table["epoch"].tolist() == [1, 2, 3, 4]
    for name in names:
        last = nta.regret(watch.run, name).iloc[-1]  # the ball of the whole trajectory
        assert history[f"regret/{name}"][-1] == pytest.approx(last["regret"])
        for column in ("cumulative_loss", "taylor_optimum", "regret", "regret_over_sqrt_n", "gap"):
            values = table[f"{column}/{name}"].tolist()
            assert values[-1] == pytest.approx(last[column])
            assert list(scalars[f"{column}/{name}"].values()) == pytest.approx(values, rel=1e-6)
        assert history[f"regret/{name}"] == pytest.approx(table[f"regret/{name}"].tolist())


@pytest.mark.slow
def test_options_are_those_of_regret():
    watch = _regret("network", radius=0.3, solver="row_space", every=3)
    history = _fit([watch]).history
    assert len(history["regret/network"]) == 2  # after epochs 3 and 4
    table = nta.regret(watch.run, "network", radius=0.3, solver="row_space", checkpoints=1)
    assert history["regret/network"][-1] == pytest.approx(table["regret"].iloc[-1], rel=1e-5)


def test_callbacks_behind_it_see_its_numbers():
    stop = keras.callbacks.EarlyStopping("regret/dense_2", patience=0, min_delta=1e9, mode="min")
    watch = _regret()
    _fit([watch, stop])
    assert (watch.run.status, watch.run.epochs) == ("finished", 2)


def test_the_progress_bar_shows_it(capsys):
    _fit([_regret()], verbose=2)
    assert "regret/dense_2: " in capsys.readouterr().out


def test_exploration_is_that_of_the_run(tmp_path):
    x, measures = _data(), ["minimum_hamming", "switches", "log_volume"]
    watch = nta.callbacks.Exploration(x, measures, csv=tmp_path / "c", log_dir=tmp_path / "log")
    history = _fit([watch]).history
    run = watch.run
    np.testing.assert_array_equal(
        history["minimum_hamming"], nta.exploration.minimum_hamming(run)[1:]
    )
    assert history["switches"][-1] == nta.exploration.switches(run).mean()
    assert history["log_volume"][-1] == nta.exploration.log_volume(run).mean()
    table = pd.read_csv(tmp_path / "c")
    assert table["epoch"].tolist() == [2, 3, 4] and list(table) == ["epoch", *measures]
    assert set(_scalars(tmp_path / "log")) == set(measures)
    np.testing.assert_allclose(run.losses[:, -1], history["loss"], rtol=1e-6)


def test_measuring_does_not_change_the_training():
    models = _model(), _model()
    _fit([_regret(), nta.callbacks.Exploration(_data())], model=models[0])
    _fit([], model=models[1])
    for one, other in zip(*(model.get_weights() for model in models)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_an_interrupted_fit_goes_on(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def watch(name):
        csv = tmp_path / f"{name}.csv"
        return _regret(csv=csv, directory=tmp_path / name), csv

    model, (half, csv) = _model(), watch("run")
    with pytest.raises(KeyboardInterrupt):
        _fit([half, Interrupt()], model=model)
    half._unlock()
    _fit([watch("run")[0]], model=model, initial_epoch=2)
    whole, expected = watch("whole")
    _fit([whole])
    pd.testing.assert_frame_equal(pd.read_csv(csv), pd.read_csv(expected))


def test_divergence_ends_measuring_and_not_the_fit():
    watch, explore = _regret(), nta.callbacks.Exploration(_data())
    history = _fit([watch, explore], rate=1e6)
    assert len(history.epoch) == EPOCHS
    assert {watch.run.status, explore.run.status} == {"diverged"}


def test_figures():
    watch, explore = _regret(["dense_2", "dense_3:1"]), nta.callbacks.Exploration(_data())
    with pytest.raises(ValueError, match=r"Nothing is recorded yet.*model\.fit"):
        watch.figure()
    _fit([watch, explore])
    titles = [ax.get_title() for ax in watch.figure().axes]
    assert titles == ["", "dense_2", "dense_2", "dense_3:1", "dense_3:1"]
    labels = [ax.get_ylabel() for ax in explore.figure().axes]
    assert labels == ["training loss", "minimum Hamming distance", "switches", "log-volume"]


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="Measures are.*'volume'"):
        nta.callbacks.Exploration(_data(), "volume")
    with pytest.raises(ValueError, match="recorder= takes none.*points"):
        nta.callbacks.Exploration(_data(), recorder=nta.ActivationRounds(_data()), points=3)
    with pytest.raises(ValueError, match="every=0"):
        _regret(every=0)
    with pytest.raises(ValueError, match="at least one scope"):
        _regret([])
    with pytest.raises(ValueError, match="dense_9"):
        _fit([_regret("dense_9")])
