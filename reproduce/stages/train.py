"""`python -m reproduce train`: the paper's training runs, recorded."""

import pathlib

import nta_tf as nta
from reproduce import tasks


def train(
    task="autoencoder",
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
    """Trains a network of section 2.4 with each optimizer, recording it on the way.

    Args:
        task: Name of a task of `tasks.TASKS`.
        scale: Name of one of its scales.
        data: Dataset, instead of the scale's own.
        optimizers: List of (name, learning rate), instead of the paper's five.
        seeds: Seeds; each sets initial weights and the order of examples.
        out: Directory in which each run gets its own.
        epochs: Number of epochs, instead of the scale's own.
        protocols: Names of what is recorded: the scale's protocols and `"activations"`.
            Defaults to all of them.
        layers: Names of the layers whose Taylor rounds are recorded, instead of the scale's.
        options: Changes of the protocol's training options, such as
            `{"output_activation": "sigmoid"}`.
        data_dir: Where TFDS keeps its datasets; see `nta.data.load`.

    Yields:
        Each `nta.Run`, as it ends.

    Raises:
        ValueError: If the task has no such scale or data, or the scale no such protocol.
    """
    task = tasks.TASKS[task]
    if scale not in task.scales or (data or task.data[0]) not in task.data:
        raise ValueError(
            f"The {task.name} has scales {list(task.scales)} and data {list(task.data)}. "
            f"Received: scale={scale!r}, data={data!r}"
        )
    chosen = task.scales[scale]
    protocol = tasks.training(chosen, options)
    recorded = tasks.recorded(chosen, protocols)
    dataset = nta.data.load(data or chosen.data, data_dir=data_dir, scaling=protocol.input_scaling)
    x, y = task.examples(dataset, chosen.examples)
    for seed in seeds:
        for name, learning_rate in optimizers or task.optimizers():
            yield nta.train(
                task.model(protocol, x, seed),
                x,
                y,
                optimizer=protocol.optimizer(name, learning_rate),
                loss=task.loss,
                epochs=epochs or chosen.epochs,
                batch_size=task.batch_size,
                seed=seed,
                dtype_policy=protocol.dtype_policy,
                recorders=_recorders(chosen, x, recorded, layers),
                directory=pathlib.Path(out, f"{name}_{learning_rate:g}_seed{seed}"),
                metadata={
                    "task": task.name,
                    "scale": scale,
                    "data": {
                        "name": dataset.name,
                        "source": dataset.source,
                        "examples": len(x),
                    },
                    "optimizer": {"name": name, "learning_rate": learning_rate},
                    "protocol": protocol.training_options(),
                },
            )


def _recorders(scale, x, names, layers):
    """Where weights are kept, they are all that is recorded until `reproduce.record`."""
    if scale.weights:
        return [nta.WeightRounds(scale.weights)]
    return tasks.recorders(scale, x, names, layers)
