"""The whole experiment: train each optimizer, find the optima, write the three files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import nta_tf as nta  # for data and initial weights, and nothing else
from reproduce.original import graphs, optima, tables, training

RATES = {
    "autoencoder": [("adam", 0.01), ("rmsprop", 0.001), ("sgd", 1.0), ("sgd", 0.1), ("sgd", 0.01)],
    "convnet": [("adam", 2e-4), ("rmsprop", 5e-4), ("sgd", 1.0), ("sgd", 0.1), ("sgd", 0.01)],
}
"""Optimizers and learning rates of appendix A5."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one task with each of its optimizers and names the files written.

    Args:
        arguments: Of the command line; `sys.argv` if None.
    """
    options = _parser().parse_args(arguments)
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in tables.COLUMNS}
    for optimizer, rate in RATES[options.task]:
        if options.optimizers and optimizer not in options.optimizers:
            continue
        recording, loss = run(options, optimizer, rate)
        frames = {
            "losses": [tables.losses(recording)],
            "exploration": [tables.exploration(recording)],
            "regret": [
                tables.regret(recording, scope, reduction, loss)
                for scope in options.scopes
                for reduction in options.reductions
            ],
        }
        for name, several in frames.items():
            parts[name] += [tables.named(f, optimizer, rate, options.seed) for f in several]
    for path in tables.write(options.out, parts):
        print(path)


def run(options: argparse.Namespace, optimizer: str, rate: float) -> tuple[training.Recording, str]:
    """Trains one network from the weights of its seed.

    Args:
        options: Of the command line.
        optimizer: Its name.
        rate: Its learning rate.

    Returns:
        The `Recording`, and the name of the loss.
    """
    dataset = nta.data.load(options.data)
    images = shrink(dataset.x[: options.examples], options.shrink)
    if options.task == "autoencoder":
        x = y = images.reshape(len(images), -1)
        model = nta.models.autoencoder(options.seed, widths=options.widths, input_size=x.shape[1])
        network = graphs.autoencoder(initial_weights(model))
        loss, batch_size = "mse", options.batch_size or 64
    else:
        x, y = images, dataset.y[: options.examples]
        model = nta.models.convnet(
            x.shape[1:], options.seed, filters=options.filters, dense_units=options.dense_units
        )
        network = graphs.convnet(initial_weights(model))
        loss, batch_size = "cross_entropy", options.batch_size or 128
    order = training.shuffled(options.seed, options.epochs, len(x), batch_size)
    layers = tuple(dict.fromkeys(scope.partition(":")[0] for scope in options.scopes))
    return training.train(network, optimizer, rate, x, y, order, layers), loss


def initial_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a Keras model by path, as arrays."""
    return {variable.path: variable.numpy() for variable in model.trainable_variables}


def shrink(images: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of `factor` x `factor` pixels."""
    count, height, width, channels = images.shape
    squares = images.reshape(count, height // factor, factor, width // factor, factor, channels)
    return squares.mean(axis=(2, 4))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reproduce.original", description="The experiments as a program of 2016."
    )
    parser.add_argument("task", choices=list(RATES))
    parser.add_argument("--data", default="sample", help="sample, mnist or cifar10")
    parser.add_argument("--examples", type=int, help="how many of them; all by default")
    parser.add_argument("--shrink", type=int, default=1, help="side of the pixels averaged")
    parser.add_argument("--widths", type=int, nargs="+", default=(50, 30, 20, 30, 50))
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--dense-units", type=int, default=192)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, help="64, and 128 for the convnet")
    parser.add_argument("--optimizers", nargs="+", choices=list(training.OPTIMIZERS))
    parser.add_argument("--scopes", nargs="+", default=["dense_3"], help="layers, or dense_3:7")
    parser.add_argument(
        "--reductions", nargs="+", choices=optima.REDUCTIONS, default=list(optima.REDUCTIONS)
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="directory of the three files")
    return parser
