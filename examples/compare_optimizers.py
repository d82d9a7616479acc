"""How thoroughly do two optimizers explore activation configurations? The paper's, and your own.

RMSProp of the paper, SGD, and an optimizer of one's own train the autoencoder on the shipped
digits. The three measures of section 3.3 go into one figure.

    python examples/compare_optimizers.py
"""

import keras
import numpy as np

import nta_tf as nta

EPOCHS, BATCH = 15, 64


@keras.saving.register_keras_serializable(package="examples")
class Sign(keras.optimizers.SGD):
    """Steps of one length for every weight: the sign of its gradient.

    Args:
        learning_rate: The length.
        scale: By which it is multiplied; in `get_config`, by which a run knows its optimizer.
        **kwargs: As for `keras.optimizers.SGD`.
    """

    def __init__(self, learning_rate=0.001, scale=1.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.scale = scale

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable."""
        super().update_step(self.scale * keras.ops.sign(gradient), variable, learning_rate)

    def get_config(self):
        """What makes the optimizer again."""
        return {**super().get_config(), "scale": self.scale}


def main():
    """Trains all three; prints their measures, draws them; returns a table of measures."""
    digits = nta.data.load("sample").x[:1024].reshape(-1, 784)
    runs = {}
    for name, optimizer in {
        "RMSProp 0.001": nta.optimizers.get("rmsprop", 0.001),
        "SGD 1.0": nta.optimizers.get("sgd", 1.0),
        "Sign 0.001": Sign(0.001),
    }.items():
        runs[name] = nta.train(
            nta.models.autoencoder(seed=0),
            digits,
            digits,
            optimizer=optimizer,
            epochs=EPOCHS,
            batch_size=BATCH,
            recorders=[nta.ActivationRounds(digits)],
        )
    measures = {}
    for name, run in runs.items():
        configurations = nta.exploration.Configurations(run)
        measures[name] = (
            float(run.losses[-1].mean()),
            float(np.nansum(nta.exploration.minimum_hamming(configurations))),
            float(nta.exploration.switches(configurations).mean()),
            float(nta.exploration.log_volume(configurations).mean()),
        )
        print(
            "{}: loss {:.4f}, hamming {:.3f}, switches {:.2%}, log-volume {:.1f}".format(
                name, *measures[name]
            )
        )
    nta.plotting.figure(runs).savefig("exploration.png")
    return measures


if __name__ == "__main__":
    main()
