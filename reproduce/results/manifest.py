"""Which experiment feeds which panel of which figure, and which claim.

The committed results say it in `traces/manifest.toml`. A directory of runs without one is taken
whole: every figure from the first experiment of each task, every claim on every experiment.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from reproduce.optimizers import TENSORFLOW_2016
from reproduce.results.runs import NoResults, ResultsError

FILE = "manifest.toml"
_OF_RUNS = ("3", "4", "5", "6")  # figures that rest on trainings


@dataclass(frozen=True)
class Drawing:
    """One figure of the paper as it is drawn: from which experiments, by which reading.

    Attributes:
        figure: Number of the figure, such as `"4"`.
        experiments: {task: name of its experiment}.
        options: What else the figure is told, such as `record`, `ball`, `sgd`.
    """

    figure: str
    experiments: Mapping[str, str]
    options: Mapping = field(default_factory=dict)

    def runs(self, runs: pd.DataFrame) -> pd.DataFrame:
        """The runs of its experiments.

        Args:
            runs: Frame of `runs.find_runs`.

        Returns:
            Their rows.

        Raises:
            NoResults: If there are none.
        """
        pairs = zip(runs["task"], runs["experiment"])
        chosen = runs[[self.experiments.get(task) == name for task, name in pairs]]
        if chosen.empty:
            wanted = ", ".join(f"{task}/{name}" for task, name in self.experiments.items())
            raise NoResults(f"There are no runs of {wanted}, which Figure {self.figure} shows.")
        return chosen


@dataclass(frozen=True)
class Basis:
    """What a claim is judged on.

    Attributes:
        task: Name of the task.
        experiment: Name of its experiment.
        variant: Variant of RMSProp and Adam.
    """

    task: str
    experiment: str
    variant: str = TENSORFLOW_2016

    def runs(self, runs: pd.DataFrame) -> pd.DataFrame:
        """The runs of the experiment, of both variants.

        Args:
            runs: Frame of `runs.find_runs`.

        Returns:
            Their rows; none where it was not trained.
        """
        return runs[(runs["task"] == self.task) & (runs["experiment"] == self.experiment)]


@dataclass(frozen=True)
class Manifest:
    """Drawings of the paper's figures, and bases of its claims.

    Attributes:
        drawings: Of the figures that rest on trainings.
        claims: {number of the claim: list of `Basis`}; a claim that is not named is judged on
            every experiment of the tasks that it speaks of. The first of each task counts for
            the claim's line in summaries.
        headline: {record: {task: name of the experiment that counts instead}}.
    """

    drawings: list[Drawing]
    claims: Mapping[int, list[Basis]] = field(default_factory=dict)
    headline: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def counts(self, basis: Basis, record: str, listed: list[Basis]) -> bool:
        """Whether a basis is the one that counts for a claim's line in summaries.

        Args:
            basis: A `Basis`.
            record: Name of the record that was judged, empty where a claim rests on none.
            listed: Those of the claim.

        Returns:
            A boolean.
        """
        of_task = [one for one in listed if one.task == basis.task]
        wanted = self.headline.get(record, {}).get(basis.task)
        chosen = [one for one in of_task if one.experiment == wanted] or of_task
        return basis == chosen[0]


def read(root: str | Path, runs: pd.DataFrame) -> Manifest:
    """The manifest of a directory of results.

    Args:
        root: The directory.
        runs: Frame of `runs.find_runs` of it.

    Returns:
        A `Manifest`: that of its `manifest.toml`, or one of all that is there.

    Raises:
        ResultsError: If the file is damaged.
    """
    path = Path(root, FILE)
    if not path.is_file():
        return of_everything(runs)
    try:
        content = tomllib.loads(path.read_text())
        drawings = [_drawing(**entry) for entry in content["drawings"]]
        claims = {
            int(n): [_basis(text) for text in found] for n, found in content["claims"].items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(
            f"{path} is damaged ({type(error).__name__}: {error}). Take it from the repository "
            "again, or take it away to draw everything that is there."
        ) from error
    return Manifest(drawings, claims, content.get("headline", {}))


def of_everything(runs: pd.DataFrame) -> Manifest:
    """A manifest for runs that nobody wrote one for.

    Args:
        runs: Frame of `runs.find_runs`.

    Returns:
        A `Manifest` with every figure, from the first experiment of each task.
    """
    one = runs.drop_duplicates("task")
    first = dict(zip(one["task"], one["experiment"]))
    return Manifest([Drawing(figure, first) for figure in _OF_RUNS])


def bases(manifest: Manifest, claim: int, runs: pd.DataFrame) -> list[Basis]:
    """What a claim is judged on.

    Args:
        manifest: A `Manifest`.
        claim: Number of the claim.
        runs: Frame of `runs.find_runs`.

    Returns:
        A list of `Basis` that have runs.
    """
    if claim in manifest.claims:
        wanted = manifest.claims[claim]
        return [basis for basis in wanted if len(basis.runs(runs))]
    kinds = runs[["task", "experiment", "variant"]].drop_duplicates()
    variants = kinds[kinds["variant"] != "any"]
    chosen = variants if len(variants) else kinds.assign(variant=TENSORFLOW_2016)
    return [Basis(*row) for row in chosen.itertuples(index=False)]


def _drawing(figure: str, experiments: dict, **options: object) -> Drawing:
    return Drawing(figure, experiments, options)


def _basis(text: str) -> Basis:
    experiment, _, variant = text.partition(":")
    task, name = experiment.split("/")
    return Basis(task, name, variant or TENSORFLOW_2016)
