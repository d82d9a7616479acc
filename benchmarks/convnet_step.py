"""Seconds of a step of the convnet in float32 and with bfloat16 products: prints JSON.

`pipeline` calls it in processes of its own, since TensorFlow decides on oneDNN when it is imported.
"""

import json
import time

import keras
import numpy as np

import nta_tf as nta

BATCH, STEPS = 128, 12


class Clock(keras.callbacks.Callback):
    """Notes when each step has ended."""

    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())


def step(policy):
    """Median seconds of a step of `model.fit`, and the loss after all of them."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(BATCH, 32, 32, 3)).astype(np.float32)
    y = rng.integers(10, size=BATCH)
    model, clock = nta.models.convnet(seed=0, dtype=policy), Clock()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    many = np.tile(x, (STEPS, 1, 1, 1)), np.tile(y, STEPS)
    model.fit(*many, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[clock])
    return float(np.median(np.diff(clock.times))), float(model.evaluate(x, y, verbose=0))


if __name__ == "__main__":
    policies = {"float32": "float32", "bfloat16 products": "mixed_bfloat16"}
    print(json.dumps({name: step(policy) for name, policy in policies.items()}))
