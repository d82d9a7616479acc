"""The study that tells readings of the paper apart: what it does, once."""

import concurrent.futures

import pandas as pd
import pytest

from reproduce import cli
from reproduce.stages import engines, processes, study


def test_every_combination_of_the_open_choices_is_a_job():
    jobs = study.choices()
    combinations = {tuple(sorted(job.options.items())) for job in jobs}
    assert len(combinations) == 3 * 3 * 2 and len(jobs) == 3 * len(combinations)
    assert len({job.directory("study") for job in jobs}) == len(jobs)
    assert jobs[0].experiment == "linear" and jobs[0].options["use_bias"]


def test_seeds_are_those_of_the_headline_experiments():
    jobs = study.seeds(2)
    assert {job.experiment for job in jobs} == set(study.HEADLINE)
    assert [job.seed for job in jobs] == [0] * 9 + [1] * 9
    assert all("activations" in job.records for job in jobs)
    of_choices = {job.experiment: job.options for job in study.choices()}
    assert all(job.options == of_choices[job.experiment] for job in jobs)


def test_jobs_come_in_batches_and_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "_JOBS_A_PROCESS", 2)
    pools = []

    def pool(workers):
        pools.append(concurrent.futures.ThreadPoolExecutor(workers))
        return pools[-1]

    monkeypatch.setattr(processes, "pool", pool)
    jobs = study.choices()[:5]
    for job in jobs:
        results = job.directory(tmp_path) / "results"
        results.mkdir(parents=True)
        (results / study.DONE).touch()
        (results.parent / "trace.zarr").mkdir()  # it was killed before it had tidied up
    done = list(study.run(jobs, tmp_path))
    assert {directory for _, directory in done} == {job.directory(tmp_path) for job in jobs}
    assert len(pools) == 3 and not list(tmp_path.rglob("trace.zarr"))


@pytest.mark.slow
def test_the_command_trains_solves_and_reports(tmp_path, capfd, monkeypatch):
    every = study.choices
    monkeypatch.setattr(study, "choices", lambda *options: every(*options)[:3])
    out = str(tmp_path / "study")
    arguments = ["study", "--scale", "quick", "--epochs", "8", "--seeds", "0", "--out", out]
    assert cli.main(arguments) == 0
    runs = sorted((tmp_path / "study/autoencoder/linear").iterdir())
    assert [run.name.split("_")[0] for run in runs] == ["adam", "rmsprop", "sgd"]
    for run in runs:
        table = pd.read_csv(run / "results/regret.csv")
        assert set(table["comparator"][table["record"] == "figures"]) == {"static", "each_round"}
        assert set(table["comparator"][table["record"] == "definition"]) == {"static"}
        assert set(table["scope"]) == set(study.LAYERS)
        assert {path.name for path in run.iterdir()} == {"config.json", "results"}
    assert cli.main(["report", "--runs", out]) == 0
    assert (tmp_path / "study/figures/report.html").is_file()
    assert "done" in capfd.readouterr().out
