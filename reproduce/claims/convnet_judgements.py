"""Criteria for the claims about the convnet and its neurons, each with its reason."""

import numpy as np
from reproduce.judgements import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, Judgement

from reproduce import judgements, selection

# Figure 4 of the paper begins there, and so do the fits of exponents.
FIRST_EPOCH = 20
# "Individually": at least this share of the neurons behaves so. With fewer than FEW of
# them the claim is refuted; between the two, 50 neurons do not settle it.
MOST, FEW = 0.8, 0.5
# A small loss: on the paper's axis of 0 to 2.5, a curve that lies on the bottom.
SMALL_LOSS = 0.1
# The paper's own number.
ACCURACY = 0.99
# Epochs at the end over which noise is measured: the last fifth of the paper's 100.
LAST_EPOCHS = 20
_RESAMPLES = 1000


def share(verdicts):
    """Verdict on what most members of a group do.

    Args:
        verdicts: List of verdicts, one a member.

    Returns:
        A verdict. Members that are inconclusive count for neither side.

    Examples:

    >>> share(["reproduced"] * 9 + ["not reproduced"])
    'reproduced'
    >>> share(["reproduced"] * 6 + ["not reproduced"] * 4)
    'inconclusive'
    >>> share(["inconclusive"] * 9 + ["reproduced"])
    'inconclusive'
    """
    if not verdicts:
        return INCONCLUSIVE
    if verdicts.count(REPRODUCED) >= MOST * len(verdicts):
        return REPRODUCED
    refuted = verdicts.count(NOT_REPRODUCED) > (1 - FEW) * len(verdicts)
    return NOT_REPRODUCED if refuted else INCONCLUSIVE


def average_growth(regret, first_epoch=FIRST_EPOCH):
    """Claim 1, on average: whether the mean regret of a layer's neurons grows like sqrt(N).

    The exponent is the slope of log mean regret against log N. Its interval (95%) comes
    from drawing the neurons again: it says how much the choice of neurons matters.

    Args:
        regret: Rows of `tables.read_regret` of the neurons of one layer and optimizer.
        first_epoch: Checkpoints before this epoch are left out.

    Returns:
        A `Judgement`.
    """
    window = regret[regret["epoch"] >= first_epoch]
    grid = window.pivot(index="round", columns=["run", "scope"], values="regret").dropna()
    if len(grid) < 3:
        return Judgement(INCONCLUSIVE, f"{len(grid)} checkpoints from epoch {first_epoch} on")
    mean = grid.mean(axis=1)
    if (mean <= 0).any():
        epochs = window.groupby("round")["epoch"].mean().loc[grid.index]
        table = epochs.to_frame().assign(regret=mean)
        negative = (mean < 0).any()
        return Judgement(
            NOT_REPRODUCED,
            judgements.negative_regret(table) if negative else "regret zero, no exponent",
        )
    rounds, neurons = np.log(grid.index.to_numpy(float)), grid.to_numpy()
    drawn = np.random.default_rng(0).integers(0, neurons.shape[1], (_RESAMPLES, neurons.shape[1]))
    means = neurons[:, drawn].mean(axis=2)
    slopes = np.polyfit(rounds, np.log(means[:, (means > 0).all(axis=0)]), 1)[0]
    middle = np.polyfit(rounds, np.log(mean), 1)[0]
    low, high = np.quantile(slopes, [0.025, 0.975])
    return Judgement(
        judgements.growth_verdict(middle, low, high), f"{middle:.2f} [{low:.2f}, {high:.2f}]"
    )


def bounded_losses(regret, first_epoch=FIRST_EPOCH):
    """Claim 2: losses above Taylor optima, and regret between zero and the loss.

    Args:
        regret: Rows of `tables.read_regret` of the neurons of one layer and optimizer.
        first_epoch: Checkpoints before this epoch are left out.

    Returns:
        A `Judgement`: it must hold for the mean over neurons and for most of them, each
        at all checkpoints.
    """
    window = regret[regret["epoch"] >= first_epoch].dropna(subset=["regret"])
    if window.empty:
        return Judgement(INCONCLUSIVE, f"no checkpoints from epoch {first_epoch} on")
    window = window.assign(holds=_between(window))
    each = window.groupby(["run", "scope"])["holds"].all()
    numbers = ["cumulative_loss", "taylor_optimum", "regret"]
    mean = window.groupby("round")[numbers].mean()
    verdicts = [REPRODUCED if holds else NOT_REPRODUCED for holds in each]
    on_average = REPRODUCED if _between(mean).all() else NOT_REPRODUCED
    last = mean.iloc[-1] / mean.index[-1] ** 0.5
    text = (
        f"{each.sum()} of {len(each)} neurons at every checkpoint from epoch {first_epoch} on; "
        f"mean over sqrt(N) at N = {mean.index[-1]:g}: loss {last['cumulative_loss']:.3g}, "
        f"Taylor optimum {last['taylor_optimum']:.3g}, regret {last['regret']:.3g}"
    )
    loose = (~window["certified"]).sum()
    text += f" ({loose} of {len(window)} optima not certified)" if loose else ""
    parts = [Judgement(on_average, ""), Judgement(share(verdicts), "")]
    if loose > (1 - judgements.CERTIFIED_SHARE) * len(window):
        parts = [Judgement(INCONCLUSIVE, "")]
    return Judgement(judgements.all_of(parts), text)


def variation(regret, first_epoch=FIRST_EPOCH):
    """How unevenly regret grows: what "varies most" is measured by.

    Args:
        regret: Rows of `tables.read_regret` of one run and scope.
        first_epoch: Checkpoints before this epoch are left out.

    Returns:
        Standard deviation of the increments of regret between checkpoints, less those of
        its least-squares fit c + d sqrt(N), as a fraction of the mean size of regret; NaN
        with fewer than four checkpoints.

    Example:

    >>> import numpy as np, pandas as pd
    >>> n = np.arange(20, 101, 5)
    >>> table = pd.DataFrame({"round": n, "epoch": n, "regret": 0.3 * np.sqrt(n)})
    >>> bool(variation(table) < 1e-12)
    True
    """
    table = regret[regret["epoch"] >= first_epoch].dropna(subset=["regret"])
    if len(table) < 4:
        return np.nan
    table = table.sort_values("round")
    root, values = table["round"].to_numpy(float) ** 0.5, table["regret"].to_numpy(float)
    residual = values - np.polyval(np.polyfit(root, values, 1), root)
    return float(np.diff(residual).std(ddof=1) / np.abs(values).mean())


def sgd_varies_most(variations):
    """Claim 3, second part: whether regret is more uneven under SGD than under the others.

    Args:
        variations: Dictionary from optimizer label to its `variation`, the mean over seeds.

    Returns:
        A `Judgement`.
    """
    finite = {label: value for label, value in variations.items() if np.isfinite(value)}
    adaptive, sgd = _adaptive_and_sgd(finite)
    text = "variation " + ", ".join(f"{label} {value:.3g}" for label, value in finite.items())
    if len(adaptive) < 2 or not sgd:
        return Judgement(INCONCLUSIVE, f"{text if finite else 'no variation'}: needs all three")
    verdicts = [judgements.lower(finite[label], finite[sgd]) for label in adaptive]
    return Judgement(judgements.all_of([Judgement(each, "") for each in verdicts]), text)


def training(losses):
    """Claim 10: small losses, accuracy, and SGD slightly noisier.

    Args:
        losses: Rows of `tables.read_losses` of the convnet.

    Returns:
        A `Judgement` on RMSProp, Adam and the best SGD. Noise is the standard deviation
        of the loss of the last epochs about a straight line.
    """
    labels = selection.compared(losses)
    loss, accuracy = selection.final(losses, "loss"), selection.final(losses, "accuracy")
    noise, parts, words = {}, [], []
    for label in labels:
        if label not in loss:
            parts.append(Judgement(NOT_REPRODUCED, ""))
            words.append(f"{label} diverged")
            continue
        noise[label] = _noise(losses[losses["optimizer"] == label])
        small = loss[label] <= SMALL_LOSS
        parts.append(Judgement(REPRODUCED if small else NOT_REPRODUCED, ""))
        parts.append(Judgement(_accurate(accuracy.get(label)), ""))
        right = f"{accuracy[label]:.2%}" if label in accuracy else "not measured"
        words.append(f"{label} loss {loss[label]:.4f}, accuracy {right}, noise {noise[label]:.2g}")
    adaptive, sgd = _adaptive_and_sgd(noise)
    if len(adaptive) < 2 or not sgd:
        parts.append(Judgement(INCONCLUSIVE, ""))
        words.append("needs finished runs of Adam, RMSProp and SGD")
    else:
        noisier = [judgements.lower(noise[label], noise[sgd]) for label in adaptive]
        parts += [Judgement(each, "") for each in noisier]
    return Judgement(judgements.all_of(parts), "; ".join(words))


def _between(table):
    """Regret between zero and the loss: the same as an optimum between zero and the loss."""
    return (table["regret"] >= 0) & (table["regret"] <= table["cumulative_loss"])


def _accurate(accuracy):
    if accuracy is None:
        return INCONCLUSIVE
    return REPRODUCED if accuracy >= ACCURACY else NOT_REPRODUCED


def _adaptive_and_sgd(labels):
    """The labels that are not SGD's, and SGD's."""
    adaptive = [label for label in labels if not label.startswith("SGD")]
    return adaptive, next((label for label in labels if label.startswith("SGD")), None)


def _noise(losses):
    """Mean over seeds of the deviation of the last losses from a straight line."""
    values = []
    for _, run in losses.groupby("run"):
        last = run.sort_values("epoch").tail(LAST_EPOCHS)
        if len(last) > 2:
            line = np.polyval(np.polyfit(last["epoch"], last["loss"], 1), last["epoch"])
            values.append(float((last["loss"] - line).std(ddof=2)))
    return float(np.mean(values)) if values else np.nan
