"""Taps on preactivations, Jacobian tensors, Taylor approximations and Taylor losses.

What `nta.linearize` does with the layers of a model (a test holds this table to the code):

| layer                                                            | its kernel            |
|------------------------------------------------------------------|-----------------------|
| Conv2D, Dense                                                    | has J_l and G_l       |
| Activation, ReLU, LeakyReLU, ELU, Softmax, PReLU, Dropout,       | has none: is          |
| Flatten, Reshape, Permute, Add, Multiply, Average, Concatenate,  | differentiated        |
| MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D,          | through, in inference |
| GlobalMaxPooling2D, ZeroPadding2D, UpSampling2D, Rescaling,      | mode                  |
| BatchNormalization, LayerNormalization, GroupNormalization       |                       |
| Conv1D, Conv3D, DepthwiseConv2D, SeparableConv2D,                | has no rule: name the |
| Conv2DTranspose, EinsumDense, Embedding, LSTM, GRU,              | layers that you want, |
| MultiHeadAttention, sub-classes of Dense and Conv2D              | then as above         |
| a layer used twice, Conv2D with channels_first, a quantized or   | is refused when it is |
| adapted (LoRA) kernel                                            | wanted                |
| a layer called with training=True, a nested model that is no     | is refused            |
| graph and has kernels, several outputs                           |                       |
"""

from nta_tf.linearization import rules
from nta_tf.linearization.api import linearize, outputs_at, taylor_loss
from nta_tf.linearization.linearization import REDUCTIONS, Linearization

__all__ = ["REDUCTIONS", "Linearization", "linearize", "outputs_at", "rules", "taylor_loss"]
