"""Checkpoints of a run: weights and optimizer after an epoch, written and read whole."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterable

import tensorflow as tf

from nta_tf.trace.directory import RunDirectoryError, unwritable

FOLDER = "checkpoints"


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
        # TensorFlow's messages hold its source files; what a person needs is in their last words.
        reason = str(error).splitlines()[0].rsplit("; ", 1)[-1].split(" [Op:")[0]
        raise unwritable(directory, OSError(reason)) from error


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
    except (
        OSError,
        tf.errors.OpError,
        AssertionError,
        LookupError,
        RuntimeError,
        ValueError,
    ) as error:
        summary = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunDirectoryError(
            f"The checkpoint {path.relative_to(directory)} of {directory} is damaged or of another "
            f"model ({summary}). What was recorded can still be read; to train on, take the "
            "directory away and train again."
        ) from error


def is_whole(path: pathlib.Path) -> bool:
    """Whether all of a checkpoint can be read; TensorFlow compares its checksums.

    Args:
        path: Where the checkpoint is, without an ending.
    """
    try:
        reader = tf.train.load_checkpoint(str(path))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (OSError, tf.errors.OpError, LookupError, ValueError, RuntimeError):
        return False
    return True


def remove(directory: pathlib.Path, kept: Iterable[pathlib.Path | None]) -> None:
    """Removes checkpoints of a run but some, and follows no link.

    Args:
        directory: The run.
        kept: Where those are that stay, without an ending.
    """
    folder = directory / FOLDER
    if folder.is_symlink():
        return
    stay = {path.parent.name for path in kept if path is not None}
    for path in folder.glob("epoch_*"):
        if path.name not in stay and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
