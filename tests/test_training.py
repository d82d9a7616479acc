"""The training loop: its arithmetic, its independence of recorders, killing and resuming."""

import errno
import gc
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

import nta_tf as nta
from tests.networks import dense_chain
from tests.recording import KeepRounds, assert_same_trace
from tests.variants import slow

EPOCHS, BATCH = 4, 8


def _model(dtype="float32"):
    return dense_chain((12, 6, 5, 12), ("relu", "relu", "linear"), seed=3, dtype=dtype)


def _data(examples=50):
    return np.random.default_rng(4).normal(size=(examples, 12)).astype(np.float32)


def _train(directory=None, optimizer="rmsprop", recorders=None, epochs=EPOCHS, **options):
    model, x = _model(), _data()
    if isinstance(optimizer, str):
        optimizer = nta.optimizers.get(optimizer, 0.01)
    run = nta.train(
        model,
        x,
        x,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=BATCH,
        seed=5,
        recorders=[nta.TaylorRounds()] if recorders is None else recorders,
        directory=directory,
        **options,
    )
    return model, run


def _assert_same(first, second):
    """Same weights and same trace, bit for bit."""
    for one, other in zip(first[0].get_weights(), second[0].get_weights()):
        np.testing.assert_array_equal(one, other)
    assert_same_trace(first[1], second[1])


@pytest.mark.parametrize(
    "optimizer",
    slow(["adam", "rmsprop", "sgd", "adam_keras", "rmsprop_keras"], "adam_keras", "rmsprop_keras"),
)
def test_every_step_is_that_of_a_plain_gradient_tape_loop(optimizer):
    model, run = _train(optimizer=optimizer)
    plain, x = _model(), tf.constant(_data())
    updater = nta.optimizers.get(optimizer, 0.01)
    for epoch in range(EPOCHS):
        order = nta.session.epoch_order(5, epoch, 50, BATCH)
        for step, examples in enumerate(order):
            batch = tf.gather(x, examples)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(plain(batch) - batch))
            updater.apply_gradients(
                zip(tape.gradient(loss, plain.trainable_variables), plain.trainable_variables)
            )
            assert run.losses[epoch, step] == pytest.approx(float(loss), rel=1e-5)
    for one, other in zip(model.get_weights(), plain.get_weights()):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_order_visits_every_example_once_and_depends_on_seed_and_epoch():
    order = nta.session.epoch_order(seed=1, epoch=2, examples=50, batch_size=8)
    assert order.shape == (6, 8) and len(np.unique(order)) == 48
    again = nta.session.epoch_order(seed=1, epoch=2, examples=50, batch_size=8)
    np.testing.assert_array_equal(order, again)
    for seed, epoch in ((1, 3), (2, 2)):
        other = nta.session.epoch_order(seed, epoch, 50, 8)
        assert (order != other).any()


@pytest.mark.parametrize("optimizer", slow(["adam", "rmsprop", "sgd"], "rmsprop", "sgd"))
def test_recording_never_changes_training(optimizer):
    recorders = [
        nta.TaylorRounds(),
        nta.TaylorRounds(reduction="batch_mean", schedule="every 3 steps"),
        KeepRounds("2 an epoch"),
    ]
    watched = _train(optimizer=optimizer, recorders=recorders)
    alone = _train(optimizer=optimizer, recorders=[])
    np.testing.assert_array_equal(watched[1].losses, alone[1].losses)
    for one, other in zip(watched[0].get_weights(), alone[0].get_weights()):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_recording_never_changes_the_paper_s_autoencoder(sample):
    digits = sample.x[:512].reshape(512, 784)
    weights = []
    for recorders in ([], [nta.TaylorRounds()]):
        model = nta.models.autoencoder(seed=0)
        nta.train(
            model,
            digits,
            digits,
            optimizer="adam",
            epochs=2,
            batch_size=64,
            recorders=recorders,
        )
        weights.append(model.get_weights())
    for one, other in zip(*weights):
        np.testing.assert_array_equal(one, other)


def test_snapshots_are_the_weights_before_the_step():
    keep = KeepRounds()
    _, run = _train(recorders=[keep])
    model, x = _model(), _data()
    first = keep.rounds[0]
    for variable in model.trainable_variables:
        np.testing.assert_array_equal(first[2][variable.path], variable.numpy())
    for epoch, step, weights, inputs, targets, loss in keep.rounds:
        for variable in model.trainable_variables:
            variable.assign(weights[variable.path])
        order = nta.session.epoch_order(5, epoch, 50, BATCH)
        np.testing.assert_array_equal(inputs, x[order[step]])
        np.testing.assert_array_equal(targets, inputs)
        expected = np.mean((model(inputs).numpy() - inputs) ** 2)
        assert loss == run.losses[epoch, step] == pytest.approx(expected, rel=1e-5)


def test_classifier_with_labels_learns(sample):
    inputs = keras.Input((28, 28, 1))
    hidden = keras.layers.Dense(10)(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, hidden)
    run = nta.train(
        model,
        sample.x[:640],
        sample.y[:640],
        optimizer=nta.optimizers.get("adam", 0.01),
        loss="cross_entropy",
        epochs=3,
        batch_size=64,
    )
    assert run.losses[-1].mean() < 0.5 * run.losses[0].mean()


@pytest.mark.slow
def test_xla_trains_alike():
    plain, compiled = (_train(jit_compile=jit)[1] for jit in (False, True))
    np.testing.assert_allclose(plain.losses, compiled.losses, rtol=1e-4)


class _Interrupted(Exception):
    pass


class _Bomb(KeepRounds):
    """Ends the process' training in the middle of an epoch, as a kill would."""

    def record(self, rounds):
        if self._epoch == 2:
            raise _Interrupted


@pytest.mark.parametrize(
    "optimizer",
    ["adam", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rmsprop", "sgd"))],
)
def test_interrupted_run_resumes_bit_for_bit(tmp_path, optimizer):
    whole = _train(optimizer=optimizer, directory=tmp_path / "whole")
    resumed = tmp_path / "resumed"
    names = {"recorders": [nta.TaylorRounds(), KeepRounds("1 an epoch")]}
    whole = _train(tmp_path / "with keep", optimizer, **names)
    with pytest.raises(_Interrupted):
        _train(resumed, optimizer, recorders=[nta.TaylorRounds(), _Bomb("1 an epoch")])
    assert nta.Run.open(resumed).epochs == 2
    again = _train(resumed, optimizer, **names)
    assert again[1].status == "finished"
    _assert_same(whole, again)


_SCRIPT = """
import sys
import tests.test_training as t
import nta_tf as nta
t._train(sys.argv[1], epochs=100, optimizer="adam")
"""


@pytest.mark.slow
def test_killed_process_resumes_bit_for_bit(tmp_path):
    directory = tmp_path / "killed"
    root = pathlib.Path(__file__).resolve().parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(directory)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        progress = directory / "progress.json"
        if progress.exists() and json.loads(progress.read_text())["epochs"] >= 3:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = nta.Run.open(directory).epochs
    assert 3 <= done < 100, "the process was not killed in the middle of its run"
    resumed = _train(directory, epochs=100, optimizer="adam")
    _assert_same(_train(epochs=100, optimizer="adam"), resumed)


@pytest.mark.slow
def test_a_training_that_has_ended_leaves_no_data_in_memory():
    """Keras's optimizers keep its graph for ever (ReplicaContext.all_reduce)."""
    x = np.random.default_rng(0).random((67, 784), np.float32)
    nta.train(nta.models.autoencoder(seed=0), x, x, optimizer="sgd", epochs=1, batch_size=20)
    gc.collect()
    graphs = [one for one in gc.get_objects() if isinstance(one, FuncGraph)]
    captured = [outer for graph in graphs for outer, _ in graph.captures]
    kept = {tuple(outer.shape) for outer in captured if hasattr(outer, "numpy")}
    assert captured and x.shape not in kept


@pytest.mark.slow
def test_finished_run_is_returned_with_its_weights(tmp_path):
    first = _train(tmp_path / "run")
    before = (tmp_path / "run" / "progress.json").stat().st_mtime_ns
    again = _train(tmp_path / "run")
    _assert_same(first, again)
    assert (tmp_path / "run" / "progress.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_in_memory_and_on_disk_are_the_same(tmp_path):
    _assert_same(_train(), _train(tmp_path / "run"))


def test_divergence_is_a_result(tmp_path):
    steep = nta.optimizers.get("sgd", 300.0)
    _, run = _train(tmp_path / "run", optimizer=steep, epochs=40)
    assert run.status == "diverged" and run.epochs < 40
    step = run.progress["diverged_step"] - 1
    losses = run.losses.reshape(-1)
    assert np.isfinite(losses[:step]).all() and not np.isfinite(losses[step])
    again = _train(tmp_path / "run", optimizer=nta.optimizers.get("sgd", 300.0), epochs=40)[1]
    assert again.progress == run.progress
    finished = run.records["per_example"].rounds > 0
    if finished.any():
        table = nta.regret(run, "dense_2", radius=math.inf)
        assert table["epoch"].max() < run.epochs


class TestDirectories:
    """What cannot be used is refused with one sentence and left as it was."""

    def test_foreign_directory(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("precious")
        with pytest.raises(nta.RunDirectoryError, match="not a run of nta_tf"):
            _train(tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]

    def test_left_by_a_kill_during_the_first_write(self, tmp_path):
        (tmp_path / ".config.json.0123").write_text("{")
        assert _train(tmp_path)[1].status == "finished"

    def test_foreign_json(self, tmp_path):
        (tmp_path / "config.json").write_text("[1, 2]")
        with pytest.raises(nta.RunDirectoryError, match="not a run of nta_tf"):
            _train(tmp_path)

    def test_other_settings(self, tmp_path):
        _train(tmp_path / "run")
        with pytest.raises(nta.RunDirectoryError, match="epochs: 4 there, 3 here"):
            _train(tmp_path / "run", epochs=3)

    def test_other_data(self, tmp_path):
        _train(tmp_path / "run")
        with pytest.raises(nta.RunDirectoryError, match="data: "):
            nta.train(
                _model(),
                _data() + 1,
                _data() + 1,
                epochs=EPOCHS,
                batch_size=BATCH,
                seed=5,
                optimizer=nta.optimizers.get("rmsprop", 0.01),
                recorders=[nta.TaylorRounds()],
                directory=tmp_path / "run",
            )

    @pytest.mark.parametrize(
        "damage", slow(["progress.json", "trace.zarr/losses/zarr.json"], "progress.json")
    )
    def test_damaged_run(self, tmp_path, damage):
        _train(tmp_path / "run")
        (tmp_path / "run" / damage).write_text("{")
        with pytest.raises(nta.RunDirectoryError, match="damaged run"):
            _train(tmp_path / "run")

    @pytest.mark.slow
    def test_missing_checkpoint(self, tmp_path):
        _, run = _train(tmp_path / "run")
        checkpoint = tmp_path / "run" / run.progress["checkpoint"]
        checkpoint.with_suffix(".index").unlink()
        with pytest.raises(nta.RunDirectoryError, match="checkpoint .*epoch_0004.* is damaged"):
            _train(tmp_path / "run")

    def test_unknown_schema(self, tmp_path):
        _train(tmp_path / "run")
        config = json.loads((tmp_path / "run" / "config.json").read_text())
        config["schema_version"] = 99
        (tmp_path / "run" / "config.json").write_text(json.dumps(config))
        with pytest.raises(nta.RunDirectoryError, match="schema version 99"):
            nta.Run.open(tmp_path / "run")

    def test_nothing_there(self, tmp_path):
        with pytest.raises(nta.RunDirectoryError, match="not a run"):
            nta.regret(tmp_path / "nowhere", "dense_3")

    def test_unwritable(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(nta.RunDirectoryError, match="Cannot write the run"):
            _train(tmp_path / "file" / "run")

    @pytest.mark.slow
    def test_full_disk(self, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("zarr.Array.__setitem__", full)
        with pytest.raises(nta.RunDirectoryError, match="No space left.*resumed"):
            _train(tmp_path / "run")
        monkeypatch.undo()
        _assert_same(_train(), _train(tmp_path / "run"))


class TestWrongInput:
    """Each wrong input ends in one sentence that names it and what would be right."""

    def _check(self, match, x=None, y=None, **options):
        x = _data() if x is None else x
        settings = {"optimizer": "sgd", "epochs": 1, "batch_size": 8, **options}
        with pytest.raises(ValueError, match=match):
            nta.train(_model(), x, x if y is None else y, **settings)

    def test_shapes(self):
        self._check(r"\(D, 12\).*\(50, 11\)", x=_data()[:, :11])
        self._check(r"\(50, 12\).*\(50, 5\)", y=np.ones((50, 5)))
        self._check("one target an example: 50.*49", y=_data()[:49])

    def test_values(self):
        self._check("NaN or infinite", x=np.full((50, 12), np.nan))
        self._check("NaN or infinite", y=np.full((50, 12), np.inf))
        self._check("between 0 and 11.*-1", y=np.full(50, -1), loss="cross_entropy")

    def test_settings(self):
        self._check("one of.*'no such loss'", loss="no such loss")
        self._check("at least one epoch.*epochs=0", epochs=0)
        self._check("between 1 and 50.*batch_size=51", batch_size=51)
        self._check("optimizer", optimizer="newton")

    def test_regularizers(self):
        inputs = keras.Input((12,))
        outputs = keras.layers.Dense(12, kernel_regularizer="l2")(inputs)
        with pytest.raises(ValueError, match="losses of its own"):
            nta.train(
                keras.Model(inputs, outputs),
                _data(),
                _data(),
                optimizer="sgd",
                epochs=1,
                batch_size=8,
            )

    def test_recorders_of_one_name(self):
        twice = [nta.TaylorRounds(), nta.TaylorRounds()]
        self._check("a name of its own.*per_example", recorders=twice)


@pytest.mark.slow
def test_full_blocks_resume_bit_for_bit(tmp_path, sample):
    """The paper's autoencoder, with enough rounds an epoch for the compiled full blocks."""
    digits = sample.x[: 35 * 64].reshape(-1, 784)

    def train(directory, keep):
        model = nta.models.autoencoder(seed=0)
        run = nta.train(
            model,
            digits,
            digits,
            optimizer=nta.optimizers.get("adam", 0.01),
            epochs=4,
            batch_size=64,
            recorders=[nta.TaylorRounds(), keep],
            directory=directory,
        )
        return model, run

    whole = train(tmp_path / "whole", KeepRounds("1 an epoch"))
    with pytest.raises(_Interrupted):
        train(tmp_path / "resumed", _Bomb("1 an epoch"))
    _assert_same(whole, train(tmp_path / "resumed", KeepRounds("1 an epoch")))


def test_a_softmax_before_the_cross_entropy_is_refused():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
    x, labels = np.ones((8, 4), np.float32), np.zeros(8, int)
    with pytest.raises(ValueError, match="ends in a softmax.*logits"):
        nta.train(model, x, labels, optimizer="sgd", loss="cross_entropy", epochs=1, batch_size=4)
