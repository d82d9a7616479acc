"""What the Jacobian tensor needs to know of each kind of layer: one file a rule.

A rule says how a layer's kernel acts on its input (`linear_map`) and how J_l and x_{l-1}
make G_l = J_l (x) x_{l-1} (Definition 1). Everything else follows from these two, more slowly
than a rule may say it itself (see `Rule`).

A sub-class of a supported layer is not supported by itself: it may do anything in `call`. Where
it only adds to its parent, say so: `rules.register(MyDense, rules.DenseRule())`. For a layer of
another kind write its rule, a sub-class of `Rule`, and `register` it.
"""

from nta_tf.linearization.rules.base import Reveal, Rule
from nta_tf.linearization.rules.conv2d import Conv2DRule
from nta_tf.linearization.rules.convolution import ConvolutionRule
from nta_tf.linearization.rules.dense import DenseRule
from nta_tf.linearization.rules.depthwise import DepthwiseRule, SeparableRule
from nta_tf.linearization.rules.einsum_dense import EinsumDenseRule
from nta_tf.linearization.rules.embedding import EmbeddingRule
from nta_tf.linearization.rules.registry import (
    RULES,
    check_layer,
    check_none_hidden,
    has_kernel,
    has_kernel_rule,
    has_rule,
    register,
    rule_of,
    supported,
)
from nta_tf.linearization.rules.scale import PReLURule, ScaleRule
from nta_tf.linearization.rules.transposed import TransposedRule

__all__ = [
    "RULES",
    "Conv2DRule",
    "ConvolutionRule",
    "DenseRule",
    "DepthwiseRule",
    "EinsumDenseRule",
    "EmbeddingRule",
    "PReLURule",
    "Reveal",
    "Rule",
    "ScaleRule",
    "SeparableRule",
    "TransposedRule",
    "check_layer",
    "check_none_hidden",
    "has_kernel",
    "has_kernel_rule",
    "has_rule",
    "register",
    "rule_of",
    "supported",
]
