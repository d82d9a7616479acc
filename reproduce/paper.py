"""Facts of the paper that figures, claims and stages share, each written once.

Learning rates are those of appendix A5; axes are read off the published figures.
"""

TASKS = ("convnet", "autoencoder")  # from left to right, as the paper has them
EPOCHS = 100

# Learning rates, by task and name of the optimizer.
RATES: dict[str, dict[str, tuple[float, ...]]] = {
    "autoencoder": {"adam": (0.01,), "rmsprop": (0.001,), "sgd": (1.0, 0.1, 0.01)},
    "convnet": {"adam": (0.0002,), "rmsprop": (0.0005,), "sgd": (1.0, 0.1, 0.01)},
    # The network of more than 100 layers (section 2.3), of which the paper has no numbers: as the
    # autoencoder.
    "deep_network": {"sgd": (0.1,), "adam": (0.01,), "rmsprop": (0.001,)},
}

# The layer of each task whose regret Figure 4 shows, and the layers of neurons of Figure 3.
FIGURE_4_LAYER = {"convnet": "conv2d_2", "autoencoder": "dense_3"}
# "Layer 3" may be the third layer of the network or of its decoder, which is the output layer. The
# study says which, under which record (docs/choices.md); elsewhere it is taken by the word.
_THIRD_OF_THE_DECODER = {("autoencoder", "figures"): "dense_6"}
CONVOLUTIONS = ("conv2d_1", "conv2d_2", "conv2d_3")
FIGURE_3_OPTIMIZER = "rmsprop"
NEURONS_A_LAYER = 50

# Vertical axes of the published figures.
REGRET_AXIS = {"convnet": (4.0, 16.0), "autoencoder": (2.0, 7.0)}  # Figure 4(a), (b)
REGRET_SCALE = {"convnet": 1.0, "autoencoder": 1000.0}  # by which Figure 4 multiplies regret
LOSS_AXIS = (0.1, 0.3)  # Figure 4(c)
NEURON_REGRET_AXIS = (0.0, 8.0)  # Figure 3(a)
NEURON_LOSS_AXIS = (0.0, 16.0)  # Figure 3(b), (c)
EXPLORATION_AXIS = {  # Figure 5(a), (b), (c)
    "minimum_hamming": (0.0, 0.07),
    "switches": (0.0, 0.06),
    "log_volume": (-2000.0, 500.0),
}
# Ends of the horizontal axes of Figure 5(b), (c): data points and neurons, sorted.
EXPLORATION_PLACES = {
    "convnet": {"switches": 1000, "log_volume": 3000},
    "autoencoder": {"log_volume": 180},
}
TRAINING_LOSS_AXIS = {"convnet": (0.0, 2.5), "autoencoder": (0.0, 0.12)}  # Figure 6

# The measures of section 3.3 in the paper's order: Figure 5(a), (b), (c).
MEASURES = ("minimum_hamming", "switches", "log_volume")
# Figures 3 and 4 are read from this epoch on: Figure 4 begins there.
FIRST_EPOCH = 20


def figure_4_layer(task: str, record: str) -> str:
    """The layer that a reading of the paper takes for the one of Figure 4.

    Args:
        task: Name of a task of the paper.
        record: Name of the record on which the reading rests.

    Returns:
        Name of the layer.

    Example:

    >>> figure_4_layer("autoencoder", "definition")
    'dense_3'
    """
    return _THIRD_OF_THE_DECODER.get((task, record), FIGURE_4_LAYER[task])
