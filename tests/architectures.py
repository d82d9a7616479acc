"""Small Keras models of many architectures, in float64 with random weights, for the tests."""

import keras
import numpy as np
from keras import layers

EXAMPLES = 3

_IMAGE = (6, 5, 4)


def _float64(kind, *args, **kwargs):
    return kind(*args, dtype="float64", **kwargs)


def _dense(units, *args, **kwargs):
    return _float64(layers.Dense, units, *args, **kwargs)


def _conv(filters, size, *args, **kwargs):
    return _float64(layers.Conv2D, filters, size, *args, **kwargs)


def _image_model(*hidden, shape=_IMAGE):
    """Image -> the given layers -> flatten -> three outputs."""
    inputs = tensor = keras.Input(shape, dtype="float64")
    for layer in hidden:
        tensor = layer(tensor)
    if len(tensor.shape) > 2:
        tensor = _float64(layers.Flatten)(tensor)
    return keras.Model(inputs, _dense(3, name="top")(tensor))


def _convolution(**options):
    return lambda: _image_model(_conv(4, 3, activation="relu", name="conv", **options))


def _pooled(pooling, *size):
    return lambda: _image_model(
        _conv(4, 3, padding="same", activation="relu", name="conv"), _float64(pooling, *size)
    )


def _residual():
    inputs = keras.Input((6, 6, 2), dtype="float64")
    first = _conv(3, 3, padding="same", activation="relu", name="first")(inputs)
    second = _conv(3, 3, padding="same", name="second")(first)
    added = _float64(layers.ReLU)(_float64(layers.Add)([first, second]))
    pooled = _float64(layers.GlobalAveragePooling2D)(added)
    return keras.Model(inputs, _dense(3, "softmax", name="top")(pooled))


def _two_inputs():
    image = keras.Input((4, 4, 2), dtype="float64", name="image")
    numbers = keras.Input((5,), dtype="float64", name="numbers")
    left = _float64(layers.Flatten)(_conv(2, 2, activation="relu", name="conv")(image))
    right = _dense(4, "relu", name="dense")(numbers)
    joined = _float64(layers.Concatenate)([left, right])
    return keras.Model([image, numbers], _dense(3, name="top")(joined))


def _two_branches():
    inputs = keras.Input((5, 5, 2), dtype="float64")
    narrow = _conv(2, 1, padding="same", activation="relu", name="narrow")(inputs)
    wide = _conv(3, 3, padding="same", activation="relu", name="wide")(inputs)
    joined = _float64(layers.Concatenate)([narrow, wide])
    pooled = _float64(layers.GlobalMaxPooling2D)(joined)
    return keras.Model(inputs, _dense(3, name="top")(pooled))


def _nested():
    """Two nested models with a layer of one name each, inside a sequential model."""

    def block(name, shape):
        inputs = keras.Input(shape, dtype="float64")
        hidden = _conv(2, 2, activation="relu", name="conv")(inputs)
        return keras.Model(inputs, hidden, name=name)

    return keras.Sequential(
        [
            keras.Input((5, 5, 2), dtype="float64"),
            block("encoder", (5, 5, 2)),
            block("decoder", (4, 4, 2)),
            _float64(layers.Flatten),
            _dense(3, name="top"),
        ]
    )


def _sequences():
    inputs = keras.Input((4, 3), dtype="float64")
    hidden = _dense(5, "relu", name="each_step")(inputs)
    hidden = _float64(layers.LayerNormalization)(hidden)
    pooled = _float64(layers.GlobalAveragePooling1D)(hidden)
    return keras.Model(inputs, _dense(3, name="top")(pooled))


def _many_outputs():
    """More outputs than are unrolled, over a layer narrower than they are."""
    inputs = keras.Input((6,), dtype="float64")
    wide = _dense(20, "relu", name="wide")(inputs)
    narrow = _dense(3, "tanh", name="narrow")(wide)
    back = _dense(20, "relu", name="back")(narrow)
    joined = _float64(layers.Add)([wide, back])
    return keras.Model(inputs, _dense(18, name="top")(joined))


def _operations():
    """Keras operations on tensors, and rows that stand apart in the output."""
    inputs = keras.Input((4, 4, 2), dtype="float64")
    hidden = _conv(3, 2, name="conv")(inputs)
    hidden = keras.ops.maximum(hidden, 0.1 * hidden) + 1.0
    return keras.Model(inputs, _dense(2, name="top")(keras.ops.mean(hidden, axis=(1,))))


ARCHITECTURES = {
    "strided": _convolution(strides=(2, 1), padding="same"),
    "dilated": _convolution(dilation_rate=2, padding="same"),
    "grouped": _convolution(groups=2, padding="same"),
    "grouped strided valid": _convolution(groups=4, strides=2),
    "valid": _convolution(padding="valid", use_bias=False),
    "one by one": lambda: _image_model(_conv(5, 1, activation="relu", name="conv")),
    "max pooling": _pooled(layers.MaxPooling2D, 2),
    "average pooling": _pooled(layers.AveragePooling2D, 2),
    "global pooling": _pooled(layers.GlobalAveragePooling2D),
    "residual": _residual,
    "two inputs": _two_inputs,
    "two branches": _two_branches,
    "leaky rectifier": lambda: _image_model(_conv(3, 3, name="conv"), _float64(layers.LeakyReLU)),
    "parametric rectifier": lambda: _image_model(_conv(3, 3, name="conv"), _float64(layers.PReLU)),
    "dropout": lambda: _image_model(
        _conv(3, 3, activation="relu", name="conv"), _float64(layers.Dropout, 0.5)
    ),
    "frozen batch normalization": lambda: _image_model(
        _conv(3, 3, name="conv"), _float64(layers.BatchNormalization), _float64(layers.ReLU)
    ),
    "nested": _nested,
    "sequences": _sequences,
    "many outputs": _many_outputs,
    "operations": _operations,
}


def build(architecture, seed):
    """A model with random weights, and a random batch for it (a list if it takes several)."""
    model = ARCHITECTURES[architecture]()
    generator = np.random.default_rng(seed)
    # Variances and scales of normalizations must be positive; so are all vectors, then.
    model.set_weights(
        [
            np.abs(generator.normal(size=w.shape)) + 0.2
            if w.ndim == 1
            else generator.normal(size=w.shape) / np.sqrt(np.prod(w.shape[:-1]))
            for w in model.get_weights()
        ]
    )
    batch = [generator.normal(size=(EXAMPLES, *symbol.shape[1:])) for symbol in model.inputs]
    return model, batch if len(batch) > 1 else batch[0]
