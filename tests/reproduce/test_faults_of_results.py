"""What the fault harness found in saved results (tests/faults), each as a test of its own."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import time

import pandas as pd
import pytest

import nta_tf as nta
from reproduce import files
from reproduce.cli import main
from reproduce.results import illustrations, load
from reproduce.results.runs import ResultsError, find_runs, run_directories
from reproduce.stages import processes, study
from reproduce.stages.outputs import find_run_directories
from reproduce.stages.solve import solve

_LINE = "train --epochs 2 --optimizers sgd:0.1 --layers dense_3 --protocols figures"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained") / "runs"
    assert main([*_LINE.split(), "--out", str(root)]) == 0
    assert main(["solve", str(root)]) == 0
    return root


@pytest.fixture
def runs(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "runs")


@pytest.fixture
def run(runs):
    (directory,) = runs.iterdir()
    return directory


def test_runs_behind_links_are_found_once(runs, run, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(run, elsewhere)
    run.symlink_to(elsewhere)
    (runs / "loop").symlink_to(runs)
    (runs / "again").symlink_to(elsewhere)
    (runs / "dangling").symlink_to(tmp_path / "nowhere")
    assert len(list(run_directories(runs))) == len(find_run_directories(runs)) == 1
    assert len(load.read_losses(runs)) == 2


@pytest.mark.parametrize("name", ["config.json", "progress.json"])
def test_a_changed_digit_is_told_by_figures(runs, run, name, capsys):
    path = run / name
    path.write_text(path.read_text().replace('"epochs": 2', '"epochs": 99', 1))
    assert main(["figures", "6", "--runs", str(runs)]) == 1
    assert f"the checksum of {name} does not match" in capsys.readouterr().err


def test_a_run_from_before_checksums_is_called_that(runs, run):
    progress = json.loads((run / "progress.json").read_text())
    old = {key: progress[key] for key in ("epochs", "status", "checkpoint")}
    (run / "progress.json").write_text(json.dumps(old))
    with pytest.raises(ResultsError, match="before runs had checksums"):
        find_runs(runs)


def test_a_table_of_a_run_needs_its_checksum_and_one_of_a_copy_does_not(runs, run):
    (run / "results/regret.csv.checksum").unlink()
    with pytest.raises(ResultsError, match=r"regret.csv is damaged.*no regret.csv.checksum"):
        load.read_regret(runs)
    (run / "progress.json").unlink()
    assert len(load.read_regret(runs))


def test_tables_read_while_they_are_replaced(runs, run, monkeypatch):
    """The new table is there when its checksum is read."""
    path, read_bytes, done = run / "results/losses.csv", type(run).read_bytes, []

    def read(self):
        data = read_bytes(self)
        if self == path and not done:
            done.append(1)
            nta.Run.open(run).save_table("losses", pd.read_csv(path).iloc[:1])
        return data

    monkeypatch.setattr(type(run), "read_bytes", read)
    assert files.read_table(path).count(b"\n") == 2


def test_a_run_without_rounds_may_be_solved_twice(tmp_path):
    line = "train --epochs 2 --optimizers sgd:1e30 --layers dense_3 --protocols figures --out"
    assert main([*line.split(), str(tmp_path)]) == 0
    for _ in range(2):
        assert main(["solve", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*/results/regret.csv")
    assert pd.read_csv(path).empty


def test_scopes_that_another_process_solves_meanwhile_stay(run, monkeypatch):
    """Another one adds rows after the table of earlier calls was looked at."""
    path = run / "results/regret.csv"

    def meanwhile(problems):
        foreign = nta.trace.read_table(path).iloc[:2].assign(scope="dense_9")
        nta.trace.change_table(path, lambda table: pd.concat([table, foreign]))
        yield from problems

    solve(run, meanwhile)
    assert set(nta.trace.read_table(path)["scope"]) == {"dense_3", "dense_9"}


def test_illustrations_of_two_settings_are_never_mixed(tmp_path, monkeypatch):
    frame = pd.DataFrame({"start": [0.25, 1.5]})
    out = illustrations.directory(tmp_path)
    illustrations.write(out, "figure_1", {"regions": frame}, {"seed": 1})
    settings, table = illustrations.read(tmp_path, "figure_1", ["regions"])
    assert settings == {"seed": 1} and table.equals(frame)
    monkeypatch.setattr(files, "write_json", _full)
    with pytest.raises(OSError, match="No space"):
        illustrations.write(out, "figure_1", {"regions": frame + 1}, {"seed": 2})
    with pytest.raises(ResultsError, match="figure_1_regions.csv is not what was written"):
        illustrations.read(tmp_path, "figure_1", ["regions"])


def _full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_drawing_and_says_which(tmp_path, monkeypatch):
    path = files.write_text(tmp_path / "figure.png", "old")
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(ResultsError, match=r"Cannot write .*figure.png: No space left"):
        files.write_text(path, "new")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_what_a_kill_left_of_a_drawing_is_swept(tmp_path):
    left = tmp_path / (".figure.png." + "0123456789abcdef" * 2)
    left.write_text("half")
    files.write_text(tmp_path / "other.png", "new")
    assert left.exists()
    files.write_text(tmp_path / "figure.png", "new")
    assert not left.exists()


def test_a_drawing_that_somebody_else_swept_is_written_again(tmp_path, monkeypatch):
    replace, calls = os.replace, []

    def swept(source, target):
        calls.append(source)
        if len(calls) == 1:
            os.unlink(source)
        replace(source, target)

    monkeypatch.setattr(os, "replace", swept)
    assert files.write_text(tmp_path / "figure.png", "new").read_text() == "new"


def _kill(_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_process_ends_in_a_sentence():
    with pytest.raises(ResultsError, match="A process was killed.*same command"):
        with processes.pool(1) as pool:
            pool.submit(_kill, 0).result()


def test_an_error_does_not_wait_for_other_processes():
    start = time.monotonic()
    with pytest.raises(KeyError):
        with processes.pool(1) as pool:
            pool.submit(time.sleep, 0).result()
            pool.submit(time.sleep, 600)
            raise KeyError
    assert time.monotonic() - start < 60 and not multiprocessing.active_children()


def _start_and_tell(sender):
    """A process with a pool, which it leaves alone."""
    with processes.pool(1) as pool:
        sender.send(pool.submit(os.getpid).result())
        pool.submit(time.sleep, 600).result()


@pytest.mark.slow  # a third process imports TensorFlow
def test_processes_end_with_the_one_that_started_them():
    receiver, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    head = context.Process(target=_start_and_tell, args=(sender,))
    head.start()
    worker = receiver.recv()
    head.kill()
    head.join()
    for _ in range(600):
        if not _is_alive(worker):
            return
        time.sleep(0.05)
    raise AssertionError(f"process {worker} outlives its parent")


def _is_alive(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_study_keeps_what_is_not_its_own(run, tmp_path):
    (run / "notes.txt").write_text("precious")
    shutil.move(run / "trace.zarr", tmp_path / "trace")
    (run / "trace.zarr").symlink_to(tmp_path / "trace")
    for _ in range(2):
        study._keep_tables(run)
    left = {path.name for path in run.iterdir()}
    assert left == {"config.json", "results", "notes.txt", "trace.zarr", ".lock"}
    assert (tmp_path / "trace" / "zarr.json").is_file()
    assert len(load.read_regret(run.parent))
