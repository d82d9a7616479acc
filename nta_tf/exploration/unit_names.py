"""What the recorded rectifier units are called."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from nta_tf.recorders.activations import ActivationReader
from nta_tf.trace import Run, as_run


def units(
    run_or_directory: Run | str | os.PathLike[str],
    layers: str | Sequence[str] | None = None,
    *,
    record: str = "activations",
) -> pd.DataFrame:
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
    recorded = ActivationReader(as_run(run_or_directory), record, layers)
    tables = []
    for layer, shape in recorded.shapes.items():
        places = np.stack(np.unravel_index(recorded.units(layer), shape), axis=1)
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
