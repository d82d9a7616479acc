"""What makes a run, in words that another machine can compare with its own."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform

import keras
import numpy as np
import tensorflow as tf

from nta_tf._types import Config
from nta_tf._version import __version__

_PACKAGES = ("tensorflow", "keras", "numpy", "zarr")


def model_config(model: keras.Model) -> list[Config]:
    """What the model is, without the names that Keras counts up in a process."""
    return [
        {**_layer_config(layer), "weights": [[list(w.shape), w.dtype] for w in layer.weights]}
        for layer in model.layers
    ]


def optimizer_config(optimizer: keras.optimizers.Optimizer) -> Config:
    """What the optimizer is, without its name, or that of one inside it."""
    return _without_names(keras.optimizers.serialize(optimizer))


def _layer_config(layer):
    if isinstance(layer, keras.Model):  # its own config names symbolic tensors, counted up too
        return {"class_name": type(layer).__name__, "config": {"layers": model_config(layer)}}
    try:
        return _without_name(keras.layers.serialize(layer))
    except (NotImplementedError, TypeError):  # a layer of the user's own that has no config
        return {"class_name": type(layer).__name__, "config": {}}


def _without_name(serialized):
    config = {k: v for k, v in serialized["config"].items() if k != "name"}
    return {"class_name": serialized["class_name"], "config": config}


def _without_names(serialized):
    if not isinstance(serialized, dict) or "class_name" not in serialized:
        return serialized
    optimizer = _without_name(serialized)
    config = {key: _without_names(value) for key, value in optimizer["config"].items()}
    return {**optimizer, "config": config}


def fingerprint(inputs: np.ndarray, targets: np.ndarray) -> list[str]:
    """SHA-256 of the data, so that a run is never resumed on other data."""
    arrays = [inputs] if targets is inputs else [inputs, targets]
    return [hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() for array in arrays]


def circumstances() -> Config:
    """Versions and machine: recorded, but free to differ when a run is resumed."""
    versions = {"python": platform.python_version(), "nta_tf": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a source folder
            versions[package] = "unknown"
    return {
        "versions": versions,
        "environment": {
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "devices": [d.name for d in tf.config.list_physical_devices()],
            "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        },
    }
