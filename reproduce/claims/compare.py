"""The paper's claims judged from saved tables: one row a claim and protocol."""

from pathlib import Path

import pandas as pd
from reproduce.evidence import Evidence
from reproduce.judgements import Judgement

from reproduce import (
    captions,
    convnet_judgements,
    exploration_curves,
    exploration_judgements,
    judgements,
    selection,
    tables,
)
from reproduce.claims import NEEDS, STATEMENTS

COLUMNS = ["claim", "statement", "measured", "verdict", "protocol"]

_LAYER, _CONVNET_LAYER = "dense_3", "conv2d_2"  # the layers that Figure 4 shows
_CONVOLUTIONS = ["conv2d_1", "conv2d_2", "conv2d_3"]
_OTHERS = " - other layers"
_OF_TRAINING = (9, 10)
_NOT_MEASURED = "not yet measured"


def compare(root):
    """Judges the paper's claims from the results below a directory.

    Args:
        root: Directory of runs, or of several result sets.

    Returns:
        A `pandas.DataFrame` with the columns `claim` (its number),
        `statement`, `measured`, `verdict` and `protocol`. A claim has one row
        for each result set, record and domain (with or without a ball) that
        it was measured under; claims without results say what they need.

    Raises:
        ResultsError: If tables are missing or damaged.
    """
    rows = []
    for _, runs in tables.find_runs(root).groupby("set"):
        tables.require_one_protocol(runs)
        for task, group in runs.groupby("task"):
            rows += _JUDGED[task](group) + _exploration(group, task)
    rows = _without_repetitions(rows)
    measured = {row["claim"] for row in rows}
    rows += [
        _row(claim, Judgement(_NOT_MEASURED, NEEDS.get(claim, "needs the autoencoder")), "")
        for claim in STATEMENTS
        if claim not in measured
    ]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        "claim", kind="stable", ignore_index=True
    )


def markdown(claims):
    """Claims table as Markdown.

    Args:
        claims: Frame of `compare`.

    Returns:
        The text of a table.

    Example:

    >>> row = {"claim": 4, "statement": "a", "measured": "b", "verdict": "c", "protocol": "d"}
    >>> print(markdown(pd.DataFrame([row])))
    | claim | statement | measured | verdict | protocol |
    | --- | --- | --- | --- | --- |
    | 4 | a | b | c | d |
    <BLANKLINE>
    """
    lines = [list(claims.columns), ["---"] * len(claims.columns)]
    lines += [
        [str(value).replace("|", r"\|") for value in row] for row in claims.itertuples(index=False)
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(claims, out):
    """Writes the claims table as CSV and as Markdown.

    Args:
        claims: Frame of `compare`.
        out: Directory, made when it is not there.

    Returns:
        The two paths written, `claims.csv` and `claims.md`.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    csv, text = out / "claims.csv", out / "claims.md"
    claims.to_csv(csv, index=False)
    text.write_text(markdown(claims))
    return [csv, text]


def _autoencoder(runs):
    """Rows of claims 4, 5, 9 and 11 for one result set."""
    losses, training = tables.read_losses(runs), captions.summary(runs)
    rows = [_row(9, judgements.loss_order(losses), training)]
    for protocol, evidence in _evidences(runs, losses):
        rows += [
            _row(4, evidence.growth([_LAYER]), protocol),
            _row(4, evidence.growth(evidence.other_layers(_LAYER)), protocol, _OTHERS),
            _row(5, evidence.losses_and_gaps(_LAYER), protocol),
            _row(11, evidence.every_scale(), protocol),
        ]
    return rows


def _convnet(runs):
    """Rows of claims 1, 2, 3, 10 and 11 on CIFAR-10, and of 11 and 12 on digits."""
    losses, training = tables.read_losses(runs), captions.summary(runs)
    on_cifar10 = runs.iloc[0]["config"]["data"].get("name") == "cifar10"
    rows = [_row(10, convnet_judgements.training(losses), training)] if on_cifar10 else []
    claim = 3 if on_cifar10 else 12
    for protocol, evidence in _evidences(runs, losses):
        others = evidence.other_layers(_CONVNET_LAYER)
        rows += [
            _row(claim, evidence.growth_and_variation(_CONVNET_LAYER), protocol),
            _row(claim, evidence.growth(others), protocol, _OTHERS),
            _row(11, evidence.every_scale(), protocol),
        ]
    for protocol, evidence in _evidences(runs, losses, of_neurons=True):
        for label in evidence.with_neurons():
            addition = "" if label.startswith("RMSProp") else f" - {label}"  # Fig. 3 is RMSProp's
            growth = evidence.neuron_growth(label, _CONVOLUTIONS)
            if on_cifar10:
                bounds = evidence.neuron_bounds(label, _CONVOLUTIONS)
                rows += [_row(1, growth, protocol, addition), _row(2, bounds, protocol, addition)]
            else:
                rows.append(_row(12, growth, protocol, f" - neurons{addition}"))
    return rows


def _exploration(runs, task):
    """Rows of claims 6 to 8 for each variant of RMSProp that was trained."""
    exploration, losses = tables.read_exploration(runs), tables.read_losses(runs)
    totals = exploration_curves.totals(exploration, losses)
    totals = totals[totals["scope"] == "network"]
    labels = list(dict.fromkeys(totals["optimizer"]))
    adam = next((label for label in labels if label.startswith("Adam")), "Adam")
    protocol = f"{captions.activations(runs)}; {captions.summary(runs)}"
    rows = []
    for label in [label for label in labels if label.startswith("RMSProp")]:
        where = f" - {task}" if label == "RMSProp" else f" - {task}, {label}"
        between = exploration_judgements.between(totals, adam, label)
        rows += [
            _row(6, exploration_judgements.far_more(totals, label), protocol, where),
            _row(7, between, protocol, where),
        ]
        if task == "autoencoder":
            volumes = exploration_curves.exploration_curves(exploration, losses, task)
            both = [volumes.measures["log_volume"].get(name) for name in (adam, label)]
            margin = exploration_judgements.far_margin(totals["values"].max())
            rows.append(_row(8, exploration_judgements.targeted(*both, margin), protocol, where))
    return rows


def _evidences(runs, losses, of_neurons=False):
    """Yields the protocol in words and the `Evidence` of each record and domain."""
    regret, exponents = tables.read_regret(runs), tables.read_exponents(runs)
    solved = regret[regret["scope"].str.contains(":") == of_neurons]
    for record in selection.shown_records(solved):
        for ball in selection.domains(solved, record):
            protocol = f"{captions.protocol(runs, record, ball)}; {captions.summary(runs)}"
            yield protocol, Evidence(losses, regret, exponents, record, ball)


_JUDGED = {"autoencoder": _autoencoder, "convnet": _convnet}


def _without_repetitions(rows):
    """Training is judged once, though runs that explore may be in another set as well."""
    seen, kept = set(), []
    for row in rows:
        key = (row["claim"], row["measured"], row["protocol"].partition(": ")[2])
        if row["claim"] not in _OF_TRAINING or key not in seen:
            kept.append(row)
        seen.add(key)
    return kept


def _row(claim, judgement, protocol, addition=""):
    return dict(
        zip(
            COLUMNS,
            [claim, STATEMENTS[claim] + addition, judgement.measured, judgement.verdict, protocol],
        )
    )
