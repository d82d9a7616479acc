"""Kinds of layer and small models of many sorts, for `benchmarks.layers` and the tests."""

import contextlib

import keras
import numpy as np
from keras import layers

EXAMPLES = 3
TOKENS = 11

_IMAGE, _SEQUENCE, _VOLUME = (6, 6, 4), (5, 4), (4, 4, 4, 2)


class Scaled(keras.layers.Layer):
    """A layer of a user's own, without a rule: a weight that multiplies."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), name="factor", initializer="ones")

    def call(self, inputs):
        return inputs * self.factor


class Attention(keras.layers.Layer):
    """Self-attention, since a kind below is called with one argument."""

    def __init__(self, heads, width, **options):
        super().__init__(**options)
        self.attention = layers.MultiHeadAttention(heads, width, name="attention")

    def call(self, inputs):
        return self.attention(inputs, inputs)


# Kind: (shape of an example, function that makes the layer, whether a rule knows it).
LAYERS = {
    "Dense": ((4,), lambda: layers.Dense(5, "relu"), True),
    "Dense on sequences": (_SEQUENCE, lambda: layers.Dense(5, "tanh"), True),
    "Conv1D": (_SEQUENCE, lambda: layers.Conv1D(3, 2, activation="relu"), True),
    "Conv1D causal, dilated": (
        _SEQUENCE,
        lambda: layers.Conv1D(3, 2, padding="causal", dilation_rate=2),
        True,
    ),
    "Conv1D grouped, strided": (
        _SEQUENCE,
        lambda: layers.Conv1D(4, 2, strides=2, padding="same", groups=2),
        True,
    ),
    "Conv2D": (_IMAGE, lambda: layers.Conv2D(3, 3, activation="relu"), True),
    "Conv3D": (_VOLUME, lambda: layers.Conv3D(3, 2, padding="same", strides=2), True),
    "DepthwiseConv1D": (_SEQUENCE, lambda: layers.DepthwiseConv1D(2, padding="same"), True),
    "DepthwiseConv2D": (_IMAGE, lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), True),
    "SeparableConv1D": (_SEQUENCE, lambda: layers.SeparableConv1D(3, 2), True),
    "SeparableConv2D": (
        _IMAGE,
        lambda: layers.SeparableConv2D(3, 3, depth_multiplier=2, activation="relu"),
        True,
    ),
    "Conv1DTranspose": (_SEQUENCE, lambda: layers.Conv1DTranspose(3, 2, strides=2), True),
    "Conv2DTranspose": (
        _IMAGE,
        lambda: layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="relu"),
        True,
    ),
    "Conv2DTranspose with output padding": (
        _IMAGE,
        lambda: layers.Conv2DTranspose(2, 3, strides=2, output_padding=1),
        True,
    ),
    "Conv3DTranspose": (_VOLUME, lambda: layers.Conv3DTranspose(1, 2), True),
    "EinsumDense": (
        _SEQUENCE,
        lambda: layers.EinsumDense("abc,cde->abde", (5, 2, 3), bias_axes="de"),
        True,
    ),
    "MultiHeadAttention": (_SEQUENCE, lambda: Attention(2, 3), True),
    "Embedding": ("tokens", lambda: layers.Embedding(TOKENS, 3), True),
    "BatchNormalization": (_IMAGE, lambda: layers.BatchNormalization(), True),
    "LayerNormalization": (_SEQUENCE, lambda: layers.LayerNormalization(), True),
    "GroupNormalization": (_IMAGE, lambda: layers.GroupNormalization(2), True),
    "RMSNormalization": (_SEQUENCE, lambda: layers.RMSNormalization(), True),
    "PReLU": (_SEQUENCE, lambda: layers.PReLU(shared_axes=[1]), True),
    "Bidirectional SimpleRNN": (
        _SEQUENCE,
        lambda: layers.Bidirectional(layers.SimpleRNN(2)),
        False,
    ),
    "SimpleRNN": (_SEQUENCE, lambda: layers.SimpleRNN(3), False),
    "GRU": (_SEQUENCE, lambda: layers.GRU(3), False),
    "LSTM": (_SEQUENCE, lambda: layers.LSTM(3), False),
    "ConvLSTM1D": ((3, 4, 2), lambda: layers.ConvLSTM1D(2, 2), False),
    "TimeDistributed Dense": (
        _SEQUENCE,
        lambda: layers.TimeDistributed(layers.Dense(3)),
        False,
    ),
    "a layer of one's own": (_SEQUENCE, lambda: Scaled(), False),
}


@contextlib.contextmanager
def precision(dtype):
    """Layers that are made inside compute in `dtype`."""
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_dtype_policy(dtype)
    keras.config.set_floatx(dtype)  # that of inputs
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


def layer_problem(kind, dtype="float64", seed=0, examples=EXAMPLES):
    """A model around one layer, called `"layer"` if it can be, and a minibatch."""
    shape, make, _ = LAYERS[kind]
    with precision(dtype):
        layer = make()
        inputs = keras.Input((5,), dtype="int32") if shape == "tokens" else keras.Input(shape)
        hidden = layer(inputs)
        flat = layers.Flatten()(hidden) if len(hidden.shape) > 2 else hidden
        model = keras.Model(inputs, layers.Dense(2, name="top")(flat))
    generator = np.random.default_rng(seed)
    _randomize(model, generator)
    return model, _batch(model.inputs, generator, examples)


def model_problem(name, dtype="float64", seed=0, examples=EXAMPLES):
    """A model of the zoo, and a minibatch."""
    with precision(dtype):
        model, batch = MODELS[name](np.random.default_rng(seed), examples)
    return model, batch


def _randomize(model, generator):
    """Random weights; those of one axis positive, for variances must be."""
    model.set_weights(
        [
            np.abs(generator.normal(size=w.shape)) + 0.2
            if w.ndim == 1
            else generator.normal(size=w.shape) / np.sqrt(max(np.prod(w.shape[:-1]), 1))
            for w in model.get_weights()
        ]
    )


def _batch(inputs, generator, examples=EXAMPLES):
    batch = [
        generator.integers(0, TOKENS, (examples, *symbol.shape[1:]))
        if "int" in symbol.dtype
        else generator.normal(size=(examples, *symbol.shape[1:]))
        for symbol in inputs
    ]
    return batch if len(batch) > 1 else batch[0]


def _of_graph(build):
    """A model made by a function from the inputs' builder, with random weights."""

    def make(generator, examples):
        model = build()
        _randomize(model, generator)
        return model, _batch(model.inputs, generator, examples)

    return make


def _application(kind, **options):
    def make(generator, examples):
        keras.utils.set_random_seed(0)
        model = kind(weights=None, input_shape=(32, 32, 3), classes=5, **options)
        return model, generator.uniform(size=(examples, 32, 32, 3))

    return make


def _vision_transformer():
    image = keras.Input((8, 8, 3))
    hidden = layers.Reshape((16, 6))(layers.Conv2D(6, 2, strides=2, name="patches")(image))
    for number in (1, 2):
        normed = layers.LayerNormalization(name=f"norm_{number}a")(hidden)
        attended = layers.MultiHeadAttention(2, 3, name=f"attention_{number}")(normed, normed)
        hidden = layers.Add()([hidden, attended])
        normed = layers.LayerNormalization(name=f"norm_{number}b")(hidden)
        wide = layers.Dense(12, "gelu", name=f"wide_{number}")(normed)
        hidden = layers.Add()([hidden, layers.Dense(6, name=f"narrow_{number}")(wide)])
    pooled = layers.GlobalAveragePooling1D()(hidden)
    return keras.Model(image, layers.Dense(3, name="top")(pooled))


def _text():
    tokens = keras.Input((7,), dtype="int32")
    hidden = layers.Embedding(TOKENS, 4, name="embedding")(tokens)
    hidden = layers.Conv1D(5, 3, activation="relu", name="conv")(hidden)
    hidden = layers.GlobalMaxPooling1D()(hidden)
    return keras.Model(tokens, layers.Dense(3, name="top")(hidden))


def _recurrent(kind):
    def build():
        tokens = keras.Input((4,), dtype="int32")
        hidden = layers.Embedding(TOKENS, 3, mask_zero=True, name="embedding")(tokens)
        hidden = kind(3, name="recurrent")(layers.Dense(3, name="dense")(hidden))
        return keras.Model(tokens, layers.Dense(2, name="top")(hidden))

    return build


def _volumes():
    volume = keras.Input(_VOLUME)
    hidden = layers.Conv3D(3, 2, activation="relu", name="conv")(volume)
    hidden = layers.GlobalAveragePooling3D()(hidden)
    return keras.Model(volume, layers.Dense(3, name="top")(hidden))


class Subclassed(keras.Model):
    """A model with a call of its own, which normalizes between two layers."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.first = layers.Dense(5, "relu", name="first")
        self.norm = layers.BatchNormalization(name="norm")
        self.last = layers.Dense(3, name="last")

    def call(self, inputs, training=None):
        return self.last(self.norm(self.first(inputs), training=training))


class Tied(keras.Model):
    """A model whose table of embeddings is its output layer too."""

    def __init__(self):
        super().__init__(name="tied")
        self.table = layers.Embedding(TOKENS, 4, name="table")
        self.dense = layers.Dense(4, name="dense")

    def call(self, tokens):
        hidden = self.dense(keras.ops.mean(self.table(tokens), axis=1))
        return keras.ops.matmul(hidden, keras.ops.transpose(self.table.embeddings))


def _subclassed(generator, examples):
    model, x = Subclassed(), generator.normal(size=(examples, 4))
    model(x)
    return model, x


def _tied(generator, examples):
    return Tied(), generator.integers(0, TOKENS, (examples, 5))


def _two_outputs():
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, "relu", name="hidden")(inputs)
    left, right = layers.Dense(2, name="left")(hidden), layers.Dense(3, name="right")(hidden)
    return keras.Model(inputs, {"left": left, "right": right})


def _two_inputs():
    image, numbers = keras.Input((4, 4, 2)), keras.Input((5,))
    left = layers.Flatten()(layers.DepthwiseConv2D(2, name="depthwise")(image))
    joined = layers.Concatenate()([left, layers.Dense(4, "relu", name="dense")(numbers)])
    return keras.Model([image, numbers], layers.Dense(3, name="top")(joined))


def _shared():
    inputs = keras.Input((4,))
    shared = layers.Dense(4, "tanh", name="shared")
    return keras.Model(inputs, layers.Dense(3, name="top")(shared(shared(inputs))))


def _residual():
    inputs = keras.Input((6, 6, 2))
    first = layers.Conv2D(3, 3, padding="same", name="first")(inputs)
    normed = layers.ReLU()(layers.BatchNormalization(name="norm")(first))
    second = layers.Conv2D(3, 3, padding="same", name="second")(normed)
    pooled = layers.GlobalAveragePooling2D()(layers.Add()([first, second]))
    return keras.Model(inputs, layers.Dense(3, name="top")(pooled))


MODELS = {
    "MobileNetV2": _application(
        keras.applications.MobileNetV2, alpha=0.35, classifier_activation=None
    ),
    "EfficientNetB0": _application(keras.applications.EfficientNetB0, classifier_activation=None),
    "vision transformer": _of_graph(_vision_transformer),
    "text": _of_graph(_text),
    "GRU": _of_graph(_recurrent(layers.GRU)),
    "LSTM": _of_graph(_recurrent(layers.LSTM)),
    "Conv3D": _of_graph(_volumes),
    "subclassed": _subclassed,
    "tied weights": _tied,
    "two outputs": _of_graph(_two_outputs),
    "two inputs": _of_graph(_two_inputs),
    "shared layer": _of_graph(_shared),
    "residual": _of_graph(_residual),
}
# The output that is linearized, of models with several.
OUTPUTS = {"two outputs": ["right", "left"]}
