"""What can be wrong with saved results."""


class ResultsError(Exception):
    """Saved results are missing, damaged or do not belong together."""


class NoResults(ResultsError):
    """Results are sound, but do not hold what a figure or a claim needs."""
