"""Other schemas, places, names, links, processes and clocks."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import time

from tests.faults import trees
from tests.faults.interruptions import interrupt
from tests.faults.processes import Process
from tests.faults.registry import fault
from tests.faults.stages import STAGES, VERIFY, Case, check_sentence, command, finish

_GROUP = "surroundings"
_READING = {
    "verify": VERIFY,
    "train": STAGES["train"].program,
    "solve": command("solve runs"),
    "explore": command("explore runs"),
    "figures": command("figures 6 --runs runs --out figures"),
    "record": command("record runs"),
    "compare": command("compare --runs runs --out figures"),
}
_SCHEMAS = {
    "newer": ({"schema_version": 3}, "schema version 3"),
    "older": ({"schema_version": 1}, "schema version 1"),
    "text": ({"schema_version": "2"}, "schema version 2"),
    "none": ({"schema_version": None}, "schema version None"),
    "before checksums": ({}, "before runs had checksums"),
}


@fault(_GROUP, "a run of a newer, older or no schema, or from before checksums: one sentence", 35)
def other_schema(case: Case) -> None:
    directory, reference = case.begin("explore")
    (run,) = (directory / "runs").iterdir()
    name, stage = case.pick(_SCHEMAS), case.pick(_READING)
    case.note(f"{name}: {stage}")
    changes, words = _SCHEMAS[name]
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, **changes}))
    if name == "before checksums":
        progress = json.loads((run / "progress.json").read_text())
        old = {key: progress[key] for key in ("epochs", "status", "checkpoint", "added")}
        (run / "progress.json").write_text(json.dumps(old))
    before = trees.contents(directory)
    check_sentence(case.run(_READING[stage], directory), words, run.name)
    assert trees.contents(directory) == before


_NAMES = [
    "with spaces", "été – 中文 – žluť", "e\u0301te\u0301", "🧠", "it's", 'a "quote"', "100%",
    "{braces}", "[ab]*?", "#hash", "~", "$HOME", "a;b&c", "-runs", ".hidden", "tab\there",
    "line\nbreak", "x" * 200, "config.json", "trace.zarr", "results",
]  # fmt: skip


@fault(_GROUP, "directories with names of every kind, killed once: as in any other directory", 42)
def odd_names(case: Case) -> None:
    name = case.pick(_NAMES)
    folder = f"./{name}/{case.pick(_NAMES)}" if case.rng.random() < 0.5 else f"./{name}"
    case.note(repr(folder))
    words = ["--out", folder]
    train = command([*_line("train"), *words])
    directory, reference = case.begin("train")
    process = Process(train, directory)
    if not process.work(case.rng.random() * reference.ended.seconds):
        process.send(signal.SIGKILL)
    process.wait()
    drawn = ["figures", "6", "--runs", folder, "--out", f"{folder}/drawn"]
    for program in (train, command(["solve", folder]), command(["explore", folder], drawn)):
        ended = case.run(program, directory)
        assert ended.code == 0, ended.err
    expected = case.workshop.reference("explore").after / "runs"
    shutil.rmtree(directory / folder / "drawn")
    assert not trees.differences(expected, directory / folder)


def _line(stage: str) -> list[str]:
    words = "train --optimizers adam --layers dense_6 --protocols figures activations --epochs 3"
    return words.split() if stage == "train" else [stage]


@fault(_GROUP, "parts of a run, or all of it, behind links: as in one place, links stay", 20)
def links(case: Case) -> None:
    part = case.pick(["runs", "runs/RUN", "runs/RUN/trace.zarr", "runs/RUN/checkpoints"])
    directory, reference = case.begin("extend")
    (run,) = (directory / "runs").iterdir()
    part = part.replace("RUN", run.name)
    elsewhere = case.directory / "elsewhere"
    shutil.move(directory / part, elsewhere)
    (directory / part).symlink_to(elsewhere)
    (directory / "runs" / "loop").symlink_to(directory / "runs")
    (directory / "runs" / "dangling").symlink_to(directory / "nowhere")
    case.note(part)
    interrupt(case, "extend", directory, reference, signal.SIGKILL)
    ended = case.run(STAGES["extend"].program, directory)
    assert ended.code == 0, ended.err
    verified = case.run(VERIFY, directory)
    assert verified.code == 0 and verified.out.count("no damaged files") == 1, verified.out
    assert (directory / part).is_symlink()
    (directory / "runs" / "loop").unlink()
    different = trees.differences(reference.after, directory)
    # Behind a link nothing is removed, so that old checkpoints stay.
    wrong = [line for line in different if "checkpoints" not in part or "/checkpoints/" not in line]
    assert not wrong, wrong[:5]


_PAIRS = {
    "train": ("train", "train"),
    "extend": ("extend", "extend"),
    "record": ("record", "record"),
    "explore": ("explore", "solve"),
    "figures": ("figures", "figures"),
    "solve": ("solve", "explore"),
}


@fault(
    _GROUP,
    "two processes on one run at once: each ends well or says in a sentence that the other writes; "
    "afterwards all is as if they had come one by one",
    30,
)
def two_writers(case: Case) -> None:
    stage = case.pick(_PAIRS)
    directory, reference = case.begin(stage)
    first, second = (STAGES[name].program for name in _PAIRS[stage])
    moment = case.rng.random() * reference.ended.seconds
    case.note(f"{stage}: the second after {moment:.2f} s")
    one = Process(first, directory)
    one.work(moment)
    other = Process(second, directory)
    for ended in (other.wait(), one.wait()):
        if ended.code:
            check_sentence(ended, "is being written by process")
    if stage == "solve":
        stage, reference = "explore", case.workshop.reference("explore")
    finish(case, stage, directory, reference)


@fault(_GROUP, "two processes solve scopes of one run at once: no row of theirs is lost", 10)
def two_solvers(case: Case) -> None:
    directory, _ = case.begin("solve convnet")
    scopes = [f"conv2d_3:{neuron}" for neuron in range(6)]
    programs = [
        command(f"solve runs --domains ball --scopes {' '.join(part)}")
        for part in (scopes[::2], scopes[1::2])
    ]
    both = [Process(program, directory) for program in programs]
    for process in both:
        ended = process.wait()
        assert ended.code == 0, ended.err
    (run,) = (directory / "runs").iterdir()
    for table in ("regret", "exponents"):
        lines = (run / f"results/{table}.csv").read_text().splitlines()
        rows = [line for line in lines[1:] if line]
        assert all(any(f",{scope}," in row for row in rows) for scope in scopes), rows
    assert case.run(VERIFY, directory).code == 0


def _read_again_and_again() -> int:
    """Reads all that counts of a run until it has ended; every number must stay as it was."""
    import numpy as np

    import nta_tf as nta

    seen: dict[tuple, np.ndarray] = {}
    while not (pathlib.Path("runs").is_dir() and os.listdir("runs")):
        time.sleep(0.001)
    (directory,) = pathlib.Path("runs").iterdir()
    status = "running"
    while status == "running":
        try:
            run = nta.Run.open(directory)
        except nta.RunDirectoryError as error:
            if "not a run" in str(error) or "before its first step" in str(error):
                continue
            raise
        for group, record in [(None, run), *run.records.items()]:
            names = run.measured if record is run else record.arrays
            done = run.epochs if record is run else record.done
            for name in names:
                rows = record.read(name, slice(0, done))
                before = seen.get((group, name), rows[:0])
                np.testing.assert_array_equal(rows[: len(before)], before)
                seen[group, name] = rows
        for damage in run.verify():
            print(damage)
            return 1
        status = run.status
    return 0


@fault(_GROUP, "a process that reads a run, and verifies it, while another writes", 12)
def reader_beside_writer(case: Case) -> None:
    stage = case.pick(["train", "train", "extend"])
    directory, reference = case.begin(stage)
    case.note(stage)
    reader = Process(_read_again_and_again, directory)
    writer = Process(STAGES[stage].program, directory)
    ended = [writer.wait(), reader.wait()]
    assert [one.code for one in ended] == [0, 0], [one.err + one.out for one in ended]
    finish(case, stage, directory, reference)


@fault(_GROUP, "tables that are read while another process writes them anew", 12)
def reader_of_tables(case: Case) -> None:
    stage = case.pick(["pair, solved again", "pair, explored again"])
    directory, reference = case.begin(stage)
    case.note(stage)

    def read() -> int:
        import nta_tf as nta
        from reproduce.results import load

        until = time.monotonic() + 2 * reference.ended.seconds
        while time.monotonic() < until:
            for path in sorted(pathlib.Path("runs").glob("*/results/*.csv")):
                nta.trace.read_table(path)
            load.read_regret("runs")
        return 0

    reader = Process(read, directory)
    writers = [case.run(STAGES[stage].program, directory) for _ in range(2)]
    ended = reader.wait()
    assert ended.code == 0, ended.err
    assert [writer.code for writer in writers] == [0, 0]
    finish(case, stage, directory, reference)


@fault(_GROUP, "the clock is set back by years, and files are from the future: nothing changes", 10)
def clock_set_back(case: Case) -> None:
    stage = case.pick(["train", "extend", "record", "solve", "explore", "figures"])
    directory, reference = case.begin(stage)
    interrupt(case, stage, directory, reference, signal.SIGKILL)
    years = 10 * 365 * 86400
    for at, folders, names in os.walk(directory):
        for name in (*folders, *names):
            os.utime(os.path.join(at, name), (time.time() + years,) * 2)

    def program() -> int | None:
        now = time.time
        time.time = lambda: now() - years
        return STAGES[stage].program()

    ended = case.run(program, directory)
    assert ended.code == 0, ended.err
    assert not trees.differences(reference.after, directory)
