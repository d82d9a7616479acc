"""Claim 17: the network of more than 100 layers that fails to learn (2.3)."""

from typing import Any

from reproduce import optimizers
from reproduce.claims import spreads
from reproduce.claims.case import Case, each_seed, last_rows
from reproduce.claims.evidence import Judgement, Unit, judge, over_seeds, together
from reproduce.claims.margins import FAILS_TO_LEARN
from reproduce.claims.registry import Needs, claim
from reproduce.claims.theorem import bounded
from reproduce.optimizers import Optimizer

# Loss of the best constant, the mean image, in whole datasets: biases alone reach it.
MEAN_IMAGE_LOSS = {"sample": 0.0676337, "mnist": 0.0672513}

_NEEDS = Needs(("deep_network",), "a run of a network of more than 100 layers", scales=("layer",))


@claim(
    17,
    part="poor optimum",
    title="> 100 layers: poor optimum",
    statement="More than 100 layers fail to learn: their Taylor losses have poor solutions",
    place="2.3",
    primary="the smallest Taylor optimum as a share of the cumulative loss",
    needs=_NEEDS,
)
def poor_optimum(case: Case) -> Judgement:
    """Claim 17, losses and Taylor optima of every optimizer and layer that was solved."""
    trained = optimizers.of_table(case.regret)
    learning = [_last_over_mean_image(case, one) for one in trained]
    optima = [_optimum_share(case, one, scope) for one in trained for scope in case.scopes]
    return together([*optima, *learning])


@claim(
    17,
    part="bound",
    statement="Theorem 2 still holds for a network of more than 100 layers",
    place="2.3",
    primary="the largest exponent of regret",
    needs=_NEEDS,
)
def bound_holds(case: Case) -> Judgement:
    """Claim 17, the bound of claim 11 in this network."""
    return bounded(case, optimizers.of_table(case.regret))


def _last_over_mean_image(case: Case, optimizer: Optimizer) -> Judgement:
    """Whether the network ends no better than without an input."""
    (name,) = {config["data"]["name"] for config in case.tables.runs["config"]}
    losses = optimizers.rows(case.losses, optimizer).sort_values("epoch").dropna(subset="loss")
    shares = {
        seed: float(rows["loss"].iloc[-1] / MEAN_IMAGE_LOSS[name])
        for seed, rows in each_seed(losses)
    }
    quantity = "last loss over that of the mean image"
    return judge(
        over_seeds(quantity, shares, Unit.SHARE, 0.02, optimizer=optimizer), FAILS_TO_LEARN
    )


def _optimum_share(case: Case, optimizer: Optimizer, scope: str) -> Judgement:
    shares = {
        seed: float((rows["taylor_optimum"] / rows["cumulative_loss"]).mean())
        for seed, rows in each_seed(last_rows(case.rows(optimizer, scope)))
    }
    spread = spreads.of_share(1 - sum(shares.values()) / len(shares), case.task)
    quantity = "Taylor optimum / cumulative loss"
    where: dict[str, Any] = {"optimizer": optimizer, "scope": scope}
    return judge(over_seeds(quantity, shares, Unit.SHARE, spread, **where), FAILS_TO_LEARN)
