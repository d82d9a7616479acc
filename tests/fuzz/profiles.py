"""How many cases are drawn: a few in the suite, many in `make test-faults`.

In the suite the cases are the same every time. With NTA_TF_FUZZ=full, or a factor such as 0.3,
many are drawn from the seed that `--hypothesis-seed` gives, and a failure prints what repeats it.
"""

import collections
import functools
import os

from hypothesis import HealthCheck, settings

_ASKED = os.environ.get("NTA_TF_FUZZ")
_SHARE = 1.0 if _ASKED == "full" else float(_ASKED or 0)
HELD: collections.Counter[tuple[str, str]] = collections.Counter()
"""How many cases of each (module, property) have held in this process."""


def cases(few, many):
    """Settings of a property that is tried `few` or, in full, `many` times; its cases are counted.

    It stands above `@given`.
    """

    def decorate(test):
        test.hypothesis.inner_test = _counted(test.hypothesis.inner_test, test)
        return settings(
            max_examples=max(few, round(_SHARE * many)),
            derandomize=not _SHARE,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )(test)

    return decorate


def _counted(inner_test, test):
    @functools.wraps(inner_test)
    def counted(*arguments, **drawn):
        inner_test(*arguments, **drawn)  # raises where a case is no case, or does not hold
        HELD[test.__module__, test.__name__] += 1

    return counted
