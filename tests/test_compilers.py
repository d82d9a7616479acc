"""jit_compile="auto": chosen by a rule, kept by the run, and changing nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf import compilers


@pytest.fixture
def train(sample, monkeypatch):
    monkeypatch.setattr(compilers, "_SHORT", 1)
    digits = sample.x[:128].reshape(128, 784)

    def call(model=None, **options):
        model = nta.models.autoencoder(seed=0) if model is None else model
        arguments = {"epochs": 1, "batch_size": 32, "optimizer": "adam", **options}
        return nta.train(model, digits, digits, **arguments)

    return call


def network(*layers):
    return keras.Sequential([keras.Input((784,)), *layers, keras.layers.Dense(784)])


def test_short_trainings_and_convolutions_stay_with_tensorflow():
    assert compilers.xla_is_faster(nta.models.autoencoder(), 5_000)
    assert not compilers.xla_is_faster(nta.models.autoencoder(), 4_999)
    assert not compilers.xla_is_faster(nta.models.convnet(), 100_000)


@pytest.mark.parametrize(
    "layer", [keras.layers.BatchNormalization(), keras.layers.EinsumDense("ab,bc->ac", 784)]
)
def test_layers_that_were_not_measured_stay_with_tensorflow(layer):
    assert compilers.xla_is_faster(network(keras.layers.ReLU()), 5_000)
    assert not compilers.xla_is_faster(network(layer), 5_000)


def test_low_precision_stays_with_tensorflow():
    model = nta.models.autoencoder()
    assert compilers.xla_is_faster(model, 5_000, "float32")
    assert not compilers.xla_is_faster(model, 5_000, "mixed_bfloat16")
    of_layers = network(keras.layers.Dense(30, dtype="mixed_bfloat16"))
    assert not compilers.xla_is_faster(of_layers, 5_000)


def test_going_on_keeps_the_compiler(train, tmp_path, monkeypatch):
    run = train(directory=tmp_path, epochs=1)
    assert run.config["jit_compile"] is True
    monkeypatch.setattr(compilers, "_SHORT", 10**9)
    longer = train(directory=tmp_path, epochs=2)
    assert longer.config["jit_compile"] is True and longer.epochs == 2
    np.testing.assert_array_equal(longer.losses, train(epochs=2, jit_compile=True).losses)
    assert train().config["jit_compile"] is False


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_recorders_change_nothing_with_xla_either(train, optimizer):
    alone = train(optimizer=optimizer)
    recorded = train(optimizer=optimizer, recorders=[nta.TaylorRounds(["dense_2", "dense_3"])])
    assert alone.config["jit_compile"] is recorded.config["jit_compile"] is True
    np.testing.assert_array_equal(alone.losses, recorded.losses)


def test_what_xla_cannot_compile_is_trained_without(train):
    @keras.saving.register_keras_serializable("tests")
    class Unknown(keras.layers.Layer):
        def call(self, x):
            return x + 0 * tf.strings.to_number(tf.strings.as_string(tf.stop_gradient(x[0, 0])))

    run = train(network(keras.layers.Dense(20, activation="relu"), Unknown()))
    assert run.config["jit_compile"] is False and run.status == "finished"
