"""Limits that decide, named before the runs, each with its reason."""

import math

from reproduce.claims.evidence import Margin

# Growth like sqrt(N): on a figure of regret/sqrt(N), N**0.1 changes the height by a quarter over
# a factor of ten in N, about what the published curves change by.
SQUARE_ROOT = Margin(0.4, 0.6)
# Regret within the bound of Theorem 2: no faster than sqrt(N), by the same tolerance.
AT_MOST_SQUARE_ROOT = Margin(high=0.6)
# Numbers closer than this are a tie.
MORE = Margin(low=1.02)
# "Significantly worse", "significantly better": at least a tenth lower.
WELL_ABOVE = Margin(low=1 / 0.9)
# "Substantially less": at least a fifth lower.
SUBSTANTIALLY_ABOVE = Margin(low=1.25)
# "Far more": at least half as much again. A log-volume is a logarithm: there it is the volume of
# this many times as many switching bits, since the squares of the singular values add up to the
# bits' variance, so that each of them is larger by the root.
FAR = 1.5
FAR_MORE = Margin(low=FAR)
# A gap that the paper's figures could show: a line of Figure 3 is about this share of its axis.
VISIBLE = Margin(low=0.02)
# Regret has a sign beyond this share of the cumulative loss, to which optima are certified.
SIGN = 1e-4
# A target that is not beaten: the loss does not end below the Taylor optimum.
NOT_BEATEN = Margin(low=-SIGN)
# A small loss: on the paper's axis of 0 to 2.5, a curve that lies on the bottom.
SMALL_LOSS = Margin(high=0.1)
# The paper's own number.
ACCURATE = Margin(low=0.99)
# Equally good: accuracies that are all between 99% and 100% differ by no more than this ...
SAME_ACCURACY = Margin(-0.01, 0.01)
# ... and on the paper's axis of losses the curves lie within a line's width of each other.
SAME_LOSS = Margin(-0.05, 0.05)
# A network that fails to learn, and Taylor losses without a good solution: above this share of
# the loss that it began with.
FAILS_TO_LEARN = Margin(low=0.9)
# "Sharp": the curve falls so many times as steeply as it did before.
SHARP = 3.0
# A verdict on regret rests on optima of which at least this share is certified.
CERTIFIED_SHARE = 0.5
# Losses that fall by less than this share in the whole of a training learn nothing.
LEARNS = 0.01


def far_volume(values: float) -> float:
    """By how much a log-volume must be larger to be far larger.

    Args:
        values: How many singular values it is made of.

    Returns:
        A number.

    Example:

    >>> far_volume(50)
    10.14
    """
    return values * math.log(FAR) / 2


def volume_factor(difference: float, values: float) -> float:
    """How many times as many switching bits a difference of log-volumes stands for.

    Args:
        difference: Of log-volumes.
        values: How many singular values they are made of.

    Returns:
        A factor; `FAR` at `far_volume`.

    Example:

    >>> volume_factor(far_volume(50), 50)
    1.5
    """
    return math.exp(2 * difference / values)
