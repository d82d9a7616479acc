"""The paper's tasks at the scales at which they can be run here."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

import nta_tf as nta
from reproduce import paper
from reproduce.optimizers import Optimizer

# Name of the record of activation configurations, chosen among the protocols by this name.
ACTIVATIONS = "activations"
# And that of gradient norms, which is recorded only where it is asked for.
GRADIENT_NORMS = "gradient_norms"


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much of a task is run.

    Attributes:
        data: Name of the dataset, as in `nta.data.load`.
        epochs: Number of epochs.
        layers: Layers whose Taylor optima are recorded.
        protocols: The protocols recorded side by side in every run.
        examples: How many examples of the dataset are used; None for all.
        weights: Schedule of the weights that are kept for replaying the run, or None. Where
            weights are kept, the protocols are recorded afterwards, from them.
        neurons: Of how many neurons a layer the Taylor optima are found.
        points: On how many data points activation configurations are recorded; None for all.
        units: And of at most how many units a layer; None for all.
    """

    data: str
    epochs: int
    layers: tuple
    protocols: tuple
    examples: int | None = None
    weights: str | None = None
    neurons: int = 0
    points: int | None = None
    units: int | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """One of the paper's tasks.

    Attributes:
        name: `"autoencoder"`, `"convnet"` or `"deep_network"`.
        loss: Name of the loss.
        batch_size: Examples in a minibatch.
        data: Names of the datasets on which it runs.
        scales: `Scale` by name.
    """

    name: str
    loss: str
    batch_size: int
    data: tuple
    scales: dict

    def optimizers(self, variant: str) -> list[Optimizer]:
        """The optimizers that the paper compares on the task, in a variant."""
        return [
            Optimizer.of(name, rate, variant)
            for name, rates in paper.RATES[self.name].items()
            for rate in rates
        ]

    def model(self, protocol: nta.Protocol, examples: np.ndarray, seed: int) -> keras.Model:
        """The task's network, for examples of that shape, with weights of that seed."""
        options: dict[str, Any] = {
            "seed": seed,
            "use_bias": protocol.use_bias,
            "kernel_initializer": protocol.kernel_initializer,
        }
        if self.name == "convnet":
            return nta.models.convnet(examples.shape[1:], **options)
        if self.name == "deep_network":
            return nta.models.deep_network(**options)
        return nta.models.autoencoder(output_activation=protocol.output_activation, **options)

    def examples(
        self, dataset: nta.data.Dataset, count: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets: x and labels for the convnet, x and x for the others."""
        x = dataset.x[:count]
        if self.name == "convnet":
            return x, dataset.y[:count]
        x = x.reshape(len(x), -1)
        return x, x


_DEFINITION = nta.Protocol.preset("definition")
_FIGURES = nta.Protocol.preset("figures", dtype="float64")
# Each reduction with the other's kind of schedule, to tell their effects apart.
_CROSSED = (
    nta.Protocol("one_an_epoch", schedule="1 an epoch", dtype="float64"),
    nta.Protocol("mean_every_10", "batch_mean", "every 10 steps", dtype="float64"),
)

_AUTOENCODER = {
    "quick": Scale("sample", 100, ("dense_3", "dense_4", "dense_6"), (_FIGURES, _DEFINITION)),
    "paper": Scale(
        "mnist",
        100,
        ("dense_2", "dense_3", "dense_4", "dense_5", "dense_6"),
        (_FIGURES, _DEFINITION, *_CROSSED),
    ),
}

_CONVOLUTIONS = ("conv2d_1", "conv2d_2", "conv2d_3")
# What the study found of the autoencoder's output and initializer is not known of other networks.
_PLAIN: dict[str, Any] = {"output_activation": "linear", "kernel_initializer": "glorot_uniform"}
_MIXED: dict[str, Any] = {"dtype_policy": "mixed_bfloat16", **_PLAIN}
_MEAN = nta.Protocol.preset("figures", **_MIXED)
# One G an example takes 4 MB in conv2d_2: a few examples of a few rounds must do.
_FEW = nta.Protocol.preset("definition", schedule="1 an epoch", examples=8, **_MIXED)
# Quick runs are to be quick everywhere: bfloat16 in software takes 16 times as long as float32, and
# the time of optima grows with the square of the number of examples.
_QUICK_PROTOCOLS = (
    dataclasses.replace(_MEAN, dtype_policy=None),
    dataclasses.replace(_FEW, dtype_policy=None, examples=4),
)
_CONVNET_PROTOCOLS = (
    _MEAN,
    _FEW,
    nta.Protocol("mean_4_an_epoch", "batch_mean", "4 an epoch", **_MIXED),
)
_LOSSLESS = 5085  # images of CIFAR-10 of which the originals were recovered

# Appendix A6: 1% of the training set and at most 10,000 units a layer. Of a smaller training
# set 1% would be too few points to see anything by.
_FEW_POINTS: dict[str, Any] = {"points": 64, "units": 10_000}
_CIFAR10: dict[str, Any] = {
    "data": "cifar10",
    "epochs": 100,
    "weights": "4 an epoch",
    "neurons": 50,
}
_ALIKE: dict[str, Any] = {"layers": _CONVOLUTIONS, "protocols": _CONVNET_PROTOCOLS}

_CONVNET = {
    "quick": Scale(
        "sample", 20, _CONVOLUTIONS, _QUICK_PROTOCOLS, 1024, "1 an epoch", 5, **_FEW_POINTS
    ),
    "medium": Scale(**_CIFAR10, **_ALIKE, **_FEW_POINTS, examples=_LOSSLESS),
    "paper": Scale(**_CIFAR10, **_ALIKE, points=500, units=10_000),
}

# Of 110 layers one behind the input, one in the middle and the last two.
_DEEP = ("dense_2", "dense_55", "dense_109", "dense_110")

_OF_DEEP = (dataclasses.replace(_FIGURES, **_PLAIN), _DEFINITION)

_DEEP_NETWORK = {
    "quick": Scale("sample", 20, _DEEP, _OF_DEEP),
    "paper": Scale("mnist", 100, _DEEP, _OF_DEEP),
}

TASKS = {
    "autoencoder": Task("autoencoder", "mse", 64, ("sample", "mnist"), _AUTOENCODER),
    "deep_network": Task("deep_network", "mse", 64, ("sample", "mnist"), _DEEP_NETWORK),
    "convnet": Task("convnet", "cross_entropy", 128, ("sample", "mnist", "cifar10"), _CONVNET),
}


def training(scale: Scale, options: Mapping | None = None) -> nta.Protocol:
    """The protocol by which a scale's runs are trained; it records nothing by itself.

    Args:
        scale: A `Scale`.
        options: {training option: value} that replace the scale's own.

    Returns:
        A `nta.Protocol`. All protocols of a scale train alike, so that they can be
        recorded side by side.

    Raises:
        ValueError: For an unknown option.
    """
    options = options or {}
    open_choices = list(scale.protocols[0].training_options())
    wrong = [option for option in options if option not in open_choices]
    if wrong:
        raise ValueError(f"Open choices of training are {open_choices}. Received: {wrong}")
    return dataclasses.replace(scale.protocols[0], **options)


def recorded(scale: Scale, names: Sequence[str] | None = None) -> list[str]:
    """Names of what is recorded of a scale's runs.

    Args:
        scale: A `Scale`.
        names: Names of the scale's protocols, `ACTIVATIONS`, or `GRADIENT_NORMS` where some
            protocol takes every step. Defaults to all of them but the last.

    Returns:
        A list of them, in the scale's order.

    Raises:
        ValueError: For an unknown name.
    """
    default = [*(protocol.name for protocol in scale.protocols), ACTIVATIONS]
    known = [*default, GRADIENT_NORMS] if _has_bound(scale) else default
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise ValueError(f"Protocols of this scale are {known}. Received: {unknown}")
    return default if names is None else [name for name in known if name in names]


def recorders(
    scale: Scale,
    x: np.ndarray,
    names: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
) -> list[nta.Recorder]:
    """The recorders of a scale's runs: Taylor rounds by its protocols, activations, gradients.

    Args:
        scale: A `Scale`.
        x: Inputs; some or all of them are the data points of activation configurations.
        names: As for `recorded`.
        layers: Names of the layers whose Taylor rounds and gradient norms are recorded, instead
            of the scale's.

    Returns:
        A list of recorders.

    Raises:
        ValueError: For an unknown name.
    """
    names = recorded(scale, names)
    chosen = [
        protocol.recorder(layers or scale.layers)
        for protocol in scale.protocols
        if protocol.name in names
    ]
    if ACTIVATIONS in names:
        chosen.append(
            nta.ActivationRounds(x, points=scale.points, units=scale.units, name=ACTIVATIONS)
        )
    if GRADIENT_NORMS in names:
        chosen.append(nta.GradientNorms(layers or scale.layers, name=GRADIENT_NORMS))
    return chosen


def _has_bound(scale: Scale) -> bool:
    """Whether regret of some protocol has a bound: every step counts, with all its examples."""
    return scale.weights is None and any(
        protocol.reduction == "per_example"
        and protocol.schedule == "every step"
        and protocol.examples is None
        for protocol in scale.protocols
    )


def metadata(
    task: Task, scale: str, data: Mapping, optimizer: Optimizer, protocol: nta.Protocol
) -> dict:
    """What a run's config says of the paper's task, for the readers of its tables.

    Args:
        task: A `Task`.
        scale: Name of its scale.
        data: What it trains on: `name`, `source` and number of `examples`.
        optimizer: The `Optimizer`.
        protocol: The protocol by which it trains.

    Returns:
        A JSON-ready dictionary: `task`, `scale`, `data`, `optimizer`, `protocol` (the open
        choices of training but for the variant, which is the optimizer's) and `domains` (over
        which V each protocol of the scale takes the optimum).
    """
    choices = protocol.training_options()
    choices.pop("optimizer_variant")
    return {
        "task": task.name,
        "scale": scale,
        "data": dict(data),
        "optimizer": {
            "name": optimizer.name,
            "learning_rate": optimizer.rate,
            "variant": optimizer.variant,
        },
        "protocol": choices,
        "domains": {
            one.name: "free" if one.radius == math.inf else "ball"
            for one in task.scales[scale].protocols
        },
    }
