"""Cumulative curves of a known exponent, whose increments are noisy in a known way."""

import dataclasses

import numpy as np
import pandas as pd

EPOCHS = 100


@dataclasses.dataclass(frozen=True)
class Noise:
    """Noise of increments: standard deviation like N^{-shrinkage / 2}, AR(1) correlation."""

    name: str
    shrinkage: float
    correlation: float


INDEPENDENT = Noise("independent", 0.0, 0.0)
AUTOCORRELATED = Noise("autocorrelated (0.5)", 0.0, 0.5)
SHRINKING = Noise("shrinking like N^-1/2", 1.0, 0.0)
SHRINKING_FAST = Noise("shrinking like N^-1", 2.0, 0.0)
BOTH = Noise("autocorrelated, N^-1/2", 1.0, 0.5)
NOISES = (INDEPENDENT, AUTOCORRELATED, SHRINKING, SHRINKING_FAST, BOTH)
EXPONENTS = (0.5, 0.0, 1.0)
CHECKPOINTS = (10, 20, 100)


def tables(exponent, checkpoints, noise, size, count, seed):
    """`count` tables of curves N^exponent over 100 epochs, kept while they are positive.

    `size` is the standard deviation of the noise at the end, as a share of the curve there.
    """
    generator = np.random.default_rng(seed)
    rounds = np.arange(1, checkpoints + 1) * EPOCHS / checkpoints
    mean = np.diff(rounds**exponent, prepend=0.0)
    deviations = rounds ** (-noise.shrinkage / 2)
    apart = np.abs(np.subtract.outer(np.arange(checkpoints), np.arange(checkpoints)))
    covariance = noise.correlation**apart * np.outer(deviations, deviations)
    covariance *= (size * EPOCHS**exponent) ** 2 / covariance.sum()
    draws = generator.normal(size=(count, checkpoints)) @ np.linalg.cholesky(covariance).T
    for increments in mean + draws:
        curve = np.cumsum(increments)
        yield pd.DataFrame({"round": rounds, "epoch": rounds, "regret": curve})
