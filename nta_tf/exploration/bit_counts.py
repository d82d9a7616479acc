"""Counting in packed bits: population counts of XOR and AND, at the speed of memory.

Compiled by Numba for this machine's vector units, which count the ones of 512 bits at once
where they can; TensorFlow has the operation, but neither its kernels nor XLA's use those
units (25 to 50 times slower, measured). Each kernel goes through the bits in blocks that
stay in the cache, so that memory is read once. Threads are Python's: with Numba's own the
first call would compile for three times as long.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

_WORDS = 1024  # a row of a block: 8 KiB, so that a hundred rows stay in a core's cache
_BYTES = 16384
_POINTS = 4096


@intrinsic
def _ones(typing_context, word):
    """Number of ones in a word, the processor's own instruction."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return word(word), generate


@numba.njit(cache=True)
def _distance(one, other):
    total = np.uint64(0)
    for i in range(one.shape[0]):
        total += _ones(one[i] ^ other[i])
    return total


@numba.njit(cache=True)
def _common(one, other):
    total = np.uint64(0)
    for i in range(one.shape[0]):
        total += _ones(one[i] & other[i])
    return total


def distances(words: np.ndarray) -> np.ndarray:
    """Squared Frobenius distances ||A_n - A_k||^2 of all pairs of rows, k < n.

    Args:
        words: (N, W) uint64, contiguous rows of bits.

    Returns:
        (N, N) uint64; what is not below the diagonal is zero.
    """
    return np.sum(_on_threads(_distances, words), axis=0)


@numba.njit(nogil=True, cache=True)
def _distances(words, thread, threads):
    rows, width = words.shape
    blocks = (width + _WORDS - 1) // _WORDS
    totals = np.zeros((rows, rows), np.uint64)
    for block in range(thread, blocks, threads):
        first, last = block * _WORDS, min(width, (block + 1) * _WORDS)
        for n in range(rows):
            for k in range(n):
                totals[n, k] += _distance(words[n, first:last], words[k, first:last])
    return totals


def changes(packed: np.ndarray) -> np.ndarray:
    """How many bits of each byte change from a row to the next, summed over rows.

    Args:
        packed: (N, F) uint8.

    Returns:
        (F,) uint32.
    """
    totals = np.zeros(packed.shape[1], np.uint32)
    _on_threads(_changes, packed, totals)
    return totals


@numba.njit(nogil=True, cache=True)
def _changes(packed, totals, thread, threads):
    rows, width = packed.shape
    blocks = (width + _BYTES - 1) // _BYTES
    for block in range(thread, blocks, threads):
        first, last = block * _BYTES, min(width, (block + 1) * _BYTES)
        total = totals[first:last]
        for n in range(1, rows):
            now, before = packed[n, first:last], packed[n - 1, first:last]
            for i in range(last - first):
                total[i] += np.uint32(_ones(np.uint8(now[i] ^ before[i])))


@numba.njit(cache=True)
def _transpose_8x8(word):
    """The 8 x 8 bits of a word transposed (Hacker's Delight, 7-3)."""
    swap = (word ^ (word >> np.uint64(7))) & np.uint64(0x00AA00AA00AA00AA)
    word = word ^ swap ^ (swap << np.uint64(7))
    swap = (word ^ (word >> np.uint64(14))) & np.uint64(0x0000CCCC0000CCCC)
    word = word ^ swap ^ (swap << np.uint64(14))
    swap = (word ^ (word >> np.uint64(28))) & np.uint64(0x00000000F0F0F0F0)
    return word ^ swap ^ (swap << np.uint64(28))


@numba.njit(cache=True)
def _units_of_byte(column, units):
    """The eight units of a column of bytes as rows of bits over the data points.

    Args:
        column: (P,) uint8, one byte of P data points, P a multiple of 64.
        units: (8, P / 8) uint8, which is filled: eight data points to a byte.
    """
    words = column.view(np.uint64)
    for place in range(words.shape[0]):
        words[place] = _transpose_8x8(words[place])
    for unit in range(8):
        shift = np.uint64(8 * (7 - unit))
        for place in range(words.shape[0]):
            units[unit, place] = np.uint8(words[place] >> shift)


def grams(packed: np.ndarray) -> np.ndarray:
    """Integer Gram matrices of all units: on how many points a unit is active in both rows.

    Args:
        packed: (N, D, B) uint8, eight units to a byte, the first unit highest.

    Returns:
        (8 B, N, N) int64, symmetric.
    """
    rows, _, width = packed.shape
    totals = np.zeros((8 * width, rows, rows), np.int64)
    _on_threads(_grams, packed, totals)
    return totals


@numba.njit(nogil=True, cache=True)
def _grams(packed, totals, thread, threads):
    rows, points, width = packed.shape
    for byte in range(thread, width, threads):
        column = np.zeros(_POINTS, np.uint8)
        units = np.zeros((rows, 8, _POINTS // 8), np.uint8)
        words = units.view(np.uint64)
        for first in range(0, points, _POINTS):
            count = min(points - first, _POINTS)
            for n in range(rows):
                column[count:] = 0
                for point in range(count):
                    column[point] = packed[n, first + point, byte]
                _units_of_byte(column, units[n])
            used = (count + 63) // 64
            for unit in range(8):
                total = totals[8 * byte + unit]
                for n in range(rows):
                    for k in range(n + 1):
                        total[n, k] += _common(words[n, unit, :used], words[k, unit, :used])
        for unit in range(8):
            for n in range(rows):
                for k in range(n):
                    totals[8 * byte + unit, k, n] = totals[8 * byte + unit, n, k]


def _on_threads(kernel: Callable, *arguments: Any) -> list:
    """Calls a kernel once a thread, each with its number and how many there are."""
    threads = numba.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda thread: kernel(*arguments, thread, threads), range(threads)))
