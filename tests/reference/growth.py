"""The posterior of a growth exponent as its docstring has it: loops over exponents and noises."""

import itertools

import numpy as np
import scipy.linalg
import scipy.special

from nta_tf import growth


def log_posterior(rounds, values, exponents):
    """log p(e | increments) up to a constant, c > 0 and s integrated out as in the text."""
    rounds = np.asarray(rounds, float)
    rounds = rounds / rounds[-1]
    increments = np.diff(np.asarray(values, float), prepend=0.0)
    increments /= np.abs(increments).max()
    covariances = [
        _covariance(rounds, shrinkage, correlation)
        for shrinkage in growth.SHRINKAGES
        for correlation in growth.CORRELATIONS
    ]
    noises = [(scipy.linalg.inv(one), np.linalg.slogdet(one)[1]) for one in covariances]
    found = []
    for exponent in exponents:
        powers = [0.0, *(number**exponent for number in rounds)]
        mean = np.array([after - before for before, after in itertools.pairwise(powers)])
        logs = []
        for inverse, determinant in noises:
            square = mean @ inverse @ mean
            scale = mean @ inverse @ increments / square
            if scale <= 0:
                continue
            rest = increments - scale * mean
            log = -0.5 * determinant - 0.5 * np.log(square)
            logs.append(log - (len(rounds) - 1) / 2 * np.log(rest @ inverse @ rest))
        found.append(scipy.special.logsumexp(logs) if logs else -np.inf)
    return np.array(found)


def _covariance(rounds, shrinkage, correlation):
    """Of the increments; the first is the sum of as many as fit before the first checkpoint."""
    count = max(1, round(rounds[0] / np.median(np.diff(rounds))))
    ends = [rounds[0] * (i + 1) / count for i in range(count)] + list(rounds[1:])
    starts = [0.0, *ends[:-1]]
    size = len(ends)
    single = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            deviations = 1.0
            for k in (i, j):
                length, middle = ends[k] - starts[k], (ends[k] + starts[k]) / 2
                deviations *= np.sqrt(length * middle**-shrinkage)
            single[i, j] = correlation ** abs(i - j) * deviations
    groups = [range(count), *([k] for k in range(count, size))]
    return np.array(
        [[sum(single[i, j] for i in one for j in two) for two in groups] for one in groups]
    )
