"""Processes that end early: killed, interrupted, without power.

Moments are drawn in two ways, half of them each: among the writes of the undisturbed command, all
equally likely (the process ends before it, or with a random part of its bytes written), and in
time, uniformly over what the undisturbed command took.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal

from tests.faults.processes import Ended, Process
from tests.faults.registry import fault
from tests.faults.stages import STAGES, VERIFY, Case, Reference, check_sentence, finish

_GROUP = "interruptions"
_RESUMED = "resumed, all files bit for bit those of the uninterrupted command"


def interrupt(
    case: Case, stage: str, directory: pathlib.Path, reference: Reference, number: int
) -> Ended:
    """Starts a stage and sends it a signal at a random moment."""
    program, at = STAGES[stage].program, None
    if case.rng.random() < 0.5:
        at, share = int(case.rng.integers(reference.ended.writes)), case.rng.random()

        def decide(process, write):
            if write.index == at:
                if share < 0.5 and number == signal.SIGKILL:
                    write.do_part(2 * share)
                process.send(number)

        process = Process(program, directory, directory, decide)
        case.note(f"{stage}: at write {at}")
        return _end(case, process, number)
    moment = case.rng.random() * reference.ended.seconds
    process = Process(program, directory, directory)
    if not process.work(moment):
        process.send(number)
    case.note(f"{stage}: after {moment:.3f} s")
    return _end(case, process, number)


def _end(case: Case, process: Process, number: int) -> Ended:
    """Waits for the end; counts it if it was the signal's (Ctrl-C is caught, and ends in 130)."""
    ended = process.wait()
    case.signals += ended.code in (-number, 130)
    return ended


def check_readable(case: Case, directory: pathlib.Path) -> None:
    """What an interruption leaves is never called damaged."""
    ended = case.run(VERIFY, directory)
    if ended.code:
        check_sentence(ended)
        assert "no run in" in ended.err or "before its first step" in ended.err, ended.err


def _interrupted(case: Case, number: int, codes: set[int], stages: list[str]) -> None:
    stage = case.pick(stages)
    directory, reference = case.begin(stage)
    for _ in range(1 + (case.rng.random() < 0.3)):  # and some again while they resume
        ended = interrupt(case, stage, directory, reference, number)
        assert ended.code in codes, f"ended with {ended.code}: {ended.err}"
        if number != signal.SIGKILL:
            assert "Traceback" not in ended.err, ended.err
        check_readable(case, directory)
    finish(case, stage, directory, reference)


_MOST = [
    "train",
    "extend",
    "record",
    "solve",
    "solve convnet",
    "explore",
    "figures",
    "study, a job",
]


def _killed(stages: list[str], cases: int, few: int = 0):
    name = f"killed in {stages[0]}"

    def attempt(case: Case) -> None:
        _interrupted(case, signal.SIGKILL, {0, -signal.SIGKILL}, stages)

    attempt.__name__ = name
    fault(_GROUP, f"SIGKILL at a random moment; {_RESUMED}", cases, few)(attempt)


_killed(["library"], 20, 2)
_killed(["train", "train convnet", "extend"], 40)
_killed(["record"], 25)
_killed(["solve", "solve convnet"], 30, 1)
_killed(["explore"], 25)
_killed(["figures"], 25)
_killed(["study, a job"], 20)


@fault(_GROUP, f"SIGKILL to the study's first process alone; {_RESUMED}", 8)
def study_without_its_head(case: Case) -> None:
    directory, reference = case.begin("study")
    process = Process(STAGES["study"].program, directory)
    moment = case.rng.random() * reference.ended.seconds
    case.note(f"after {moment:.3f} s")
    if not process.work(moment):
        process.send_alone(signal.SIGKILL)
    _end(case, process, signal.SIGKILL)
    finish(case, "study", directory, reference)


@fault(_GROUP, f"SIGTERM at a random moment; {_RESUMED}", 40)
def terminated(case: Case) -> None:
    _interrupted(case, signal.SIGTERM, {0, -signal.SIGTERM}, _MOST)


@fault(_GROUP, f"SIGINT (Ctrl-C) at a random moment: exit code 130; {_RESUMED}", 60, 1)
def interrupted(case: Case) -> None:
    _interrupted(case, signal.SIGINT, {0, 130}, _MOST)


@fault(
    _GROUP,
    "SIGKILL, then each file that was not waited for is lost, emptied, cut or filled with zeros, "
    f"or not; {_RESUMED}",
    60,
)
def without_power(case: Case) -> None:
    stage = case.pick(["library", "train", "extend", "record", "solve", "explore"])
    directory, reference = case.begin(stage)
    shortened = _with_frequent_waiting(STAGES[stage].program)
    at = int(case.rng.integers(reference.ended.writes))
    case.note(f"{stage}: at write {at}")

    def decide(process, write):
        if write.index == at:
            process.send(signal.SIGKILL)

    ended = _end(case, Process(shortened, directory, directory, decide), signal.SIGKILL)
    for path in sorted(ended.unsynced):
        lose(case, pathlib.Path(path))
    finish(case, stage, directory, reference)


def _with_frequent_waiting(program):
    def shortened():
        from nta_tf.trace import run

        run._SYNC_SECONDS = 0.2
        return program()

    return shortened


def lose(case: Case, path: pathlib.Path) -> None:
    """What a loss of power may do to a file that was not waited for."""
    if not path.exists() or path.is_dir():
        return
    size = path.stat().st_size
    what = case.pick(["nothing", "absent", "empty", "cut", "zeros"])
    if what == "absent":
        path.unlink()
    elif what == "empty":
        os.truncate(path, 0)
    elif what == "cut":
        os.truncate(path, int(case.rng.integers(size + 1)))
    elif what == "zeros":
        path.write_bytes(bytes(size))
    if what != "nothing":
        case.note(f"{what}: {path.name}")


@fault(_GROUP, f"moved to another directory after SIGKILL; {_RESUMED}", 10)
def moved(case: Case) -> None:
    directory, reference = case.begin("train")
    interrupt(case, "train", directory, reference, signal.SIGKILL)
    elsewhere = case.directory / "elsewhere" / "deep"
    elsewhere.parent.mkdir()
    shutil.move(directory, elsewhere)
    finish(case, "train", elsewhere, reference)
