"""Which optimizer a run was trained with: one identity, from the command line to the legend."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from reproduce import paper

# The columns of every table of runs that say which optimizer a row is of.
COLUMNS = ["optimizer", "learning_rate", "variant"]

TENSORFLOW_2016, KERAS_3 = "tensorflow_2016", "keras_3"
# The update of plain SGD has been the same ever since.
ANY = "any"
_OLD = ("adam", "rmsprop")  # of which `nta.optimizers` has a variant of 2016
_ORDER = ("rmsprop", "adam", "sgd")  # of the paper's legends


@dataclass(frozen=True)
class Optimizer:
    """An optimizer of a run.

    Attributes:
        name: Such as `"adam"`, `"rmsprop"` or `"sgd"`.
        rate: Its learning rate.
        variant: `"tensorflow_2016"`, `"keras_3"`, or `"any"` where the two do not differ.
    """

    name: str
    rate: float
    variant: str = ANY

    @classmethod
    def of(cls, name: str, rate: float, variant: str = TENSORFLOW_2016) -> "Optimizer":
        """The optimizer of that name, in a variant if it has any.

        Args:
            name: As `nta.optimizers.get` takes it; `"adam_keras"` says its own variant.
            rate: Learning rate.
            variant: The variant of a name that does not say its own.

        Returns:
            An `Optimizer`.

        Example:

        >>> Optimizer.of("rmsprop_keras", 0.001)
        Optimizer(name='rmsprop', rate=0.001, variant='keras_3')
        >>> Optimizer.of("sgd", 1)
        Optimizer(name='sgd', rate=1.0, variant='any')
        """
        base = name.removesuffix("_keras")
        if base != name:
            variant = KERAS_3
        if base == "sgd":
            variant = ANY
        elif base not in _OLD:
            variant = KERAS_3
        return cls(base, float(rate), variant)

    @property
    def keras_name(self) -> str:
        """What `nta.optimizers.get` calls it."""
        suffix = "_keras" if self.variant == KERAS_3 and self.name in _OLD else ""
        return self.name + suffix

    @property
    def slug(self) -> str:
        """For names of directories and files: `"rmsprop_0.001"`, `"adam_keras_3_0.01"`."""
        variant = f"_{KERAS_3}" if self.variant == KERAS_3 and self.name in _OLD else ""
        return f"{self.name}{variant}_{self.rate:g}"

    @property
    def is_sgd(self) -> bool:
        """Whether it is plain SGD, which the paper compares the adaptive ones with."""
        return self.name == "sgd"

    @property
    def columns(self) -> dict:
        """Its values of the three `COLUMNS`."""
        return dict(zip(COLUMNS, (self.name, self.rate, self.variant)))


def parse(text: str, task: str) -> list[Optimizer]:
    """The optimizers that `NAME[:RATE]` of the command line stands for.

    Args:
        text: Such as `"adam"` (at each rate of the paper) or `"rmsprop_keras:0.003"`.
        task: The task whose rates are meant.

    Returns:
        A list of `Optimizer`.

    Raises:
        ValueError: If there is no such optimizer, or the rate is no positive number.

    Example:

    >>> [optimizer.slug for optimizer in parse("sgd", "convnet")]
    ['sgd_1', 'sgd_0.1', 'sgd_0.01']
    >>> parse("adam:0.003", "autoencoder")[0].slug
    'adam_0.003'
    """
    name, _, rate = text.partition(":")
    rates = paper.RATES[task]
    if name == "sgd_keras" or (not rate and name.removesuffix("_keras") not in rates):
        raise ValueError(
            "Optimizers are adam, rmsprop, sgd, adam_keras and rmsprop_keras, alone or with a "
            "rate (adam:0.003), and with a rate whatever nta.optimizers.get knows. "
            f"Received: {text!r}"
        )
    if not rate:
        return [Optimizer.of(name, each) for each in rates[name.removesuffix("_keras")]]
    try:
        value = float(rate)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"The learning rate must be a positive number. Received: {text!r}")
    return [Optimizer.of(name, value)]


def in_order(optimizers: Iterable[Optimizer]) -> list[Optimizer]:
    """Optimizers without repetition, in the order of the paper's legends.

    Args:
        optimizers: Optimizers.

    Returns:
        A list: variants of 2016 before those of Keras 3, SGD from its largest rate down, and
        last what the paper does not have.

    Example:

    >>> shown = [Optimizer("sgd", 0.1), Optimizer("adam", 0.01), Optimizer("sgd", 1.0)]
    >>> [optimizer.slug for optimizer in in_order(shown)]
    ['adam_0.01', 'sgd_1', 'sgd_0.1']
    """

    def place(optimizer: Optimizer) -> tuple:
        known = optimizer.name in _ORDER
        later = optimizer.variant == KERAS_3 and optimizer.name in _OLD
        rank = _ORDER.index(optimizer.name) if known else len(_ORDER)
        return (not known, later, rank, optimizer.name, -optimizer.rate)

    return sorted(set(optimizers), key=place)


def of_table(table: pd.DataFrame) -> list[Optimizer]:
    """The optimizers whose rows a table has, in the order of the paper's legends.

    Args:
        table: A table with the three `COLUMNS`.

    Returns:
        A list of `Optimizer`.
    """
    kinds = table[COLUMNS].drop_duplicates()
    return in_order(Optimizer(*row) for row in kinds.itertuples(index=False))


def by_task(table: pd.DataFrame) -> list[tuple[str, Optimizer]]:
    """The optimizers of each task whose rows a table has.

    Args:
        table: A table with a column `task` and the three `COLUMNS`.

    Returns:
        A list of pairs (task, `Optimizer`).
    """
    return [(task, one) for task, group in table.groupby("task") for one in of_table(group)]


def rows(table: pd.DataFrame, optimizer: Optimizer) -> pd.DataFrame:
    """The rows of one optimizer.

    Args:
        table: A table with the three `COLUMNS`.
        optimizer: An `Optimizer`.

    Returns:
        Its rows.
    """
    return table[is_of(table, optimizer)]


def is_of(table: pd.DataFrame, *wanted: Optimizer) -> pd.Series:
    """Which rows of a table are of one of the optimizers.

    Args:
        table: A table with the three `COLUMNS`.
        *wanted: Optimizers.

    Returns:
        A boolean series aligned with the table.
    """
    chosen = pd.Series(False, table.index)
    for one in wanted:
        same = [table[column] == value for column, value in one.columns.items()]
        chosen |= same[0] & same[1] & same[2]
    return chosen
