"""Names of optimizers as they stand in the paper's legends."""

# Learning rates that the paper gives: at these the optimizer's name alone is
# the label, as in the paper's legends.
_PAPER_RATES = {
    "autoencoder": {"adam": 0.01, "rmsprop": 0.001},
    "convnet": {"adam": 0.0002, "rmsprop": 0.0005},
}
_NAMES = {"adam": "Adam", "rmsprop": "RMSProp", "sgd": "SGD"}


def optimizer_label(task, name, learning_rate):
    """Name of an optimizer as it stands in the paper's legends.

    Args:
        task: `"autoencoder"` or `"convnet"`.
        name: `"adam"`, `"rmsprop"` or `"sgd"`; with `_keras` appended, the
            variant of Keras 3.
        learning_rate: Learning rate, part of the label for SGD and wherever
            it differs from the paper's.

    Returns:
        The label.

    Examples:

    >>> optimizer_label("autoencoder", "adam", 0.01)
    'Adam'
    >>> optimizer_label("autoencoder", "sgd", 1)
    'SGD lr=1.0'
    >>> optimizer_label("autoencoder", "rmsprop_keras", 0.001)
    'RMSProp (Keras 3)'
    """
    base = name.removesuffix("_keras")
    label = _NAMES.get(base, base)
    rate = float(learning_rate)
    if _PAPER_RATES.get(task, {}).get(base) != rate:
        label += f" lr={rate}"
    return label + (" (Keras 3)" if name.endswith("_keras") else "")
