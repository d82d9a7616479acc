"""Small result sets with known growth, written as a solved run leaves them."""

import json
import math

import numpy as np
import pandas as pd
import pytest

LAYERS = ["dense_2", "dense_3", "dense_4", "dense_5", "dense_6"]
RECORDS = {
    "figures": {"reduction": "batch_mean", "schedule": "1 an epoch"},
    "definition": {"reduction": "per_example", "schedule": "4 an epoch"},
}


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
    directory = root / name
    (directory / "results").mkdir(parents=True)
    config = {
        "task": task,
        "scale": "quick",
        "data": {"name": "sample", "source": "MNIST sample, 4,000 digits", "examples": 4000},
        "optimizer": {"name": optimizer, "learning_rate": rate},
        "seed": seed,
        "epochs": epochs,
        "batch_size": 64,
        "protocol": protocol
        or {
            "output_activation": "linear",
            "use_bias": True,
            "kernel_initializer": "glorot_uniform",
            "input_scaling": "unit",
        },
        "records": records,
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1", "nta_tf": "0.1"},
    }
    (directory / "config.json").write_text(json.dumps(config))
    epoch = np.arange(1, epochs + 1)
    loss = final + 0.05 * (np.exp(-epoch / 6) - math.exp(-epochs / 6))
    if diverged_in:
        loss[diverged_in - 1 :] = np.nan
    status = "diverged" if diverged_in else "finished"
    pd.DataFrame({"epoch": epoch, "loss": loss, "last_loss": loss, "status": status}).to_csv(
        directory / "results/losses.csv", index=False
    )
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
                        "status": "CONVERGED",
                    }
                )
            )
            exists = slope > 0 and not diverged_in
            exponents.append(
                {
                    "record": record,
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
    pd.concat(regret).to_csv(directory / "results/regret.csv", index=False)
    pd.DataFrame(exponents).to_csv(directory / "results/exponents.csv", index=False)
    return directory


PAPER = {  # as the paper tells it: Adam, then RMSProp, then SGD
    "adam": {"optimizer": "adam", "rate": 0.01, "final": 0.015, "slope": 0.003},
    "rmsprop": {"optimizer": "rmsprop", "rate": 0.001, "final": 0.018, "slope": 0.004},
    "sgd_1.0": {"optimizer": "sgd", "rate": 1.0, "final": 0.03, "slope": 0.006},
    "sgd_0.1": {"optimizer": "sgd", "rate": 0.1, "final": 0.05, "slope": 0.006},
    "sgd_0.01": {"optimizer": "sgd", "rate": 0.01, "final": 0.066, "slope": 0.006},
}


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
