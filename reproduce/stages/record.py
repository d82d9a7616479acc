"""`python -m reproduce record`: Taylor rounds and activations of runs that kept weights."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import nta_tf as nta
from reproduce import tasks


@dataclasses.dataclass(frozen=True)
class Recording:
    """A run that kept its weights, and what is needed to look at its rounds again.

    Attributes:
        run: The `nta.Run`.
        model: A model like the one that was trained.
        x: Its inputs.
        y: Its targets.
        recorders: The recorders of the protocols, and that of activation configurations.
    """

    run: nta.Run
    model: keras.Model
    x: np.ndarray
    y: np.ndarray
    recorders: list[nta.Recorder]

    def cost(self) -> pd.DataFrame:
        """What recording takes, a row a record; see `nta.replay_cost`."""
        return nta.replay_cost(self.run, self.model, self.x, self.y, self.recorders)

    def record(self, progress: bool | None = None) -> nta.Run:
        """Records, or takes up what was interrupted; returns the run."""
        return nta.replay(self.run, self.model, self.x, self.y, self.recorders, progress=progress)


def prepare(
    directory: str | Path,
    protocols: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    data_dir: str | None = None,
) -> Recording:
    """Loads what is needed to record the protocols of a run's scale.

    Args:
        directory: Directory of a run that `stages.train` made.
        protocols: Names of what is recorded: the scale's protocols and `"activations"`.
            Defaults to all of them.
        layers: Names of the layers whose Taylor rounds are recorded, instead of the scale's.
        data_dir: Where TFDS keeps its datasets; see `nta.data.load`.

    Returns:
        A `Recording`.

    Raises:
        nta.RunDirectoryError: If the directory is not a run.
        ValueError: If the data are not those of the run, or it kept no weights.
    """
    run = nta.Run.open(directory)
    metadata = run.config["metadata"]
    if "task" not in metadata:
        raise ValueError(
            f"{directory} does not say which of the paper's tasks it is. Give a run of "
            "`python -m reproduce train`; for a model of your own, call nta.replay."
        )
    task = tasks.TASKS[metadata["task"]]
    scale = task.scales[metadata["scale"]]
    protocol = tasks.training(scale, metadata["protocol"])
    dataset = nta.data.load(
        metadata["data"]["name"], data_dir=data_dir, scaling=protocol.input_scaling
    )
    x, y = task.examples(dataset, metadata["data"]["examples"])
    return Recording(
        run,
        task.model(protocol, x, run.config["seed"]),
        x,
        y,
        tasks.recorders(scale, x, protocols, layers),
    )
