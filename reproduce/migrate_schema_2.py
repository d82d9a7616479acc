"""Moves saved results of schema 1 into the store of schema 2: each training once.

Run once, as `python -m reproduce.migrate_schema_2 OLD NEW`, where OLD holds `traces` and
`precision` as they were. It compares every number of the old tables with the new ones in the end.

* A training (task, data, protocol, epochs, optimizer, seed) stood in up to four folders; its
  tables are put together. Where the same optimum stood twice with two certificates, the tighter
  gap is kept: it is the only number that may differ.
* The variant of an optimizer moves from the protocol, or the name's suffix, into its identity.
* Columns that later tables have are added: `comparator`, `network_loss` (whole minibatches were
  recorded), `accuracy` (not measured).
* Configs say the form of each record, and the domain of V of each protocol.
"""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd

from reproduce.optimizers import Optimizer

EXPERIMENTS = {
    "autoencoder/linear": "autoencoder/linear",
    "autoencoder/seeds": "autoencoder/linear",
    "autoencoder/keras_3": "autoencoder/linear",
    "autoencoder/exploration": "autoencoder/linear",
    "autoencoder/sigmoid": "autoencoder/sigmoid",
    "convnet/cifar10": "convnet/cifar10",
    "convnet/exploration": "convnet/cifar10",
    "convnet/mnist": "convnet/mnist",
    "precision/bfloat16": "convnet/precision_bfloat16",
    "precision/float32": "convnet/precision_float32",
}
REGRET_KEY = ["record", "scope", "domain", "round"]
KEYS = {
    "losses": ["epoch"],
    "exponents": ["record", "scope", "domain"],
    "minimum_hamming": ["scope", "epoch"],
    "switches": ["scope", "position"],
    "log_volume": ["scope", "position"],
    "exploration": ["scope", "measure"],
}
DOMAINS = {"figures": "free"}  # of all other protocols: the ball


def main(old: Path, new: Path) -> None:
    shutil.copytree(old / "traces/illustrations", new / "illustrations", dirs_exist_ok=True)
    sources: dict[Path, list[Path]] = {}
    for config in sorted(old.rglob("config.json")):
        directory = config.parent
        group = directory.parent.relative_to(old)
        group = Path(*group.parts[1:]) if group.parts[0] == "traces" else group
        target = new / EXPERIMENTS[str(group)] / _name(json.loads(config.read_text()))
        sources.setdefault(target, []).append(directory)
    for target, directories in sources.items():
        _move(sorted(directories, key=lambda path: "linear" not in path.parts), target)
    _compare(sources)


def _optimizer(config: dict) -> Optimizer:
    metadata = config["metadata"]
    variant = metadata["protocol"]["optimizer_variant"]
    options = metadata["optimizer"]
    return Optimizer.of(options["name"], options["learning_rate"], variant)


def _name(config: dict) -> str:
    return f"{_optimizer(config).slug}_seed{config['seed']}"


def _move(directories: list[Path], target: Path) -> None:
    (target / "results").mkdir(parents=True)
    configs = [json.loads((path / "config.json").read_text()) for path in directories]
    text = json.dumps(_merged_config(configs), indent=2, sort_keys=True) + "\n"
    (target / "config.json").write_text(text)
    for name in ["losses", "regret", *list(KEYS)[1:]]:
        tables = [table for path in directories if (table := _read(path, name)) is not None]
        if tables:
            merged = _merged(name, tables)
            merged.to_csv(target / "results" / f"{name}.csv", index=False, lineterminator="\n")


def _merged_config(configs: list[dict]) -> dict:
    config = max(configs, key=lambda one: (len(one), len(json.dumps(one["model"]))))  # the latest
    optimizer = _optimizer(config)
    for other in configs:
        assert _layers(config) == _layers(other)
        for key in other.keys() - {"records", "metadata", "environment", "versions", "model"}:
            assert config.get(key) == other[key], key
        for name, record in other["records"].items():
            existing = config["records"].get(name)
            if existing and existing != record:  # the same rounds, of fewer layers
                assert {**existing, "layers": 0} == {**record, "layers": 0}
                assert set(record["layers"]) <= set(existing["layers"])
            else:
                config["records"][name] = record
    for record in config["records"].values():
        if record["kind"] == "taylor_rounds":
            record.setdefault("form", "normal_equations")
    metadata = config["metadata"]
    metadata["optimizer"] = {
        "name": optimizer.name,
        "learning_rate": optimizer.rate,
        "variant": optimizer.variant,
    }
    del metadata["protocol"]["optimizer_variant"]
    metadata["domains"] = {
        name: DOMAINS.get(name, "ball")
        for name, record in config["records"].items()
        if record["kind"] == "taylor_rounds"
    }
    config["schema_version"] = 2
    return config


def _layers(config: dict) -> list:
    return [(layer["class_name"], layer["config"]) for layer in config["model"]]


def _read(directory: Path, name: str) -> pd.DataFrame | None:
    path = directory / "results" / f"{name}.csv"
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype=str, keep_default_na=False)  # every digit as it stands
    if "radius" in table:
        table["domain"] = (table["radius"] == "inf").map({True: "free", False: "ball"})
    return table


def _merged(name: str, tables: list[pd.DataFrame]) -> pd.DataFrame:
    key = KEYS.get(name, REGRET_KEY)
    together = pd.concat(tables)
    if name == "regret":
        together["_gap"] = together["gap"].replace("", "nan").astype(float)
        order = together[key].drop_duplicates().reset_index(drop=True)
        order["_order"] = range(len(order))
        together = together.sort_values("_gap", kind="stable").drop_duplicates(key)
        together = together.merge(order, on=key).sort_values("_order")
        together = together.drop(columns=["_gap", "_order"])
        if "network_loss" not in together:
            together["network_loss"] = together["cumulative_loss"]
    else:
        together = together.drop_duplicates(key)
    if name == "losses" and "accuracy" not in together:
        together["accuracy"] = ""
    if name in ("regret", "exponents"):
        together = together.drop(columns="domain")
        place = list(together.columns).index("scope")
        together.insert(place, "comparator", "static")
    return together


def _compare(sources: dict[Path, list[Path]]) -> None:
    rows = numbers = tighter = 0
    for target, directories in sources.items():
        for directory in directories:
            for name in ["regret", *KEYS]:
                old = _read(directory, name)
                if old is None:
                    continue
                new, key = _read(target, name), KEYS.get(name, REGRET_KEY)
                both = old.merge(new, on=key, suffixes=("", "_new"), how="left", indicator=True)
                assert (both["_merge"] == "both").all() and len(both) == len(old), (directory, name)
                rows += len(old)
                for column in old.columns.difference([*key, "domain"]):
                    moved = both[f"{column}_new"] if f"{column}_new" in both else both[column]
                    numbers += len(old)
                    different = both[column] != moved
                    if different.any():
                        assert column == "gap", (directory, name, column)
                        assert (
                            moved[different].astype(float) < both["gap"][different].astype(float)
                        ).all()
                        tighter += int(different.sum())
    print(
        f"{len(sources)} trainings of {sum(map(len, sources.values()))} directories; {rows:,} rows, "
        f"{numbers:,} numbers compared, all the same to the last digit but for {tighter} gaps, of "
        "which the tighter of two certificates was kept"
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
