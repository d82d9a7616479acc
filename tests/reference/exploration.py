"""Section 3.3 as it reads: loops over rounds, data points and units, float64."""

import numpy as np


def minimum_hamming(bits):
    """min over k < n of ||A_n - A_k||_F^2 / (D M)."""
    rounds, points, units = bits.shape
    smallest = [np.nan]
    for n in range(1, rounds):
        distances = [np.sum((bits[n].astype(float) - bits[k].astype(float)) ** 2) for k in range(n)]
        smallest.append(min(distances) / (points * units))
    return np.array(smallest)


def switches(bits):
    """Of each data point, the share of possible changes that happen."""
    rounds, points, units = bits.shape
    shares = []
    for point in range(points):
        count = 0
        for n in range(1, rounds):
            for unit in range(units):
                count += bits[n, point, unit] != bits[n - 1, point, unit]
        shares.append(count / ((rounds - 1) * units))
    return np.array(shares)


def singular_values(bits, rounds=50):
    """Of each unit, by SVD of the matrix whose columns have lost their time-average."""
    bits = bits[:rounds].astype(np.float64)
    found = []
    for unit in range(bits.shape[2]):
        responses = bits[:, :, unit]
        centred = responses - responses.mean(axis=0)
        values = np.linalg.svd(centred, compute_uv=False)
        found.append(np.pad(values, (0, len(bits) - len(values))))  # fewer points than rounds
    return np.array(found)


def log_volume(bits, rounds=50, values=50, floor=1e-3):
    """The sum of the logarithms of the first singular values, none below the floor."""
    found = singular_values(bits, rounds)[:, :values]
    return np.array([sum(np.log(max(value, floor)) for value in unit) for unit in found])
