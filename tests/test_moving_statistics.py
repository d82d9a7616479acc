"""Statistics that training moves belong to a round as W^n does."""

import keras
import numpy as np
import pytest

import nta_tf as nta
from tests.recording import KeepRounds, assert_same_record

BATCH, EPOCHS = 8, 3


def _model(seed=0):
    initializer = keras.initializers.GlorotUniform(seed)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(5, name="hidden", kernel_initializer=initializer)(inputs)
    hidden = keras.layers.BatchNormalization(momentum=0.5, name="norm")(hidden)
    hidden = keras.layers.Dropout(0.2, seed=1)(keras.layers.ReLU(name="relu")(hidden))
    outputs = keras.layers.Dense(3, name="top", kernel_initializer=initializer)(hidden)
    return keras.Model(inputs, outputs)


def _data():
    generator = np.random.default_rng(2)
    x = generator.normal(2.0, 3.0, size=(24, 6)).astype(np.float32)
    return x, generator.integers(0, 3, 24)


def _recorders():
    return [
        nta.TaylorRounds(["hidden", "top"], schedule="2 an epoch"),
        nta.ActivationRounds(_data()[0], schedule="1 an epoch"),
    ]


def _train(recorders):
    model, (x, y) = _model(), _data()
    return nta.train(
        model,
        x,
        y,
        optimizer=nta.optimizers.get("sgd", 0.1),
        loss="cross_entropy",
        epochs=EPOCHS,
        batch_size=BATCH,
        recorders=recorders,
    )


@pytest.fixture(scope="module")
def live():
    keep = KeepRounds("2 an epoch")
    return _train([keep, nta.WeightRounds("2 an epoch"), *_recorders()]), keep


def test_what_moves_and_what_does_not():
    model = _model()
    paths = [variable.path for variable in nta.variables.moving_variables(model)]
    assert "norm/moving_mean" in paths and "norm/moving_variance" in paths
    assert not any("seed" in path for path in paths) and len(paths) == 8
    model.get_layer("norm").trainable = False
    frozen = [variable.path for variable in nta.variables.moving_variables(model)]
    assert not any(path.startswith("norm/") for path in frozen)


def test_recorded_losses_are_those_of_the_network_as_it_was(live):
    """Weights and statistics before the step, set by hand, in inference mode."""
    run, keep = live
    model = _model()
    expected = []
    for _, _, weights, inputs, targets, _ in keep.rounds:
        for variable in nta.variables.moving_variables(model):
            variable.assign(weights[variable.path])
        logits = model(inputs, training=False)
        expected.append(float(np.mean(nta.losses.cross_entropy(logits, targets))))
    np.testing.assert_allclose(run.records["per_example"].read_rounds("losses"), expected, 1e-5)
    first = keep.rounds[0][2]["norm/moving_mean"]
    assert len(keep.rounds) == 2 * EPOCHS and (first == first).all()


def test_statistics_are_those_before_the_step():
    keep = KeepRounds("every step")
    _train([keep])
    np.testing.assert_array_equal(keep.rounds[0][2]["norm/moving_mean"], np.zeros(5))
    weights, inputs = keep.rounds[0][2], keep.rounds[0][3]
    hidden = inputs @ weights["hidden/kernel"] + weights["hidden/bias"]
    np.testing.assert_allclose(
        keep.rounds[1][2]["norm/moving_mean"], 0.5 * hidden.mean(axis=0), rtol=1e-4
    )


@pytest.mark.slow
def test_replayed_records_are_those_of_the_training(live):
    run, _ = live
    kept = _train([nta.WeightRounds("2 an epoch")])
    nta.replay(kept, _model(seed=9), *_data(), _recorders())
    for name in ("per_example", "activations"):
        assert_same_record(run.records[name], kept.records[name])
    tables = [nta.regret(either, "hidden", checkpoints=1) for either in (run, kept)]
    assert tables[0].equals(tables[1])


def test_fit_gives_recorders_the_statistics_of_the_moment():
    x, y = _data()
    keep, model = KeepRounds("1 an epoch"), _model()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(
            model.get_layer("norm").moving_mean.numpy()
        )
    )
    rounds = nta.callbacks.RecordRounds(x[:8], y[:8], [keep], "cross_entropy")
    model.fit(x, y, BATCH, epochs=2, verbose=0, callbacks=[watch, rounds])
    kept = [weights["norm/moving_mean"] for _, _, weights, *_ in keep.rounds]
    np.testing.assert_array_equal(kept, seen[2::3])
