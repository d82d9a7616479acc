"""The paper's claims, judged from saved results. Nothing here imports TensorFlow.

Each claim is one function, registered in the module of its family; `compare` judges them all.
"""

from reproduce.claims import (  # noqa: F401 - each registers its claims
    bound,
    depth,
    exploration,
    growth,
    losses,
    neurons,
    theorem,
    training,
)
from reproduce.claims.compare import compare
from reproduce.claims.page import (
    headline,
    headline_counts,
    overview,
    page,
    summary,
    verdict_table,
    write,
)

__all__ = [
    "compare",
    "headline",
    "headline_counts",
    "overview",
    "page",
    "summary",
    "verdict_table",
    "write",
]
