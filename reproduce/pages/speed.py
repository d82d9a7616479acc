"""Tables of benchmarks, from the JSON that `python -m benchmarks.NAME --json` writes."""

import json
from pathlib import Path

from reproduce import paths
from reproduce.pages.markdown import MINUS, significant, table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered
from reproduce.results.runs import ResultsError

NAMES = (
    "autoencoder",
    "compilers",
    "jacobian",
    "cross_entropy",
    "convex_solvers",
    "exploration",
    "pipeline",
    "before_and_after",
    "integrity",
)


def read(name: str) -> dict:
    """What a benchmark measured.

    Args:
        name: Name of the benchmark.

    Returns:
        A dictionary with `date`, `machine`, `tables` and `notes`.

    Raises:
        ResultsError: If it is not there, or damaged.
    """
    path = Path(paths.repository() or ".", "benchmarks", "results", f"{name}.json")
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} is missing or damaged ({error}). Measure it again with `python -m "
            f"benchmarks.{name} --json {path.parent}`."
        ) from error


def where_and_when(content: dict) -> str:
    """The date of a measurement, and the machine.

    Args:
        content: As `read` returns it.

    Returns:
        A phrase.
    """
    machine = ", ".join(f"{key} {value}" for key, value in content["machine"].items())
    return f"{content['date']}; {machine}"


def rendered(content: dict) -> str:
    """A benchmark as text: where and when, its tables, and what was noted.

    Args:
        content: As `read` returns it.

    Returns:
        Markdown.
    """
    parts = [f"*{where_and_when(content)}.*"]
    for entry in content["tables"]:
        made = _comparison(entry) if "divided_by" in entry else _timings(entry)
        parts += [f"**{entry['title']}**", made]
    if content["notes"]:
        parts.append("\n".join(f"* {note}" for note in content["notes"]))
    return "\n" + "\n\n".join(parts) + "\n"


def _timings(entry: dict) -> str:
    time, reference = entry["time"], entry["reference"]
    rows = entry["rows"]
    base = next(row[time] for row in rows if row["what"] == reference)
    others = [key for key in rows[0] if key not in ("what", time)]
    cells = [
        [
            row["what"],
            *(_cell(row.get(key)) for key in others),
            significant(row[time]) if time in row else MINUS,
            f"{significant(row[time] / base, 2)}x" if time in row else MINUS,
        ]
        for row in rows
    ]
    return table(["", *others, time, f"of {reference}"], cells)


def _comparison(entry: dict) -> str:
    """What was timed twice, with how many times faster the second is."""
    columns = [key for key in entry["rows"][0] if key != "what"]
    cells = [
        [
            row["what"],
            *(significant(row[key]) for key in columns),
            f"{significant(row[entry['time']] / row[entry['divided_by']], 2)}x",
        ]
        for row in entry["rows"]
    ]
    return table(["", *columns, "times faster"], cells)


def _cell(value: object) -> str:
    return significant(value) if isinstance(value, float) else str("" if value is None else value)


def _register(name: str) -> None:
    @registered(f"speed_{name}")
    def make(results: Results) -> str:
        return rendered(read(name))


for _name in NAMES:
    _register(_name)
