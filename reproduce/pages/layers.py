"""What linearize does with kinds of layer and with models, from `python -m benchmarks.layers`."""

from reproduce.pages import speed
from reproduce.pages.markdown import MINUS, significant, table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered


@registered("layer_rules")
def rules(results: Results) -> str:
    """Kinds of layer, whether a rule knows them, and what G costs: `layer_table()` of the code."""
    rows = speed.read("layers")["layer_table"]
    header = list(rows[0])
    return table(header, [[row[name] for name in header] for row in rows])


@registered("layers_measured")
def measured(results: Results) -> str:
    """Error, time and memory of each kind of layer and each model, beside `tape.jacobian`."""
    content = speed.read("layers")
    notes = "; ".join(content["notes"])
    header = ["", "how", "worst error", "ms", "ms, tape.jacobian", "ratio", "MB", "MB, tape"]
    return f"\n*{speed.where_and_when(content)}. {notes}.*\n\n" + table(
        header, [_row(entry) for entry in content["tables"]]
    )


def _row(entry: dict) -> list[str]:
    time = entry["time"]
    ours, theirs = entry["rows"]
    ratio = MINUS if time not in theirs else f"{significant(theirs[time] / ours[time], 2)}x"
    return [
        entry["title"],
        ours["how"],
        f"{ours['worst error']:.0e}",
        significant(ours[time]),
        significant(theirs.get(time, float("nan"))),
        ratio,
        *(f"{row['MB']:.1f}" if "MB" in row else MINUS for row in (ours, theirs)),
    ]
