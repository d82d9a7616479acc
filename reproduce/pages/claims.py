"""The verdicts on the paper's claims."""

from reproduce import claims
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered


@registered("verdicts")
def verdicts(results: Results) -> str:
    """One line a claim."""
    return claims.verdict_table(results.claims)
