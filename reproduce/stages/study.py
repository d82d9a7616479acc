"""`python -m reproduce study`: trainings and optima that tell readings of the paper apart.

The paper leaves open what a program of 2016 computed: output activation, initializer, biases,
layer, reduction, and whether V is one for all rounds. The study trains every combination, finds
the optima of each, and leaves tables from which `reproduce.results.readings` makes one.
A job is one training with its optima; what is there already is not done again. Of a run that has
been solved its config and tables stay, as in a saved copy: the trace of one at the paper's scale
takes more than a gigabyte.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reproduce import paper, paths
from reproduce.optimizers import Optimizer
from reproduce.stages import engines

LAYERS = ("dense_3", "dense_6")  # "layer 3" of the network, or of its decoder
RECORDS = ("figures", "one_an_epoch")  # both reductions, one round an epoch
_SHOWN = ("rmsprop", "adam", "sgd")  # of SGD the rate that trains best
_INITIALIZERS = {
    "": "glorot_uniform",
    "_truncated_normal": "truncated_normal:0.1",
    "_he_normal": "he_normal",
}
# Those that agree best with the paper, and the network as section 2.3 has it.
HEADLINE = ("sigmoid", "sigmoid_he_normal", "linear")
_BIASES = {"": True, "_no_biases": False}


@dataclass(frozen=True)
class Job:
    """One training of the study, and where it goes.

    Attributes:
        experiment: Name of its experiment, which is that of its choices.
        optimizer: The optimizer.
        seed: Its seed.
        options: Open choices of training, as `stages.train` takes them.
        records: What is recorded.
        scale: Name of a scale of the autoencoder.
        epochs: Number of epochs, or None for the scale's.
    """

    experiment: str
    optimizer: Optimizer
    seed: int = 0
    options: Mapping = field(default_factory=dict)
    records: tuple = RECORDS
    scale: str = "paper"
    epochs: int | None = None

    def directory(self, out: str | Path) -> Path:
        """Where its run lies below a directory."""
        root = Path(out, "autoencoder", self.experiment)
        return root / f"{self.optimizer.slug}_seed{self.seed}"


def choices(scale: str = "paper", epochs: int | None = None) -> list[Job]:
    """Every combination of the open choices, seed 0: the first half of the study.

    Args:
        scale: Name of a scale of the autoencoder.
        epochs: Number of epochs, or None for the scale's.

    Returns:
        A list of `Job`, the likeliest combinations first.
    """
    return [
        Job(experiment, optimizer, 0, options, _records(scale), scale, epochs)
        for experiment, options in _experiments().items()
        for optimizer in _compared()
    ]


def seeds(
    count: int = 10,
    experiments: Sequence[str] = HEADLINE,
    scale: str = "paper",
    epochs: int | None = None,
) -> list[Job]:
    """The headline runs with more seeds: the second half of the study.

    Args:
        count: How many seeds.
        experiments: Names of experiments of `choices`.
        scale: Name of a scale of the autoencoder.
        epochs: Number of epochs, or None for the scale's.

    Returns:
        A list of `Job`, one seed of everything after the other.
    """
    options, records = _experiments(), (*_records(scale), "activations")
    return [
        Job(experiment, optimizer, seed, options[experiment], records, scale, epochs)
        for seed in range(count)
        for experiment in experiments
        for optimizer in _compared()
    ]


def run(
    jobs: Sequence[Job],
    out: str | Path,
    workers: int = 1,
    data_dir: str | None = None,
    scheduler: str | None = None,
) -> Iterator[tuple[Job, Path]]:
    """Does the jobs that are not done, side by side.

    Args:
        jobs: Jobs.
        out: Directory of the study.
        workers: How many processes; each takes one core.
        data_dir: Where TFDS keeps its datasets; see `nta.data.load`.
        scheduler: Address of a Dask scheduler, instead of processes; see `engines.completed`.

    Yields:
        Each job as it ends, with the directory of its run.

    Raises:
        nta.RunDirectoryError: If a directory holds something else.
    """
    calls = {place: (job, os.path.abspath(out), data_dir) for place, job in enumerate(jobs)}
    for place, directory in engines.completed(do, calls, workers, scheduler, threads=1):
        yield jobs[place], directory


def do(
    job: Job,
    out: str,
    data_dir: str | None = None,
    progress: Callable | None = None,
    comparators: Sequence[str] = ("static", "each_round"),
) -> Path:
    """Trains one job and finds its optima; takes up what was interrupted.

    Args:
        job: A `Job`.
        out: Directory of the study.
        data_dir: Where TFDS keeps its datasets.
        progress: As for `stages.solve`.
        comparators: As for `stages.solve`.

    Returns:
        The directory of its run.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    from reproduce import quiet

    quiet.import_tensorflow()
    from reproduce.stages import explore, solve, train

    directory = job.directory(out)
    if (directory / "results" / DONE).is_file():
        _keep_tables(directory)
        return directory
    trained = train.train(
        "autoencoder",
        job.scale,
        optimizers=[job.optimizer],
        seeds=[job.seed],
        out=directory.parent,
        epochs=job.epochs,
        protocols=job.records,
        layers=LAYERS,
        options=job.options,
        data_dir=data_dir,
    )
    for _ in trained:
        pass
    if "activations" in job.records:
        explore.explore(directory)
    recorded = [name for name in job.records if name != "activations"]
    for comparator in comparators:
        records = recorded if comparator == "static" else _with_rounds(directory, recorded)
        solve.solve(directory, progress, checkpoints=20, records=records, comparators=[comparator])
    (directory / "results" / DONE).touch()
    _keep_tables(directory)
    return directory


DONE = ".studied"


def _keep_tables(directory: Path) -> None:
    """Leaves of a run its config and its tables, as a copy has them, and what is not its own."""
    (directory / paths.PROGRESS).unlink(missing_ok=True)
    for name in (paths.TRACE, paths.CHECKPOINTS):
        path, aside = directory / name, directory / f".removed_{name}"
        if path.exists() and not path.is_symlink():
            path.replace(aside)  # at once: a run with half a trace would be called damaged
        if aside.is_dir():
            shutil.rmtree(aside)


def _with_rounds(directory: Path, records: Sequence[str]) -> list[str]:
    """Those records in which each round stands alone, one an epoch; of others sums are kept."""
    import nta_tf as nta

    kept = nta.Run.open(directory).records
    return [name for name in records if kept[name].config["schedule"] == "1 an epoch"]


def _records(scale: str) -> tuple:
    """Both reductions; only the paper's scale has one round an epoch of both."""
    return RECORDS if scale == "paper" else ("figures", "definition")


def _experiments() -> dict[str, dict]:
    """{name of the experiment: its choices}, the likeliest first."""
    experiments = {}
    outputs = ("linear", "sigmoid", "relu")
    for (bias, use_bias), (start, initializer), output in itertools.product(
        _BIASES.items(), _INITIALIZERS.items(), outputs
    ):
        experiments[f"{output}{start}{bias}"] = {
            "output_activation": output,
            "kernel_initializer": initializer,
            "use_bias": use_bias,
        }
    return experiments


def _compared() -> list[Optimizer]:
    """RMSProp, Adam and the SGD that trains best, as Figure 4 compares them."""
    rates = paper.RATES["autoencoder"]
    return [Optimizer.of(name, rates[name][0]) for name in _SHOWN]
