"""Small trainings that the tests of any model share."""

import keras
import numpy as np

import nta_tf as nta
from tests.recording import assert_same_record

BATCH, EPOCHS, CLASSES, WIDTH = 6, 3, 3, 5
SCHEDULE = "2 an epoch"
layers = keras.layers


def data(examples=18):
    generator = np.random.default_rng(2)
    x = generator.normal(size=(examples, WIDTH)).astype(np.float32)
    return x, generator.integers(0, CLASSES, examples)


def seeded(model, seed=5):
    generator = np.random.default_rng(seed)
    model.set_weights([0.4 * generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def train(model, x, y=None, recorders=(), epochs=EPOCHS, **options):
    settings = {"optimizer": nta.optimizers.get("sgd", 0.2), "loss": "cross_entropy", **options}
    return nta.train(
        model, x, y, epochs=epochs, batch_size=BATCH, recorders=list(recorders), **settings
    )


def taylor(names=None, **options):
    return nta.TaylorRounds(names, schedule=SCHEDULE, **options)


def assert_replayed(make, x, y, recorders, training=None):
    """Trains with recorders, and again with weights alone; both must have the same records."""
    live = train(make(), x, y, recorders(), **(training or {}))
    kept = train(make(), x, y, [nta.WeightRounds(SCHEDULE)], **(training or {}))
    nta.replay(kept, make(), x, y, recorders())
    for recorder in recorders():
        assert_same_record(live.records[recorder.name], kept.records[recorder.name])
    return live


def plain(dtype=None, name=None):
    inputs = keras.Input((WIDTH,))
    hidden = layers.Dense(4, "relu", name="hidden", dtype=dtype)(inputs)
    outputs = layers.Dense(CLASSES, name="top", dtype=dtype)(hidden)
    return seeded(keras.Model(inputs, outputs, name=name))
