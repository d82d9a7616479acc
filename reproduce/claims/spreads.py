"""Standard deviations over seeds that are assumed where fewer than three seeds were run.

Those of the autoencoder are plausible sizes that were named before it had more seeds: of its first
three the differences of logarithms of two optimizers' losses deviate by 0.02 to 0.11, those of
switches and Hamming distances by 0.01 to 0.22, of volumes by 0.2 to 1.0, and shares of regret by
0.001 to 0.008. Of the convnet three optimizers were run from three seeds for 100 epochs, whose
differences of logarithms deviate by 0.29 of Hamming distances, of switches and of layer 2's regret:
what a seed does once its loss is practically zero, stop or jump, is chance. A loss near zero jumps
more, and keeps its plausible size.
"""

# Of logarithms, but for those of shares, losses and single volumes.
_ELSEWHERE = {
    "loss": 0.5,
    "regret": 0.5,
    "minimum_hamming": 0.25,
    "switches": 0.25,
    "log_volume": 1.0,
    "volume of a neuron": 10.0,
    "variation": 0.5,
    "accuracy": 0.005,
    "small loss": 0.03,  # by which the last ten losses of one convnet deviate
}
_BY_TASK = {
    "autoencoder": {"loss": 0.15},
    "convnet": {"regret": 0.35, "minimum_hamming": 0.35, "switches": 0.35},
}
# Of regret as a share of the loss: least, and as a share of itself.
_SHARES = (0.005, 0.1)
_SHARES_BY_TASK = {"convnet": (0.001, 0.2)}


def assumed(quantity: str, task: str) -> float:
    """The deviation that is assumed of a quantity.

    Args:
        quantity: `"loss"`, `"regret"`, a measure of exploration, ...
        task: Name of the task.

    Returns:
        A number: of logarithms for quantities that are compared by factors.

    Example:

    >>> assumed("loss", "autoencoder"), assumed("loss", "deep_network")
    (0.15, 0.5)
    """
    return _BY_TASK.get(task, {}).get(quantity, _ELSEWHERE[quantity])


def of_share(share: float, task: str) -> float:
    """The deviation that is assumed of regret as a share of the loss.

    Args:
        share: The share.
        task: Name of the task.

    Returns:
        A number.

    Example:

    >>> round(of_share(0.3, "autoencoder"), 3)
    0.035
    """
    floor, slope = _SHARES_BY_TASK.get(task, _SHARES)
    return floor + slope * abs(share)
