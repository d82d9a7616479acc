"""What the fault harness found in runs on disk (tests/faults), each as a test of its own."""

import ctypes
import json
import os
import shutil
import threading

import numpy as np
import pandas as pd
import pytest

import nta_tf as nta
from nta_tf.trace import directory as directories
from nta_tf.trace import files, tables
from tests.networks import dense_chain
from tests.recording import KeepRounds, assert_same_trace


def _train(directory, epochs=3, seed=0, model=1, **options):
    x = np.random.default_rng(2).normal(size=(24, 6)).astype(np.float32)
    settings = {
        "optimizer": nta.optimizers.get("adam", 0.01),
        "recorders": [nta.TaylorRounds(), nta.WeightRounds("every step")],
    }
    return nta.train(
        dense_chain((6, 6, 6), ("relu", "linear"), seed=model, dtype="float32"),
        x,
        x,
        epochs=epochs,
        batch_size=8,
        seed=seed,
        directory=directory,
        **{**settings, **options},
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = _train(tmp_path_factory.mktemp("whole") / "run")
    run.save_table("regret", nta.regret(run, "dense_2"))
    return run


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another seed."""
    return _train(tmp_path_factory.mktemp("other") / "run", seed=1, model=2)


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole.directory, tmp_path / "copy")


def _read_everything(directory):
    run = nta.Run.open(directory)
    run.read("losses")
    for record in run.records.values():
        for array in record.arrays:
            record.read(array)


_METADATA = {
    "fewer rows": lambda about: about["shape"].__setitem__(0, 2),
    "another dtype of that size": lambda about: about.update(data_type="int32"),
    "another shape of that size": lambda about: about["shape"].__setitem__(slice(1, None), [3, 1]),
    "another filling": lambda about: about.update(fill_value=1.0),
    "another way of bytes": lambda about: about["codecs"].pop(),
    "other chunks": lambda about: about["chunk_grid"]["configuration"].update(chunk_shape=[3, 3]),
    "no array": lambda about: about.update(node_type="group"),
}


@pytest.mark.parametrize("change", _METADATA)
def test_metadata_that_say_otherwise_are_damage(copy, change):
    path = copy / "trace.zarr/records/weights/losses/zarr.json"
    about = json.loads(path.read_text())
    _METADATA[change](about)
    path.write_text(json.dumps(about))
    with pytest.raises(nta.RunDirectoryError, match="weights/losses/zarr.json is damaged"):
        _read_everything(copy)
    assert nta.trace.verify(copy)


def test_exchanged_metadata_are_damage(copy):
    """Kernels of both layers have one shape, so that only the names differ; losses have not."""
    paths = [copy / f"trace.zarr/records/weights/{n}/zarr.json" for n in ("losses", "rounds")]
    one, two = (path.read_bytes() for path in paths)
    paths[0].write_bytes(two)
    paths[1].write_bytes(one)
    with pytest.raises(nta.RunDirectoryError, match="zarr.json is damaged"):
        _read_everything(copy)


def test_the_trace_of_another_run_is_damage(copy, other):
    shutil.rmtree(copy / "trace.zarr")
    shutil.copytree(other.directory / "trace.zarr", copy / "trace.zarr")
    with pytest.raises(nta.RunDirectoryError, match="trace.zarr cannot be read.*another run"):
        nta.Run.open(copy)
    assert [damage.file for damage in nta.trace.verify(copy)] == ["trace.zarr"]


def test_the_checkpoint_of_another_run_is_damage(copy, other):
    name = nta.Run.open(copy).progress["checkpoint"]
    shutil.rmtree((copy / name).parent)
    shutil.copytree((other.directory / name).parent, (copy / name).parent)
    assert [damage.file for damage in nta.trace.verify(copy)] == [name]
    model = dense_chain((6, 6, 6), ("relu", "linear"), seed=5, dtype="float32")
    with pytest.raises(nta.RunDirectoryError, match=f"{name}.*its checksum does not match"):
        nta.Run.open(copy).load_weights(model)


def test_any_changed_bit_of_a_checkpoint_is_found(copy, rng):
    run = nta.Run.open(copy)
    for path in sorted((copy / "checkpoints").rglob("weights*")):
        before = path.read_bytes()
        for _ in range(10):
            data = bytearray(before)
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
            path.write_bytes(data)
            assert not run.has_whole_checkpoint()
        path.write_bytes(before)
    assert run.has_whole_checkpoint()


def test_a_table_that_is_gone_is_told(copy):
    (copy / "results/regret.csv").unlink()
    (damage,) = nta.trace.verify(copy)
    assert damage.file == "results/regret.csv" and "missing" in damage.problem


def test_a_kill_before_a_first_table_is_no_damage(copy, monkeypatch):
    run, write_text = nta.Run.open(copy), files.write_text
    calls = []

    def write(path, text):
        calls.append(path.name)
        if len(calls) == 2:  # of the checksum, and now of the table itself
            raise _Killed
        write_text(path, text)

    monkeypatch.setattr(files, "write_text", write)
    with pytest.raises(_Killed):
        run.save_table("losses", pd.DataFrame({"epoch": [1]}))
    assert calls == ["losses.csv.checksum", "losses.csv"] and run.verify() == []
    with pytest.raises(_Killed):
        calls.clear()
        run.save_table("regret", pd.DataFrame({"epoch": [1]}))
    assert run.verify() == [] and len(nta.trace.read_table(copy / "results/regret.csv")) == 3


def test_a_run_that_ended_before_its_first_step_is_not_called_damaged(whole, copy, tmp_path):
    shutil.rmtree(copy / "trace.zarr")
    (copy / "progress.json").unlink()
    for use in (nta.Run.open, nta.trace.verify):
        with pytest.raises(nta.RunDirectoryError, match="before its first step.*Train again"):
            use(copy)
    assert_same_trace(_train(copy), whole)


def test_a_run_from_before_checksums_is_called_that(copy):
    progress = json.loads((copy / "progress.json").read_text())
    old = {key: progress[key] for key in ("epochs", "status", "checkpoint")}
    (copy / "progress.json").write_text(json.dumps(old))
    with pytest.raises(nta.RunDirectoryError, match="before runs had checksums") as error:
        nta.Run.open(copy)
    assert "damaged" not in str(error.value)
    with pytest.raises(nta.RunDirectoryError, match="before runs had checksums"):
        _train(copy)


class _Killed(BaseException):
    pass


def test_what_a_kill_left_is_swept(tmp_path, whole):
    class Killer(KeepRounds):
        def record(self, rounds):
            if self._epoch == 2:
                raise _Killed

    recorders = [nta.TaylorRounds(), nta.WeightRounds("every step")]
    with pytest.raises(_Killed):
        _train(tmp_path / "run", recorders=[*recorders, Killer("1 an epoch")])
    name = "0123456789abcdef" * 2
    left = [
        tmp_path / "run" / f".progress.json.{name}",
        tmp_path / "run/trace.zarr/losses/c" / f"1.{name}.partial",
        tmp_path / "run/trace.zarr/records/weights/losses" / f"zarr.{name}.partial",
        tmp_path / "run/checkpoints/epoch_0003" / "weights.data-00000-of-00001.tempstate1",
    ]
    left[-1].parent.mkdir()
    for path in left:
        path.write_text("half")
    run = _train(tmp_path / "run", recorders=[*recorders, KeepRounds("1 an epoch")])
    assert not any(path.exists() for path in left) and run.verify() == []
    np.testing.assert_array_equal(run.losses, whole.losses)


def test_what_a_kill_left_of_a_table_is_swept(copy):
    left = copy / "results" / (".regret.csv." + "0123456789abcdef" * 2)
    left.write_text("half")
    run = nta.Run.open(copy)
    run.save_table("losses", pd.DataFrame({"epoch": [1]}))
    assert left.exists()  # it may be that of a process that writes it now
    run.save_table("regret", nta.regret(run, "dense_2"))
    assert not left.exists()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "syncfs"), reason="no syncfs here")
def test_a_disk_that_cannot_be_waited_for_is_an_error(copy, monkeypatch):
    def broken(_):
        ctypes.set_errno(5)
        return -1

    run = nta.Run.open(copy)
    monkeypatch.setattr(files._LIBC, "syncfs", broken)
    with pytest.raises(nta.RunDirectoryError, match="Input/output error"):
        run.commit(final=True)


def _between(monkeypatch, module, name, act):
    """Lets something happen after the first call of a function."""
    function, calls = getattr(module, name), []

    def wrapped(*arguments):
        result = function(*arguments)
        calls.append(arguments)
        if len(calls) == 1:
            act()
        return result

    monkeypatch.setattr(module, name, wrapped)


def test_a_reader_between_config_and_progress(copy, monkeypatch):
    """Somebody extends the run after its config was read."""
    _between(monkeypatch, directories, "read_config", lambda: _train(copy, epochs=4))
    assert nta.Run.open(copy).config["epochs"] == 4


def test_a_reader_between_a_table_and_its_checksum(copy, monkeypatch):
    longer = pd.DataFrame({"epoch": range(9)})
    path = copy / "results/regret.csv"
    _between(monkeypatch, files, "content", lambda: tables.write_table(path, longer))
    assert len(nta.trace.read_table(path)) == 9


def test_verifying_a_run_whose_writer_has_moved_on(copy):
    reader = nta.Run.open(copy)
    _train(copy, epochs=5)  # which removes the checkpoint that the reader knows
    assert reader.verify() == [] and reader.epochs == 5


def test_no_row_is_lost_of_a_table_that_several_change(tmp_path):
    path = tmp_path / "results" / "rows.csv"

    def add(first):
        for row in range(first, first + 20):
            new = pd.DataFrame({"row": [row]})
            nta.trace.change_table(path, lambda table, new=new: pd.concat([table, new]))

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(nta.trace.read_table(path)["row"]) == list(range(60))


def test_a_damaged_table_is_not_added_to_but_may_be_replaced(copy):
    path = copy / "results/regret.csv"
    path.write_text("epoch\n1\n")
    with pytest.raises(nta.RunDirectoryError, match="regret.csv is damaged"):
        nta.trace.change_table(path, lambda table: table)
    nta.Run.open(copy).save_table("regret", pd.DataFrame({"epoch": [2]}))
    assert nta.trace.read_table(path)["epoch"].tolist() == [2]


def test_a_new_run_is_on_the_disk_before_its_first_step(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync", lambda directory: synced.append(os.listdir(directory)))
    _train(tmp_path / "run", epochs=1)
    assert len(synced) == 2 and "progress.json" not in synced[0] and "trace.zarr" in synced[0]
