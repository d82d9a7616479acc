"""The paper's claims judged from saved tables: one row a claim and protocol."""

from pathlib import Path

import numpy as np
import pandas as pd

from reproduce import captions, judgements, selection, tables
from reproduce.claims import NEEDS, STATEMENTS
from reproduce.judgements import Judgement

COLUMNS = ["claim", "statement", "measured", "verdict", "protocol"]

_LAYER = "dense_3"  # the layer that Figure 4 shows
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
        autoencoder = runs[runs["task"] == "autoencoder"]
        if len(autoencoder):
            rows += _autoencoder(autoencoder)
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
    losses = tables.read_losses(runs)
    regret, exponents = tables.read_regret(runs), tables.read_exponents(runs)
    training = captions.summary(runs)
    rows = [_row(9, judgements.loss_order(losses), training)]
    domains = [
        (record, ball)
        for record in selection.shown_records(regret)
        for ball in selection.domains(regret, record)
    ]
    for record, ball in domains:
        protocol = f"{captions.protocol(runs, record, ball)}; {training}"
        evidence = _Evidence(losses, regret, exponents, record, ball)
        rows += [
            _row(4, evidence.growth([_LAYER]), protocol),
            _row(4, evidence.growth(evidence.other_layers()), protocol, " - other layers"),
            _row(5, evidence.losses_and_gaps(), protocol),
            _row(11, evidence.every_scale(), protocol),
        ]
    return rows


class _Evidence:
    """Tables of one record and domain, asked for the numbers behind each claim."""

    def __init__(self, losses, regret, exponents, record, ball):
        self._record, self._ball = record, ball
        self._best = selection.best_sgd(losses)
        self._labels = selection.compared(losses)
        self._finished = selection.final_losses(losses)
        self._regret, self._exponents = (self._of_domain(table) for table in (regret, exponents))

    def other_layers(self):
        layers = selection.layers(self._regret, self._record)
        return [layer for layer in layers if layer != _LAYER]

    def growth(self, scopes):
        """Claim 4, for each optimizer in each scope."""
        if not scopes:
            return Judgement(judgements.INCONCLUSIVE, "no results")
        parts, words = [], []
        for scope in scopes:
            each = {label: self._one(scope, label) for label in self._labels}
            parts += each.values()
            numbers = ", ".join(f"{label} {part.measured}" for label, part in each.items())
            words.append(f"{scope}: {numbers}")
        lacking = [
            name
            for name in ("RMSProp", "Adam", "SGD")
            if not any(label.startswith(name) for label in self._labels)
        ]
        if lacking:
            words.append(f"no run of {', '.join(lacking)}")
            parts.append(Judgement(judgements.INCONCLUSIVE, words[-1]))
        return Judgement(judgements.all_of(parts), f"exponent in {'; '.join(words)}")

    def losses_and_gaps(self):
        """Claim 5, in the layer of Figure 4(c), at the last round that all have."""
        table = selection.rows(self._regret, self._record, _LAYER, self._ball)
        shown = [label for label in self._labels if label in self._finished]
        table = table[table["optimizer"].isin(shown)].dropna(subset=["regret"])
        if table.empty:
            return Judgement(judgements.INCONCLUSIVE, f"no results for {_LAYER}")
        last = table.groupby("run")["round"].max().min()
        at_last = table[table["round"] == last]
        final = at_last.groupby("optimizer")[["cumulative_loss", "regret"]].mean()
        result = judgements.lower_loss_and_gap(final, self._best)
        where = f"{_LAYER} at epoch {at_last['epoch'].mean():g}, N = {last:g}"
        return Judgement(result.verdict, f"{where}: {result.measured}")

    def every_scale(self):
        """Claim 11, at each of the three scales of Theorem 2."""
        scopes = list(self._regret["scope"].unique())
        layers = selection.layers(self._regret, self._record)
        scales = {
            "network": [scope for scope in scopes if scope == "network"],
            "layer": layers,
            "neuron": [scope for scope in scopes if scope not in [*layers, "network"]],
        }
        parts, words = [], []
        for scale, members in scales.items():
            judged = [self._one(scope, label) for scope in members for label in self._labels]
            parts += judged or [Judgement(judgements.INCONCLUSIVE, "")]
            words.append(f"{scale}: {self._count(members, judged) if judged else 'not measured'}")
        return Judgement(judgements.all_of(parts), "; ".join(words))

    def _of_domain(self, table):
        return table[
            (table["record"] == self._record) & (np.isfinite(table["radius"]) == self._ball)
        ]

    def _one(self, scope, label):
        if label not in self._finished:  # the regret of its last rounds means nothing
            return Judgement(judgements.INCONCLUSIVE, "diverged")
        return judgements.square_root_growth(
            *(
                selection.rows(table[table["optimizer"] == label], self._record, scope, self._ball)
                for table in (self._regret, self._exponents)
            )
        )

    def _count(self, scopes, judged):
        """How many scopes and optimizers fall like 1/sqrt(N), and what the others do."""
        good = sum(each.verdict == judgements.REPRODUCED for each in judged)
        negative = sum(each.measured.startswith("regret negative") for each in judged)
        fitted = self._exponents[
            self._exponents["scope"].isin(scopes) & self._exponents["optimizer"].isin(self._labels)
        ]
        median = fitted["exponent"].median() - 1
        text = f"{good} of {len(judged)} fall like 1/sqrt(N)"
        text += f" (median exponent of regret/N {median:.2f})" if np.isfinite(median) else ""
        # The theorem bounds regret from above only: negative regret breaks no bound.
        return text + (f", {negative} negative, as the one-sided bound allows" if negative else "")


def _row(claim, judgement, protocol, addition=""):
    return dict(
        zip(
            COLUMNS,
            [claim, STATEMENTS[claim] + addition, judgement.measured, judgement.verdict, protocol],
        )
    )
