"""What an array of the trace must look like, held against what is there before it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
import zarr.codecs

from nta_tf.trace.directory import check_name


@dataclasses.dataclass(frozen=True)
class ArraySpecification:
    """One array of the trace, to which every epoch adds one row.

    Attributes:
        shape: Shape of a row.
        dtype: Its dtype.
    """

    shape: tuple[int, ...]
    dtype: str


Arrays = Mapping[str, ArraySpecification]


def check_names(recorded: Mapping[str, Arrays]) -> None:
    """Raises unless records and their arrays can be called so: names become files and folders.

    Args:
        recorded: {name of a record: {name of an array: `ArraySpecification`}}.
    """
    for record, arrays in recorded.items():
        check_name("The name of a record", record)
        for array in arrays:
            for part in array.split("/"):
                check_name(f"Part of the name of the array {array!r} (that of a layer?)", part)


_CODECS = (zarr.codecs.BytesCodec, zarr.codecs.Crc32cCodec)


def described(arrays: Arrays) -> dict[str, list]:
    """The arrays as JSON-ready {name: [shape, dtype]}."""
    return {name: [list(one.shape), str(np.dtype(one.dtype))] for name, one in arrays.items()}


def fill_value(dtype: str) -> float:
    """What rows hold that were not written."""
    return float("nan") if np.dtype(dtype).kind == "f" else 0


def check(array: Any, description: list | None) -> None:
    """Raises unless the metadata of an array are what is written.

    A checksum tells whether bytes of a row are right, and nothing of how they are to be read.

    Args:
        array: A zarr array.
        description: Its [shape, dtype]; None in runs that do not say them.

    Raises:
        ValueError: If anything differs.
    """
    if not isinstance(array, zarr.Array):
        raise ValueError("it is no array")
    shape, dtype = description or (array.shape[1:], str(array.dtype))
    if [list(array.shape[1:]), str(array.dtype)] != [list(shape), dtype]:
        raise ValueError(f"rows of {array.shape[1:]} and {array.dtype}, not {shape} and {dtype}")
    if array.chunks != (1, *array.shape[1:]):
        raise ValueError(f"chunks of {array.chunks}")
    if [type(codec) for codec in array.metadata.codecs] != list(_CODECS):
        raise ValueError(f"codecs {array.metadata.codecs}")
    if not np.array_equal(array.fill_value, fill_value(dtype), equal_nan=dtype.startswith("f")):
        raise ValueError(f"the filling is {array.fill_value}")
