"""The verdicts on the paper's claims."""

from reproduce import claims
from reproduce.pages.markdown import table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered


@registered("verdicts")
def verdicts(results: Results) -> str:
    """One line a claim, with the number that decides and what it is of."""
    return claims.verdict_table(results.claims)


@registered("verdicts_in_short")
def in_short(results: Results) -> str:
    """One line a claim, with the number that decides, for the README."""
    rows = [
        [row.claim, row.title, row.figures, row.definition, _number(row.number, row.quantity)]
        for row in claims.headline(results.claims).itertuples()
    ]
    return table(["", "claim", "`figures`", "`definition`", "what decides"], rows)


def _number(number: str, quantity: str) -> str:
    return f"{number.partition(' [')[0]} {quantity}" if number else ""
