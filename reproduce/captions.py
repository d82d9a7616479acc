"""What a figure or a verdict rests on, in words, from the runs' own configurations."""

import math
import re

import numpy as np

from reproduce import selection, style, tables

_PANELS = ["convnet", "autoencoder"]  # from left to right, as the paper has them
# Records are of the model's own precision in any case.
_PRECISIONS = {
    "mixed_bfloat16": "bfloat16 training steps, float32 records",
}
_ACTIVATIONS = {None: "linear", "None": "linear"}
# Where the mean square of RMSProp starts decides how large its first steps are.
_RMSPROP = {
    "tensorflow_2016": "RMSProp as in TensorFlow of 2016, its mean square starting at one",
    "keras_3": "RMSProp as in Keras 3, its mean square starting at zero",
}


def protocol(runs, record, ball=False):
    """How regret was recorded and minimised.

    Args:
        runs: Runs of one task, as `tables.find_runs` gives them.
        record: Name of the record, such as `"figures"`.
        ball: Whether optima were taken over the ball of Theorem 2.

    Returns:
        One phrase, such as `"figures protocol: batch_mean, 1 round an epoch, no ball"`.
    """
    found = [options for options in _each(runs, lambda config: _record(config, record)) if options]
    options = found[0] if found else {}  # of partial results, not every run has every record
    words = [
        options.get("reduction"),
        _schedule(options.get("schedule")),
        _examples(options),
        "inside the ball" if ball else "no ball",
    ]
    return f"{record} protocol: " + ", ".join(word for word in words if word)


def activations(runs):
    """How activation configurations were recorded.

    Args:
        runs: Runs of one task, as `tables.find_runs` gives them.

    Returns:
        One phrase, such as `"activations: 1 round an epoch, all 60,000 data points, all 180
        units"`; empty where none were recorded.
    """
    found = [record for config in runs["config"] for record in _activation_records(config)]
    if not found:
        return ""
    options, layers = found[0], found[0]["layers"].values()
    points, examples = options["points"], runs.iloc[0]["config"].get("data", {}).get("examples")
    units = sum(layer["units"] for layer in layers)
    every = sum(math.prod(layer["shape"]) for layer in layers)
    words = [_schedule(options.get("schedule")), _share(points, examples, "data points")]
    words.append(_share(units, every, "units"))
    if units < every:
        words.append(f"at most {options['units']:,} a layer")
    if points != examples or units < every:
        words.append(f"chosen with seed {options['seed']}")
    return f"activations: {', '.join(words)}"


def floor(totals):
    """What the log-volumes of neurons rest on.

    Args:
        totals: Rows of `tables.read_exploration` of one task, of the totals.

    Returns:
        One phrase.
    """
    rows = totals[totals["measure"] == "log_volume"]
    values, smallest = rows["values"].max(), rows["floor"].max()
    return (
        f"{values:g} singular values, at least {_exponent(smallest)} each, so that no "
        f"log-product lies below {values * math.log(smallest):.0f}"
    )


def rmsprop(runs):
    """Which variants of RMSProp there are.

    Args:
        runs: Runs as `tables.find_runs` gives them.

    Returns:
        One phrase, empty where there is no RMSProp.
    """
    shown = runs[runs["optimizer"].str.startswith("RMSProp")]
    keras = shown["optimizer"].str.endswith("(Keras 3)")
    variants = [
        config.get("protocol", {}).get("optimizer_variant") for config in shown["config"][~keras]
    ]
    words = _RMSPROP.get(variants[0] if variants else "keras_3" if len(shown) else None, "")
    if words and variants and keras.any():
        words += " and its epsilon being 1e-10; of Keras 3, at zero and 1e-7"
    return words


def experiment(runs):
    """Which training the numbers come from.

    Args:
        runs: Runs of one task, as `tables.find_runs` gives them.

    Returns:
        A list of phrases: scale and data, model, compute precision, seeds, versions.
    """
    config = runs.iloc[0]["config"]
    phrases = [
        f"{config['scale']} scale: {_data(config.get('data', {}))}",
        f"{config.get('epochs')} epochs, minibatches of {config.get('batch_size')}",
        _seeds(runs),
        _model(config),
        _precision(config),
        _versions(runs),
    ]
    return [phrase for phrase in phrases if phrase]


def summary(runs):
    """The experiment in one short phrase, for a cell of a table.

    Args:
        runs: Runs of one task, as `tables.find_runs` gives them.

    Returns:
        Scale, data, epochs, output, precision and seeds; the result set's name first
        where it has one.
    """
    config = runs.iloc[0]["config"]
    words = [
        f"{config['scale']} scale",
        _data(config.get("data", {})),
        f"{config.get('epochs')} epochs",
        _output(config),
        _precision(config),
        _seeds(runs),
    ]
    name = runs.iloc[0]["set"]
    return (f"{name}: " if name else "") + ", ".join(word for word in words if word)


def certificate(optima, ball=True):
    """How far the drawn Taylor optima may be from the true minima.

    Args:
        optima: Rows of `tables.read_regret`.
        ball: Whether they were taken over a ball; without one, the gap bounds
            what V up to twice as far as the minimiser could gain.

    Returns:
        One phrase; it counts the optima that have no certificate.

    Example:

    >>> import pandas as pd
    >>> certificate(pd.DataFrame({"taylor_optimum": [2.0], "gap": [1e-5], "certified": [True]}))
    'relative gap of optima at most 1e-3'
    """
    found = optima[np.isfinite(optima["taylor_optimum"])]  # nothing is solved after divergence
    loose = found[~found["certified"]]
    where = "" if ball else " for V within twice their distance"
    if loose.empty:
        zeros = (found["gap"] > tables.LARGEST_GAP * found["taylor_optimum"].abs()).sum()
        within = f"{_exponent(tables.NEGLIGIBLE)} of the cumulative loss"
        close = f"; {zeros:,} of {len(found):,} are zero to within {within}" if zeros else ""
        return f"relative gap of optima at most {_exponent(tables.LARGEST_GAP)}{where}{close}"
    relative = (loose["gap"] / loose["taylor_optimum"].abs()).replace(np.inf, np.nan)
    if relative.isna().all():
        return f"{len(loose):,} of {len(found):,} optima without a certificate (hollow points)"
    largest = f"up to {relative.max():.2g}"
    unattained = (loose["status"] == "UNATTAINED").sum()  # the infimum lies at infinity
    largest += f", {unattained} of them approached only at infinity" if unattained else ""
    return (
        f"{len(loose):,} of {len(found):,} optima not certified to a relative gap of "
        f"{_exponent(tables.LARGEST_GAP)}{where} (hollow points): {largest}"
    )


def radii(optima):
    """The radii of the balls in which optima were sought.

    Args:
        optima: Rows of `tables.read_regret`.

    Returns:
        One phrase, empty when there was no ball.

    Example:

    >>> import pandas as pd
    >>> radii(pd.DataFrame({"radius": [0.412, 1.5, 1.5]}))
    'radius of the balls 0.41 to 1.5'
    """
    found = optima["radius"][np.isfinite(optima["radius"])]
    if found.empty:
        return ""
    low, high = f"{found.min():.2g}", f"{found.max():.2g}"
    return f"radius of the ball {low}" if low == high else f"radius of the balls {low} to {high}"


def accuracies(losses):
    """Training accuracy of the final epoch of every optimizer.

    Args:
        losses: Rows of `tables.read_losses`, of one task.

    Returns:
        One phrase, empty where accuracy was not measured.
    """
    final = selection.final(losses, "accuracy")
    words = [f"{label} {final[label]:.1%}" for label in style.in_order(final)]
    return f"training accuracy of the last epoch: {', '.join(words)}" if words else ""


def lines(runs, record=None, ball=False, bands="seeds"):
    """Caption of a figure.

    Args:
        runs: Runs that the figure shows, of one task or of both.
        record: Name of the record that it shows, `None` for plain losses.
        ball: Whether optima were taken over the ball of Theorem 2.
        bands: What the shaded bands are over, None without any; over seeds there are
            none where there is one seed.

    Returns:
        One line a task, each a list of phrases, as `style.caption` takes them.
    """
    groups = sorted(runs.groupby("task"), key=lambda group: _PANELS.index(group[0]))
    result = []
    for task, group in groups:
        phrases = [protocol(group, record, ball)] if record else []
        phrases += experiment(group)
        if bands not in (None, "seeds") or (bands and group["seed"].nunique() > 1):
            phrases.append(f"bands: one standard deviation over {bands}")
        if len(groups) > 1:
            phrases[0] = f"{task}: {phrases[0]}"
        result.append(phrases)
    return result


def _each(runs, read):
    return [read(config) for config in runs["config"]]


def _schedule(schedule):
    """`"1 an epoch"` becomes `"1 round an epoch"`; other wordings stay."""
    if schedule is None:
        return None
    found = re.fullmatch(r"(\S+) an epoch", str(schedule))
    if not found:
        return str(schedule)
    return f"{found[1]} round{'' if found[1] == '1' else 's'} an epoch"


def _data(data):
    """The source is a phrase with the number of examples, but a run may use fewer."""
    source = str(data.get("source") or data.get("name"))
    examples = data.get("examples")
    if not isinstance(examples, int) or f"{examples:,}" in source:
        return source
    return f"{source}, {examples:,} of them used" if "," in source else f"{source}, {examples:,}"


def _activation_records(config):
    return tables.activation_records(config).values()


def _share(count, whole, things):
    if whole is None:
        return f"{count:,} {things}"
    return f"all {count:,} {things}" if count == whole else f"{count:,} of {whole:,} {things}"


def _record(config, record):
    return config.get("records", {}).get(record, {})


def _examples(options):
    """How much of its minibatch a round looks at, where the record says so."""
    if "examples" not in options:
        return None
    count = options["examples"]
    return "whole minibatches" if count is None else f"{count} examples a round"


def _output(config):
    """The output activation is an open choice of the autoencoder alone."""
    if config.get("task") == "convnet":
        return None
    activation = config.get("protocol", {}).get("output_activation")
    return f"{_ACTIVATIONS.get(activation, activation)} output"


def _model(config):
    options = config.get("protocol", {})
    words = [_output(config)]
    if "kernel_initializer" in options:
        words.append(str(options["kernel_initializer"]).replace("_", " ").capitalize())
    if "use_bias" in options:
        words.append("biases" if options["use_bias"] else "no biases")
    if "input_scaling" in options:
        words.append(f"{options['input_scaling']} input scaling")
    return ", ".join(word for word in words if word)


def _precision(config):
    """Compute precision of the training, where it is not the usual float32."""
    policy = config.get("protocol", {}).get("dtype_policy")
    return _PRECISIONS.get(policy, f"trained in {policy}") if policy else None


def _exponent(number):
    """`0.001` as `"1e-3"`."""
    return f"{number:.0e}".replace("e-0", "e-")


def _seeds(runs):
    seeds = sorted(set(runs["seed"]))
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"seeds {', '.join(map(str, seeds))}"


def _versions(runs):
    shown = []
    for key, name in [("tensorflow", "TensorFlow"), ("keras", "Keras")]:
        found = {config.get("versions", {}).get(key) for config in runs["config"]}
        short = sorted({".".join(str(version).split(".")[:2]) for version in found if version})
        if short:
            shown.append(f"{name} {'/'.join(short)}")
    return ", ".join(shown)
