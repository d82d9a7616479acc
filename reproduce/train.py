"""`python -m reproduce train`: the paper's training runs, recorded."""

import dataclasses
import pathlib

import nta_tf as nta
from reproduce import tasks


def train(
    scale="quick",
    data=None,
    optimizers=None,
    seeds=(0,),
    out="runs",
    epochs=None,
    protocols=None,
    layers=None,
    options=None,
    data_dir=None,
):
    """Trains the autoencoder of section 2.4 with each optimizer, recording Taylor rounds.

    Args:
        scale: Name of a scale of `tasks.AUTOENCODER`.
        data: Dataset, instead of the scale's own.
        optimizers: List of (name, learning rate), instead of the paper's five.
        seeds: Seeds; each sets initial weights and the order of examples.
        out: Directory in which each run gets its own.
        epochs: Number of epochs, instead of the scale's own.
        protocols: Names of the scale's protocols to record. Defaults to all of them.
        layers: Names of the layers to record, instead of the scale's own.
        options: Changes of the protocol's training options, such as
            `{"output_activation": "sigmoid"}`.
        data_dir: Where TFDS keeps its datasets; see `nta.data.load`.

    Yields:
        Each `nta.Run`, as it ends.
    """
    chosen = tasks.AUTOENCODER[scale]
    recorded = _protocols(chosen, protocols, options or {})
    digits = nta.data.load(
        data or chosen.data, data_dir=data_dir, scaling=recorded[0].input_scaling
    )
    x = digits.x.reshape(len(digits.x), -1)
    for seed in seeds:
        for name, learning_rate in optimizers or tasks.optimizers("autoencoder"):
            yield nta.train(
                _model(recorded[0], seed),
                x,
                x,
                optimizer=recorded[0].optimizer(name, learning_rate),
                loss="mse",
                epochs=epochs or chosen.epochs,
                batch_size=tasks.BATCH_SIZE,
                seed=seed,
                recorders=[protocol.recorder(layers or chosen.layers) for protocol in recorded],
                directory=pathlib.Path(out, f"{name}_{learning_rate:g}_seed{seed}"),
                metadata={
                    "task": "autoencoder",
                    "scale": scale,
                    "data": {
                        "name": digits.name,
                        "source": digits.source,
                        "examples": len(x),
                    },
                    "optimizer": {"name": name, "learning_rate": learning_rate},
                    "protocol": recorded[0].training_options(),
                },
            )


def _model(protocol, seed):
    return nta.models.autoencoder(
        seed=seed,
        output_activation=protocol.output_activation,
        use_bias=protocol.use_bias,
        kernel_initializer=protocol.kernel_initializer,
    )


def _protocols(scale, names, options):
    known = {protocol.name: protocol for protocol in scale.protocols}
    open_choices = list(scale.protocols[0].training_options())
    wrong = [option for option in options if option not in open_choices]
    if wrong:
        raise ValueError(f"Open choices of training are {open_choices}. Received: {wrong}")
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise ValueError(f"Protocols of this scale are {list(known)}. Received: {unknown}")
    return [
        dataclasses.replace(protocol, **options)
        for name, protocol in known.items()
        if names is None or name in names
    ]
