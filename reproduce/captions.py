"""What a figure or a verdict rests on, in words, from the runs' own configurations."""

import math
import re

_PANELS = ["convnet", "autoencoder"]  # from left to right, as the paper has them
_SMALL_GAP = 1e-3
_ACTIVATIONS = {None: "linear", "None": "linear"}


def protocol(runs, record, ball=False):
    """How regret was recorded and minimised.

    Args:
        runs: Runs of one task, as `tables.find_runs` gives them.
        record: Name of the record, such as `"figures"`.
        ball: Whether optima were taken over the ball of Theorem 2.

    Returns:
        One phrase, such as `"figures protocol: batch_mean, 1 round an epoch, no ball"`.
    """
    options = _each(runs, lambda config: config.get("records", {}).get(record, {}))[0]
    words = [
        options.get("reduction"),
        _schedule(options.get("schedule")),
        "inside the ball" if ball else "no ball",
    ]
    return f"{record} protocol: " + ", ".join(word for word in words if word)


def experiment(runs):
    """Which training the numbers come from.

    Args:
        runs: Runs of one task, as `tables.find_runs` gives them.

    Returns:
        A list of phrases: scale and data, model, seeds, versions.
    """
    config = runs.iloc[0]["config"]
    return [
        f"{config['scale']} scale: {_data(config.get('data', {}))}",
        f"{config.get('epochs')} epochs, minibatches of {config.get('batch_size')}",
        _seeds(runs),
        _model(config.get("protocol", {})),
        _versions(runs),
    ]


def summary(runs):
    """The experiment in one short phrase, for a cell of a table.

    Args:
        runs: Runs of one task, as `tables.find_runs` gives them.

    Returns:
        Scale, data, epochs, output and seeds; the result set's name first
        where it has one.
    """
    config = runs.iloc[0]["config"]
    output = _model(config.get("protocol", {})).split(",")[0]
    words = [
        f"{config['scale']} scale",
        _data(config.get("data", {})),
        f"{config.get('epochs')} epochs",
        output,
        _seeds(runs),
    ]
    name = runs.iloc[0]["set"]
    return (f"{name}: " if name else "") + ", ".join(words)


def certificate(relative_gap):
    """How far the drawn Taylor optima may be from the true minima.

    Args:
        relative_gap: Largest certified gap as a fraction of its optimum.

    Returns:
        One phrase; without a finite certificate it says so.

    Examples:

    >>> certificate(1e-12)
    'relative gap of optima at most 1e-3'
    >>> certificate(0.02)
    'relative gap of optima up to 0.02'
    """
    if not math.isfinite(relative_gap):
        return "optima without a certificate"
    if relative_gap <= _SMALL_GAP:
        return "relative gap of optima at most 1e-3"
    return f"relative gap of optima up to {relative_gap:.2g}"


def lines(runs, record=None, ball=False):
    """Caption of a figure.

    Args:
        runs: Runs that the figure shows, of one task or of both.
        record: Name of the record that it shows, `None` for plain losses.
        ball: Whether optima were taken over the ball of Theorem 2.

    Returns:
        One line a task, each a list of phrases, as `style.caption` takes them.
    """
    groups = sorted(runs.groupby("task"), key=lambda group: _PANELS.index(group[0]))
    result = []
    for task, group in groups:
        phrases = [protocol(group, record, ball)] if record else []
        phrases += experiment(group)
        if group["seed"].nunique() > 1:
            phrases.append("bands: one standard deviation over seeds")
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


def _model(options):
    activation = options.get("output_activation")
    words = [f"{_ACTIVATIONS.get(activation, activation)} output"]
    if "kernel_initializer" in options:
        words.append(str(options["kernel_initializer"]).replace("_", " ").capitalize())
    if "use_bias" in options:
        words.append("biases" if options["use_bias"] else "no biases")
    if "input_scaling" in options:
        words.append(f"{options['input_scaling']} input scaling")
    return ", ".join(words)


def _seeds(runs):
    seeds = sorted(set(runs["seed"]))
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"seeds {', '.join(map(str, seeds))}"


def _versions(runs):
    shown = []
    for key, name in [("tensorflow", "TensorFlow"), ("keras", "Keras")]:
        found = set(_each(runs, lambda config: config.get("versions", {}).get(key)))
        short = sorted({".".join(str(version).split(".")[:2]) for version in found if version})
        if short:
            shown.append(f"{name} {'/'.join(short)}")
    return ", ".join(shown)
