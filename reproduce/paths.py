"""Where the saved results lie and where drawings go: the only place that knows paths."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

# What a run's directory holds; `nta_tf.trace` owns the rest of it.
CONFIG = "config.json"
PROGRESS = "progress.json"
TRACE = "trace.zarr"
CHECKPOINTS = "checkpoints"
RESULTS = "results"
CHECKSUM = ".checksum"  # of the file that holds a table's checksum, behind the table's name
LOSSES = "results/losses.csv"
REGRET = "results/regret.csv"
EXPONENTS = "results/exponents.csv"
BOUND = "results/bound.csv"
MINIMUM_HAMMING = "results/minimum_hamming.csv"
SWITCHES = "results/switches.csv"
LOG_VOLUME = "results/log_volume.csv"
EXPLORATION = "results/exploration.csv"

STYLE = _PACKAGE / "style.mplstyle"


def traces() -> Path:
    """Directory of the result sets that are committed with the package.

    Returns:
        A `pathlib.Path`, `reproduce/traces` beside the code.

    Example:

    >>> traces().parts[-2:]
    ('reproduce', 'traces')
    """
    return _PACKAGE / "traces"


def repository() -> Path | None:
    """Root of the clone that this package is imported from.

    Returns:
        A `pathlib.Path`, or `None` when the package was installed as a copy
        (into `site-packages`), where no clone surrounds it.
    """
    root = _PACKAGE.parent
    return root if (root / "setup.py").is_file() else None


def figures() -> Path:
    """Default directory of drawn figures.

    Returns:
        `figures` of the clone for whoever works in it, so that redrawing updates the committed
        figures, and otherwise `figures` of the working directory.
    """
    clone, here = repository(), Path.cwd()
    return (clone if clone is not None and here.is_relative_to(clone) else here) / "figures"
