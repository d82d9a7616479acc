"""Student's interval of a mean over seeds."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

LEVEL = 0.95
# Student's t of two seeds has no useful interval: the deviation of two is hardly known.
FEWEST_SEEDS = 3


def t_interval(values: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Student's t-interval of a mean.

    Args:
        values: Numbers, one a seed.
        level: Probability that it covers the mean.

    Returns:
        Its lower and upper end, NaN where there are fewer than three numbers.

    Example:

    >>> t_interval([1.0, 2.0, 3.0])
    (-0.48, 4.48)
    """
    numbers = np.asarray(values, float)
    count = len(numbers)
    if count < FEWEST_SEEDS:
        return float("nan"), float("nan")
    error = numbers.std(ddof=1) / count**0.5
    half = stdtrit(count - 1, (1 + level) / 2) * error
    return float(numbers.mean() - half), float(numbers.mean() + half)
