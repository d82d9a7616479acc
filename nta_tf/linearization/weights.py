"""What can vary in a model, and what it is called.

A layer's name stands for its kernel; every other variable is called by its Keras path
(`"batch_normalization/gamma"`). Layers of graphs, nested ones included, and of subclassed models
carry their own names, or, where two share one, their paths (`"encoder/conv"`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import keras

from nta_tf.linearization import rules
from nta_tf.linearization.evaluated import EvaluatedModel
from nta_tf.linearization.opened import OpenedModel, names_of
from nta_tf.linearization.taps import Tap

# What these variables are called is added; everything else multiplies.
_ADDED = ("bias", "beta")


@dataclasses.dataclass(frozen=True)
class Weight:
    """A variable of a model.

    Attributes:
        name: What linearize calls it.
        variable: The variable.
        groups: Names of the layers and models that it is a part of.
        tap: The `Tap` through which it is reached, if a rule knows its layer; None otherwise.
        direct: Whether it is certain that the layer is called once, by the graph.
    """

    name: str
    variable: keras.Variable
    groups: frozenset[str]
    tap: Tap | None = None
    direct: bool = False

    @property
    def multiplies(self) -> bool:
        """Whether the variable multiplies something, as kernels do and biases do not."""
        return not self.variable.name.endswith(_ADDED)

    @property
    def reached(self) -> Tap:
        """The tap, of a weight that has one."""
        if self.tap is None:
            raise ValueError(f"{self.name!r} has no preactivation that a rule knows.")
        return self.tap

    @property
    def is_bias(self) -> bool:
        """Whether the variable is the bias of its tap."""
        return self.tap is not None and self.tap.bias is self.variable


def weights_of(model: keras.Model, evaluated: EvaluatedModel) -> dict[str, Weight]:
    """All variables of a model by name, from the input to the output where there is a graph.

    Args:
        model: The Keras model.
        evaluated: The same model, opened if it is a graph.

    Returns:
        A dictionary of `Weight`s.
    """
    if isinstance(evaluated, OpenedModel):
        roots, kernels = _roots_of_graph(evaluated)
    else:
        roots = [(model.name, model)]
        kernels = _kernels_of_model(model)
    taps = _taps(evaluated, roots)
    paths = [variable.path for variable in evaluated.variables]
    weights: dict[str, Weight] = {}
    seen = set()
    for root, layer in roots:
        for variable in layer.weights:
            if id(variable) in seen:
                continue
            seen.add(id(variable))
            name = kernels.get(id(variable), variable.path)
            if id(variable) not in kernels and paths.count(variable.path) > 1:
                name = f"{root}/{variable.path.split('/')[-1]}"
            name = _free(name, weights)
            tap, direct = taps.get(id(variable), (None, False))
            inside = {*_prefixes(root), *variable.path.split("/")[:-1]}
            if id(variable) in kernels:  # its layer's name is its own
                inside -= {name, root, *variable.path.split("/")[-2:]}
            groups = frozenset(inside)
            weights[name] = Weight(name, variable, groups, tap, direct)
    return weights


def selected(
    model: str, weights: dict[str, Weight], layers: str | Sequence[str] | None
) -> list[str]:
    """Names of the weights that are meant.

    Args:
        model: Name of the model.
        weights: Its weights.
        layers: Names of layers or variables, or None for every trainable weight that
            multiplies. The name of a layer that has no kernel itself (a recurrent layer, a
            nested model) stands for all trainable weights in it that multiply.

    Returns:
        Names in the order of `weights`.

    Raises:
        ValueError: If a name is unknown, or there is nothing that could vary.
        NotImplementedError: If a variable that is named holds no floating-point numbers.
    """
    default = [name for name, weight in weights.items() if _trained(weight) and weight.multiplies]
    if layers is None:
        if not default:
            raise ValueError(
                f"Model {model!r} has no layer with a kernel, nor any other trainable weight "
                f"that multiplies. Its variables are {list(weights)}."
            )
        return default
    layers = [layers] if isinstance(layers, str) else list(layers)
    by_path = {weight.variable.path: name for name, weight in weights.items()}
    names: set[str] = set()
    for layer in layers:
        inside = [name for name in default if layer in weights[name].groups]
        exact = layer if layer in weights else by_path.get(layer)
        if exact is None and not inside:
            raise ValueError(_unknown(model, weights, default, layers))
        names |= set(inside if exact is None else [exact])
    if not names:
        raise ValueError(_unknown(model, weights, default, layers))
    for name in names:
        dtype = weights[name].variable.dtype
        if not keras.backend.is_float_dtype(dtype):
            raise NotImplementedError(
                f"Variable {name!r} cannot be linearized: it holds {dtype}, which cannot be "
                "differentiated."
            )
    return [name for name in weights if name in names]


def reachable(weights: dict[str, Weight]) -> list[str]:
    """Names of everything that may vary: trainable variables of floating-point numbers."""
    return [name for name, weight in weights.items() if _trained(weight)]


def _trained(weight: Weight) -> bool:
    variable = weight.variable
    return variable.trainable and keras.backend.is_float_dtype(variable.dtype)


def _unknown(model: str, weights: dict[str, Weight], default: list[str], layers: list) -> str:
    others = [name for name in reachable(weights) if name not in default]
    return (
        f"Layers of model {model!r} that can be linearized are {default}; biases and the like go "
        f"by {others}. Received: layers={[str(layer) for layer in layers]}"
    )


def _roots_of_graph(opened: OpenedModel) -> tuple[list, dict[int, str]]:
    """Layers with weights by path, and the names of kernels by the id of the variable."""
    calls = [call for call in opened.calls if getattr(call.layer, "weights", [])]
    roots = list({id(call.layer): (call.path, call.layer) for call in reversed(calls)}.values())
    with_kernel = [call for call in calls if _kernel(call.layer) is not None]
    kernels = {
        id(_kernel(call.layer)): name
        for name, call in reversed(list(zip(names_of(with_kernel), with_kernel)))
    }
    return roots[::-1], kernels


def _kernels_of_model(model: keras.Model) -> dict[int, str]:
    """Names of the kernels of the layers of a model that is no graph, by id of the variable."""
    layers: list[tuple[str, keras.layers.Layer]] = []

    def walk(inside: keras.Model, prefix: str) -> None:
        for layer in inside.layers:
            if isinstance(layer, keras.Model):
                walk(layer, f"{prefix}{layer.name}/")
            elif _kernel(layer) is not None:
                layers.append((prefix + layer.name, layer))

    walk(model, "")
    names = [layer.name for _, layer in layers]
    return {
        id(_kernel(layer)): layer.name if names.count(layer.name) == 1 else path
        for path, layer in layers
    }


def _kernel(layer: keras.layers.Layer) -> keras.Variable | None:
    kernel = getattr(layer, "kernel", None)
    return kernel if isinstance(kernel, keras.Variable) else None


def _taps(evaluated: EvaluatedModel, roots: list) -> dict[int, tuple[Tap, bool]]:
    """Taps by the id of their variables, and whether the graph calls the layer itself."""
    calls = evaluated.calls if isinstance(evaluated, OpenedModel) else []
    sure = bool(calls) and all(_of_keras(call.layer) for call in calls)
    taps: dict[int, tuple[Tap, bool]] = {}
    owners: dict[int, int] = {}
    for _, root in roots:
        for variable in root.weights:
            owners[id(variable)] = owners.get(id(variable), 0) + 1
    for call in calls:  # operations on variables, as of tied weights
        for leaf in keras.tree.flatten((call.args, call.kwargs)):
            if isinstance(leaf, keras.Variable):
                owners[id(leaf)] = owners.get(id(leaf), 0) + 1
    for _, root in roots:
        # A Keras layer tells its inner layers by this method alone.
        for layer in [root, *root._flatten_layers(include_self=False)]:
            places = [call for call in calls if call.layer is layer]
            if not rules.has_rule(layer) or len(places) > 1:
                continue
            for tap in _taps_of(layer, places):
                for variable in (tap.weight, tap.bias):
                    if isinstance(variable, keras.Variable) and owners[id(variable)] == 1:
                        taps.setdefault(id(variable), (tap, sure and bool(places)))
    return taps


def _of_keras(layer) -> bool:
    """Whether a layer or operation is Keras's own, so that it uses no weights of others."""
    ours = type(layer).__module__.split(".")[0] == "keras"
    return ours and not isinstance(layer, keras.layers.Lambda)


def _taps_of(layer: keras.layers.Layer, places: list) -> Iterable[Tap]:
    symbols = (places[0].inputs[0], places[0].output) if places else ()
    for rule in rules.rule_of(layer).parts().values():
        there = isinstance(getattr(layer, rule.attribute, None), keras.Variable)
        if there and rule.refusal(layer) is None:
            yield Tap(layer, rule, *symbols)


def _prefixes(path: str) -> list[str]:
    """`"a/b"` and `"a"` for `"a/b"`: a layer and the nested models that it lies in."""
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _free(name: str, taken: Iterable[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}:{number}", number + 1
    return free
