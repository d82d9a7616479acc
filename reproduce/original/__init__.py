"""The experiments as a TensorFlow program of 2016 would have written them.

It shares data and initial weights with `nta_tf`, and not one line of its mathematics: graphs,
sessions and placeholders, the optimizers of `tf.compat.v1.train`, the gradient of each component of
the output by `tf.gradients` (appendix A5), Taylor optima by least squares for the squared error and
by SGD for cross-entropy. It is slow, and as plain as can be; `tests/reproduce/test_original.py`
holds both against each other. Reduced sizes take seconds:

    python -m reproduce.original autoencoder --examples 256 --epochs 3 --shrink 4 --out OUT

`graphs` has the two networks, `training` the loop that records rounds, `optima` the minimisers,
`tables` the three files and `program` the whole.

**What such a program computes without meaning to.** `tf.gradients` of a component of the output on
a minibatch is the gradient of the SUM of that component over the minibatch: B times the mean of
the examples' gradient tensors, one tensor for all examples of a round (`batch_sum`). Divided by B
it is `batch_mean`. A loss that is the mean over the minibatch hides this from the training. Feeding
one example at a time gives Definition 1 (`per_example`). A round alone has the same optimum under
`batch_sum` and `batch_mean`, since V - W only shrinks by B; one V for all rounds has not.

**The files**, which a port in any language can write. Numbers are plain decimals, one header line.

* `losses.csv`: optimizer, learning_rate, variant, seed, epoch, loss. The mean loss of the epoch's
  minibatches, before each step. Epochs count from 1.
* `regret.csv`: optimizer, learning_rate, variant, seed, scope, comparator, reduction, round, epoch,
  cumulative_loss, taylor_optimum, regret. One row at the end of an epoch: the number of rounds so
  far, sums over them (not divided by sqrt(N)), and their difference. `scope` is a layer
  (`dense_3`) or a neuron of it (`dense_3:7`), counted from 0; `comparator` is `static` (one V for
  all rounds) or `each_round`; `reduction` is `per_example`, `batch_mean` or `batch_sum`.
* `exploration.csv`: optimizer, learning_rate, variant, seed, measure, total. `minimum_hamming` is
  summed over the epochs, `switches` averaged over data points, `log_volume` over neurons, of all
  rectifier units, one configuration an epoch.

`optimizer` is `adam`, `rmsprop` or `sgd`; `variant` is `2016` or `keras_3`, or a word of the port's
own.
"""
