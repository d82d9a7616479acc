"""Every claim of the paper judged from saved tables: one row a part, experiment and reading."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from reproduce.claims import report, statistics
from reproduce.claims.case import NO_READING, Case
from reproduce.claims.evidence import Judgement, Reason
from reproduce.claims.registry import Claim, all_claims
from reproduce.claims.verdicts import Verdict
from reproduce.results import manifest as manifests
from reproduce.results import select
from reproduce.results.manifest import Basis, Manifest
from reproduce.results.runs import find_runs
from reproduce.results.select import Reading
from reproduce.results.tables import Tables

COLUMNS = (
    "claim part scale title statement place task experiment variant record ball comparator "
    "own_domain verdict primary quantity subject value low high unit margin_low margin_high "
    "interval seeds p p_holm reason details data remark headline"
).split()
_NUMBERS = ("value", "low", "high", "margin_low", "margin_high")  # NaN where there is none


def compare(root: str | Path, numbers: Sequence[int] | None = None) -> pd.DataFrame:
    """Judges the paper's claims from the results below a directory.

    Args:
        root: Directory of runs, with a `manifest.toml` or without one.
        numbers: Numbers of the claims that are judged; all by default.

    Returns:
        A frame with one row a (claim, part, scale, experiment, variant, reading): what is claimed
        (`claim`, `part`, `title`, `statement`, `place`), on what it is judged (`task`,
        `experiment`, `variant`, `data`; the reading's `record`, `ball` and `comparator`, empty
        where the claim does not rest on regret; `own_domain`, whether the record's own protocol
        has this domain), the `verdict`, the number that decides (`primary`, its name given
        beforehand; `quantity`, `subject`, `value`, `low`, `high`, `unit`, the limits
        `margin_low` and `margin_high`, `interval`, where its ends come from, `seeds`, how many),
        `p` over seeds and `p_holm`, adjusted for all claims of the reading, and in words
        `reason`, `details` and `remark`. `headline` says whether the row counts for the claim's
        one line. A claim that could not be judged has a row that says what it needs.

    Raises:
        ResultsError: If tables are missing or damaged, or an experiment mixes protocols.
    """
    runs = find_runs(root)
    cases = _Cases(runs)
    manifest = manifests.read(root, runs)
    chosen = [one for one in all_claims() if numbers is None or one.number in numbers]
    rows = [row for one in chosen for row in _rows(one, manifest, cases)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(p_holm=_adjusted(table))


class _Cases:
    """Cases of a directory, each made once: claims of one reading share its tables."""

    def __init__(self, runs: pd.DataFrame) -> None:
        self.runs = runs
        self._tables: dict[tuple, Tables] = {}
        self._cases: dict[tuple, Case] = {}
        self._readings: dict[tuple, list[Reading]] = {}

    def of(self, basis: Basis, activations: bool = False) -> Case:
        key = (basis.task, basis.experiment)
        if key not in self._tables:
            self._tables[key] = Tables(basis.runs(self.runs))
        return self._kept(basis, Case(basis, self._tables[key], activations=activations))

    def at(self, case: Case, reading: Reading, scale: str) -> Case:
        return self._kept(case.basis, case.at(reading, scale))

    def readings(self, case: Case, scale: str) -> list[Reading]:
        key = (case.basis, scale)
        if key not in self._readings:
            self._readings[key] = case.readings(scale)
        return self._readings[key]

    def _kept(self, basis: Basis, case: Case) -> Case:
        return self._cases.setdefault((basis, case.reading, case.scale, case.activations), case)


def _rows(claim: Claim, manifest: Manifest, cases: _Cases) -> list[dict]:
    """Rows of one claim, or the one that says what it waits for."""
    rows = []
    every = manifests.bases(manifest, claim.number, cases.runs)
    listed = [basis for basis in every if _speaks_of(claim, basis, cases.runs)]
    for basis in listed:
        for case, judged in _judged(claim, cases.of(basis, claim.needs.activations), cases):
            counts = manifest.counts(basis, case.reading.record, listed)
            rows.append(_row(claim, case, judged, counts))
    return rows or [_row(claim, None, _not_measured(), True)]


def _speaks_of(claim: Claim, basis: Basis, runs: pd.DataFrame) -> bool:
    if basis.task not in claim.needs.tasks:
        return False
    data = {config["data"].get("name") for config in basis.runs(runs)["config"]}
    return not claim.needs.data or data <= set(claim.needs.data)


def _judged(claim: Claim, case: Case, cases: _Cases) -> Iterator[tuple[Case, Judgement]]:
    """A claim judged on one experiment, in every reading of every scale that it speaks of."""
    if claim.needs.activations and case.tables.exploration["totals"].empty:
        yield case, _not_measured()
        return
    if not claim.needs.scales:
        yield case, claim.judge(case)
        return
    for scale in claim.needs.scales:
        readings = cases.readings(case, scale)
        if not readings:
            yield case.at(NO_READING, scale), _not_measured()
        for reading in readings:
            of_reading = cases.at(case, reading, scale)
            yield of_reading, claim.judge(of_reading)


def _not_measured() -> Judgement:
    return Judgement(Verdict.NOT_MEASURED, Reason.MISSING)


def _row(claim: Claim, case: Case | None, judged: Judgement, headline: bool) -> dict:
    several = len(claim.needs.scales) > 1
    row = {
        "claim": claim.number,
        "part": claim.part,
        "scale": case.scale if case and several else "",
        "title": claim.title,
        "statement": claim.statement,
        "place": claim.place,
        "verdict": judged.verdict.value,
        "primary": claim.primary,
        "p": judged.p,
        "reason": report.reason(judged, claim, case),
        "remark": claim.remark,
        "headline": headline,
        **_basis(case),
        **_number(case, judged),
    }
    return {column: row.get(column, math.nan if column in _NUMBERS else "") for column in COLUMNS}


def _basis(case: Case | None) -> dict:
    """Columns that say what a claim was judged on."""
    if case is None:
        return {}
    basis, reading = case.basis, case.reading
    columns = {
        "task": basis.task,
        "experiment": basis.experiment,
        "variant": basis.variant,
        "data": report.data(case),
    }
    if reading == NO_READING:
        return columns
    own = select.own_ball(case.tables.runs, reading.record)
    domain = {"ball": reading.ball, "own_domain": own is None or own == reading.ball}
    return {**columns, "record": reading.record, "comparator": reading.comparator, **domain}


def _number(case: Case | None, judged: Judgement) -> dict:
    """Columns of the number that decides, typed, and of the others in words."""
    number = judged.measurement
    if case is None or number.quantity == "":
        return {"value": float("nan"), "seeds": 0}
    return {
        "quantity": number.quantity,
        "subject": report.subject(number, case.task),
        "value": number.value,
        "low": number.low,
        "high": number.high,
        "unit": number.unit.name.lower(),
        "margin_low": judged.margin.low,
        "margin_high": judged.margin.high,
        "interval": number.spread.name.lower(),
        "seeds": len(number.seeds),
        "details": report.details(judged, case.task),
    }


def _adjusted(table: pd.DataFrame) -> pd.Series:
    """Holm's adjustment over the claims of one reading: of the headline, and of each variant."""
    basis = table[["experiment", "variant"]].where(~table["headline"], "headline")
    keys = [table["record"], table["comparator"], basis["experiment"], basis["variant"]]
    adjusted = pd.Series(float("nan"), table.index)
    for _, p in table.groupby(keys, sort=False)["p"]:
        adjusted.update(pd.Series(statistics.holm(p.to_numpy(float)), p.index))
    return adjusted
