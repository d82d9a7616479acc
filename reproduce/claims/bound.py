"""Claim 19: regret beside the bound that the run's own gradients and weights give it (2.3)."""

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from reproduce import optimizers
from reproduce.claims.case import Case
from reproduce.claims.evidence import Judgement, Margin, Measurement, Reason, together
from reproduce.claims.registry import Needs, claim
from reproduce.claims.verdicts import Verdict

_BOUNDED = Margin(low=0.0)


@claim(
    19,
    title="regret is below its own bound",
    statement="Regret against the Taylor optimum is at most the bound computed from the run's own "
    "gradients and weights",
    place="2.3, Theorem 2 for gradient descent",
    primary="the smallest slack as a share of the bound, of every rate, layer and checkpoint",
    needs=Needs(
        ("autoencoder", "deep_network"),
        "runs of SGD with `--protocols definition gradient_norms`, and `python -m reproduce bound`",
    ),
    remark="For a constant rate the bound is (||W^1 - V||^2 - ||W^{N+1} - V||^2) / (2 eta) + "
    "(eta / 2) sum_n ||g^n||^2, and an identity makes it the linearized regret sum_n "
    "<g^n, W^n - V>: regret can only exceed it where training, record or optimum are wrong.",
)
def below_its_bound(case: Case) -> Judgement:
    """Claim 19, every checkpoint of every layer of gradient descent at every rate."""
    table = case.tables.bound
    table = table[table["bound"].notna()]
    return together(
        _of_scope(optimizers.rows(table, one), optimizer=one, scope=str(scope))
        for one in optimizers.of_table(table)
        for scope in dict.fromkeys(optimizers.rows(table, one)["scope"])
    )


def _of_scope(table: pd.DataFrame, **where: Any) -> Judgement:
    rows = table[table["scope"] == where["scope"]]
    share = rows["slack"] / rows["bound"].abs()
    seeds = tuple(sorted({int(seed) for seed in rows["seed"]}))
    least = Measurement("slack / bound", float(share.min()), seeds=seeds, **where)
    if not rows["agrees"].all():
        nothing = replace(least, value=math.nan)
        return Judgement(Verdict.INCONCLUSIVE, Reason.OTHER_STEPS, nothing, _BOUNDED)
    verdict = Verdict.REPRODUCED if rows["holds"].all() else Verdict.NOT_REPRODUCED
    return Judgement(verdict, Reason.EVERYWHERE, least, _BOUNDED)
