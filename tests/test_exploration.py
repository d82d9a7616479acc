"""The measures of section 3.3 against loops over bits, and what they are computed from."""

import numpy as np
import pytest

import nta_tf as nta
from nta_tf.exploration import bit_counts
from nta_tf.exploration.configurations import Configurations, words
from tests.reference import exploration as reference

# (N, D, M): multiples of eight and not, two rounds only, a single point, a single unit.
SHAPES = [(6, 40, 16), (7, 37, 13), (2, 9, 5), (5, 1, 3), (4, 130, 1), (12, 65, 24), (60, 71, 9)]


def _bits(rng, shape):
    """Random bits of many densities, with a constant unit and a repeated configuration."""
    bits = rng.random(shape) < rng.random(shape[2])
    bits[:, :, 0] = rng.random() < 0.5
    if shape[0] > 3:
        bits[3] = bits[1]
    return bits


def _forms(bits):
    yield "boolean", bits, {}
    yield "packed", np.packbits(bits, axis=-1), {"units": bits.shape[2]}


@pytest.mark.parametrize("shape", SHAPES)
def test_measures_equal_the_reference(rng, shape):
    bits = _bits(rng, shape)
    for form, given, options in _forms(bits):
        for measure in ("minimum_hamming", "switches"):
            found = getattr(nta.exploration, measure)(given, **options)
            expected = getattr(reference, measure)(bits)
            np.testing.assert_allclose(found, expected, rtol=1e-14, err_msg=f"{measure}, {form}")


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_and_log_volume_equal_float64_svd(rng, shape):
    bits = _bits(rng, shape)
    for form, given, options in _forms(bits):
        found = nta.exploration.singular_values(given, rounds=50, **options)
        expected = reference.singular_values(bits)
        above = expected > nta.exploration.FLOOR
        assert (nta.exploration.ranks(found) == above.sum(axis=1)).all(), form
        np.testing.assert_allclose(found[above], expected[above], rtol=1e-8, err_msg=form)
        np.testing.assert_allclose(
            nta.exploration.log_volume(given, **options), reference.log_volume(bits), rtol=1e-8
        )


def test_log_volume_of_many_points_equals_svd(rng):
    """Fifty rounds of thousands of points whose units hardly ever switch, or all the time."""
    bits = np.repeat(rng.random((1, 3000, 6)) < 0.5, 50, axis=0)
    bits ^= rng.random(bits.shape) < np.array([0.0, 1e-5, 1e-4, 1e-3, 1e-2, 0.5])
    found, expected = nta.exploration.singular_values(bits), reference.singular_values(bits)
    above = expected > nta.exploration.FLOOR
    np.testing.assert_allclose(found[above], expected[above], rtol=1e-8)
    assert (found[~above] < nta.exploration.FLOOR).all()
    ranks = nta.exploration.ranks(found)
    assert ranks[0] == 0 and ranks[-1] == 49  # subtracting the time-average costs one


def test_rank_is_at_most_one_less_than_the_rounds(rng):
    bits = rng.random((10, 200, 4)) < 0.5
    assert nta.exploration.ranks(nta.exploration.singular_values(bits)).tolist() == [9] * 4


def test_only_the_first_rounds_and_values_count(rng):
    bits = rng.random((20, 90, 5)) < 0.5
    given = nta.exploration.log_volume(bits, rounds=8, values=3, floor=0.5)
    np.testing.assert_allclose(given, reference.log_volume(bits, 8, 3, 0.5), rtol=1e-10)


def test_blocks_of_points_give_the_same(rng, monkeypatch):
    bits = _bits(rng, (9, 67, 21))
    measures = [nta.exploration.minimum_hamming, nta.exploration.switches]
    measures += [nta.exploration.singular_values]
    whole = [measure(bits) for measure in measures]
    monkeypatch.setattr(Configurations.blocks, "__defaults__", (None, 9 * 3 * 10))
    assert len(list(Configurations(bits).blocks())) == 7
    for measure, expected in zip(measures, whole):
        np.testing.assert_allclose(measure(bits), expected, rtol=1e-9, atol=1e-6)


def test_kernels_go_through_more_than_one_block(rng):
    """Rows longer than the kernels' own blocks, and not a multiple of them."""
    packed = rng.integers(0, 256, (3, 4500, 9), dtype=np.uint8)
    flat = packed.reshape(3, -1)
    ones = np.unpackbits(flat[1] ^ flat[0]).sum()
    assert bit_counts.distances(words(packed))[1, 0] == ones
    counted = bit_counts.changes(flat)
    expected = sum(np.bitwise_count(flat[n] ^ flat[n - 1]).astype(int) for n in (1, 2))
    np.testing.assert_array_equal(counted, expected)
    bits = np.unpackbits(packed, axis=-1).astype(int)
    expected = np.einsum("ndm,kdm->mnk", bits, bits)
    np.testing.assert_array_equal(bit_counts.grams(packed), expected)


class TestBadInput:
    @pytest.mark.parametrize(
        "measure", ["minimum_hamming", "switches", "singular_values", "log_volume"]
    )
    def test_fewer_than_two_rounds(self, measure):
        with pytest.raises(ValueError, match="at least two rounds.*1 rounds"):
            getattr(nta.exploration, measure)(np.ones((1, 5, 3), bool))

    @pytest.mark.parametrize(
        "array",
        [np.ones((3, 4), bool), np.ones((3, 4, 5), np.float32), np.ones((3, 4, 5), np.int64)],
    )
    def test_no_configurations(self, array):
        with pytest.raises(ValueError, match="boolean array .N, D, M."):
            nta.exploration.switches(array)

    def test_zeros_and_ones_that_are_not_packed(self):
        with pytest.raises(ValueError, match=r"array.astype\(bool\)"):
            nta.exploration.switches(np.ones((3, 4, 8), np.uint8))

    def test_units_that_do_not_fit(self):
        with pytest.raises(ValueError, match="9 to 16 units. Received: units=17"):
            nta.exploration.switches(np.full((3, 4, 2), 255, np.uint8), units=17)

    def test_filling_that_is_not_zero(self):
        with pytest.raises(ValueError, match="last 4 bits"):
            nta.exploration.switches(np.full((3, 4, 2), 255, np.uint8), units=12)

    def test_layers_of_an_array(self):
        with pytest.raises(ValueError, match="Layers are known of runs only"):
            nta.exploration.switches(np.ones((3, 4, 8), bool), "dense_1")

    def test_floor_and_rounds(self):
        bits = np.ones((3, 4, 8), bool)
        with pytest.raises(ValueError, match="floor must be positive"):
            nta.exploration.log_volume(bits, floor=0.0)
        with pytest.raises(ValueError, match="rounds must be"):
            nta.exploration.log_volume(bits, rounds=1)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"values": -1}, "values must be a whole number of at least 1.*-1"),
        ({"values": 2.5}, "values must be a whole number of at least 1.*2.5"),
        ({"floor": 0.0}, "floor must be positive and finite.*0.0"),
        ({"floor": float("inf")}, "floor must be positive and finite.*inf"),
        ({"floor": float("nan")}, "floor must be positive and finite.*nan"),
        ({"rounds": 1}, "rounds must be a whole number of at least 2"),
    ],
)
def test_volumes_refuse_what_has_no_meaning(options, words, rng):
    with pytest.raises(ValueError, match=words):
        nta.exploration.log_volume(rng.random((4, 10, 3)) < 0.5, **options)


def test_configurations_know_their_layers_already(rng):
    configurations = nta.exploration.Configurations(rng.random((4, 10, 3)) < 0.5)
    with pytest.raises(ValueError, match="know their layers.*'dense_1'"):
        nta.exploration.minimum_hamming(configurations, layers="dense_1")
