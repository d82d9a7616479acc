"""`python -m reproduce record`: Taylor rounds of runs that kept their weights."""

import dataclasses

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
        recorders: The recorders of the protocols.
    """

    run: nta.Run
    model: object
    x: object
    y: object
    recorders: list

    def cost(self):
        """What recording takes, a row a record; see `nta.replay_cost`."""
        return nta.replay_cost(self.run, self.model, self.x, self.y, self.recorders)

    def record(self, progress=None):
        """Records, or takes up what was interrupted; returns the run."""
        return nta.replay(self.run, self.model, self.x, self.y, self.recorders, progress=progress)


def prepare(directory, protocols=None, layers=None, data_dir=None):
    """Loads what is needed to record the protocols of a run's scale.

    Args:
        directory: Directory of a run that `reproduce.train` made.
        protocols: Names of the scale's protocols. Defaults to all of them.
        layers: Names of the layers, instead of the scale's own.
        data_dir: Where TFDS keeps its datasets; see `nta.data.load`.

    Returns:
        A `Recording`.

    Raises:
        nta.RunDirectoryError: If the directory is not a run.
        ValueError: If the data are not those of the run, or it kept no weights.
    """
    run = nta.Run.open(directory)
    metadata = run.config["metadata"]
    task = tasks.TASKS[metadata["task"]]
    scale = task.scales[metadata["scale"]]
    chosen = tasks.protocols(scale, protocols, metadata["protocol"])
    dataset = nta.data.load(
        metadata["data"]["name"], data_dir=data_dir, scaling=chosen[0].input_scaling
    )
    x, y = task.examples(dataset, metadata["data"]["examples"])
    return Recording(
        run,
        task.model(chosen[0], x, run.config["seed"]),
        x,
        y,
        [protocol.recorder(layers or scale.layers) for protocol in chosen],
    )
