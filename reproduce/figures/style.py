"""The look that all figures share: style sheet, sizes, and a colour for every optimizer."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import matplotlib
from matplotlib.figure import Figure

from reproduce import paper, paths
from reproduce.optimizers import ANY, KERAS_3, TENSORFLOW_2016, Optimizer, in_order

Dashes = Literal["-"] | tuple[float, tuple[float, ...]]  # a line style

WIDTH = 6.75  # inches: both columns of an ICML page
NARROW_WIDTH = 5.1  # of a figure with a single panel

BLACK, GREY = "#1A1A1A", "#8A8A8A"
# The convnet's layers in Figure 3, and what layers share there: none an optimizer's colour.
LAYERS = ("#6A3D9A", "#C4417A", "#B8860B")

SOLID: Dashes = "-"
DASHED: Dashes = (0, (4.2, 1.6))
DOTTED: Dashes = (0, (1.1, 1.3))
DASH_DOTTED: Dashes = (0, (5.0, 1.3, 1.1, 1.3))

# Colour-blind safe (after Okabe and Ito). SGD is one family whose darkness falls with the
# learning rate; a Keras 3 variant is the lighter colour beside its original.
_OF_PAPER = {
    ("rmsprop", TENSORFLOW_2016): "#D55E00",
    ("adam", TENSORFLOW_2016): "#0072B2",
    ("rmsprop", KERAS_3): "#E69F00",
    ("adam", KERAS_3): "#56B4E9",
}
_SGD = {1.0: "#00523B", 0.1: "#009E73", 0.01: "#7ACFB0"}
_OTHERS = ("#CC79A7", "#6A3D9A", "#8C6D31", "#7F7F7F", "#000000")
# Where curves cross and cover each other, dashes tell them apart besides colours.
_DASHES: dict[str | float, Dashes] = {"adam": DASHED, 0.1: DASH_DOTTED, 0.01: DOTTED}
_OTHER_DASHES = (SOLID, DASHED, DASH_DOTTED, DOTTED)

Line = dict[str, Any]  # properties of a line, as matplotlib names them
_Function = TypeVar("_Function", bound=Callable)


@dataclass(frozen=True)
class Look:
    """How the curves of an optimizer look, the same in every figure.

    Attributes:
        colour: A colour.
        dashes: Its line style in figures that use dashes for nothing else.
    """

    colour: str
    dashes: Dashes = SOLID


Looks = Mapping[tuple[str, Optimizer], Look]  # by task and optimizer


def styled(function: _Function) -> _Function:
    """Decorates a function that draws, whose axes, lines and labels take the common style."""

    @functools.wraps(function)
    def drawing(*arguments: Any, **options: Any) -> Any:
        with matplotlib.rc_context(fname=paths.STYLE):
            return function(*arguments, **options)

    return drawing  # type: ignore[return-value]


@styled
def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Empty figure in the common style.

    Args:
        height: Height in inches.
        width: Width in inches; both columns of an ICML page by default.

    Returns:
        A `matplotlib.figure.Figure` that no window and no global state holds.
    """
    return Figure(figsize=(width, height))


def looks(trained: Iterable[tuple[str, Optimizer]]) -> dict[tuple[str, Optimizer], Look]:
    """The look of every optimizer of every task.

    Args:
        trained: Pairs of a task and an optimizer: all that were trained, so that looks do not
            depend on what is drawn of them.

    Returns:
        {(task, optimizer): its `Look`}; at the paper's rates optimizers have the paper's
        colours, others those that are left, in the order of legends.

    Example:

    >>> sgd = Optimizer("sgd", 1.0)
    >>> looks([("autoencoder", sgd)])["autoencoder", sgd].colour
    '#00523B'
    """
    pairs = list(trained)
    others = in_order(one for task, one in pairs if not _of_paper(task, one))
    colours = {
        one: Look(
            _OTHERS[place % len(_OTHERS)],
            _OTHER_DASHES[place // len(_OTHERS) % len(_OTHER_DASHES)],
        )
        for place, one in enumerate(others)
    }
    return {(task, one): _of_paper(task, one) or colours[one] for task, one in pairs}


def _of_paper(task: str, optimizer: Optimizer) -> Look | None:
    if optimizer.rate not in paper.RATES.get(task, {}).get(optimizer.name, ()):
        return None
    if optimizer.variant == ANY:
        return Look(_SGD[optimizer.rate], _DASHES.get(optimizer.rate, SOLID))
    return Look(_OF_PAPER[optimizer.name, optimizer.variant], _DASHES.get(optimizer.name, SOLID))
