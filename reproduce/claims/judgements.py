"""Criteria by which a claim of the paper counts as reproduced, each with its reason."""

from dataclasses import dataclass

import numpy as np

from reproduce import selection

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
INCONCLUSIVE = "inconclusive"

# Regret grows like sqrt(N) when its exponent lies this close to one half: on
# a figure of regret/sqrt(N), N**0.1 changes the height by a quarter over a
# factor of ten in N, about what the published curves change by.
SQRT_EXPONENT = (0.4, 0.6)
# An interval that contains one half counts as sqrt growth too, unless it is so
# wide that it could not tell flat (0) or linear (1) growth from it.
WIDEST_INTERVAL = 0.5
# Numbers closer than this are a tie: another seed alone moves the autoencoder's
# loss by about as much.
TIE = 0.02
# "Well below": at least this much lower.
WELL_BELOW = 0.10
# A verdict on regret rests on optima of which at least this share is certified.
CERTIFIED_SHARE = 0.5


@dataclass(frozen=True)
class Judgement:
    """Verdict on a claim with the numbers behind it.

    Attributes:
        verdict: `"reproduced"`, `"not reproduced"` or `"inconclusive"`.
        measured: Short text with the numbers.
    """

    verdict: str
    measured: str


def all_of(judgements):
    """Verdict on a claim made of parts: it holds when every part holds.

    Args:
        judgements: List of `Judgement`.

    Returns:
        A verdict; one part that fails decides, one inconclusive part leaves
        the whole open.

    Example:

    >>> all_of([Judgement("reproduced", "a"), Judgement("inconclusive", "b")])
    'inconclusive'
    """
    verdicts = [each.verdict for each in judgements]
    for verdict in (NOT_REPRODUCED, INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return REPRODUCED if verdicts else INCONCLUSIVE


def square_root_growth(regret, exponents):
    """Whether the regret of one optimizer grows like sqrt(N).

    Args:
        regret: Rows of `tables.read_regret` of one optimizer, record and scope.
        exponents: Rows of `tables.read_exponents` of the same.

    Returns:
        A `Judgement`. Negative regret has no exponent, so the claim fails.
    """
    if regret.empty or not np.isfinite(regret["regret"]).any():
        return Judgement(INCONCLUSIVE, "no regret")
    start = exponents["first_epoch"].min() if len(exponents) else regret["epoch"].min()
    # The fit's own window decides, since growth is a statement about large N.
    window = regret[~(regret["epoch"] < start)]
    loose = (~window["certified"]).sum()
    if loose > (1 - CERTIFIED_SHARE) * len(window):
        return Judgement(INCONCLUSIVE, f"{loose} of {len(window)} optima not certified")
    negative = window[window["regret"] < 0]
    if len(negative):
        return Judgement(NOT_REPRODUCED, negative_regret(window))
    fitted = exponents[np.isfinite(exponents["exponent"])]
    if fitted.empty:
        why = ", ".join(sorted(set(exponents["status"].astype(str)))) or "not solved"
        return Judgement(INCONCLUSIVE, f"no exponent ({why})")
    # Over several seeds the interval spans theirs: runs differ more than fits.
    middle, low, high = fitted["exponent"].mean(), fitted["low"].min(), fitted["high"].max()
    text = f"{middle:.2f} [{low:.2f}, {high:.2f}]"
    text += f" ({loose} of {len(window)} optima not certified)" if loose else ""
    return Judgement(growth_verdict(middle, low, high), text)


def lower_loss_and_gap(final, best):
    """Claim 5: adaptive optimizers against the best SGD at the last common round.

    Args:
        final: Frame with the optimizers as index, and the columns
            `cumulative_loss` and `regret` (the gap) at one round.
        best: Label of the best SGD.

    Returns:
        A `Judgement`. A Taylor optimum above the loss leaves no gap to
        compare, so it settles nothing unless the losses already do.
    """
    adaptive = [label for label in final.index if not label.startswith("SGD")]
    if len(adaptive) < 2 or best not in final.index:
        return Judgement(INCONCLUSIVE, "needs finished runs of Adam, RMSProp and SGD")
    text = "; ".join(
        f"{label}: loss {row['cumulative_loss']:.4g}, gap {row['regret']:.3g}"
        for label, row in final.loc[[*adaptive, best]].iterrows()
    )
    losses = [
        lower(final.loc[label, "cumulative_loss"], final.loc[best, "cumulative_loss"])
        for label in adaptive
    ]
    gaps = [lower(final.loc[label, "regret"], final.loc[best, "regret"]) for label in adaptive]
    negative = [label for label in [*adaptive, best] if final.loc[label, "regret"] < 0]
    if NOT_REPRODUCED in losses:
        return Judgement(NOT_REPRODUCED, text)
    if negative:
        above = f"the Taylor optimum lies above the loss for {', '.join(negative)}"
        return Judgement(INCONCLUSIVE, f"{text}; {above}")
    return Judgement(all_of([Judgement(each, "") for each in losses + gaps]), text)


def loss_order(losses):
    """Claim 9: Adam's final loss lowest, RMSProp's well below the best SGD's.

    Args:
        losses: Rows of `tables.read_losses` of the autoencoder.

    Returns:
        A `Judgement` on the mean loss of the final epoch.
    """
    final = selection.final_losses(losses)
    best = selection.best_sgd(losses)
    names = [label for label in selection.compared(losses) if label in final]
    text = ", ".join(f"{label} {final[label]:.4f}" for label in names)
    adam = next((label for label in names if label.startswith("Adam")), None)
    rmsprop = next((label for label in names if label.startswith("RMSProp")), None)
    if not (adam and rmsprop and best):
        return Judgement(
            INCONCLUSIVE, f"needs finished runs of Adam, RMSProp and SGD; there is {text or 'none'}"
        )
    well_below = final[rmsprop] <= (1 - WELL_BELOW) * final[best]
    parts = [
        Judgement(lower(final[adam], final[rmsprop]), ""),
        Judgement(lower(final[adam], final[best]), ""),
        Judgement(REPRODUCED if well_below else NOT_REPRODUCED, ""),
    ]
    below = 1 - final[rmsprop] / final[best]
    return Judgement(
        all_of(parts),
        f"{text}; RMSProp {abs(below):.0%} {'below' if below >= 0 else 'above'} the best SGD",
    )


def growth_verdict(middle, low, high):
    """Whether an exponent with its interval stands for growth like sqrt(N).

    Args:
        middle: The exponent.
        low: Lower end of its interval.
        high: Upper end of its interval.

    Returns:
        A verdict.

    Examples:

    >>> growth_verdict(0.47, 0.44, 0.49)
    'reproduced'
    >>> growth_verdict(0.8, 0.7, 0.9)
    'not reproduced'
    """
    if SQRT_EXPONENT[0] <= middle <= SQRT_EXPONENT[1] and high - low <= WIDEST_INTERVAL:
        return REPRODUCED
    if not low <= 0.5 <= high:
        return NOT_REPRODUCED
    return REPRODUCED if high - low <= WIDEST_INTERVAL else INCONCLUSIVE


def negative_regret(regret):
    """Says from which epoch regret is negative, and whether it stays so.

    Args:
        regret: Rows with `epoch` and `regret`, some of it negative.

    Returns:
        A short text.
    """
    first = regret[regret["regret"] < 0]["epoch"].min()
    later = regret[regret["epoch"] >= first]
    share = (later["regret"] < 0).mean()
    stays = "" if share == 1 else f" ({share:.0%} of the checkpoints since)"
    return f"regret negative from epoch {first:g}{stays}, no exponent"


def lower(first, second):
    """Whether one number is lower than another, by more than a tie.

    Args:
        first: The number that should be lower.
        second: The other.

    Returns:
        A verdict.
    """
    if abs(first - second) <= TIE * max(abs(first), abs(second)):
        return INCONCLUSIVE
    return REPRODUCED if first < second else NOT_REPRODUCED
