"""Names of the types that stand in many signatures."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy.typing as npt
import tensorflow as tf

# What becomes an array: numbers, (nested) lists of them, NumPy arrays, tensors and variables.
ArrayLike: TypeAlias = npt.ArrayLike | tf.Tensor | tf.Variable
# One gradient (or other array), or a list, tuple or dictionary of them, one a variable.
Structure: TypeAlias = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]
PathLike: TypeAlias = str | os.PathLike[str]
# What JSON can hold, as configs of runs, records and optimizers do.
Config: TypeAlias = dict[str, Any]
