"""`python -m reproduce figures RUN`: any runs of `nta.train`, whatever they trained."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import nta_tf as nta
from reproduce import files, paths
from reproduce.results.runs import ResultsError, run_directories
from reproduce.stages.solve import solve

NAME = "overview.png"
_PIXELS_AN_INCH = 150


def draw(
    roots: Sequence[str | Path],
    out: str | Path | None = None,
    layer: str | None = None,
    record: str | None = None,
    progress: Callable | None = None,
) -> Path:
    """Draws losses, regret, optima and exploration of runs over each other.

    What was not solved yet is solved first: the layers of the run's Taylor records, on the ball
    of Theorem 2.

    Args:
        roots: Runs, directories of them, or copies without a trace.
        out: Directory of the drawing. Defaults to `figures` beside a single root, and in the
            working directory for several.
        layer: The layer whose regret is drawn. Defaults to all that the runs share, up to four.
        record: Name of the record of Taylor rounds. Defaults to the first of each run.
        progress: Function of a run's name that returns one that wraps the list of problems.

    Returns:
        Path of the drawing.

    Raises:
        ResultsError: If a directory holds no run.
        nta.RunDirectoryError: If one cannot be read or written.
        ValueError: If runs have nothing that could be drawn, or not the layer or record.
    """
    directories = []
    for root in roots:
        found = sorted(run_directories(root))
        if not found:
            raise ResultsError(
                f"'{root}' holds no run (no {paths.CONFIG} at any depth). Give a directory that "
                "nta.train or `python -m reproduce train` wrote."
            )
        directories += found
    for directory in directories:
        if not nta.trace.SavedRun.is_one(directory):
            _solve(directory, record, progress and progress(directory.name))
    figure = nta.plotting.figure(directories, None if layer is None else [layer], record=record)
    if out is None:
        out = Path(roots[0]) / "figures" if len(roots) == 1 else "figures"
    drawing = io.BytesIO()
    figure.savefig(drawing, format="png", dpi=_PIXELS_AN_INCH)
    return files.write_bytes(Path(out) / NAME, drawing.getvalue())


def _solve(directory: Path, record: str | None, progress: Callable | None) -> None:
    """Solves the layers of the record that will be drawn, unless they are solved."""
    run = nta.Run.open(directory)
    records = {
        name: one.config["layers"]
        for name, one in run.records.items()
        if one.kind == "taylor_rounds" and one.rounds.any()
    }
    names = list(records)[:1] if record is None else [record]
    saved = nta.trace.saved_table(directory, "regret")
    for name in names:
        layers = records.get(name, [])
        there = set()
        if saved is not None:
            rows = saved[(saved["record"] == name) & (saved["radius"] < float("inf"))]
            there = set(rows["scope"][rows["epoch"] == run.whole_epochs])
        missing = [layer for layer in layers if layer not in there]
        if missing or name not in records:
            solve(directory, progress, records=[name], scopes=missing, domains=["ball"])
