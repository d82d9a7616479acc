"""Runs on disk: the only package that knows how a run directory is laid out.

    config.json      what makes the run: settings, seeds, versions, data; written once, and again
                     when the run is extended
    progress.json    epochs that are done, and records that were added since by `nta.replay`;
                     replaced atomically after each epoch
    trace.zarr       chunked arrays, one row (one chunk) an epoch: what is measured at every
                     step, and under records/NAME/ the arrays of each record
    checkpoints/     weights and optimizer after the last epoch that is done
    results/*.csv    tables made from the trace, each with its checksum in a file beside it

    .lock            held by the one process that writes

`progress.json` is the only commit marker: an epoch counts once its row of the trace and its
checkpoint are written, and what lies beyond is overwritten by the resumed run. So a run may
be killed at any moment. Every few seconds, and at the end, the marker says besides up to which
epoch all is on the disk; a run that lost power goes on from there.

Everything has a checksum: rows of the trace in an array beside them (`arrays`), config and
progress in progress.json, tables in files beside them, checkpoints by TensorFlow.
"""

from nta_tf.trace.directory import SCHEMA_VERSION, RunDirectoryError
from nta_tf.trace.integrity import Damage
from nta_tf.trace.opening import as_run, verify
from nta_tf.trace.record import Record
from nta_tf.trace.run import Run
from nta_tf.trace.saved import SavedRun, saved_table
from nta_tf.trace.specification import ArraySpecification
from nta_tf.trace.tables import change_table, read_table

__all__ = [
    "SCHEMA_VERSION",
    "ArraySpecification",
    "Damage",
    "Record",
    "Run",
    "RunDirectoryError",
    "SavedRun",
    "as_run",
    "change_table",
    "read_table",
    "saved_table",
    "verify",
]
