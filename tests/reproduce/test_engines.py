"""Jobs side by side: in processes of this machine, and on a Dask cluster whose workers die."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

import nta_tf as nta
from reproduce import cli
from reproduce.results.runs import ResultsError
from reproduce.stages import engines
from tests.reproduce.jobs_of_tests import failed, told


@pytest.fixture(scope="module")
def cluster():
    """A real cluster of two processes; the address of its scheduler."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as started:
        yield started.scheduler_address


def test_variables_are_set_only_for_processes_that_start_meanwhile(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    with engines.environment({"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}):
        assert os.environ["OMP_NUM_THREADS"] == "7" and os.environ["TQDM_DISABLE"] == "1"
    assert "TQDM_DISABLE" not in os.environ


class TestCluster:
    def test_a_worker_that_dies_costs_its_job_only(self, cluster, tmp_path):
        jobs = {name: (str(tmp_path), name, name == "c") for name in "abcdef"}
        done = list(engines.completed(told, jobs, scheduler=cluster))
        assert sorted(done) == [(name, name.upper()) for name in "abcdef"]  # each counted once
        tries = {name: (tmp_path / name).read_text().split() for name in jobs}
        assert len(set(tries["c"])) == 2 and all(os.getpid() != int(pid) for pid in tries["a"])

    def test_an_error_of_a_job_is_that_of_the_stage(self, cluster):
        with pytest.raises(ValueError, match="'x' cannot be done"):
            list(engines.completed(failed, {"x": ("'x'",)}, scheduler=cluster))

    def test_nobody_at_the_address(self):
        pytest.importorskip("distributed")
        with pytest.raises(ResultsError, match="tcp.*dask scheduler"):
            list(engines.completed(told, {"a": ()}, scheduler="nonsense://nowhere"))


@pytest.mark.slow
def test_stages_on_a_cluster_leave_what_they_leave_here(cluster, tmp_path, capfd):
    """Trained, solved and explored by the workers: the same tables, in the same order."""
    sizes = ["--scale", "quick", "--data", "sample", "--epochs", "3"]
    train = ["train", "--task", "autoencoder", *sizes, "--optimizers", "sgd:1.0", "adam"]
    for out, elsewhere in (("here", []), ("there", ["--scheduler", cluster])):
        runs = str(tmp_path / out)
        assert cli.main([*train, "--out", runs, *elsewhere]) == 0
        assert cli.main(["solve", runs, "--checkpoints", "2", *elsewhere]) == 0
        assert cli.main(["explore", runs, *elsewhere]) == 0
    tables = sorted((tmp_path / "here").rglob("results/*.csv"))
    assert len(tables) == 2 * 7
    for path in tables:
        other = tmp_path / "there" / path.relative_to(tmp_path / "here")
        pd.testing.assert_frame_equal(pd.read_csv(other), pd.read_csv(path), rtol=1e-9)


@pytest.mark.slow
def test_a_worker_killed_while_it_trains(cluster, tmp_path, capfd):
    """The training goes on where it was, on the other worker; its losses are those of one go."""
    distributed = pytest.importorskip("distributed")
    command = ["train", "--epochs", "30", "--optimizers", "sgd:1.0", "--protocols", "figures"]
    out = tmp_path / "killed"

    def kill():
        _wait(lambda: list(out.glob("*/progress.json")))
        with distributed.Client(cluster, set_as_default=False) as client:
            busy = [name for name, tasks in client.processing().items() if tasks]
            killed.extend(client.run(os.getpid, workers=busy).values())
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    killed = []
    thread = threading.Thread(target=kill)
    thread.start()
    assert cli.main([*command, "--out", str(out), "--scheduler", cluster]) == 0
    thread.join()
    assert len(killed) == 1 and cli.main(["verify", str(out)]) == 0
    assert cli.main([*command, "--out", str(tmp_path / "here")]) == 0
    losses = [nta.Run.open(*(tmp_path / name).glob("sgd*")).losses for name in ("killed", "here")]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def _wait(for_what, seconds=300):
    end = time.monotonic() + seconds
    while not for_what():
        assert time.monotonic() < end
        time.sleep(0.05)
