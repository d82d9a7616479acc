"""Run by test_replicas in a process of its own: devices are made before TensorFlow starts."""

import sys

import keras
import numpy as np
import tensorflow as tf

import nta_tf as nta


def main(directory):
    (processor,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, halves)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert mirrored.num_replicas_in_sync == 2
    digits = nta.data.load("sample").x[:256].reshape(256, 784)
    for optimizer in ("adam", "sgd"):
        compare(mirrored, digits, optimizer, f"{directory}/{optimizer}")
    with mirrored.scope():
        model, other = nta.models.autoencoder(seed=0), normalized()
    refused(model, digits, 63, "2 replicas must share a minibatch equally")
    refused(other, digits, 64, "moving_mean")
    print("agreed")


def compare(mirrored, digits, optimizer, directory):
    one = trained(tf.distribute.get_strategy(), digits, optimizer)
    trained(mirrored, digits, optimizer, directory, epochs=1)
    two = trained(mirrored, digits, optimizer, directory)  # taken up where it ended
    np.testing.assert_allclose(two.losses, one.losses, rtol=1e-6)
    columns = ["cumulative_loss", "taylor_optimum", "regret"]
    tables = [nta.regret(run, "dense_3")[columns] for run in (two, one)]
    np.testing.assert_allclose(*tables, atol=1e-5)


def trained(strategy, digits, optimizer, directory=None, epochs=2):
    with strategy.scope():
        model = nta.models.autoencoder(seed=0)
    return nta.train(
        model,
        digits,
        digits,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=64,
        recorders=[nta.TaylorRounds(["dense_3"])],
        directory=directory,
    )


def refused(model, digits, batch_size, message):
    try:
        nta.train(model, digits, digits, optimizer="adam", epochs=1, batch_size=batch_size)
    except ValueError as error:
        assert message in str(error), error
    else:
        raise AssertionError("it was trained")


def normalized():
    norm = keras.layers.BatchNormalization()
    return keras.Sequential([keras.Input((784,)), norm, keras.layers.Dense(784)])


if __name__ == "__main__":
    main(sys.argv[1])
