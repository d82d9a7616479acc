"""How many directions of a quadratic are curved, without knowing them (Sylvester's law)."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from nta_tf.solvers.local import Local
from nta_tf.solvers.near_null import shifted


class Count(NamedTuple):
    """What of H a minimum on the boundary of a ball needs.

    Attributes:
        largest: The largest curvature.
        rank: Number of directions in which H is curved by more than rounding.
    """

    largest: float
    rank: int


def count(local: Local, largest: float) -> Count | None:
    """Counts curvatures above the cut.

    Args:
        local: A `Local` quadratic of one block.
        largest: Its largest curvature.

    Returns:
        A `Count`; None if H has negative curvature that is no rounding, so that the cut, which is
        larger then, is known from its spectrum only.
    """
    cut = local.cut(largest)
    hessian = local.hessian[0]
    _, failed = lapack.dpotrf(shifted(hessian, cut / 2), lower=1, clean=0, overwrite_a=1)
    if failed:
        return None
    size = len(hessian)
    factor, pivots, _ = lapack.dsytrf(shifted(hessian, -cut), lower=1, lwork=64 * size)
    single = pivots > 0
    # A pivot of two rows has one curvature of each sign.
    curved = np.count_nonzero(np.diagonal(factor)[single] > 0) + np.count_nonzero(~single) // 2
    return Count(largest, int(curved))
