"""Rounds that another framework or a file holds: as a run of ours, and as its table of regret."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from nta_tf import provenance, session
from nta_tf.recorders.gradient_tensors.given import (
    GivenLayer,
    GivenRecord,
    GivenRounds,
    as_floats,
    pairs,
)
from nta_tf.regret import regret
from nta_tf.scopes import NETWORK
from nta_tf.solvers import Solver
from nta_tf.trace import ArraySpecification, Run


def regret_from_arrays(
    outputs: Any,
    targets: Any,
    weights: Any,
    gradient_tensors: Any,
    scope: Any = None,
    *,
    loss: Any = "mse",
    reduction: str = "per_example",
    epochs: Any = None,
    network_losses: Any = None,
    layers: Mapping[str, keras.layers.Layer] | None = None,
    neuron_axis: int = -1,
    radius: float | Sequence[float | None] | None = None,
    progress: Callable[[list[Any]], Iterable[Any]] | None = None,
    checkpoints: int | None = None,
    solver: str | Solver = "auto",
    tolerance: float = 1e-3,
    comparator: str = "static",
) -> pd.DataFrame:
    """Regret (Theorem 2) of rounds that are given as arrays, wherever they were made.

    PyTorch, JAX or a program of one's own records outputs, weights and G_l (or J_l and x_{l-1})
    of its rounds; the solvers, balls, comparators and certificates are those of `nta.regret`, which
    this calls on `nta.run_from_arrays`. For several scopes make the run once and ask it.

    Args:
        outputs: f(W^n) of every example of N rounds, before any softmax: (N, B, p_L).
        targets: (N, B, p_L), or integer labels (N, B) for `"cross_entropy"`.
        weights: W^n at each round, (N, *kernel.shape); a dictionary of them by name for several
            layers.
        gradient_tensors: G of each round, (N, B, p_L, *kernel.shape), or its mean over the
            minibatch (N, p_L, *kernel.shape) for `"batch_mean"`; or the tuple (J, x) of its
            factors, (N, B, p_L, *preactivation.shape) and (N, B, ...); a dictionary like `weights`.
        scope: As for `nta.regret`. Defaults to the only layer, or to `"network"` for several.
        loss: A loss, as for `nta.train`.
        reduction: `"per_example"` or `"batch_mean"`.
        epochs: In which epoch each round was, (N,), counted from 1. By default each round is an
            epoch of its own, and can be a checkpoint.
        network_losses: The loss that training incurred at each round, (N,), where the arrays
            hold only some examples of a minibatch. Defaults to that of the outputs.
        layers: Keras layers that say what the factors of a convolution make,
            `{"conv": keras.layers.Conv2D(8, 3, padding="same")}`. Factors of layers that are not
            named are those of a Dense layer, G = J (x) x.
        neuron_axis: Axis of the kernel that counts neurons: -1 as in Keras and JAX, 0 as in
            PyTorch, whose kernels are (p_l, p_{l-1}).
        radius: As for `nta.regret`, as are `progress`, `checkpoints`, `solver`, `tolerance` and
            `comparator`.
        progress: Function that wraps the list of optima.
        checkpoints: At the end of how many epochs the optimum is found.
        solver: Solver of the optima.
        tolerance: Relative gap up to which an optimum counts as found.
        comparator: `"static"`, `"each_epoch"` or `"each_round"`.

    Returns:
        The `pandas.DataFrame` of `nta.regret`.

    Raises:
        ValueError: If arrays do not fit each other or the loss, or hold NaN or infinite numbers.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> rng = np.random.default_rng(0)
    >>> rounds, examples, classes, width = 6, 4, 3, 5
    >>> x = rng.normal(size=(rounds, examples, width))
    >>> w = rng.normal(size=(rounds, width, classes))  # a linear classifier, of which J is one
    >>> table = nta.regret_from_arrays(
    ...     x @ w, rng.integers(classes, size=(rounds, examples)), w,
    ...     (np.broadcast_to(np.eye(classes), (rounds, examples, classes, classes)), x),
    ...     loss="cross_entropy", checkpoints=2)
    >>> table["round"].tolist(), table["status"].tolist()
    ([3, 6], ['OPTIMAL', 'OPTIMAL'])
    """
    run = run_from_arrays(
        outputs,
        targets,
        weights,
        gradient_tensors,
        loss=loss,
        reduction=reduction,
        epochs=epochs,
        network_losses=network_losses,
        layers=layers,
        neuron_axis=neuron_axis,
    )
    if scope is None:
        names = run.records[reduction].config["layers"]
        scope = names[0] if len(names) == 1 else NETWORK
    return regret(
        run,
        scope,
        radius=radius,
        progress=progress,
        checkpoints=checkpoints,
        solver=solver,
        tolerance=tolerance,
        comparator=comparator,
    )


def run_from_arrays(
    outputs: Any,
    targets: Any,
    weights: Any,
    gradient_tensors: Any,
    *,
    loss: Any = "mse",
    reduction: str = "per_example",
    epochs: Any = None,
    network_losses: Any = None,
    layers: Mapping[str, keras.layers.Layer] | None = None,
    neuron_axis: int = -1,
    directory: str | os.PathLike[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Run:
    """A finished run with one record of Taylor rounds, made of arrays.

    It is what `nta.train` with `nta.TaylorRounds(form="gradient_tensors")` would have left:
    `nta.regret` takes it, with any of its scopes, and, where it has a directory, so does
    `python -m reproduce solve`.

    Args:
        outputs: As for `nta.regret_from_arrays`, as are all that are not named below.
        targets: Targets of every example.
        weights: W^n at each round.
        gradient_tensors: G, or its factors.
        loss: A loss, as for `nta.train`.
        reduction: `"per_example"` or `"batch_mean"`.
        epochs: In which epoch each round was.
        network_losses: The loss that training incurred.
        layers: Keras layers of factors.
        neuron_axis: Axis of the kernel that counts neurons.
        directory: Where the run is kept, or None to keep it in memory.
        metadata: JSON-ready dictionary to store in the run's config.

    Returns:
        A `nta.Run`, with a record that is called like the reduction.

    Raises:
        ValueError: If arrays do not fit each other or the loss, or hold NaN or infinite numbers.
        RunDirectoryError: If the directory holds something else or cannot be written.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> rng = np.random.default_rng(0)
    >>> x, w = rng.normal(size=(6, 4, 5)), rng.normal(size=(6, 5, 3))
    >>> g = np.broadcast_to(np.einsum("nbj,ka->nbkja", x, np.eye(3)), (6, 4, 3, 5, 3))
    >>> run = nta.run_from_arrays(x @ w, np.zeros((6, 4, 3)), {"top": w}, {"top": g},
    ...                           epochs=[1, 1, 2, 2, 3, 3])
    >>> nta.regret(run, ("top", [0, 2]), checkpoints=1)["scope"].tolist()
    ['top:0', 'top:2']
    """
    rounds = GivenRounds.of(outputs, targets, loss, reduction, epochs)
    layers = layers or {}
    given = [
        GivenLayer.of(name, kernel, tensors, rounds, layers.get(name), neuron_axis)
        for name, kernel, tensors in pairs(weights, gradient_tensors, layers)
    ]
    record = GivenRecord(rounds, given)
    measured = _measured(rounds, network_losses)
    arrays = {name: ArraySpecification((rounds.most,), "float64") for name in measured}
    with Run.writing(directory):
        run = Run.create(
            directory,
            _config(rounds, record, measured, metadata),
            arrays,
            {reduction: record.specifications()},
        )
        for epoch in range(run.epochs, rounds.epoch_count):
            places = rounds.epochs == epoch
            run.write(
                epoch, {name: _filled(v[places], rounds.most) for name, v in measured.items()}
            )
            run.records[reduction].write(epoch, record.row(epoch))
            run.commit(epochs=epoch + 1)
        run.commit(status="finished", final=True)
    return run


def _measured(rounds, network_losses):
    """What training measured at each round, (N,) each."""
    measured = {"losses": rounds.losses}
    if network_losses is not None:
        measured["losses"] = as_floats("network_losses", network_losses).astype(np.float64)
        if measured["losses"].shape != rounds.losses.shape:
            raise ValueError(
                f"There must be one network loss a round, shape {rounds.losses.shape}. Received: "
                f"shape {measured['losses'].shape}"
            )
    if "accuracies" in session.measurements(rounds.loss):
        right = rounds.outputs.argmax(axis=-1) == rounds.targets.argmax(axis=-1)
        measured["accuracies"] = right.mean(axis=1)
    return measured


def _config(rounds, record, measured, metadata):
    """The run's config: nothing is known of model and optimizer, and all arrays are its data."""
    arrays = [array for _, array in record.arrays()] + list(measured.values())
    return {
        "model": [],
        "optimizer": None,
        "loss": rounds.loss,
        "epochs": rounds.epoch_count,
        "steps_per_epoch": rounds.most,
        "batch_size": rounds.outputs.shape[1],
        "seed": None,
        "examples": None,
        "data": [provenance.fingerprint(array, array)[0] for array in arrays],
        "dtype_policy": None,
        "jit_compile": False,
        "records": {rounds.reduction: record.config()},
        "metadata": dict(metadata or {}),
        **provenance.circumstances(),
    }


def _filled(values, count):
    return np.pad(values.astype(np.float64), (0, count - len(values)), constant_values=np.nan)
