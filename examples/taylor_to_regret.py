"""From one Taylor snapshot to a regret curve, by hand and by one call.

Definition 1: on a minibatch, T(V) is the network linearized in its weights. Theorem 2: on every
round training incurs the loss of T(W) = f; regret compares the sum of these with the best single V.
Here both are made step by step for one layer of the paper's autoencoder, then by `nta.regret`.

    python examples/taylor_to_regret.py
"""

import numpy as np
import tensorflow as tf

import nta_tf as nta

LAYER, EPOCHS, BATCH = "dense_3", 10, 64


def one_snapshot(digits):
    """What a Taylor loss is: equal in value at W, convex in V, and blind to other masks."""
    model = nta.models.autoencoder(seed=0)
    lin = nta.linearize(model, digits[:BATCH], [LAYER])
    w = lin.kernel(LAYER).numpy()
    direction = np.random.default_rng(0).normal(size=w.shape).astype("float32")
    rows = []
    for step in (0.0, 0.01, 0.1, 1.0):
        v = w + step * direction
        taylor = float(nta.taylor_loss(lin, {LAYER: v}, digits[:BATCH]))
        variable = model.get_layer(LAYER).kernel
        variable.assign(v)
        true = float(np.mean((model(digits[:BATCH]) - digits[:BATCH]) ** 2))
        variable.assign(w)
        rows.append((step, true, taylor))
        print(f"step {step:4}: loss {true:.6f}, Taylor loss {taylor:.6f}")
    return rows


def regret_by_hand(digits):
    """Theorem 2 with nothing but `nta.linearize`: rounds, their sum, its minimum over a ball."""
    model = nta.models.autoencoder(seed=0)
    optimizer = nta.optimizers.get("sgd", 1.0)
    outputs, weights, jacobians, inputs, targets = [], [], [], [], []
    for epoch in range(EPOCHS):
        order = nta.session.epoch_order(0, epoch, len(digits), BATCH)
        for step, examples in enumerate(order):
            batch = digits[examples]
            if step == len(order) - 1:  # the round of the epoch, with W^n before the step
                lin = nta.linearize(model, batch, [LAYER])
                outputs.append(lin.outputs.numpy())
                weights.append(lin.kernel(LAYER).numpy())
                jacobians.append(lin.jacobian(LAYER).numpy())
                inputs.append(lin.layer_input(LAYER).numpy())
                targets.append(batch)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(batch) - batch))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
    rounds = map(np.stack, (outputs, targets, weights))
    return nta.regret_from_arrays(
        *rounds, (np.stack(jacobians), np.stack(inputs)), checkpoints=3, reduction="batch_mean"
    )


def regret_by_one_call(digits):
    """The same from a run with a recorder.

    The form is said so that both keep the same rounds: without it this chain of Dense layers would
    be kept as normal equations, of all steps if need be, and solved in closed form.
    """
    return nta.train(
        nta.models.autoencoder(seed=0),
        digits,
        digits,
        optimizer=nta.optimizers.get("sgd", 1.0),
        epochs=EPOCHS,
        batch_size=BATCH,
        recorders=[nta.TaylorRounds([LAYER], "batch_mean", "1 an epoch", form="gradient_tensors")],
    )


def main():
    """Runs all three; returns the snapshot's rows and both tables."""
    digits = nta.data.load("sample").x[:640].reshape(-1, 784)
    rows = one_snapshot(digits)
    by_hand, run = regret_by_hand(digits), regret_by_one_call(digits)
    by_call = nta.regret(run, LAYER, checkpoints=3)
    columns = ["round", "cumulative_loss", "taylor_optimum", "regret", "gap"]
    for name, table in (("by hand", by_hand), ("nta.regret", by_call)):
        print(f"\n{name}")
        print(table[columns].to_string(index=False, float_format="{:.6g}".format))
    nta.plotting.taylor_optimum(run, LAYER).figure.savefig("regret.png")
    return rows, by_hand, by_call


if __name__ == "__main__":
    main()
