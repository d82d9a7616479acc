"""Random configurations in every form: the measures are those of loops over bits."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import nta_tf as nta
from tests.fuzz.profiles import cases
from tests.reference import exploration as reference

configurations = {
    "seed": st.integers(0, 2**32 - 1),
    "shape": st.tuples(st.integers(2, 9), st.integers(1, 12), st.integers(1, 20)),
    "density": st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.99, 1.0]),
    "form": st.sampled_from(["boolean", "packed", "fortran", "strided", "list", "read only"]),
}


def _configurations(seed, shape, density, form):
    """Bits, and the same as they are given."""
    rng = np.random.default_rng(seed)
    bits = rng.random(shape) < density
    if rng.random() < 0.3:
        bits[-1] = bits[0]
    options, given = {}, bits
    if form == "packed":
        given, options = np.packbits(bits, axis=-1), {"units": shape[2]}
    elif form == "fortran":
        given = np.asfortranarray(bits)
    elif form == "strided":
        given = np.repeat(bits, 2, axis=1)[:, ::2]
    elif form == "list":
        given = bits.tolist()
    elif form == "read only":
        given = bits.copy()
        given.flags.writeable = False
    return bits, given, options


@cases(60, 1200)
@given(**configurations)
def test_distances_and_switches(seed, shape, density, form):
    bits, given, options = _configurations(seed, shape, density, form)
    for measure in ("minimum_hamming", "switches"):
        found = getattr(nta.exploration, measure)(given, **options)
        np.testing.assert_allclose(found, getattr(reference, measure)(bits), rtol=1e-13)


@cases(40, 800)
@given(
    rounds=st.sampled_from([2, 3, 5, 50]),
    values=st.sampled_from([1, 2, 4, 50]),
    floor=st.sampled_from([1e-3, 0.1, 2.0]),
    **configurations,
)
def test_volumes(seed, shape, density, form, rounds, values, floor):
    bits, given, options = _configurations(seed, shape, density, form)
    singular = nta.exploration.singular_values(given, rounds=rounds, **options)
    expected = reference.singular_values(bits, rounds)
    np.testing.assert_allclose(singular, expected, rtol=1e-7, atol=1e-6)
    found = nta.exploration.log_volume(given, rounds=rounds, values=values, floor=floor, **options)
    expected = reference.log_volume(bits, rounds, values, floor)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


_WRONG = [np.ones((3, 4)), np.ones((3, 4, 5)), np.ones((3, 4, 5), int), np.ones((1, 4, 5), bool)]
_WRONG += [np.zeros((0, 4, 5), bool), np.zeros((3, 0, 5), bool), np.zeros((3, 4, 0), bool)]
_WRONG += [[], [[[]]], 3, None, 1.5, np.array("text"), np.full((3, 4, 5), np.nan), [[1], [2, 3]]]


@cases(40, 400)
@given(
    wrong=st.sampled_from(range(len(_WRONG))),
    measure=st.sampled_from(["minimum_hamming", "switches", "singular_values", "log_volume"]),
    layers=st.sampled_from([None, "dense_1", 3]),
)
def test_what_are_no_configurations(wrong, measure, layers):
    with pytest.raises(ValueError):
        getattr(nta.exploration, measure)(_WRONG[wrong], layers)


_NUMBERS = st.one_of(st.integers(-3, 5), st.sampled_from([0.5, np.nan, np.inf, None, "2", True]))


@cases(40, 400)
@given(rounds=_NUMBERS, values=_NUMBERS, floor=_NUMBERS)
@example(rounds=2, values=2, floor=None)
@example(rounds=2, values=True, floor=0.5)
@example(rounds=2, values=2, floor=True)
def test_options_of_volumes(rounds, values, floor):
    bits = np.random.default_rng(0).random((4, 5, 3)) < 0.5
    whole = [isinstance(n, int) and not isinstance(n, bool) for n in (rounds, values)]
    number = isinstance(floor, (int, float)) and not isinstance(floor, bool)
    fine = all(whole) and rounds >= 2 and values >= 1 and number and 0 < floor < np.inf
    if fine:
        assert nta.exploration.log_volume(bits, rounds=rounds, values=values, floor=floor).size == 3
    else:
        with pytest.raises(ValueError):
            nta.exploration.log_volume(bits, rounds=rounds, values=values, floor=floor)
