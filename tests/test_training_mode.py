"""Rounds in training mode: the masks that dropout drew in the step, live, replayed, resumed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from tests.any_model import (
    BATCH,
    CLASSES,
    EPOCHS,
    SCHEDULE,
    WIDTH,
    assert_replayed,
    data,
    layers,
    plain,
    seeded,
    taylor,
    train,
)
from tests.recording import KeepRounds, assert_same_trace
from tests.variants import slow


def _dropout(kind):
    def make():
        inputs = keras.Input((WIDTH,))
        hidden = layers.Dense(8, "relu", name="hidden")(inputs)
        if kind == "twice":
            drop = layers.Dropout(0.4, seed=3)
            hidden = drop(layers.Dense(8, "relu", name="more")(drop(hidden)))
        elif kind == "nested":
            inner = keras.Input((8,))
            hidden = keras.Model(inner, layers.Dropout(0.5, seed=4)(inner))(hidden)
        elif kind == "attention":
            hidden = layers.Reshape((2, 4))(hidden)
            attend = layers.MultiHeadAttention(2, 2, dropout=0.3, seed=7, name="attend")
            hidden = layers.Flatten()(attend(hidden, hidden))
        else:
            hidden = kind(seed=1)(layers.Dropout(0.2, seed=2)(hidden))
        return seeded(keras.Model(inputs, layers.Dense(CLASSES, name="top")(hidden)))

    return make


KINDS = {
    "dropout": _dropout(lambda seed: layers.Dropout(0.5, seed=seed)),
    "noise": _dropout(lambda seed: layers.GaussianNoise(0.5, seed=seed)),
    "twice": _dropout("twice"),
    "nested": _dropout("nested"),
    "attention": _dropout("attention"),
}


class TestTrainingMode:
    @pytest.mark.parametrize("kind", slow(KINDS, "noise", "twice", "nested", "attention"))
    def test_rounds_have_the_masks_of_their_step(self, kind):
        """The loss of the round is that of the step, to the last digits of float32."""
        make = KINDS[kind]
        run = train(make(), *data(), [taylor(["hidden", "top"], training_mode=True)])
        record = run.records["per_example"]
        steps = nta.schedules.get(SCHEDULE).steps(0, 3, EPOCHS)
        np.testing.assert_allclose(record.read("losses"), run.losses[:, steps], rtol=1e-5)
        inference = train(make(), *data(), [taylor(["hidden"])]).records["per_example"]
        assert np.abs(inference.read("losses") / run.losses[:, steps] - 1).max() > 1e-2

    def test_g_is_that_of_the_masked_network(self):
        keep, model = KeepRounds(SCHEDULE), KINDS["dropout"]()
        run = train(model, *data(), [keep, taylor(["hidden"], training_mode=True)])
        record = run.records["per_example"]
        _, _, weights, inputs, *_ = keep.rounds[-1]
        variables = nta.variables.recorded_variables(model)
        mapping = [(variables[name], tf.constant(value)) for name, value in weights.items()]
        kernel = tf.constant(weights["hidden/kernel"])
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            mapping = [(v, kernel if v.path == "hidden/kernel" else w) for v, w in mapping]
            with keras.StatelessScope(mapping):
                outputs = model(inputs, training=True)
        expected = tape.jacobian(outputs, kernel)
        reader = nta.recorders.taylor_reader(run)
        np.testing.assert_allclose(record.read_rounds("outputs")[-1], outputs, rtol=1e-5, atol=1e-6)
        problem = next(reader.problems(nta.scopes.parse("hidden"))).problem
        move = np.random.default_rng(0).normal(size=kernel.shape)
        moved = problem.linear_map.forward(move)[-BATCH:]
        np.testing.assert_allclose(moved, np.einsum("bkja,ja->bk", expected, move), atol=1e-5)

    @pytest.mark.slow
    def test_a_replay_sees_the_same(self):
        run = assert_replayed(
            KINDS["dropout"], *data(), lambda: [taylor(["hidden"], training_mode=True)]
        )
        table = nta.regret(run, "hidden", checkpoints=1, solver="row_space")
        np.testing.assert_allclose(table["network_loss"], table["cumulative_loss"], rtol=1e-5)

    def test_a_run_that_goes_on_draws_on(self, tmp_path):
        for epochs in (2, 4):
            model = KINDS["dropout"]()
            run = train(model, *data(), epochs=epochs, directory=tmp_path / "run")
        whole_model = KINDS["dropout"]()
        assert_same_trace(run, train(whole_model, *data(), epochs=4))
        for one, other in zip(model.get_weights(), whole_model.get_weights()):
            np.testing.assert_array_equal(one, other)

    def test_what_mixes_examples_is_named(self):
        inputs = keras.Input((WIDTH,))
        hidden = layers.BatchNormalization(name="norm")(layers.Dense(4, name="hidden")(inputs))
        model = keras.Model(inputs, layers.Dense(CLASSES, name="top")(hidden))
        with pytest.raises(ValueError, match="norm/moving_mean.*mix the examples"):
            train(model, *data(), [taylor(["top"], training_mode=True)])
        with pytest.raises(ValueError, match="all examples.*examples=2"):
            train(plain(), *data(), [taylor(["top"], training_mode=True, examples=2)])
