"""What of a run is damaged, file by file, and how to have it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nta_tf.trace import tables
from nta_tf.trace.arrays import MEASURED, ArrayStore, remedy
from nta_tf.trace.directory import RunDirectoryError

if TYPE_CHECKING:
    from nta_tf.trace.run import Run


@dataclasses.dataclass(frozen=True)
class Damage:
    """One damaged file of a run.

    Attributes:
        file: Where it lies, from the run directory on.
        problem: What is wrong with it.
        remedy: What to do.
    """

    file: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}. {self.remedy}"


def find_damage(run: Run, store: ArrayStore) -> Iterator[Damage]:
    """Yields all damage of a run whose config and progress can be read."""
    groups = [(MEASURED, run.epochs), *((r.group, r.done) for r in run.records.values())]
    for group, done in groups:
        try:
            for file, epoch in store.damaged_rows(group, 0, done):
                problem = f"the row of epoch {epoch + 1} is damaged or missing"
                yield Damage(file, problem, remedy(group))
        except (RunDirectoryError, LookupError) as error:
            yield Damage(f"trace.zarr/{group}", str(error), remedy(group))
    if run.directory is None:
        return
    for file in store.missing_groups([group for group, _ in groups]):
        # Rows are read without it, but zarr may not find them on its own.
        yield Damage(file, "what zarr knows of the group is missing", remedy(MEASURED))
    if not run.has_whole_checkpoint():
        yield Damage(
            run.progress["checkpoint"],
            "the checkpoint is damaged or missing",
            "The trace does not need it; to train on, take the run away and train again.",
        )
    for table in tables.written(run.directory / "results"):
        problem = tables.damage(table)
        if problem:
            yield Damage(table.relative_to(run.directory).as_posix(), problem, tables.REMEDY)
