"""What happens to a run that is taken up again: power was lost, or more epochs are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nta_tf.trace import directory as directories
from nta_tf.trace import files
from nta_tf.trace.arrays import MEASURED, ArrayStore
from nta_tf.trace.directory import CONFIG, RunDirectoryError

if TYPE_CHECKING:
    from nta_tf.trace.run import Run


def take_up(run: Run, store: ArrayStore, epochs: int) -> None:
    """Prepares a run that was opened for going on, up to so many epochs.

    Args:
        run: The run, on disk.
        store: Its arrays.
        epochs: How many epochs are wanted.

    Raises:
        RunDirectoryError: If it cannot be extended, or written.
    """
    if run.status == "running":
        files.sweep(run.directory)
    _recover(run, store)
    if run.config["epochs"] < epochs:
        _extend(run, store, epochs)
    if run.status == "finished" and run.epochs < run.config["epochs"]:
        run.commit(status="running")


def _recover(run, store):
    """Forgets epochs that a loss of power kept from the disk, if there are any."""
    synced = run.progress["synced"]
    if synced == run.epochs:
        return
    groups = [(MEASURED, run.epochs)]
    groups += [(r.group, r.done) for r in run.records.values() if not r.is_added]
    broken = any(
        damage for group, done in groups for damage in store.damaged_rows(group, synced, done)
    )
    if broken or not run.has_whole_checkpoint():
        checkpoint = run.progress["synced_checkpoint"]
        run.commit(epochs=synced, checkpoint=checkpoint, status="running")


def _extend(run, store, epochs):
    """Makes room for more epochs; may be killed anywhere and done again."""
    before = run.config["epochs"]
    for name, record in run.records.items():
        if not directories.is_extendable(record.config, run.config, run.epochs, epochs):
            raise RunDirectoryError(
                f"{run.directory} cannot be extended from {before} to {epochs} epochs: which "
                f"steps record {name!r} takes ({record.config['schedule']}) depends on the "
                "number of epochs. Choose another directory."
            )
    store.resize([MEASURED, *(record.group for record in run.records.values())], epochs)
    config = {**directories.read_config(run.directory), "epochs": epochs}
    new = directories.config_checksum(config)
    run.commit(final=True, config=[*run.progress["config"], new])  # the larger arrays, too
    with directories.told(run.directory):
        files.write_json(run.directory / CONFIG, config)
    run.config["epochs"] = epochs
    run.commit(config=[new])
