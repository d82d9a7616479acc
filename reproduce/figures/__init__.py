"""The paper's figures, drawn from saved results. Nothing here imports TensorFlow.

A figure is a module that registers itself; adding one is that module and its name below.
"""

from reproduce.figures import (  # noqa: F401
    figure_1,
    figure_2,
    figure_3,
    figure_4,
    figure_5,
    figure_6,
    figure_a4,
    figure_bound,
)
from reproduce.figures.registry import ALL, draw

__all__ = ["ALL", "draw"]
