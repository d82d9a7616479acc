"""How far the optima behind all numbers can lie from the true ones."""

import numpy as np

from reproduce.pages.markdown import MINUS, significant, table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered


@registered("certificates")
def certificates(results: Results) -> str:
    """Optima of each experiment, how many are certified, and the largest gap of the others."""
    solved = results.regret[np.isfinite(results.regret["taylor_optimum"])]
    rows = []
    for key, optima in solved.groupby(["task", "experiment", "ball"], sort=False):
        task, experiment, ball = key
        loose = optima[~optima["certified"]]
        largest = (loose["gap"] / loose["taylor_optimum"].abs()).replace(np.inf, np.nan).max()
        rows.append(
            [
                f"{task}/{experiment}",
                "ball" if ball else "no ball",
                f"{len(optima):,}",
                f"{len(optima) - len(loose):,}",
                significant(largest, 2) if len(loose) else MINUS,
            ]
        )
    header = ["experiment", "V in", "optima", "certified", "largest relative gap of the others"]
    return table(header, rows)
