"""What a figure or a verdict rests on, in words, from the runs' own configurations."""

import math
import re

import numpy as np
import pandas as pd

from reproduce import optimizers, paper
from reproduce.optimizers import ANY, KERAS_3, Optimizer
from reproduce.results import load, select
from reproduce.results.runs import activation_records
from reproduce.results.select import Reading

# Records are of the model's own precision in any case.
_PRECISIONS = {"mixed_bfloat16": "bfloat16 training steps, float32 records"}
# Where the mean square of RMSProp starts decides how large its first steps are.
_VARIANTS = {
    "tensorflow_2016": "RMSProp and Adam as in TensorFlow of 2016 (mean square starting at one, "
    "epsilon 1e-10 and 1e-8)",
    "keras_3": "RMSProp and Adam as in Keras 3 (mean square starting at zero, epsilon 1e-7)",
}
_BOTH = "RMSProp and Adam as in TensorFlow of 2016, and of Keras 3 where it is said"
_COMPARATORS = {
    "static": "",
    "each_round": "dynamic regret: a V for each round",
    "each_epoch": "dynamic regret: a V for each epoch",
}


def label(optimizer: Optimizer, task: str) -> str:
    """Name of an optimizer as it stands in the paper's legends.

    Args:
        optimizer: An `Optimizer`.
        task: The task that it trained: at the paper's rate the name alone is the label.

    Returns:
        The label.

    Examples:

    >>> label(Optimizer("adam", 0.01, "tensorflow_2016"), "autoencoder")
    'Adam'
    >>> label(Optimizer("sgd", 1.0), "autoencoder")
    'SGD lr=1.0'
    >>> label(Optimizer("rmsprop", 0.001, "keras_3"), "autoencoder")
    'RMSProp (Keras 3)'
    """
    text = optimizer.title
    rates = paper.RATES.get(task, {}).get(optimizer.name, ())
    if optimizer.is_sgd or optimizer.rate not in rates:
        text += f" lr={optimizer.rate}"
    old = optimizer.has_title and optimizer.variant == KERAS_3
    return text + (" (Keras 3)" if old else "")


def reading(runs: pd.DataFrame, of: Reading) -> str:
    """How regret was recorded and minimised.

    Args:
        runs: Runs of one task, as `runs.find_runs` gives them.
        of: The `Reading`.

    Returns:
        One phrase, such as `"figures protocol: batch_mean, 1 round an epoch, no ball"`.
    """
    records = [config["records"].get(of.record) for config in runs["config"]]
    options: dict = next(
        (record for record in records if record), {}
    )  # not every run has every record
    words = [
        options.get("reduction"),
        _schedule(options.get("schedule")),
        _examples(options),
        "inside the ball" if of.ball else "no ball",
        _COMPARATORS[of.comparator],
    ]
    return f"{of.record} protocol: " + ", ".join(word for word in words if word)


def variants(shown: list[Optimizer]) -> str:
    """Which variants of RMSProp and Adam there are.

    Args:
        shown: Optimizers.

    Returns:
        One phrase, empty where none of them has variants.
    """
    names = {one.variant for one in shown if one.name in ("rmsprop", "adam")} - {ANY}
    return _BOTH if len(names) > 1 else _VARIANTS[names.pop()] if names else ""


def activations(runs: pd.DataFrame) -> str:
    """How activation configurations were recorded.

    Args:
        runs: Runs of one task, as `runs.find_runs` gives them.

    Returns:
        One phrase, such as `"activations: 1 round an epoch, all 60,000 data points, all 180
        units"`; empty where none were recorded.
    """
    records = [one for config in runs["config"] for one in activation_records(config).values()]
    if not records:
        return ""
    options, layers = records[0], records[0]["layers"].values()
    points, examples = options["points"], runs.iloc[0]["config"]["data"].get("examples")
    units = sum(layer["units"] for layer in layers)
    every = sum(math.prod(layer["shape"]) for layer in layers)
    schedule = _schedule(options.get("schedule"))
    words = [*([schedule] if schedule else []), _share(points, examples, "data points")]
    words.append(_share(units, every, "units"))
    if units < every:
        words.append(f"at most {options['units']:,} a layer")
    if points != examples or units < every:
        words.append(f"chosen with seed {options['seed']}")
    return f"activations: {', '.join(words)}"


def floor(totals: pd.DataFrame) -> str:
    """What the log-volumes of neurons rest on.

    Args:
        totals: Rows of `load.read_exploration` of one task, of the totals.

    Returns:
        One phrase.
    """
    rows = totals[totals["measure"] == "log_volume"]
    values, smallest = rows["values"].max(), rows["floor"].max()
    return (
        f"{values:g} singular values, at least {_exponent(smallest)} each, so that no "
        f"log-product lies below {values * math.log(smallest):.0f}"
    )


def experiment(runs: pd.DataFrame) -> list[str]:
    """Which training the numbers come from.

    Args:
        runs: Runs of one task, as `runs.find_runs` gives them.

    Returns:
        A list of phrases: scale and data, model, compute precision, seeds, versions.
    """
    config = runs.iloc[0]["config"]
    phrases = [
        f"{config['scale']} scale: {_data(config['data'])}",
        f"{config['epochs']} epochs, minibatches of {config['batch_size']}",
        seeds(runs),
        _model(config),
        _precision(config),
        _versions(runs),
    ]
    return [phrase for phrase in phrases if phrase]


def summary(runs: pd.DataFrame) -> str:
    """The experiment in one short phrase, for a cell of a table.

    Args:
        runs: Runs of one task, as `runs.find_runs` gives them.

    Returns:
        Scale, data, epochs, output, precision and seeds; the experiment's name first
        where it has one.
    """
    config = runs.iloc[0]["config"]
    words = [
        f"{config['scale']} scale",
        _data(config["data"]),
        f"{config['epochs']} epochs",
        _output(config),
        _precision(config),
        seeds(runs),
    ]
    name = runs.iloc[0]["experiment"]
    return (f"{name}: " if name else "") + ", ".join(word for word in words if word)


def training(runs: pd.DataFrame) -> str:
    """The training in one short phrase, for the small print of a figure.

    Args:
        runs: Runs of one task, as `runs.find_runs` gives them.

    Returns:
        Scale, data, epochs, output and seeds.
    """
    config = runs.iloc[0]["config"]
    by_optimizer = runs.groupby(optimizers.COLUMNS)["seed"].nunique()
    few, many = by_optimizer.min(), by_optimizer.max()
    counted = f"{few} to {many} seeds an optimizer" if few < many else seeds(runs)
    words = [
        f"{config['scale']} scale",
        _data(config["data"]),
        f"{config['epochs']} epochs",
        _output(config),
        counted,
    ]
    return ", ".join(word for word in words if word)


def certificate(optima: pd.DataFrame, ball: bool = True) -> str:
    """How far the drawn Taylor optima may be from the true minima.

    Args:
        optima: Rows of `load.read_regret`.
        ball: Whether they were taken over a ball; without one, the gap bounds
            what V up to twice as far as the minimiser could gain.

    Returns:
        One phrase; it counts the optima that have no certificate.

    Example:

    >>> import pandas as pd
    >>> certificate(pd.DataFrame({"taylor_optimum": [2.0], "gap": [1e-5], "certified": [True]}))
    'relative gap of optima at most 1e-3'
    """
    finite = optima[np.isfinite(optima["taylor_optimum"])]  # nothing is solved after divergence
    loose = finite[~finite["certified"]]
    where = "" if ball else " for V within twice their distance"
    if loose.empty:
        zeros = (finite["gap"] > load.LARGEST_GAP * finite["taylor_optimum"].abs()).sum()
        within = f"{_exponent(load.NEGLIGIBLE)} of the cumulative loss"
        close = f"; {zeros:,} of {len(finite):,} are zero to within {within}" if zeros else ""
        return f"relative gap of optima at most {_exponent(load.LARGEST_GAP)}{where}{close}"
    relative = (loose["gap"] / loose["taylor_optimum"].abs()).replace(np.inf, np.nan)
    if relative.isna().all():
        return f"{len(loose):,} of {len(finite):,} optima without a certificate (hollow points)"
    largest = f"up to {relative.max():.2g}"
    unattained = (loose["status"] == "UNATTAINED").sum()  # the infimum lies at infinity
    largest += f", {unattained} of them approached only at infinity" if unattained else ""
    return (
        f"{len(loose):,} of {len(finite):,} optima not certified to a relative gap of "
        f"{_exponent(load.LARGEST_GAP)}{where} (hollow points): {largest}"
    )


def radii(optima: pd.DataFrame) -> str:
    """The radii of the balls in which optima were sought.

    Args:
        optima: Rows of `load.read_regret`.

    Returns:
        One phrase, empty when there was no ball.

    Example:

    >>> import pandas as pd
    >>> radii(pd.DataFrame({"radius": [0.412, 1.5, 1.5]}))
    'radius of the balls 0.41 to 1.5'
    """
    finite = optima["radius"][np.isfinite(optima["radius"])]
    if finite.empty:
        return ""
    low, high = f"{finite.min():.2g}", f"{finite.max():.2g}"
    return f"radius of the ball {low}" if low == high else f"radius of the balls {low} to {high}"


def accuracies(losses: pd.DataFrame) -> str:
    """Training accuracy of the final epoch of every optimizer.

    Args:
        losses: Rows of `load.read_losses`, of one task.

    Returns:
        One phrase, empty where accuracy was not measured.
    """
    final = select.final(losses, "accuracy")
    task = losses["task"].iloc[0] if len(losses) else ""
    words = [f"{label(one, task)} {final[one]:.1%}" for one in optimizers.in_order(final)]
    return f"training accuracy of the last epoch: {', '.join(words)}" if words else ""


def diverged(losses: pd.DataFrame) -> str:
    """What to add to an optimizer's label when runs of it diverged.

    Args:
        losses: Rows of `load.read_losses` of one optimizer.

    Returns:
        Text such as `"diverged in epoch 3"`, `"1 of 3 seeds diverged"`, or `""`.
    """
    epochs = [_diverged_epoch(rows) for _, rows in losses.groupby("seed")]
    bad = [epoch for epoch in epochs if epoch is not None]
    if not bad:
        return ""
    if len(epochs) == 1:
        return f"diverged in epoch {bad[0]}"
    return f"{len(bad)} of {len(epochs)} seeds diverged"


def seeds(runs: pd.DataFrame) -> str:
    """The seeds of runs in one phrase.

    Args:
        runs: A frame with a column `seed`.

    Returns:
        Such as `"seed 0"` or `"seeds 0 to 9"`.
    """
    every = sorted({int(seed) for seed in runs["seed"]})
    if len(every) == 1:
        return f"seed {every[0]}"
    if len(every) > 2 and every == list(range(every[0], every[-1] + 1)):
        return f"seeds {every[0]} to {every[-1]}"
    return f"seeds {', '.join(map(str, every))}"


def _diverged_epoch(losses: pd.DataFrame) -> int | None:
    if not (losses["status"] == "diverged").any():
        return None
    bad = losses[~np.isfinite(losses["loss"])]
    return int(bad["epoch"].min() if len(bad) else losses["epoch"].max())


def _schedule(schedule: str | None) -> str | None:
    """`"1 an epoch"` becomes `"1 round an epoch"`; other wordings stay."""
    if schedule is None:
        return None
    match = re.fullmatch(r"(\S+) an epoch", str(schedule))
    if not match:
        return str(schedule)
    return f"{match[1]} round{'' if match[1] == '1' else 's'} an epoch"


def _data(data: dict) -> str:
    """The source is a phrase with the number of examples, but a run may use fewer."""
    source = str(data.get("source") or data.get("name"))
    examples = data.get("examples")
    if not isinstance(examples, int) or f"{examples:,}" in source:
        return source
    return f"{source}, {examples:,} of them used" if "," in source else f"{source}, {examples:,}"


def _share(count: int, whole: int | None, things: str) -> str:
    if whole is None:
        return f"{count:,} {things}"
    return f"all {count:,} {things}" if count == whole else f"{count:,} of {whole:,} {things}"


def _examples(options: dict) -> str | None:
    """How much of its minibatch a round looks at, where the record says so."""
    if "examples" not in options:
        return None
    count = options["examples"]
    return "whole minibatches" if count is None else f"{count} examples a round"


def _output(config: dict) -> str | None:
    """The output activation is an open choice of the autoencoder alone."""
    if config["task"] == "convnet":
        return None
    return f"{config['protocol'].get('output_activation') or 'linear'} output"


def _model(config: dict) -> str:
    options = config["protocol"]
    words = [_output(config)]
    if "kernel_initializer" in options:
        words.append(str(options["kernel_initializer"]).replace("_", " ").capitalize())
    if "use_bias" in options:
        words.append("biases" if options["use_bias"] else "no biases")
    if "input_scaling" in options:
        words.append(f"{options['input_scaling']} input scaling")
    return ", ".join(word for word in words if word)


def _precision(config: dict) -> str | None:
    """Compute precision of the training, where it is not the usual float32."""
    policy = config["protocol"].get("dtype_policy")
    return _PRECISIONS.get(policy, f"trained in {policy}") if policy else None


def _exponent(number: float) -> str:
    """`0.001` as `"1e-3"`."""
    return f"{number:.0e}".replace("e-0", "e-")


def _versions(runs: pd.DataFrame) -> str:
    shown = []
    for key, name in [("tensorflow", "TensorFlow"), ("keras", "Keras")]:
        versions = {config.get("versions", {}).get(key) for config in runs["config"]}
        short = sorted({".".join(str(one).split(".")[:2]) for one in versions if one})
        if short:
            shown.append(f"{name} {'/'.join(short)}")
    return ", ".join(shown)
