"""What does integrity cost: a quick run that is trained, recorded and read, without checksums?

    python -m benchmarks.integrity [--epochs 20] [--repeats 7]

The autoencoder at quick scale with its records, written to a directory; then the run is opened
and every row of every array is read. Without: no checksum is computed, written or compared, of
rows, chunks, checkpoints, config or progress. Both take turns in one process, and who comes first
changes; the ratio is the median of the pairs', so that what else runs here hits both.
"""

import contextlib
import os
import statistics
import tempfile
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import zarr.codecs

import nta_tf as nta
from benchmarks import timing
from benchmarks.autoencoder import digits
from nta_tf.trace import arrays, checkpoints, files, specification
from reproduce import tasks

_REFERENCE = "without checksums"


@contextlib.contextmanager
def without_checksums():
    """Nothing in it computes, writes or compares a checksum."""

    def write(store, group, epoch, rows):
        for name, row in rows.items():
            array = store._array(group, name)
            array[epoch] = np.broadcast_to(np.asarray(row, array.dtype), array.shape[1:])

    with contextlib.ExitStack() as stack:
        patch = [
            (arrays.ArrayStore, "write", write),
            (arrays.ArrayStore, "_read_checksums", lambda store, group, epochs: None),
            (arrays.ArrayStore, "_is_whole", lambda store, group, name, epoch, row: True),
            (zarr.codecs, "Crc32cCodec", lambda: None),
            (specification, "check", lambda array, described: None),  # asks for the codec
            (files, "checksum", lambda data: "00000000"),
            (files, "_of_json", lambda value: "00000000"),
            (checkpoints, "_checksums", lambda path: {}),
        ]
        for where, name, other in patch:
            stack.enter_context(mock.patch.object(where, name, other))
        yield


def trained_and_read(x, epochs):
    """(wall seconds, processor seconds, {array: its rows}) of a run, from nothing to numbers."""
    scale = tasks.TASKS["autoencoder"].scales["quick"]
    model = nta.models.autoencoder(seed=0)
    with tempfile.TemporaryDirectory() as directory:
        start, worked = time.perf_counter(), time.process_time()
        nta.train(
            model,
            x,
            x,
            optimizer=nta.optimizers.get("adam", 0.01),
            epochs=epochs,
            batch_size=64,
            recorders=tasks.recorders(scale, x, ["figures", "activations"]),
            directory=os.path.join(directory, "run"),
            progress=False,
        )
        run = nta.Run.open(os.path.join(directory, "run"))
        rows = {("", name): run.read(name, slice(None)) for name in run.measured}
        for name, record in run.records.items():
            rows |= {(name, array): record.read(array, slice(None)) for array in record.arrays}
        return time.perf_counter() - start, time.process_time() - worked, rows


def main():
    """Measures and prints."""
    parser = timing.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7, help="pairs")
    options = parser.parse_args()
    report = timing.Report("integrity", options.json)
    x = digits("sample")
    sides = {_REFERENCE: without_checksums, "with checksums": contextlib.nullcontext}
    found = {name: [] for name in sides}
    for repeat in range(-1, options.repeats):  # the first pair loads and warms up
        rows = {}
        for name in sorted(sides, reverse=repeat % 2 == 0):
            with sides[name]():
                wall, worked, rows[name] = trained_and_read(x, options.epochs)
            if repeat >= 0:
                found[name].append((wall, worked))
        _check_equal(*rows.values())
    title = f"Autoencoder, quick scale, {options.epochs} epochs: trained, recorded and read"
    for position, time_ in enumerate(("processor seconds", "wall seconds")):
        position = 1 - position
        without = statistics.median(pair[position] for pair in found[_REFERENCE])
        ratios = [
            one[position] / other[position]
            for one, other in zip(found["with checksums"], found[_REFERENCE])
        ]
        ratio = statistics.median(ratios)
        table = [
            {"what": _REFERENCE, time_: without},
            {"what": "with checksums", time_: without * ratio},
        ]
        report.table(title, table, time_, _REFERENCE)
        report.note(f"ratios of {time_} lie between {min(ratios):.3f} and {max(ratios):.3f}")
    report.note(
        f"{options.repeats} pairs, who comes first in turns; medians, of the ratio over pairs; "
        f"load of the machine at the end {os.getloadavg()[0]:.1f}"
    )


def _check_equal(one, other):
    """Checksums change no number."""
    assert one.keys() == other.keys()
    for name, rows in one.items():
        np.testing.assert_array_equal(rows, other[name])


if __name__ == "__main__":
    main()
