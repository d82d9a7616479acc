"""Errors that are planted stand for what the modules say now."""

import pathlib

import pytest

from tests.faults.planted import MUTATIONS

_ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("module", sorted({one.module for one in MUTATIONS}))
def test_pieces_stand_once_in_their_module(module):
    """Whoever rewrites a module says anew, in `tests/faults/planted.py`, what could go wrong."""
    text = (_ROOT / module).read_text()
    for one in MUTATIONS:
        if one.module == module:
            assert text.count(one.piece) == 1, one.name
            assert one.piece != one.instead


def test_tests_of_planted_errors_exist():
    for one in MUTATIONS:
        for test in one.tests:
            assert (_ROOT / "tests" / test.partition("::")[0]).is_file(), test
