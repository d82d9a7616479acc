"""What the benchmark scripts share: medians, and tables whose last column is a ratio."""

import os
import platform
import statistics
import time

import pandas as pd


def median_seconds(function, repeats):
    """Median wall time of `function()`, which must return only when its work is done.

    Args:
        function: Called once unmeasured, then `repeats` times.
        repeats: Number of measured calls.

    Returns:
        Seconds.
    """
    function()
    return statistics.median(_seconds(function) for _ in range(repeats))


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def show(title, rows, seconds, reference):
    """Prints a table of timings with the ratio to a reference row as its last column.

    Args:
        title: What was measured.
        rows: List of dictionaries, each with a `what` and a column of seconds.
        seconds: Name of that column.
        reference: The `what` of the row to which the others are compared.
    """
    table = pd.DataFrame(rows)
    base = table.loc[table["what"] == reference, seconds].iloc[0]
    table[f"ratio to {reference}"] = table[seconds] / base
    print(f"\n{title}")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


def machine():
    """One line that says where the numbers were measured."""
    import keras
    import tensorflow as tf

    devices = [device.device_type for device in tf.config.list_physical_devices()]
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, devices {devices}, TensorFlow "
        f"{tf.__version__}, Keras {keras.__version__}"
    )
