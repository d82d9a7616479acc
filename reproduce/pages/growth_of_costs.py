"""How costs grow with the work, from `python -m benchmarks.growth_of_costs`."""

from reproduce.pages import speed
from reproduce.pages.markdown import significant, table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered

_PARTS = {
    "J": "`linearize`, J",
    "G": "`linearize`, G",
    "regret": "`nta.regret`",
    "exploration": "`minimum_hamming`",
}


@registered("growth_of_costs")
def growth(results: Results) -> str:
    """Each cost against each size, the exponent that was measured and that of the arithmetic."""
    content = speed.read("growth_of_costs")
    notes = "".join(f" {note}" for note in content["notes"])
    header = ["", "against", "sizes", "processor seconds", "exponent", "of the arithmetic"]
    rows = [
        [
            _PARTS[curve["part"]],
            curve["against"],
            f"{curve['sizes'][0]:,} to {curve['sizes'][-1]:,}",
            f"{significant(curve['seconds'][0], 2)} to {significant(curve['seconds'][-1], 2)}",
            f"{curve['exponent']:.2f}",
            str(curve["expected"]),
        ]
        for curve in content["curves"]
    ]
    return f"\n*{speed.where_and_when(content)}.{notes}*\n\n" + table(header, rows)
