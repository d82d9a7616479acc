"""Engines: what linearizes a model, chosen once for each model.

| engine        | for what                                | how                                    |
|---------------|-----------------------------------------|----------------------------------------|
| `ChainEngine` | chains of Dense layers, method `"auto"` | J_l by products of kernels and masks   |
| `TapeEngine`  | any other model, and the methods        | backward passes to preactivations      |
|               | `"per_output"` and `"pfor"`             | where a layer has a rule, to variables |
|               |                                         | where it has none                      |
"""

from nta_tf.linearization.engines.base import Engine, Snapshot
from nta_tf.linearization.engines.chain import ChainEngine
from nta_tf.linearization.engines.choice import engine_of, tape_engine_of
from nta_tf.linearization.engines.tape import TapeEngine

__all__ = ["ChainEngine", "Engine", "Snapshot", "TapeEngine", "engine_of", "tape_engine_of"]
