"""Which rectifier units are recorded, and what they are called."""

import math
import zlib

import numpy as np
import pandas as pd

from nta_tf.exploration.configurations import activation_record


def units(run_or_directory, layers=None, *, record="activations"):
    """Names of the units of a run's activation configurations.

    Args:
        run_or_directory: A run with a record of `nta.ActivationRounds`, or its directory.
        layers: Names of layers. Defaults to all.
        record: Name of the record.

    Returns:
        A `pandas.DataFrame` with a row a unit, in the order of `nta.exploration.log_volume`:
        `layer`, `position` (a tuple: row and column in an image, empty in a Dense layer on
        vectors) and `channel` (the neuron's number, the last component of the shape).

    Raises:
        ValueError: If the run has no such record or layers.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:256].reshape(256, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="rmsprop",
    ...                 epochs=2, batch_size=64, recorders=[nta.ActivationRounds(digits)])
    >>> nta.exploration.units(run, "dense_3").tail(1).values.tolist()
    [['dense_3', (), 19]]
    """
    _, config, layers = activation_record(run_or_directory, record, layers)
    tables = []
    for layer in layers:
        shape = config["layers"][layer]["shape"]
        chosen = chosen_units(layer, shape, config["units"], config["seed"])
        places = np.stack(np.unravel_index(chosen, shape), axis=1)
        tables.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "position": [tuple(place[:-1].tolist()) for place in places],
                    "channel": places[:, -1],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def chosen_units(layer, shape, count, seed):
    """Which units of a rectifier layer are recorded.

    Args:
        layer: Its name, so that layers do not share a choice.
        shape: Shape of its units.
        count: At most how many units are taken; None for all.
        seed: Seed of the recorder.

    Returns:
        NumPy array of sorted positions among the flattened units.

    Example:

    >>> import nta_tf as nta
    >>> nta.exploration.chosen_units("conv2d_1", (32, 32, 64), 10_000, seed=0).shape
    (10000,)
    """
    total = math.prod(shape)
    if count is None or count >= total:
        return np.arange(total)
    return draw(total, count, [seed, zlib.crc32(layer.encode())])


def draw(total, count, seed):
    """`count` of the numbers below `total`, each at most once, sorted."""
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))
