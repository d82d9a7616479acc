"""The networks of the paper, as plain Keras models.

Layers carry the number that the paper gives them (`dense_3`, `conv2d_2`). The weights are a pure
function of `seed`: every layer draws from a seed of its own, and none from Keras's global state.
"""

import operator
import random
from collections.abc import Sequence

import keras
import numpy as np

OUTPUT_ACTIVATIONS = ("linear", "sigmoid", "relu")


def autoencoder(
    seed: int = 0,
    *,
    widths: Sequence[int] = (50, 30, 20, 30, 50),
    input_size: int = 784,
    output_activation: str = "linear",
    use_bias: bool = True,
    kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
    dtype: str | keras.DTypePolicy = "float32",
) -> keras.Model:
    """The fully connected autoencoder of the paper.

    Dense 784-50-30-20-30-50-784 with rectifiers on all layers but the last (section 2.4 and
    appendix A5). The layers are named `dense_1` to `dense_6`. What the paper leaves open is an
    option.

    Args:
        seed: A non-negative integer that determines all weights.
        widths: Units of the hidden layers.
        input_size: Components of the input and of the output.
        output_activation: `"linear"`, `"sigmoid"` or `"relu"`.
        use_bias: Whether the layers have biases, which start at zero.
        kernel_initializer: Name of a Keras initializer, with a standard deviation where it takes
            one (`"truncated_normal:0.1"`), or an initializer; a seed of its own is replaced
            by one that is derived from `seed` and the number of the layer.
        dtype: Name of a floating type or of a Keras dtype policy. Under a mixed policy the last
            layer stays in the type of the weights, so that losses keep their precision.

    Returns:
        A `keras.Model` named `"autoencoder"`, from (B, input_size) to (B, input_size).

    Raises:
        ValueError: If `seed`, `widths`, `input_size` or `output_activation` is none of the above.

    Example:

    >>> import nta_tf as nta
    >>> model = nta.models.autoencoder(seed=0)
    >>> [layer.units for layer in model.layers[1:]]
    [50, 30, 20, 30, 50, 784]
    >>> tuple(model.get_layer("dense_3").kernel.shape)
    (30, 20)
    """
    _check_sizes("widths", widths)
    _check_sizes("input_size", (input_size,))
    check_choices(output_activation, kernel_initializer, use_bias)
    factory = _LayerFactory(seed, use_bias, kernel_initializer, dtype)
    inputs = keras.Input((input_size,), dtype=factory.output_dtype, name="inputs")
    hidden = inputs
    for width in widths:
        hidden = factory.dense(width, "relu")(hidden)
    outputs = factory.dense(input_size, output_activation, last=True)(hidden)
    return keras.Model(inputs, outputs, name="autoencoder")


def convnet(
    input_shape: Sequence[int] = (32, 32, 3),
    seed: int = 0,
    *,
    classes: int = 10,
    filters: int = 64,
    kernel_size: int = 5,
    padding: str = "same",
    pool_size: int = 2,
    dense_units: int = 192,
    use_bias: bool = True,
    kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
    dtype: str | keras.DTypePolicy = "float32",
) -> keras.Model:
    """The convolutional classifier of the paper.

    Three times [Conv2D, ReLU, max-pooling], then a rectifier layer and a linear one that returns
    logits (section 2.4 and appendix A5). The layers are named `conv2d_1`, `max_pooling_1`, ...,
    `conv2d_3`, `max_pooling_3`, `flatten`, `dense_4` and `dense_5`.

    Args:
        input_shape: (height, width, channels).
        seed: A non-negative integer that determines all weights.
        classes: Components of the output.
        filters: Filters of each convolution.
        kernel_size: Side of the convolution kernels.
        padding: `"same"` or `"valid"`, of the convolutions.
        pool_size: Side and stride of the pooling windows.
        dense_units: Units of `dense_4`.
        use_bias: Whether the layers have biases, which start at zero.
        kernel_initializer: Name of a Keras initializer, with a standard deviation where it takes
            one (`"truncated_normal:0.1"`), or an initializer; a seed of its own is replaced
            by one that is derived from `seed` and the number of the layer.
        dtype: Name of a floating type or of a Keras dtype policy. Under a mixed policy the last
            layer stays in the type of the weights, so that losses keep their precision.

    Returns:
        A `keras.Model` named `"convnet"`, from (B, *input_shape) to logits (B, classes).

    Raises:
        ValueError: If `seed`, a size or `padding` is none of the above, or the images are too small
            for three rounds of pooling.

    Example:

    >>> import nta_tf as nta
    >>> model = nta.models.convnet(input_shape=(28, 28, 1), seed=0)
    >>> tuple(model.get_layer("conv2d_2").kernel.shape)
    (5, 5, 64, 64)
    >>> model.output.shape
    (None, 10)
    """
    sizes = {
        "classes": classes,
        "filters": filters,
        "kernel_size": kernel_size,
        "pool_size": pool_size,
        "dense_units": dense_units,
    }
    for name, size in sizes.items():
        _check_sizes(name, (size,))
    _check_images(input_shape, kernel_size, padding, pool_size)
    factory = _LayerFactory(seed, use_bias, kernel_initializer, dtype)
    inputs = keras.Input(input_shape, dtype=factory.output_dtype, name="inputs")
    hidden = inputs
    for number in (1, 2, 3):
        hidden = factory.conv2d(filters, kernel_size, padding)(hidden)
        pooling = keras.layers.MaxPooling2D(pool_size, name=f"max_pooling_{number}", dtype=dtype)
        hidden = pooling(hidden)
    hidden = keras.layers.Flatten(name="flatten", dtype=dtype)(hidden)
    hidden = factory.dense(dense_units, "relu")(hidden)
    outputs = factory.dense(classes, "linear", last=True)(hidden)
    return keras.Model(inputs, outputs, name="convnet")


def deep_network(
    seed: int = 0,
    *,
    depth: int = 110,
    width: int = 50,
    input_size: int = 784,
    use_bias: bool = True,
    kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
    dtype: str | keras.DTypePolicy = "float32",
) -> keras.Model:
    """The pathological network of section 2.3: so deep that gradients do not get through it.

    Fully connected, `depth` layers named `dense_1`, `dense_2`, ..., rectifiers on all but the
    last, trained to reproduce its input. With Glorot's initializer every rectifier layer halves
    the second moment of its input, so that neither signal nor gradient survives 100 of them.

    Args:
        seed: A non-negative integer that determines all weights.
        depth: Number of layers; the paper speaks of more than 100.
        width: Units of each hidden layer.
        input_size: Components of the input and of the output.
        use_bias: Whether the layers have biases, which start at zero.
        kernel_initializer: As for `autoencoder`.
        dtype: As for `autoencoder`.

    Returns:
        A `keras.Model` named `"deep_network"`, from (B, input_size) to (B, input_size).

    Raises:
        ValueError: If `seed` or one of the sizes is no positive integer.

    Example:

    >>> import nta_tf as nta
    >>> len(nta.models.deep_network(depth=101, width=4, input_size=9).layers)
    102
    """
    for name, size in {"depth": depth, "width": width, "input_size": input_size}.items():
        _check_sizes(name, (size,))
    factory = _LayerFactory(seed, use_bias, kernel_initializer, dtype)
    inputs = keras.Input((input_size,), dtype=factory.output_dtype, name="inputs")
    hidden = inputs
    for _ in range(depth - 1):
        hidden = factory.dense(width, "relu")(hidden)
    outputs = factory.dense(input_size, "linear", last=True)(hidden)
    return keras.Model(inputs, outputs, name="deep_network")


def check_choices(
    output_activation: str = "linear",
    kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
    use_bias: bool = True,
) -> None:
    """Raises unless these are choices that the networks can be built with.

    Args:
        output_activation: As `autoencoder` takes it.
        kernel_initializer: As `autoencoder` takes it.
        use_bias: As `autoencoder` takes it.

    Raises:
        ValueError: If one of them is not.
    """
    if output_activation not in OUTPUT_ACTIVATIONS:
        raise ValueError(
            f"The output activation must be one of {OUTPUT_ACTIVATIONS}. "
            f"Received: output_activation={output_activation!r}"
        )
    if not isinstance(use_bias, bool):
        raise ValueError(f"use_bias must be True or False. Received: use_bias={use_bias!r}")
    _resolve_initializer(kernel_initializer)


class _LayerFactory:
    """Makes layers that carry running numbers in their names and seeds."""

    def __init__(self, seed, use_bias, kernel_initializer, dtype):
        self._seed = _check_seed(seed)
        self._use_bias = use_bias
        self._kernel_initializer = _resolve_initializer(kernel_initializer)
        self._dtype = dtype
        self._number = 0
        self.output_dtype = keras.dtype_policies.get(dtype).variable_dtype

    def dense(self, units, activation, last=False):
        options = self._options("dense", self.output_dtype if last else self._dtype)
        return keras.layers.Dense(units, activation=activation, **options)

    def conv2d(self, filters, kernel_size, padding):
        options = self._options("conv2d", self._dtype)
        return keras.layers.Conv2D(
            filters, kernel_size, padding=padding, activation="relu", **options
        )

    def _options(self, kind, dtype):
        self._number += 1
        return {
            "name": f"{kind}_{self._number}",
            "kernel_initializer": self._initializer(),
            "use_bias": self._use_bias,
            "dtype": dtype,
        }

    def _initializer(self):
        """The kernel initializer with the seed of this layer."""
        initializer = self._kernel_initializer
        config = initializer.get_config() if hasattr(initializer, "get_config") else {}
        if "seed" not in config:
            return initializer
        state = np.random.SeedSequence([self._seed, self._number]).generate_state(1)
        return type(initializer).from_config({**config, "seed": int(state[0])})


def _resolve_initializer(identifier):
    # Keras draws a default seed from Python's global generator, which is not ours to advance.
    state = random.getstate()
    try:
        if not isinstance(identifier, str):
            if identifier is None:
                raise ValueError("no initializer")
            return keras.initializers.get(identifier)
        name, _, deviation = identifier.partition(":")
        initializer = keras.initializers.get(name)
        if not deviation:
            return initializer
        config = initializer.get_config()
        if "stddev" not in config or not float(deviation) > 0:
            raise ValueError("no initializer with such a standard deviation")
        return type(initializer).from_config({**config, "stddev": float(deviation)})
    except (ValueError, TypeError) as error:
        raise ValueError(
            "The kernel initializer must be one of Keras ('glorot_uniform', "
            "'truncated_normal:0.1' with a standard deviation, or an object). "
            f"Received: kernel_initializer={identifier!r}"
        ) from error
    finally:
        random.setstate(state)


def _check_seed(seed):
    try:
        value = operator.index(seed)
    except TypeError:
        value = -1
    if value < 0:
        raise ValueError(f"The seed must be a non-negative integer. Received: seed={seed!r}")
    return value


def _check_sizes(name, sizes):
    if not all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes):
        received = sizes[0] if name != "widths" and len(sizes) == 1 else sizes
        raise ValueError(f"{name} must be made of positive integers. Received: {name}={received!r}")


def _check_images(input_shape, kernel_size, padding, pool_size):
    _check_sizes("input_shape", input_shape)
    if len(input_shape) != 3:
        raise ValueError(
            "The input shape must be (height, width, channels). "
            f"Received: input_shape={input_shape}"
        )
    if padding not in ("same", "valid"):
        raise ValueError(f"The padding must be 'same' or 'valid'. Received: padding={padding!r}")
    side = min(input_shape[:2])
    for _ in range(3):
        side = (side if padding == "same" else side - kernel_size + 1) // pool_size
    if side < 1:
        raise ValueError(
            "The images must be large enough to leave something after three rounds of convolution "
            f"and pooling. Received: input_shape={input_shape}, kernel_size={kernel_size}, "
            f"padding={padding!r}, pool_size={pool_size}"
        )
