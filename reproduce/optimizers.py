"""Which optimizer a run was trained with: one identity, from the command line to the legend."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reproduce import paper

# The columns of every table of runs that say which optimizer a row is of.
COLUMNS = ["optimizer", "learning_rate", "variant"]

TENSORFLOW_2016, KERAS_3 = "tensorflow_2016", "keras_3"
# The update of plain SGD has been the same ever since.
ANY = "any"
_OLD = ("adam", "rmsprop")  # of which `nta.optimizers` has a variant of 2016
_ORDER = ("rmsprop", "adam", "sgd")  # of the paper's legends
_TITLES = {"adam": "Adam", "rmsprop": "RMSProp", "sgd": "SGD"}
_OWN = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*(\?[^?]*)?")  # MODULE:CLASS?OPTION=VALUE&...


@dataclass(frozen=True)
class Optimizer:
    """An optimizer of a run.

    Attributes:
        name: Such as `"adam"`, `"rmsprop"` or `"sgd"`; of one's own where it is imported from,
            and its options but for the rate: `"my_module:Mine?beta=0.9"`.
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
        if base == "sgd" or ":" in base:
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
    def options(self) -> dict[str, Any]:
        """Arguments of an optimizer of one's own beside its learning rate."""
        return _options(self.name.partition("?")[2])

    def keras_optimizer(self) -> Any:
        """A new `keras.optimizers.Optimizer`; only what trains asks for it."""
        import nta_tf as nta

        kind = self.keras_name.partition("?")[0]
        return nta.optimizers.get(kind, self.rate, **self.options)

    @property
    def slug(self) -> str:
        """For names of directories and files: `"rmsprop_0.001"`, `"adam_keras_3_0.01"`."""
        variant = f"_{KERAS_3}" if self.variant == KERAS_3 and self.name in _OLD else ""
        name = re.sub(r"[^\w.=+-]+", "_", self.name.replace(":", "."))
        return f"{name}{variant}_{self.rate:g}"

    @property
    def title(self) -> str:
        """As it stands in legends, without its rate: `"Adam"`, `"Mine (beta=0.9)"`."""
        name, _, options = self.name.partition("?")
        title = _TITLES.get(name, name.rpartition(":")[2])
        return f"{title} ({options.replace('&', ', ')})" if options else title

    @property
    def has_title(self) -> bool:
        """Whether it is one of the paper's three, whose variants have a title each."""
        return self.name in _TITLES

    @property
    def is_sgd(self) -> bool:
        """Whether it is plain SGD, which the paper compares the adaptive ones with."""
        return self.name == "sgd"

    @property
    def columns(self) -> dict:
        """Its values of the three `COLUMNS`."""
        return dict(zip(COLUMNS, (self.name, self.rate, self.variant)))


def parse(text: str, task: str) -> list[Optimizer]:
    """The optimizers that a word of the command line stands for.

    Args:
        text: NAME[:RATE], such as `"adam"` (at each rate of the paper) or `"rmsprop_keras:0.003"`;
            or MODULE:CLASS[?OPTION=VALUE&...] for any other class of Keras optimizers, such as
            `"my_module:Mine?learning_rate=0.1&beta=0.9"`, which is imported.
        task: The task whose rates are meant.

    Returns:
        A list of `Optimizer`.

    Raises:
        ValueError: If there is no such optimizer, or the rate is no positive number.

    Example:

    >>> parse("keras.optimizers:Lion?beta_1=0.95&learning_rate=0.01", "convnet")[0].slug
    'keras.optimizers.Lion_beta_1=0.95_0.01'
    >>> [optimizer.slug for optimizer in parse("sgd", "convnet")]
    ['sgd_1', 'sgd_0.1', 'sgd_0.01']
    >>> parse("adam:0.003", "autoencoder")[0].slug
    'adam_0.003'
    """
    name, _, rate = text.partition(":")
    rates = paper.RATES[task]
    known = name.removesuffix("_keras") in (*_OLD, "sgd")
    if not known and _OWN.fullmatch(text):
        return [_own(text)]
    if name == "sgd_keras" or (not rate and name.removesuffix("_keras") not in rates):
        raise ValueError(
            "Optimizers are adam, rmsprop, sgd, adam_keras and rmsprop_keras, alone or with a "
            "rate (adam:0.003), and MODULE:CLASS?OPTION=VALUE&... for any class of Keras "
            "optimizers (my_module:Mine?learning_rate=0.1). "
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


def _own(text: str) -> Optimizer:
    """An optimizer that is imported: made once, so that what is wrong is said before training."""
    import nta_tf as nta

    kind, _, words = text.partition("?")
    options = _options(words)
    made = nta.optimizers.get(kind, **options)
    default = float(f"{float(made.learning_rate):.7g}")  # Keras holds it in float32
    rate = float(options.pop("learning_rate", default))
    kept = "&".join(f"{name}={_text(options[name])}" for name in sorted(options))
    return Optimizer(f"{kind}?{kept}" if kept else kind, rate, ANY)


def _options(words: str) -> dict[str, Any]:
    """The options of OPTION=VALUE&...: numbers, true, false and null as JSON has them, or text."""
    options = {}
    for word in filter(None, words.split("&")):
        name, separator, value = word.partition("=")
        if not separator or not name.isidentifier():
            raise ValueError(
                "Options of an optimizer are OPTION=VALUE&OPTION=VALUE. "
                f"Received: {word!r} in {words!r}"
            )
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


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
    # Arrays: comparing and joining series would take ten times as long, thousands of times.
    columns = {column: table[column].to_numpy() for column in COLUMNS}
    chosen = np.zeros(len(table), bool)
    for one in wanted:
        same = [columns[column] == value for column, value in one.columns.items()]
        chosen |= np.logical_and.reduce(same)
    return pd.Series(chosen, table.index)
