"""Disks that are full, broken or may not be written."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import subprocess

from tests.faults import trees
from tests.faults.interception import GROWING
from tests.faults.interruptions import check_readable
from tests.faults.registry import Skipped, fault
from tests.faults.stages import STAGES, VERIFY, Case, check_sentence, finish

_GROUP = "disks"
_STAGES = ["train", "extend", "record", "solve", "explore", "figures", "study, a job"]
_RESUMED = "one sentence, and then the same command ends bit for bit as without it"


@fault(_GROUP, f"from a random write on, the disk is full (ENOSPC) or the quota is; {_RESUMED}", 60)
def no_space(case: Case) -> None:
    number = case.pick([errno.ENOSPC, errno.ENOSPC, errno.EDQUOT])
    for_ever = case.rng.random() < 0.8
    _refused(case, number, lambda write, at: write.index == at or (for_ever and write.index > at))


@fault(_GROUP, f"a random write, or waiting for the disk, ends with EIO; {_RESUMED}", 40, 1)
def broken_disk(case: Case) -> None:
    _refused(case, errno.EIO, lambda write, at: write.index == at, everything=True)


def _refused(case: Case, number: int, wanted, everything: bool = False) -> None:
    stage = case.pick(_STAGES)
    directory, reference = case.begin(stage)
    at = int(case.rng.integers(reference.ended.writes))
    case.note(f"{stage}: {errno.errorcode[number]} at write {at}")

    def decide(process, write):
        if wanted(write, at) and (everything or write.name in GROWING):
            return number
        return None

    ended = case.run(STAGES[stage].program, directory, root=directory, decide=decide)
    if ended.code:  # some writes are not needed: those of the lock, or removing what is old
        check_sentence(ended, os.strerror(number))
    check_readable(case, directory)
    finish(case, stage, directory, reference)


@fault(_GROUP, f"a small file system (tmpfs) whose bytes or inodes are used up; {_RESUMED}", 40)
def full_disk(case: Case) -> None:
    stage = case.pick(_STAGES)
    reference = case.workshop.reference(stage)
    directory = case.directory / "case"
    directory.mkdir()
    with _mounted(directory):
        for path in reference.before.iterdir():
            trees.copy(path, directory / path.name)
        share = case.rng.random()
        before, after = _needed(reference.before), _needed(reference.after)
        limits = [int(one + share * (other - one)) for one, other in zip(before, after)]
        which = case.pick(["size", "size", "nr_inodes"])
        limit = limits[0] if which == "size" else limits[1] + 2
        case.note(f"{stage}: {which}={limit}")
        _mount("-o", f"remount,{which}={limit}", str(directory))
        ended = case.run(STAGES[stage].program, directory)
        if ended.code:
            check_sentence(ended, "No space left on device")
        _mount("-o", "remount,size=1g,nr_inodes=1000000", str(directory))
        check_readable(case, directory)
        finish(case, stage, directory, reference)


@fault(
    _GROUP,
    "no right to write a directory: one sentence, nothing changed; reading still works",
    15,
)
def read_only(case: Case) -> None:
    stage = case.pick(["extend", "record", "solve", "explore", "figures"])
    directory, reference = case.begin(stage)
    case.note(stage)
    for at, _, names in os.walk(directory, topdown=False):
        for path in (*(os.path.join(at, name) for name in names), at):
            os.chmod(path, os.stat(path).st_mode & ~0o222)
    ended = case.run(STAGES[stage].program, directory, powerless=True)
    check_sentence(ended, "Permission denied")
    assert case.run(VERIFY, directory, powerless=True).code == 0
    assert not trees.differences(reference.before, directory)
    for at, _, _ in os.walk(directory):
        os.chmod(at, 0o755)


@fault(_GROUP, "a file system that may not be written (EROFS): as above", 15)
def read_only_disk(case: Case) -> None:
    stage = case.pick(["extend", "record", "solve", "explore", "figures"])
    directory, reference = case.begin(stage)
    case.note(stage)
    options = {"root": directory, "decide": lambda process, write: errno.EROFS}
    check_sentence(case.run(STAGES[stage].program, directory, **options), os.strerror(errno.EROFS))
    assert case.run(VERIFY, directory, **options).code == 0
    assert not trees.differences(reference.before, directory)


@contextlib.contextmanager
def _mounted(directory: pathlib.Path):
    try:
        _mount("-t", "tmpfs", "-o", "size=1g", "tmpfs", str(directory))
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skipped("only root may mount a tmpfs") from error
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _needed(directory: pathlib.Path) -> tuple[int, int]:
    """Bytes and inodes that a directory needs in a tmpfs."""
    page, count, size = os.sysconf("SC_PAGE_SIZE"), 0, 0
    for at, folders, names in os.walk(directory):
        count += len(folders) + len(names)
        size += sum(-(-os.stat(os.path.join(at, name)).st_size // page) * page for name in names)
    return size + page, count
