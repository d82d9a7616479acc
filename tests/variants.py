"""Cases of parametrized tests, some of them left to `make test-all`."""

import pytest


def slow(cases, *names):
    """The cases, some of them behind the marker: others hold nearly the same."""
    marks = dict.fromkeys(names, pytest.mark.slow)
    return [pytest.param(one, marks=marks[one]) if one in marks else one for one in cases]
