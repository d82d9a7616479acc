"""Small random Keras networks for the tests, beside their NumPy references."""

import keras
import numpy as np

from tests.reference.dense_network import DenseNetwork


def dense_chain(widths, activations, seed, dtype="float64", bias_scale=0.3):
    """A random chain of Dense layers named dense_1, dense_2, ... with random biases."""
    generator = np.random.default_rng(seed)
    inputs = keras.Input((widths[0],), dtype=dtype)
    hidden = inputs
    for number, (units, activation) in enumerate(zip(widths[1:], activations), 1):
        layer = keras.layers.Dense(
            units, activation=activation, name=f"dense_{number}", dtype=dtype
        )
        hidden = layer(hidden)
    model = keras.Model(inputs, hidden, name="chain")
    model.set_weights(
        [
            generator.normal(size=w.shape) * (bias_scale if w.ndim == 1 else w.shape[0] ** -0.5)
            for w in model.get_weights()
        ]
    )
    return model


def reference_of(model):
    """The NumPy reference with the model's weights as they are now."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return DenseNetwork(
        [layer.kernel.numpy() for layer in layers],
        [layer.bias.numpy() if layer.use_bias else np.zeros(layer.units) for layer in layers],
        [layer.activation.__name__ for layer in layers],
    )


CHAINS = {
    "one layer": ((4, 3), ("linear",)),
    "narrow middle": ((6, 5, 2, 4, 6), ("relu", "relu", "relu", "linear")),
    "sigmoid output": ((5, 4, 3, 5), ("relu", "relu", "sigmoid")),
    "wide middle": ((3, 8, 7, 2), ("relu", "relu", "linear")),
    "leaky": ((4, 6, 5, 3), ("leaky_relu", "leaky_relu", "linear")),
    "smooth": ((4, 5, 4, 3), ("tanh", "sigmoid", "linear")),
    "linear middle": ((4, 5, 4, 6), ("linear", "relu", "linear")),
}
