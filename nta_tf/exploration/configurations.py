"""Activation configurations A_1..A_N, wherever they are: in arrays, packed, or in a run."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from nta_tf._types import ArrayLike, PathLike
from nta_tf.recorders.activations import ActivationReader
from nta_tf.trace import Run, as_run

_BYTES_AT_ONCE = 2**30  # of packed bits; what does not fit is measured in blocks of points


class Configurations:
    """The binary tensor (N, D, M) of section 3.3, packed eight units to a byte.

    N rounds (epochs), D data points, M rectifier units. Each layer begins with a byte of
    its own. Nothing is ever unpacked, and no more than a block of data points of all rounds is
    held in memory.

    Args:
        source: Boolean array (N, D, M); the same packed by `np.packbits(..., axis=-1)`, uint8
            (N, D, ceil(M / 8)); or a `nta.Run` with a record of `nta.ActivationRounds`, or
            its directory.
        layers: Of a run, the name of a layer or a list of them. Defaults to all.
        record: Of a run, the name of the record.
        units: Of a packed array, M. Defaults to all of its bits.

    Attributes:
        layers: {layer: number of its units}, in the order in which units are counted.
        rounds: N.
        points: D.
        units: M.
        epochs: When each round was, (N,): of a run in epochs, n for the last of k rounds of
            epoch n and n - 1 + 1 / k for the first; of an array 1..N.

    Raises:
        ValueError: If the source is none of these, or has no such layers.

    Example:

    >>> import numpy as np
    >>> import nta_tf as nta
    >>> bits = np.random.default_rng(0).random((5, 100, 12)) < 0.5
    >>> configurations = nta.exploration.Configurations(np.packbits(bits, axis=-1), units=12)
    >>> configurations.rounds, configurations.points, configurations.units
    (5, 100, 12)
    """

    def __init__(
        self,
        source: ArrayLike | Run | PathLike,
        layers: str | Sequence[str] | None = None,
        record: str = "activations",
        units: int | None = None,
    ) -> None:
        if isinstance(source, (Run, str, os.PathLike)):
            self._source = ActivationReader(as_run(source), record, layers)
        elif layers is not None:
            raise ValueError(
                "Layers are known of runs only; take the units of an array by slicing it. "
                f"Received: layers={layers!r}"
            )
        else:
            self._source = _from_array(source, units)
        self.layers = self._source.layers
        self.rounds, self.points = self._source.rounds, self._source.points
        self.epochs = self._source.epochs
        self.units = sum(self.layers.values())

    def blocks(
        self, rounds: int | None = None, bytes_at_once: int = _BYTES_AT_ONCE
    ) -> Iterator[np.ndarray]:
        """The packed bits, a block of data points at a time.

        Args:
            rounds: How many of the first rounds. Defaults to all.
            bytes_at_once: How large a block may be.

        Yields:
            uint8 arrays (rounds, points of the block, bytes).
        """
        rounds = min(rounds or self.rounds, self.rounds)
        width = sum(-(-units // 8) for units in self.layers.values())
        at_once = max(1, bytes_at_once // (rounds * width))
        for first in range(0, self.points, at_once):
            last = min(self.points, first + at_once)
            yield self._source.block(rounds, first, last)

    def unit_bits(self) -> np.ndarray:
        """Which bits of a packed row are units, and not filling: boolean (8 * bytes,)."""
        return np.concatenate(
            [np.arange(-(-units // 8) * 8) < units for units in self.layers.values()]
        )


def as_configurations(
    source: ArrayLike | Run | PathLike | Configurations,
    layers: str | Sequence[str] | None = None,
    record: str = "activations",
    units: int | None = None,
) -> Configurations:
    """`Configurations` that can be measured, from what they can be made of."""
    if isinstance(source, Configurations):
        if layers is not None or units is not None:
            raise ValueError(
                "Configurations that are made already know their layers and units; say which when "
                f"making them. Received: layers={layers!r}, units={units!r}"
            )
        configurations = source
    else:
        configurations = Configurations(source, layers, record, units)
    if configurations.rounds < 2 or not configurations.points or not configurations.units:
        raise ValueError(
            "Exploration is measured between configurations: it needs at least two rounds, "
            f"one data point and one unit. Received: {configurations.rounds} rounds, "
            f"{configurations.points} data points, {configurations.units} units"
        )
    return configurations


def words(block: np.ndarray) -> np.ndarray:
    """A block's rounds as rows of 64-bit words, (N, W) uint64; a view where that is possible."""
    rows = block.reshape(len(block), -1)
    if rows.shape[1] % 8 or not rows.flags.c_contiguous:
        rows = np.pad(rows, [(0, 0), (0, -rows.shape[1] % 8)])
    return rows.view(np.uint64)


class _Array:
    """Configurations in memory, boolean or packed."""

    def __init__(self, array, units):
        self._array = array
        self.rounds, self.points = array.shape[:2]
        self.epochs = np.arange(1.0, self.rounds + 1)
        self.layers = {"network": units}

    def block(self, rounds, first, last):
        block = self._array[:rounds, first:last]
        if block.dtype == bool:
            # Round by round, so that no more than one is held twice.
            return np.stack([np.packbits(bits, axis=-1) for bits in block])
        return np.ascontiguousarray(block)


def _from_array(source, units):
    array = np.asarray(source)
    if array.ndim != 3 or array.dtype not in (np.dtype(bool), np.dtype(np.uint8)):
        raise ValueError(
            "Activation configurations are a boolean array (N, D, M), or that packed by "
            "np.packbits(..., axis=-1), or a run that recorded them. Received: an array of "
            f"shape {array.shape} and dtype {array.dtype}"
        )
    if array.dtype == bool:
        if units not in (None, array.shape[2]):
            raise ValueError(f"The array has {array.shape[2]} units. Received: units={units}")
        return _Array(array, array.shape[2])
    if units is None and array.size and array.max() <= 1:
        raise ValueError(
            "A uint8 array is read as packed bits, but this one holds nothing but zeros and "
            "ones. Give bits as a boolean array (array.astype(bool)), or say units=... if they "
            "are packed."
        )
    units = 8 * array.shape[2] if units is None else units
    if not 8 * (array.shape[2] - 1) < units <= 8 * array.shape[2]:
        raise ValueError(
            f"Packed rows of {array.shape[2]} bytes hold {8 * array.shape[2] - 7} to "
            f"{8 * array.shape[2]} units. Received: units={units}"
        )
    filling = 8 * array.shape[2] - units
    if filling and (array[..., -1] & (2**filling - 1)).any():
        raise ValueError(
            f"The last {filling} bits of every packed row must be zero when units={units}; "
            "they are not. Pack with np.packbits(..., axis=-1)."
        )
    return _Array(array, units)
