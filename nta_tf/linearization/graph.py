"""The calls of a Keras model one after the other, nested models opened, by public API only.

`keras.models.clone_model` walks the graph of a model and calls a function of ours for
every layer. We write down what it called with what, so that the network can be run again
call by call, with something else in the place of a layer; the user's model is left as it
was. A nested model is written down as the calls inside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class LayerCall:
    """One call of a layer (or Keras operation) in the graph.

    Attributes:
        layer: The user's own layer.
        path: Names of the nested models that it lies in and its own, with slashes between.
        args: Positional arguments, with symbolic tensors in them.
        kwargs: Keyword arguments, likewise.
        output: What came out, symbolic.
    """

    layer: Any
    path: str
    args: tuple
    kwargs: dict[str, Any]
    output: Any

    @property
    def inputs(self) -> tuple[keras.KerasTensor, ...]:
        """The symbolic tensors among the arguments."""
        return _tensors((self.args, self.kwargs))


class Graph:
    """A Keras model as a list of calls.

    Args:
        model: A functional or sequential `keras.Model`.

    Attributes:
        inputs: Symbolic inputs, in the order of `model.inputs`.
        calls: Every `LayerCall`, in an order in which they can be run.
        outputs: The symbolic outputs.

    Raises:
        ValueError: If the model is not a graph of layers, or calls a layer in training
            mode.
    """

    def __init__(self, model: keras.Model) -> None:
        if not isinstance(model, keras.Model) or not is_graph(model):
            raise ValueError(
                "The model must be a keras.Model that is a graph of layers (functional, or "
                "sequential and built, for example with keras.Input first). "
                f"Received: {model!r}"
            )
        self.calls: list[LayerCall] = []
        # Symbolic tensors of nested models, by id, and the tensors that stand for them. The
        # clones keep all symbolic tensors alive, so that ids stay unique.
        self._aliases: dict[int, Any] = {}
        self._clones: list[keras.Model] = []
        self.inputs, self.outputs = self._walk(model, prefix="")

    def run(
        self,
        inputs: list,
        evaluate: Callable[[LayerCall, Any, Any], Any],
        wanted: keras.KerasTensor | None = None,
    ) -> list:
        """Runs the calls on tensors.

        Args:
            inputs: List of tensors, one an input.
            evaluate: Function of (call, args, kwargs) that returns the call's output.
            wanted: The symbolic tensor with which it ends, or None for the outputs.

        Returns:
            A list of the outputs, or of what was wanted alone.
        """
        values = {id(symbol): tensor for symbol, tensor in zip(self.inputs, inputs)}

        def value(leaf):
            return values[id(leaf)] if isinstance(leaf, keras.KerasTensor) else leaf

        for call in self.calls:
            if id(wanted) in values:
                break
            args, kwargs = keras.tree.map_structure(value, (call.args, call.kwargs))
            output = evaluate(call, args, kwargs)
            for symbol, tensor in zip(_tensors(call.output), keras.tree.flatten(output)):
                values[id(symbol)] = tensor
        symbols = self.outputs if wanted is None else [wanted]
        return [values[id(symbol)] for symbol in symbols]

    def _walk(self, model, prefix):
        """Writes the calls of a model down; returns its symbolic inputs and outputs."""

        def call(layer, *args, **kwargs):
            # Called through a layer of ours, so that the user's layer gains no node.
            number = len(self._aliases) + len(self.calls)
            output = _Call(layer, args, kwargs, number)(_tensors((args, kwargs)))
            self._write(layer, prefix + layer.name, args, kwargs, output)
            return output

        clone = keras.models.clone_model(
            keras.Model(model.inputs, model.outputs, name=model.name),
            clone_function=lambda layer: layer,
            call_function=call,
        )
        self._clones.append(clone)
        return clone.inputs, [self._resolve(output) for output in clone.outputs]

    def _write(self, layer, path, args, kwargs, output):
        if kwargs.get("training"):
            raise ValueError(
                f"Layer {path!r} ({type(layer).__name__}) is called with training=True "
                "inside the model; linearize evaluates in inference mode, where no layer "
                "mixes the examples of a minibatch or draws random numbers. Build the "
                "model without training=True."
            )
        args, kwargs = keras.tree.map_structure(self._resolve, (args, kwargs))
        if not (isinstance(layer, keras.Model) and is_graph(layer)):
            self.calls.append(LayerCall(layer, path, args, kwargs, output))
            return
        inside, results = self._walk(layer, prefix=path + "/")
        given = args[0] if args else kwargs["inputs"]
        for symbol, tensor in zip(inside, _tensors(given)):
            self._alias(symbol, tensor)
        for symbol, tensor in zip(_tensors(output), results):
            self._alias(symbol, tensor)
        # The calls inside were written before their inputs had a stand-in.
        self.calls = [self._resolved(call) for call in self.calls]

    def _alias(self, symbol, tensor):
        self._aliases[id(symbol)] = tensor

    def _resolve(self, leaf):
        while id(leaf) in self._aliases:
            leaf = self._aliases[id(leaf)]
        return leaf

    def _resolved(self, call):
        args, kwargs = keras.tree.map_structure(self._resolve, (call.args, call.kwargs))
        return dataclasses.replace(call, args=args, kwargs=kwargs)


def is_graph(model: keras.Model) -> bool:
    """Whether calling the model runs its graph of layers and nothing else."""
    if not getattr(model, "inputs", None):
        return False
    functional = type(keras.Model(model.inputs, model.outputs))
    return type(model).call in (functional.call, keras.Sequential.call)


def input_structure(model: keras.Model) -> Any:
    """How a graph of layers takes its inputs, with zeros in the place of symbolic tensors."""
    if isinstance(model, keras.Sequential):  # which has no `input` before it is called
        return 0
    return keras.tree.map_structure(lambda _: 0, model.input)


class _Call(keras.layers.Layer):
    """Calls a layer of the user's model without adding a node to that layer's graph."""

    def __init__(self, layer, args, kwargs, number):
        super().__init__(name=f"call_{number}", autocast=False)
        self.called = layer
        self.arguments = lambda: (args, kwargs)  # a closure: Keras tracks containers

    def build(self, *args, **kwargs):
        self.built = True

    def call(self, tensors):
        tensors = iter(tensors)
        args, kwargs = keras.tree.map_structure(
            lambda leaf: next(tensors) if isinstance(leaf, keras.KerasTensor) else leaf,
            self.arguments(),
        )
        return self.called(*args, **kwargs)


def _tensors(structure):
    leaves = keras.tree.flatten(structure)
    return tuple(leaf for leaf in leaves if isinstance(leaf, keras.KerasTensor))
