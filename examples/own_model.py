"""A model of your own: train it with recorders, ask for regret and exploration, draw everything.

The model has two inputs (the upper and the lower half of a digit), a normalization, dropout and a
rectifier that is a layer of its own. Nothing here is special to it: any Keras model will do.

    python examples/own_model.py
"""

import keras

import nta_tf as nta

EPOCHS, BATCH = 8, 64


def make_model(seed=0):
    """Two halves of a digit, each with a convolution, and a classifier of both."""
    keras.utils.set_random_seed(seed)
    halves = {name: keras.Input((14, 28, 1), name=name) for name in ("upper", "lower")}
    parts = []
    for name, half in halves.items():
        features = keras.layers.Conv2D(4, 5, strides=3, name=f"conv_{name}")(half)
        features = keras.layers.LayerNormalization(name=f"norm_{name}")(features)
        parts.append(keras.layers.Flatten()(keras.layers.ReLU(name=f"relu_{name}")(features)))
    hidden = keras.layers.Dense(24, "relu", name="hidden")(keras.layers.Concatenate()(parts))
    hidden = keras.layers.Dropout(0.2, seed=seed)(hidden)
    return keras.Model(halves, keras.layers.Dense(10, name="logits")(hidden), name="halves")


def main():
    """Trains, prints a table, draws a figure; returns the run and the table."""
    digits = nta.data.load("sample")
    x = {"upper": digits.x[:1024, :14], "lower": digits.x[:1024, 14:]}
    run = nta.train(
        make_model(),
        x,
        digits.y[:1024],
        optimizer="adam",
        loss="cross_entropy",
        epochs=EPOCHS,
        batch_size=BATCH,
        recorders=[
            # Eight examples of one round an epoch: G of every example is kept.
            nta.TaylorRounds(["hidden", "logits"], schedule="1 an epoch", examples=8),
            nta.ActivationRounds(x, points=128),
        ],
        directory="runs/halves",  # killed? The same call takes it up again
    )
    table = nta.regret(run, "hidden", checkpoints=4)
    columns = ["epoch", "round", "cumulative_loss", "taylor_optimum", "regret", "gap", "status"]
    print(table[columns].to_string(index=False, float_format="{:.4g}".format))
    switches = nta.exploration.switches(run)
    print(f"a data point switches {switches.mean():.2%} of its rectifiers from epoch to epoch")
    nta.plotting.figure(run, ["hidden"], checkpoints=4).savefig("halves.png")
    print("halves.png, and any time later: python -m reproduce figures runs/halves")
    return run, table


if __name__ == "__main__":
    main()
