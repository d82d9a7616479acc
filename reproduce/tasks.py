"""The paper's tasks at the scales at which they can be run here."""

import dataclasses

import nta_tf as nta


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much of a task is run.

    Attributes:
        data: Name of the dataset, as in `nta.data.load`.
        epochs: Number of epochs.
        layers: Layers whose Taylor optima are recorded.
        protocols: The protocols recorded side by side in every run.
    """

    data: str
    epochs: int
    layers: tuple
    protocols: tuple


_DEFINITION = nta.Protocol.preset("definition")
_FIGURES = nta.Protocol.preset("figures", dtype="float64")
# Each reduction with the other's kind of schedule, to tell their effects apart.
_CROSSED = (
    nta.Protocol("one_an_epoch", schedule="1 an epoch", dtype="float64"),
    nta.Protocol("mean_every_10", "batch_mean", "every 10 steps", dtype="float64"),
)

AUTOENCODER = {
    "quick": Scale("sample", 100, ("dense_3", "dense_4", "dense_6"), (_FIGURES, _DEFINITION)),
    "paper": Scale(
        "mnist",
        100,
        ("dense_2", "dense_3", "dense_4", "dense_5", "dense_6"),
        (_FIGURES, _DEFINITION, *_CROSSED),
    ),
}
BATCH_SIZE = 64


def optimizers(task):
    """(name, learning rate) of the optimizers that the paper compares on the task."""
    return [(name, rate) for name, rates in nta.optimizers.PAPER[task].items() for rate in rates]
