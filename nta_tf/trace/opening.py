"""Runs from their directories, for whoever reads them."""

import os
import pathlib

from nta_tf.trace.directory import CONFIG, DamagedRunError
from nta_tf.trace.integrity import Damage
from nta_tf.trace.run import Run


def as_run(run_or_directory: Run | str | os.PathLike[str]) -> Run:
    """A `Run`, from one or from its directory."""
    if isinstance(run_or_directory, Run):
        return run_or_directory
    return Run.open(run_or_directory)


def found(directory: str | os.PathLike[str] | None) -> Run | None:
    """The `Run` of a directory that has been started, or None."""
    if directory is None or not pathlib.Path(directory, CONFIG).exists():
        return None
    return Run.open(directory)


def verify(directory: str | os.PathLike[str]) -> list[Damage]:
    """Reads everything in a run directory and holds it against its checksums.

    Args:
        directory: Path of a run.

    Returns:
        A list of `nta.trace.Damage`; empty if the run is whole.

    Raises:
        RunDirectoryError: If the directory holds no run, or one of another schema.
    """
    try:
        return Run.open(directory).verify()
    except DamagedRunError as error:
        return [Damage(error.file, str(error), "Take the directory away and train again.")]
