"""Run by test_replicas in a process of its own: devices are made before TensorFlow starts."""

import sys

import keras
import numpy as np
import tensorflow as tf

(_processor,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(_processor, [tf.config.LogicalDeviceConfiguration()] * 2)

import nta_tf as nta

DIGITS = nta.data.load("sample").x[:256].reshape(256, 784)


def trained(strategy, optimizer, directory=None, epochs=2):
    with strategy.scope():
        model = nta.models.autoencoder(seed=0)
    return nta.train(
        model,
        DIGITS,
        DIGITS,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=64,
        recorders=[nta.TaylorRounds(["dense_3"])],
        directory=directory,
    )


def refused(build, batch_size, message):
    with mirrored.scope():
        model = build()
    try:
        nta.train(model, DIGITS, DIGITS, optimizer="adam", epochs=1, batch_size=batch_size)
    except ValueError as error:
        assert message in str(error), error
    else:
        raise AssertionError("it was trained")


def normalized():
    norm = keras.layers.BatchNormalization()
    return keras.Sequential([keras.Input((784,)), norm, keras.layers.Dense(784)])


mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert mirrored.num_replicas_in_sync == 2
for optimizer in ("adam", "sgd"):
    one = trained(tf.distribute.get_strategy(), optimizer)
    directory = f"{sys.argv[1]}/{optimizer}"
    trained(mirrored, optimizer, directory, epochs=1)
    two = trained(mirrored, optimizer, directory)  # taken up where it ended
    np.testing.assert_allclose(two.losses, one.losses, rtol=1e-6)
    columns = ["cumulative_loss", "taylor_optimum", "regret"]
    tables = [nta.regret(run, "dense_3")[columns] for run in (two, one)]
    np.testing.assert_allclose(*tables, atol=1e-5)
refused(lambda: nta.models.autoencoder(seed=0), 63, "2 replicas must share a minibatch equally")
refused(normalized, 64, "moving_mean")
print("agreed")
