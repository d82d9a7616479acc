"""Files of a run that are cut short, changed, exchanged or gone when they are read."""

from __future__ import annotations

import os
import pathlib
import shutil

from tests.faults import trees
from tests.faults.registry import fault
from tests.faults.stages import STAGES, VERIFY, Case, check_sentence

_GROUP = "damage"
_NEVER = (
    "A random file is cut, changed in a bit, overwritten in part, exchanged with another or gone: "
    "`verify` tells; other stages say so in a sentence, or end bit for bit as without it"
)
_RUN, _OTHER = "runs/adam_0.01_seed0", "runs/adam_0.01_seed1"
_AGAIN = ["pair, trained again", "pair, solved again", "pair, explored again", "pair, drawn"]


def chunks(path: str) -> bool:
    """Rows of the trace."""
    return "trace.zarr" in path and "/c/" in path


def metadata(path: str) -> bool:
    """What zarr knows of an array or a group."""
    return path.endswith("zarr.json")


def markers(path: str) -> bool:
    """Config and progress."""
    return path.endswith(("config.json", "progress.json"))


def checkpoints(path: str) -> bool:
    """Weights and optimizer."""
    return "/checkpoints/" in path


def tables(path: str) -> bool:
    """Tables."""
    return path.endswith(".csv")


def checksums(path: str) -> bool:
    """Checksums of tables."""
    return path.endswith(".checksum")


def _cut(case: Case, path: pathlib.Path) -> None:
    os.truncate(path, int(case.rng.integers(path.stat().st_size)))


def _flip(case: Case, path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes())
    data[case.rng.integers(len(data))] ^= 1 << case.rng.integers(8)
    path.write_bytes(data)


def _overwrite(case: Case, path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes())
    start = int(case.rng.integers(len(data)))
    size = len(data[start : start + 512])
    data[start : start + 512] = bytes(size) if case.rng.random() < 0.5 else case.rng.bytes(size)
    path.write_bytes(data)


def _delete(case: Case, path: pathlib.Path) -> None:
    path.unlink()


def _exchange(case: Case, path: pathlib.Path) -> None:
    """With a file of the same kind in the run, or the file of its name in another run."""
    if case.rng.random() < 0.5:
        root = next(parent for parent in path.parents if parent.name == pathlib.Path(_RUN).name)
        other = root.parents[1] / _OTHER / path.relative_to(root)
    else:
        alike = [p for p in path.parents[3].rglob(path.name) if p.is_file() and p != path]
        other = case.pick(sorted(alike)) if alike else path
    case.note(f"with {other.parent.name}/{other.name}")
    data = path.read_bytes()
    shutil.copyfile(other, path)
    other.write_bytes(data)


_WAYS = {
    "cut": _cut,
    "flipped": _flip,
    "overwritten": _overwrite,
    "deleted": _delete,
    "exchanged": _exchange,
}


def _damaged(of, cases: int, few: int = 0) -> None:
    def attempt(case: Case) -> None:
        directory, _ = case.begin(_AGAIN[0])
        before = trees.contents(directory)
        name = case.pick(name for name in before if name.startswith(_RUN) and of(name))
        way = case.pick(_WAYS)
        case.note(f"{way}: {name}")
        _WAYS[way](case, directory / name)
        after = trees.contents(directory)
        touched = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
        if not touched:
            case.note("which changed nothing")
            return
        _check_told(case, directory, touched)
        for stage in sorted(case.rng.permutation(_AGAIN)[:2]):
            _check_never_wrong(case, stage, directory, touched)

    attempt.__name__ = f"damaged {of.__name__}"
    fault(_GROUP, f"{of.__doc__} {_NEVER}", cases, few)(attempt)


def _check_told(case: Case, directory: pathlib.Path, touched: set[str]) -> None:
    """`verify` names the run of each file that was touched, and ends with 1."""
    ended = case.run(VERIFY, directory)
    assert ended.code == 1, f"verify ended with {ended.code}: {ended.out}"
    assert "Traceback" not in ended.err and len(ended.err.splitlines()) == 1, ended.err
    told = ended.out + ended.err
    for run in {"/".join(name.split("/")[:2]) for name in touched}:
        assert run in told, told


def _check_never_wrong(case: Case, stage: str, directory: pathlib.Path, touched: set[str]) -> None:
    """A stage ends with a sentence, or as without the damage; what it wrote is right."""
    copy = trees.copy(directory, case.directory / "again")
    ended = case.run(STAGES[stage].program, copy)
    if ended.code:
        check_sentence(ended, "runs/")
    expected = trees.contents(case.workshop.reference(stage).after)
    found = trees.contents(copy)
    names = found.keys() if ended.code else expected.keys() | found.keys()
    wrong = [n for n in names if n not in touched and expected.get(n) != found.get(n)]
    assert not wrong, f"{stage}, which ended with {ended.code}, left other {wrong[:5]}"
    shutil.rmtree(copy)


_damaged(chunks, 100, 2)
_damaged(metadata, 80, 1)
_damaged(markers, 40)
_damaged(checkpoints, 40)
_damaged(tables, 50, 1)
_damaged(checksums, 30)
