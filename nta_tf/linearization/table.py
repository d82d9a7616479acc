"""The table of what linearize does with each kind of layer, made from the registry of rules."""

from __future__ import annotations

import pandas as pd

from nta_tf.linearization import rules

_GENERAL = "a backward pass for each example and output, or a forward pass for each component"


def layer_table() -> pd.DataFrame:
    """How the weights of each kind of layer are differentiated, and at what cost.

    Returns:
        A `pandas.DataFrame` with a row a kind of layer: `layer`, `weights` (what it has that
        may vary), `how` (`"rule"` or `"general"`) and `cost` (of G, beyond J for a rule).
        Layers inside other layers, as the EinsumDense layers of MultiHeadAttention, count by
        themselves.

    Example:

    >>> import nta_tf as nta
    >>> table = nta.linearization.layer_table().set_index("layer")
    >>> table.loc["SeparableConv2D", "weights"]
    'depthwise_kernel, pointwise_kernel, bias'
    >>> table.loc["all others", "how"]
    'general'
    """
    rows = []
    for kind, rule in sorted(rules.RULES.items(), key=lambda pair: pair[0].__name__):
        parts = rule.parts()
        added = [name for part in parts.values() for name in [part.bias_attribute] if name]
        costs = dict.fromkeys(part.cost for part in parts.values())
        weights = ", ".join([*parts, *added])
        rows.append((kind.__name__, weights, "rule", "; ".join(costs)))
    rows.append(("layers used several times, or inside a loop", "all", "general", _GENERAL))
    rows.append(("all others", "all", "general", _GENERAL))
    return pd.DataFrame(rows, columns=["layer", "weights", "how", "cost"])
