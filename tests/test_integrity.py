"""Damage of every kind is found, named and never read as a number."""

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pandas as pd
import pytest

import nta_tf as nta
from nta_tf.trace import locking
from tests.networks import dense_chain
from tests.recording import assert_same_trace
from tests.variants import slow

EPOCHS = 4


def _model():
    return dense_chain((6, 5, 6), ("relu", "linear"), seed=1, dtype="float32")


def _data():
    return np.random.default_rng(2).normal(size=(24, 6)).astype(np.float32)


def _train(directory, epochs=EPOCHS, **options):
    x, model = _data(), _model()
    settings = {
        "optimizer": nta.optimizers.get("adam", 0.01),
        "epochs": epochs,
        "batch_size": 8,
        "recorders": [nta.TaylorRounds(), nta.WeightRounds("every step")],
        "directory": directory,
    }
    return nta.train(model, x, x, **{**settings, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = _train(tmp_path_factory.mktemp("whole") / "run")
    run.save_table("regret", nta.regret(run, "dense_2"))
    return run


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole.directory, tmp_path / "a run – été")


def test_metadata_of_a_group_is_missed(copy):
    """Rows are read without it, so that reading alone would not notice."""
    place = next(path for path in sorted(copy.rglob("dense_2/zarr.json")) if path.is_file())
    place.unlink()
    (damage,) = nta.trace.verify(copy)
    assert damage.file == place.relative_to(copy).as_posix()


def _chunks(directory):
    trace = directory / "trace.zarr"
    return sorted(p for p in trace.rglob("*") if p.is_file() and p.name != "zarr.json")


def _read_everything(directory):
    run = nta.Run.open(directory)
    run.read("losses")
    for record in run.records.values():
        for array in record.arrays:
            record.read(array)
    return run


def test_a_whole_run_says_so(whole, copy):
    assert whole.verify() == [] and nta.trace.verify(copy) == []
    _read_everything(copy)
    assert nta.trace.read_table(copy / "results/regret.csv").shape == (EPOCHS, 13)


def _flip(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)


def _truncate(path, rng):
    path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])


def _delete(path, rng):
    path.unlink()


def _exchange(path, rng):
    """With another epoch's row of the same array."""
    folder = path
    while folder.parent.name != "c":
        folder = folder.parent
    other = folder.parent / str((int(folder.name) + 1) % EPOCHS) / path.relative_to(folder)
    if folder == path:
        other = folder.with_name(str((int(folder.name) + 1) % EPOCHS))
    data = path.read_bytes()
    path.write_bytes(other.read_bytes())
    return None if data != path.read_bytes() else "the same"


@pytest.mark.parametrize("damage", slow([_flip, _truncate, _delete, _exchange], _delete, _exchange))
def test_every_damaged_chunk_is_found_and_named(copy, damage, rng):
    chunks = _chunks(copy)
    assert len(chunks) > 70
    for path in chunks[:: len(chunks) // 25]:
        before = path.read_bytes()
        if damage(path, rng) == "the same":
            continue
        name = path.relative_to(copy).as_posix()
        with pytest.raises(nta.RunDirectoryError, match=r"c/\d.* is (damaged|missing)") as error:
            _read_everything(copy)
        assert str(copy) in str(error.value) and "train again" in str(error.value)
        files = [found.file for found in nta.trace.verify(copy)]
        assert name in files or "/checksums/" in name, (name, files)
        path.write_bytes(before)
    assert nta.trace.verify(copy) == []


def test_what_lies_before_the_damage_stays_readable(whole, copy):
    (copy / "trace.zarr/losses/c/2/0").unlink()
    run = nta.Run.open(copy)
    np.testing.assert_array_equal(run.read("losses", slice(0, 2)), whole.losses[:2])
    np.testing.assert_array_equal(run.read("losses", 3), whole.losses[3])
    with pytest.raises(nta.RunDirectoryError, match="losses/c/2/0 is missing"):
        run.read("losses")


@pytest.mark.parametrize("array", ["losses", "checksums", "records/weights/losses"])
@pytest.mark.parametrize("damage", [_truncate, _delete])
def test_damaged_metadata_of_an_array(copy, array, damage, rng):
    damage(copy / "trace.zarr" / array / "zarr.json", rng)
    with pytest.raises(nta.RunDirectoryError, match=r"damaged"):
        _read_everything(copy)
    assert nta.trace.verify(copy)


@pytest.mark.parametrize("name", ["config.json", "progress.json"])
@pytest.mark.parametrize("damage", [_truncate, _delete])
def test_config_and_progress(copy, name, damage, rng):
    damage(copy / name, rng)
    for use in (nta.Run.open, _train):
        with pytest.raises(nta.RunDirectoryError, match=f"{name}"):
            use(copy)
    rows = len(_chunks(copy))
    assert rows > 70  # nothing was started again over it


@pytest.mark.parametrize("name", ["config.json", "progress.json"])
def test_a_changed_digit(copy, name):
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace('"epochs": 4', '"epochs": 3'))
    with pytest.raises(nta.RunDirectoryError, match=f"{name} cannot be read.*checksum"):
        nta.Run.open(copy)
    (damage,) = nta.trace.verify(copy)
    assert damage.file == name and "train again" in damage.remedy


@pytest.mark.parametrize("change", [{"records": None}, {"epochs": "3"}, {"records": {"a": 1}}])
def test_configs_of_another_kind(copy, change):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(nta.RunDirectoryError, match="config.json cannot be read"):
        nta.Run.open(copy)


@pytest.mark.parametrize("damage", [_truncate, _delete, _flip])
def test_checkpoints(copy, damage, rng):
    for path in sorted((copy / "checkpoints/epoch_0004").glob("weights*")):
        before = path.read_bytes()
        damage(path, rng)
        found = nta.trace.verify(copy)
        assert [d.file for d in found] == ["checkpoints/epoch_0004/weights"], path
        if damage is not _flip:
            with pytest.raises(nta.RunDirectoryError, match=r"checkpoints/epoch_0004/weights"):
                nta.Run.open(copy).load_weights(_model())
        path.write_bytes(before)
    _read_everything(copy)


@pytest.mark.parametrize("damage", [_flip, _truncate, _delete])
@pytest.mark.parametrize("name", ["regret.csv", "regret.csv.checksum"])
def test_tables(copy, damage, name, rng):
    damage(copy / "results" / name, rng)
    with pytest.raises(nta.RunDirectoryError, match=r"regret.csv .*compute it again"):
        nta.trace.read_table(copy / "results/regret.csv")
    run = nta.Run.open(copy)
    if damage is not _delete or name != "regret.csv":
        assert [found.file for found in run.verify()] == ["results/regret.csv"]
    run.save_table("regret", nta.regret(run, "dense_2"))
    assert run.verify() == []


def test_a_table_cut_at_a_line_end(copy):
    path = copy / "results/regret.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(nta.RunDirectoryError, match="it has 3 rows, of 4 that were written"):
        nta.trace.read_table(path)


def test_a_full_disk_leaves_no_temporary_file(copy, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(copy.rglob("*"))
    run = nta.Run.open(copy)
    table = nta.trace.read_table(copy / "results/regret.csv")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(nta.RunDirectoryError, match=r"regret.csv.*No space left"):
        run.save_table("regret", pd.concat([table, table]))
    monkeypatch.undo()
    assert sorted(copy.rglob("*")) == before
    assert nta.trace.read_table(copy / "results/regret.csv").equals(table)


_WRITER = """
    import pathlib, sys, time
    import tests.test_integrity as t
    from tests.recording import KeepRounds

    class Slow(KeepRounds):
        def end_epoch(self):
            pathlib.Path(sys.argv[2]).touch()
            time.sleep(float(sys.argv[3]))
            return {}

    t._train(sys.argv[1], recorders=[*t._recorders(), Slow("1 an epoch")])
"""


def _recorders():
    return [nta.TaylorRounds(), nta.WeightRounds("every step")]


@pytest.mark.slow  # a second process imports TensorFlow; the next test has both in this one
def test_a_second_writer_is_refused_and_readers_are_not(whole, tmp_path):
    directory, started = tmp_path / "run", tmp_path / "started"
    script = textwrap.dedent(_WRITER)
    writer = subprocess.Popen([sys.executable, "-c", script, directory, started, "600"])
    try:
        while not started.exists():
            assert writer.poll() is None
        with pytest.raises(nta.RunDirectoryError, match=f"written by process {writer.pid} on "):
            _train(directory, recorders=[])
        assert nta.Run.open(directory).epochs == 0
    finally:
        writer.kill()
        writer.wait()
    from tests.recording import KeepRounds

    run = _train(directory, recorders=[*_recorders(), KeepRounds("1 an epoch", name="keep")])
    assert run.status == "finished"  # the lock has ended with the process
    assert_same_trace(run, whole)


def test_one_process_trains_a_run_once_at_a_time(tmp_path):
    with nta.Run.writing(tmp_path / "run"):
        with pytest.raises(nta.RunDirectoryError, match=f"process {os.getpid()}"):
            _train(tmp_path / "run")
    assert _train(tmp_path / "run").status == "finished"


def test_where_there_are_no_locks_one_still_trains(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locking.fcntl, "flock", none)
    assert _train(tmp_path / "run").status == "finished"


@pytest.fixture(scope="module")
def once_interrupted(tmp_path_factory):
    """A run stopped in its fourth epoch, of which the disk was waited for after two."""
    directory = tmp_path_factory.mktemp("interrupted") / "run"
    commit, commits = nta.Run.commit, []
    with pytest.MonkeyPatch.context() as patched:

        def counted(self, *arguments, **progress):
            commit(self, *arguments, **progress)
            commits.append(progress)
            if len(commits) == 3:  # the first is that of the new run
                patched.setattr("nta_tf.trace.run._SYNC_SECONDS", 1e9)
            if len(commits) == 4:
                raise KeyboardInterrupt

        patched.setattr("nta_tf.trace.run._SYNC_SECONDS", -1)
        patched.setattr(nta.Run, "commit", counted)
        with pytest.raises(KeyboardInterrupt):
            _train(directory)
    progress = nta.Run.open(directory).progress
    assert (progress["epochs"], progress["synced"]) == (3, 2)
    return directory


@pytest.fixture
def interrupted(once_interrupted, tmp_path):
    return shutil.copytree(once_interrupted, tmp_path / "run")


@pytest.mark.parametrize(
    "lost",
    slow(
        [
            None,
            "trace.zarr/losses/c/2/0",
            "trace.zarr/records/weights/checksums/c/2/0",
            "checkpoints/epoch_0003/weights.index",
            "checkpoints/epoch_0003/weights.data-00000-of-00001",
        ],
        "trace.zarr/records/weights/checksums/c/2/0",
        "checkpoints/epoch_0003/weights.index",
    ),
)
def test_a_loss_of_power_costs_epochs_and_no_numbers(whole, interrupted, lost):
    if lost:
        (interrupted / lost).write_bytes(b"")
    run = _train(interrupted)
    assert run.verify() == [] and run.status == "finished"
    assert_same_trace(run, whole)
    assert [path.name for path in (interrupted / "checkpoints").iterdir()] == ["epoch_0004"]


def test_old_checkpoints_are_not_looked_for_behind_links(interrupted, tmp_path):
    precious = tmp_path / "precious"
    (precious / "epoch_0001").mkdir(parents=True)
    (precious / "epoch_0001" / "thesis.tex").write_text("precious")
    (interrupted / "checkpoints" / "epoch_0001").symlink_to(precious / "epoch_0001")
    (interrupted / "checkpoints" / "epoch_0009").symlink_to(precious)
    _train(interrupted)
    assert (precious / "epoch_0001" / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "", "a\\b", "__a", "a\nb"])
def test_names_cannot_lead_out_of_the_directory(tmp_path, copy, name):
    with pytest.raises(ValueError, match="name of a file"):
        _train(tmp_path / "run", recorders=[nta.WeightRounds(name=name)])
    with pytest.raises(ValueError, match="name of a file"):
        nta.Run.open(copy).save_table(name, pd.DataFrame())


def test_a_checkpoint_outside_is_refused(copy):
    from nta_tf.trace import directory, files

    progress = json.loads((copy / "progress.json").read_text())
    progress = {**files.without_checksum(progress), "checkpoint": "../elsewhere/weights"}
    directory.write_progress(copy, progress)
    with pytest.raises(nta.RunDirectoryError, match="names a checkpoint '../elsewhere/weights'"):
        nta.Run.open(copy)


def test_fit_gives_the_lock_back(tmp_path):
    x, model = _data(), _model()
    model.compile(keras.optimizers.SGD(0.1), "mse")

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise KeyboardInterrupt

    def rounds():
        return nta.callbacks.RecordRounds(x, x, [nta.WeightRounds()], "mse", tmp_path / "run")

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, x, 8, epochs=2, verbose=0, callbacks=[rounds(), Interrupt()])
    model.fit(x, x, 8, epochs=2, verbose=0, callbacks=[rounds()])
    with nta.Run.writing(tmp_path / "run"):
        assert nta.Run.open(tmp_path / "run").status == "finished"


def test_rows_cannot_be_called_as_the_checksums_are():
    store = nta.trace.arrays.ArrayStore.create(None)
    with pytest.raises(ValueError, match="'checksums'"):
        store.add("", {"checksums": nta.trace.ArraySpecification((), "int64")}, 2)


def test_rows_of_nothing_but_nan_or_zero_are_written(tmp_path):
    specification = {"values": nta.trace.ArraySpecification((2,), "float32")}
    store = nta.trace.arrays.ArrayStore.create(tmp_path)
    store.add("", specification, 3)
    nan = np.frombuffer(b"\x01\x00\xc0\xff" * 2, np.float32)  # not the NaN of NumPy
    store.write("", 0, {"values": nan})
    reopened = nta.trace.arrays.ArrayStore.open(tmp_path)
    reopened.write("", 1, {"values": np.zeros(2)})
    reopened.write("", 2, {"values": nan})
    rows = nta.trace.arrays.ArrayStore.open(tmp_path).read("", "values", slice(0, 3), 3)
    assert rows[0].tobytes() == rows[2].tobytes() == nan.tobytes() and not rows[1].any()
    assert len(list((tmp_path / "trace.zarr/values/c").rglob("0"))) == 4  # c/0/0, c/1/0, c/2/0
