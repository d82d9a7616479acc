"""Small sets of results with known growth, written by the writer of saved copies."""

import dataclasses
import functools
import math

import numpy as np
import pandas as pd
import pytest

import nta_tf as nta
from reproduce import tasks
from reproduce.files import SCHEMA_VERSION
from reproduce.optimizers import Optimizer
from reproduce.stages.outputs import write_copy

LAYERS = ["dense_2", "dense_3", "dense_4", "dense_5", "dense_6"]
_QUADRATIC = {"kind": "taylor_rounds", "form": "normal_equations", "layers": LAYERS}
RECORDS = {
    "figures": {**_QUADRATIC, "reduction": "batch_mean", "schedule": "1 an epoch"},
    "definition": {**_QUADRATIC, "reduction": "per_example", "schedule": "4 an epoch"},
}
SAMPLE = {"name": "sample", "source": "MNIST sample, 4,000 digits", "examples": 4000}


def config_of(task, scale, data, optimizer, seed, epochs, records, protocol=None):
    """The config that `python -m reproduce train` gives a run, with those records."""
    of_task = tasks.TASKS[task]
    trained = dataclasses.replace(tasks.training(of_task.scales[scale]), **(protocol or {}))
    return {
        "format": "nta_tf run",
        "schema_version": SCHEMA_VERSION,
        "seed": seed,
        "epochs": epochs,
        "batch_size": of_task.batch_size,
        "loss": of_task.loss,
        "records": records,
        "metadata": tasks.metadata(of_task, scale, data, optimizer, trained),
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1", "nta_tf": "0.1"},
    }


def written(directory, config, **tables):
    """A saved copy of a run, its tables given as lists of frames or of rows."""
    frames = {
        name: pd.concat(parts) if isinstance(parts[0], pd.DataFrame) else pd.DataFrame(parts)
        for name, parts in tables.items()
    }
    texts = {name: frame.to_csv(index=False) for name, frame in frames.items()}
    return write_copy(directory, config, texts)


def write_run(
    root,
    name,
    optimizer,
    rate,
    seed=0,
    epochs=100,
    final=0.02,
    slope=0.004,
    power=0.5,
    interval=0.02,
    layers=LAYERS,
    task="autoencoder",
    records=RECORDS,
    diverged_in=None,
    protocol=None,
):
    """One run whose regret is exactly `slope * N**power` and whose loss ends at `final`."""
    variant = (protocol or {}).get("optimizer_variant", "tensorflow_2016")
    identity = Optimizer.of(optimizer, rate, variant)
    config = config_of(task, "quick", SAMPLE, identity, seed, epochs, records, protocol)
    epoch = np.arange(1, epochs + 1)
    loss = final + 0.05 * (np.exp(-epoch / 6) - math.exp(-epochs / 6))
    if diverged_in:
        loss[diverged_in - 1 :] = np.nan
    status = "diverged" if diverged_in else "finished"
    losses = {"epoch": epoch, "loss": loss, "last_loss": loss, "accuracy": np.nan}
    losses = pd.DataFrame({**losses, "status": status})
    regret, exponents = [], []
    for record, options in records.items():
        for scope in layers:
            rounds = epoch * int(options["schedule"].split()[0])
            cumulative = np.cumsum(loss) * rounds / epoch
            values = slope * rounds.astype(float) ** power
            regret.append(
                pd.DataFrame(
                    {
                        "record": record,
                        "reduction": options["reduction"],
                        "comparator": "static",
                        "scope": scope,
                        "radius": math.inf,
                        "round": rounds,
                        "epoch": epoch.astype(float),
                        "cumulative_loss": cumulative,
                        "taylor_optimum": cumulative - values,
                        "regret": np.where(np.isnan(loss), np.nan, values),
                        "regret_over_sqrt_n": np.where(
                            np.isnan(loss), np.nan, values / rounds**0.5
                        ),
                        "gap": 0.0,
                        "status": "OPTIMAL",
                        "network_loss": cumulative,
                    }
                )
            )
            exists = slope > 0 and not diverged_in
            exponents.append(
                {
                    "record": record,
                    "comparator": "static",
                    "scope": scope,
                    "radius": math.inf,
                    "exponent": power if exists else math.nan,
                    "low": power - interval if exists else math.nan,
                    "high": power + interval if exists else math.nan,
                    "first_epoch": 10.0,
                    "last_epoch": float(epochs),
                    "status": "fitted" if exists else "not fitted",
                }
            )
    tables = {"losses": [losses], "regret": regret, "exponents": exponents}
    return written(root / name, config, **tables)


PAPER = {  # as the paper tells it: Adam, then RMSProp, then SGD
    "adam": {"optimizer": "adam", "rate": 0.01, "final": 0.015, "slope": 0.003},
    "rmsprop": {"optimizer": "rmsprop", "rate": 0.001, "final": 0.018, "slope": 0.004},
    "sgd_1.0": {"optimizer": "sgd", "rate": 1.0, "final": 0.03, "slope": 0.006},
    "sgd_0.1": {"optimizer": "sgd", "rate": 0.1, "final": 0.05, "slope": 0.006},
    "sgd_0.01": {"optimizer": "sgd", "rate": 0.01, "final": 0.066, "slope": 0.006},
}


@pytest.fixture(autouse=True)
def _outlines(request, monkeypatch):
    """Most tests ask what is composed, not how it looks: laying out a figure takes half a second.

    Those marked `pixels` get whole files.
    """
    if not request.node.get_closest_marker("pixels"):
        blank = np.zeros((2, 2, 4), np.uint8)
        monkeypatch.setattr("reproduce.figures.sheets._pixels", lambda figure: blank)
        monkeypatch.setattr(
            "matplotlib.figure.Figure.savefig", lambda figure, file, **_: file.write(b"")
        )


@pytest.fixture(scope="module")
def narrow_convnet():
    """A quarter of the convnet's filters on 256 digits: the stages are the same, and quick."""
    scales = tasks.TASKS["convnet"].scales
    narrow = functools.partial(nta.models.convnet, filters=16, dense_units=24)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(nta.models, "convnet", narrow)
        patched.setitem(scales, "quick", dataclasses.replace(scales["quick"], examples=256))
        yield


@pytest.fixture
def write():
    """The function `write_run`."""
    return write_run


@pytest.fixture
def write_set():
    """Writes the paper's five runs; options of single runs may be replaced."""

    def _write(root, seeds=(0,), **changes):
        for name, options in PAPER.items():
            for seed in seeds:
                write_run(
                    root,
                    f"{name}_seed{seed}",
                    seed=seed,
                    **{**options, **changes.get(name.split("_")[0], {})},
                )
        return root

    return _write


CONVNET_RECORDS = {
    "weights": {"kind": "weight_rounds", "schedule": "4 an epoch"},
    "figures": {
        "kind": "taylor_rounds",
        "form": "gradient_tensors",
        "layers": ["conv2d_1", "conv2d_2", "conv2d_3"],
        "reduction": "batch_mean",
        "schedule": "4 an epoch",
        "examples": None,
        "seed": 0,
    },
    "definition": {
        "kind": "taylor_rounds",
        "form": "gradient_tensors",
        "layers": ["conv2d_1", "conv2d_2", "conv2d_3"],
        "reduction": "per_example",
        "schedule": "1 an epoch",
        "examples": 8,
        "seed": 0,
    },
}
CIFAR10 = {
    "name": "cifar10",
    "source": "CIFAR-10, 50,000 images, JPEG-compressed copies",
    "examples": 50000,
}
MNIST = {"name": "mnist", "source": "MNIST, 60,000 digits", "examples": 60000}
CONVNET = {  # all equally good, SGD a little noisier
    "rmsprop": {"optimizer": "rmsprop", "rate": 0.0005, "slope": 0.6},
    "adam": {"optimizer": "adam", "rate": 0.0002, "slope": 0.5},
    "sgd_1": {"optimizer": "sgd", "rate": 1.0, "diverged_in": 3},
    "sgd_0.1": {"optimizer": "sgd", "rate": 0.1, "slope": 0.75, "noise": 0.02},
    "sgd_0.01": {"optimizer": "sgd", "rate": 0.01, "final": 0.4, "accuracy": 0.86, "slope": 0.75},
}
_LAYER_SCALES = {"conv2d_1": 0.3, "conv2d_2": 1.0, "conv2d_3": 0.9, "network": 1.4}


def write_convnet_run(
    root,
    name,
    optimizer,
    rate,
    seed=0,
    epochs=100,
    final=0.01,
    accuracy=0.997,
    slope=0.6,
    power=0.5,
    interval=0.02,
    noise=0.003,
    neurons=0,
    radii=(math.inf,),
    neuron_radii=(math.inf,),
    data=CIFAR10,
    records=CONVNET_RECORDS,
    diverged_in=None,
    uncertified=(),
):
    """A run of the convnet; in layer 2, regret is `slope * N**power` but for the noise.

    In other layers it is a fixed multiple of that (0.3 in layer 1), and of a layer's neurons
    the k-th of n has (0.5 + k / n) times the regret of its layer. `uncertified` holds pairs
    (scope, epoch) of optima whose solver gave up.
    """
    identity = Optimizer.of(optimizer, rate)
    config = config_of("convnet", "paper", data, identity, seed, epochs, records)
    generator = np.random.default_rng(seed)
    last = diverged_in or epochs
    epoch = np.arange(1, last + 1)
    loss = final + 1.6 * np.exp(-epoch / 8) + final * noise * generator.normal(size=last)
    right = accuracy - 0.6 * np.exp(-epoch / 8)
    if diverged_in:
        loss[-1] = right[-1] = np.nan
    losses = pd.DataFrame(
        {
            "epoch": epoch,
            "loss": loss,
            "last_loss": loss,
            "accuracy": right,
            "status": "diverged" if diverged_in else "finished",
        }
    )
    shaken = 1 + noise * generator.normal(size=last)
    scopes = {(scope, scale, radii) for scope, scale in _LAYER_SCALES.items()}
    scopes |= {
        (f"{layer}:{k}", _LAYER_SCALES[layer] * (0.5 + k / neurons), neuron_radii)
        for layer in CONVNET_RECORDS["figures"]["layers"]
        for k in range(neurons)
    }
    regret, exponents = [], []
    for record, options in records.items():
        if options["kind"] != "taylor_rounds":
            continue
        rounds = epoch * int(options["schedule"].split()[0])
        network = np.cumsum(loss) * rounds / epoch
        cumulative = network * (1.0 if options["examples"] is None else 1.02)
        kept = epoch % max(epochs // 20, 1) == 0 if not diverged_in else epoch > 0
        for scope, scale, limits in sorted(scopes):
            for radius in limits:
                values = scale * slope * rounds.astype(float) ** power * shaken
                values[np.isnan(loss)] = np.nan
                loose = np.isin(epoch, [when for where, when in uncertified if where == scope])
                table = pd.DataFrame(
                    {
                        "record": record,
                        "reduction": options["reduction"],
                        "comparator": "static",
                        "scope": scope,
                        "radius": radius if math.isinf(radius) else radius * scale,
                        "round": rounds,
                        "epoch": epoch,
                        "cumulative_loss": cumulative,
                        "taylor_optimum": cumulative - values,
                        "regret": values,
                        "regret_over_sqrt_n": values / rounds**0.5,
                        "gap": np.where(loose, 0.02, 5e-4) * (cumulative - values),
                        "status": np.where(loose, "MAX_ITERATIONS", "OPTIMAL"),
                        "network_loss": network,
                    }
                )
                table.loc[np.isnan(loss), "status"] = "NON_FINITE"
                regret.append(table[kept])
                exists = slope > 0 and not diverged_in
                exponents.append(
                    {
                        "record": record,
                        "comparator": "static",
                        "scope": scope,
                        "radius": table["radius"][0],
                        "exponent": power if exists else math.nan,
                        "low": power - interval if exists else math.nan,
                        "high": power + interval if exists else math.nan,
                        "first_epoch": 20.0,
                        "last_epoch": float(last),
                        "status": "fitted" if exists else "not fitted",
                    }
                )
    tables = {"losses": [losses], "regret": regret, "exponents": exponents}
    return written(root / name, config, **tables)


@pytest.fixture
def write_convnet():
    """The function `write_convnet_run`."""
    return write_convnet_run


@pytest.fixture
def write_convnet_set():
    """Writes the paper's five runs of the convnet; options of single runs may be replaced.

    Only RMSProp has neurons unless `neurons` says otherwise.
    """

    def _write(root, neurons=8, **changes):
        shared = {key: changes.pop(key) for key in ("data", "radii") if key in changes}
        for name, options in CONVNET.items():
            own = {"neurons": neurons if name == "rmsprop" else 0}
            write_convnet_run(
                root, f"{name}_seed0", **{**options, **own, **shared, **changes.get(name, {})}
            )
        return root

    return _write


@pytest.fixture
def mnist():
    """What a run on MNIST says of its data."""
    return MNIST
