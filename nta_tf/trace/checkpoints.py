"""Checkpoints of a run: weights and optimizer after an epoch, written and read whole."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterable

import tensorflow as tf

from nta_tf.trace import files
from nta_tf.trace.directory import RunDirectoryError, unwritable

FOLDER = "checkpoints"


Checksums = dict[str, str]


def write(
    directory: pathlib.Path, path: pathlib.Path, checkpoint: tf.train.Checkpoint
) -> Checksums:
    """Writes a checkpoint, alone in its folder.

    Args:
        directory: The run.
        path: Where the checkpoint goes, without an ending.
        checkpoint: A `tf.train.Checkpoint`.

    Returns:
        {name of a file: its checksum}.

    Raises:
        RunDirectoryError: If there is no room or no right to write.
    """
    folder = path.parent
    if folder.is_symlink():
        raise RunDirectoryError(
            f"{folder} is a link, and a checkpoint would overwrite what it leads to. Remove it."
        )
    try:
        if not folder.parent.is_symlink():
            _remove(folder)  # what a kill left
        checkpoint.write(str(path))
        return _checksums(path)
    except (OSError, tf.errors.OpError) as error:
        # TensorFlow's messages hold its source files; what a person needs is in their last words.
        reason = str(error).splitlines()[0].rsplit("; ", 1)[-1].split(" [Op:")[0]
        raise unwritable(directory, OSError(reason)) from error


def read(
    directory: pathlib.Path,
    path: pathlib.Path,
    checkpoint: tf.train.Checkpoint,
    partly: bool,
    sums: Checksums | None,
) -> None:
    """Reads a checkpoint, after it was held against its checksums.

    Args:
        directory: The run.
        path: Where the checkpoint is, without an ending.
        checkpoint: A `tf.train.Checkpoint` of what it was written of.
        partly: Whether the checkpoint may hold more than that.
        sums: What `write` returned, or None if that is not known.

    Raises:
        RunDirectoryError: If it is damaged, or was written of something else.
    """
    try:
        if sums is not None and _checksums(path) != sums:
            raise ValueError("its checksum does not match")
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


def is_whole(path: pathlib.Path, sums: Checksums | None) -> bool:
    """Whether a checkpoint is what was written.

    Args:
        path: Where the checkpoint is, without an ending.
        sums: What `write` returned, or None if that is not known: TensorFlow has checksums too,
            though not of which run it is.
    """
    try:
        if sums is not None:
            return _checksums(path) == sums
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
        if path.name not in stay:
            _remove(path)


def _remove(folder):
    """Removes a folder, if it is one and not a link to one."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)


def _checksums(path):
    """{name of a file: its checksum} of a checkpoint."""
    parts = sorted(path.parent.glob(f"{path.name}.*"))
    return {part.name: files.checksum(part.read_bytes()) for part in parts}
