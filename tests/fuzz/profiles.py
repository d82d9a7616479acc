"""How many cases are drawn: a few in the suite, many in `make test-faults`.

In the suite the cases are the same every time. With NTA_TF_FUZZ=full they are drawn from the seed
that `--hypothesis-seed` gives, and a failure prints what repeats it.
"""

import os

from hypothesis import HealthCheck, settings

FULL = os.environ.get("NTA_TF_FUZZ") == "full"


def cases(few, many):
    """Settings of a property that is tried `few` or, in full, `many` times."""
    return settings(
        max_examples=many if FULL else few,
        derandomize=not FULL,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
