"""Criteria for the claims about exploration (Figure 5), each with its reason."""

import math

import numpy as np
import pandas as pd
from reproduce.exploration_curves import MEASURES, interval
from reproduce.judgements import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, Judgement

from reproduce import judgements

# "Far more": the total is at least this many times as large. A log-volume is a logarithm,
# so there it is a difference, that of this many times as many switching bits: the squares of
# the singular values add up to the bits' variance, so each of them is larger by the root.
FAR = 1.5
# Claim 8 speaks of Adam's 40 most exploratory neurons and of a drop from neuron 60 on.
MATCHING, DROP = 40, 60
# The drop shows within so many neurons, ...
WINDOW = 20
# ... and is sharp when the curve falls there so many times as steeply as it did before.
SHARP = 3.0

_NAMES = {
    "minimum_hamming": "minimum Hamming distance",
    "switches": "switches",
    "log_volume": "log-volume",
}
_SHOWN = (1, 20, 40, 60, 80, 120, 180)  # neurons whose log-volumes are printed


def far_more(totals, label):
    """Claim 6: whether an optimizer explores far more than SGD at every learning rate.

    Args:
        totals: Rows of `exploration_curves.totals` of one task's network.
        label: Label of the optimizer, a variant of RMSProp.

    Returns:
        A `Judgement`: all three measures against every SGD, where the 95% interval over seeds
        of the difference must not hold zero.
    """
    rates = _rates(totals)
    if not rates:
        return Judgement(INCONCLUSIVE, "no run of SGD")
    verdicts, words = {}, []
    for measure in MEASURES:
        own = _row(totals, measure, label)
        others = {rate: _row(totals, measure, rate) for rate in rates}
        for rate, other in others.items():
            verdicts[f"{_NAMES[measure]} against {rate}"] = _far(measure, own, other)
        compared = ", ".join(_ratio(measure, own, other) for other in others.values())
        words.append(f"{_NAMES[measure]} {_number(own)}: {compared}")
    return _joined(verdicts, words)


def between(totals, adam, rmsprop):
    """Claim 7: whether Adam explores less than RMSProp and more than SGD.

    Args:
        totals: Rows of `exploration_curves.totals` of one task's network.
        adam: Label of Adam.
        rmsprop: Label of a variant of RMSProp.

    Returns:
        A `Judgement` by Hamming distance and switches: each order must be more than a tie,
        and the 95% interval over seeds of the difference must not hold zero.
    """
    rates, present = _rates(totals), set(totals["optimizer"])
    if not rates or not {adam, rmsprop} <= present:
        return Judgement(INCONCLUSIVE, "needs runs of Adam, RMSProp and SGD")
    verdicts, words = {}, []
    for measure in MEASURES[:2]:
        rows = {label: _row(totals, measure, label) for label in [rmsprop, adam, *rates]}
        verdicts[f"{_NAMES[measure]} below {rmsprop}"] = _less(rows[adam], rows[rmsprop])
        for rate in rates:
            verdicts[f"{_NAMES[measure]} above {rate}"] = _less(rows[rate], rows[adam])
        numbers = ", ".join(f"{label} {_number(row)}{_fate(row)}" for label, row in rows.items())
        words.append(f"{_NAMES[measure]}: {numbers}")
    return _joined(verdicts, words)


def targeted(adam, rmsprop, margin):
    """Claim 8: whether Adam's most exploratory neurons match RMSProp's, and then drop.

    Args:
        adam: `curves.Curve` of Adam's sorted log-volumes, None where it has none.
        rmsprop: That of RMSProp.
        margin: Difference of log-volumes that counts as far, of `far_margin`.

    Returns:
        A `Judgement`: over the first 40 neurons the two differ by less than the margin on
        average; from neuron 60 to 80 Adam's curve falls at least three times as steeply as
        from 20 to 60, and then lies more than the margin below RMSProp's.
    """
    if adam is None or rmsprop is None:
        return Judgement(INCONCLUSIVE, "needs finished runs of Adam and RMSProp")
    count = min(adam.epoch.max(), rmsprop.epoch.max())
    if count < DROP + WINDOW:
        return Judgement(INCONCLUSIVE, f"only {count:.0f} neurons")
    neurons = np.arange(1, int(count) + 1)
    one, other = (np.interp(neurons, each.epoch, each.mean) for each in (adam, rmsprop))
    apart = np.abs(one - other)[:MATCHING].mean()
    after = (one[DROP - 1] - one[DROP + WINDOW - 1]) / WINDOW
    before = (one[WINDOW - 1] - one[DROP - 1]) / (DROP - WINDOW)
    below = (other - one)[DROP + WINDOW - 1]
    verdicts = [apart <= margin, after >= SHARP * before and below >= margin]
    parts = [Judgement(REPRODUCED if holds else NOT_REPRODUCED, "") for holds in verdicts]
    shown = [neuron for neuron in _SHOWN if neuron <= count]
    pairs = ", ".join(f"{one[n - 1]:.0f}/{other[n - 1]:.0f}" for n in shown)
    falls = one[:-WINDOW] - one[WINDOW:]
    steepest = int(np.argmax(falls)) + 1
    text = (
        f"log-volumes Adam/RMSProp of neurons {', '.join(map(str, shown))}: {pairs}; the first "
        f"{MATCHING} differ by {apart:.1f} on average (a match is at most {margin:.1f}); Adam "
        f"falls by {after:.2g} a neuron from {DROP} to {DROP + WINDOW} and by {before:.2g} from "
        f"{WINDOW} to {DROP}, most steeply from {steepest} to {steepest + WINDOW} (by "
        f"{falls.max() / WINDOW:.2g}); at {DROP + WINDOW} it lies {below:.1f} below RMSProp"
    )
    return Judgement(judgements.all_of(parts), text)


def far_margin(values):
    """By how much a log-volume must be larger to be far larger.

    Args:
        values: How many singular values it is made of.

    Returns:
        A number.

    Example:

    >>> far_margin(50)
    10.14
    """
    return float(values * math.log(FAR) / 2)


def _joined(verdicts, words):
    """All comparisons must hold; those that do not are named."""
    held = sum(verdict == REPRODUCED for verdict in verdicts.values())
    words = [*words, f"{held} of {len(verdicts)} comparisons hold"]
    for verdict, text in ((NOT_REPRODUCED, "not"), (INCONCLUSIVE, "open")):
        names = [name for name, each in verdicts.items() if each == verdict]
        words += [f"{text}: {', '.join(names)}"] if names else []
    parts = [Judgement(verdict, "") for verdict in verdicts.values()]
    return Judgement(judgements.all_of(parts), "; ".join(words))


def _rates(totals):
    labels = dict.fromkeys(totals["optimizer"])
    return sorted((label for label in labels if label.startswith("SGD")), key=_rate, reverse=True)


def _rate(label):
    return float(label.split("lr=")[1].split()[0])


def _row(totals, measure, label):
    rows = totals[(totals["measure"] == measure) & (totals["optimizer"] == label)]
    return rows.iloc[0]


def _far(measure, first, second):
    if first["diverged"] or second["diverged"]:  # of fewer epochs than the other
        return INCONCLUSIVE
    if measure == "log_volume":
        far = first["mean"] - second["mean"] >= far_margin(first["values"])
    else:
        far = first["mean"] >= FAR * second["mean"]
    if not far:
        return NOT_REPRODUCED
    return INCONCLUSIVE if _tied(second, first) else REPRODUCED


def _less(first, second):
    if first["diverged"] or second["diverged"]:
        return INCONCLUSIVE
    verdict = judgements.lower(first["mean"], second["mean"])
    return INCONCLUSIVE if verdict == REPRODUCED and _tied(first, second) else verdict


def _tied(lower, higher):
    """Whether the difference of two totals, seed by seed, may be zero.

    Runs of one seed begin at the same weights and see the same minibatches, so they are
    compared in pairs: 95% t-interval of the difference. False where seeds are too few.
    """
    seeds = sorted(lower["by_seed"].keys() & higher["by_seed"].keys())
    differences = [higher["by_seed"][seed] - lower["by_seed"][seed] for seed in seeds]
    return bool(interval(pd.Series(differences, dtype=float))[0] <= 0)


def _ratio(measure, first, second):
    if measure == "log_volume":
        return f"{first['mean'] - second['mean']:+.1f} against {second['optimizer']}{_fate(second)}"
    return f"{first['mean'] / second['mean']:.2f} x {second['optimizer']}{_fate(second)}"


def _fate(row):
    return f" ({row['fate']})" if row["fate"] else ""


def _number(row):
    """`"0.52 [0.50, 0.54]"`, or the mean alone where there is no interval."""
    if not np.isfinite(row["low"]):
        return f"{row['mean']:.3g}"
    return f"{row['mean']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"
