"""Checkpoints of a run: weights and optimizer after an epoch, written and read whole."""

from __future__ import annotations

import pathlib

import tensorflow as tf

from nta_tf.trace.directory import RunDirectoryError, unwritable


def write(directory: pathlib.Path, path: pathlib.Path, checkpoint: tf.train.Checkpoint) -> None:
    """Writes a checkpoint.

    Args:
        directory: The run.
        path: Where the checkpoint goes, without an ending.
        checkpoint: A `tf.train.Checkpoint`.

    Raises:
        RunDirectoryError: If there is no room or no right to write.
    """
    try:
        checkpoint.write(str(path))
    except (OSError, tf.errors.OpError) as error:
        raise unwritable(directory, OSError(str(error))) from error


def read(
    directory: pathlib.Path, path: pathlib.Path, checkpoint: tf.train.Checkpoint, partly: bool
) -> None:
    """Reads a checkpoint; TensorFlow compares the checksums that it holds.

    Args:
        directory: The run.
        path: Where the checkpoint is, without an ending.
        checkpoint: A `tf.train.Checkpoint` of what it was written of.
        partly: Whether the checkpoint may hold more than that.

    Raises:
        RunDirectoryError: If it is damaged, or was written of something else.
    """
    try:
        status = checkpoint.read(str(path))
        status.assert_existing_objects_matched()
        if partly:
            status.expect_partial()
    except (OSError, tf.errors.OpError, AssertionError, LookupError, ValueError) as error:
        summary = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunDirectoryError(
            f"The checkpoint {path.relative_to(directory)} of {directory} is damaged or of another "
            f"model ({summary}). What was recorded can still be read; to train on, take the "
            "directory away and train again."
        ) from error
