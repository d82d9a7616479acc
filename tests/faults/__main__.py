"""`python -m tests.faults`: tries every kind of fault, or one; repeats what a seed has drawn."""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time
import traceback
import zlib

import numpy as np

from tests.faults import damage, disks, interruptions, surroundings  # noqa: F401
from tests.faults.processes import import_everything
from tests.faults.registry import KINDS, Kind, Skipped
from tests.faults.stages import Case, Workshop

SKIPPED = "skipped"


def main(arguments: list[str] | None = None) -> int:
    """Tries faults; returns 0 if all were survived."""
    options = _parser().parse_args(arguments)
    import_everything()
    log = _Log(options.log)
    kinds = [KINDS[name] for name in options.only or KINDS]
    seed = int(time.time()) if options.seed is None else options.seed
    print(
        f"seed {seed}; repeat one with: python -m tests.faults --seed {seed} --only KIND --case N"
    )
    until = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="faults-") as root:
        workshop = Workshop(pathlib.Path(root, "workshop"))
        for kind, number in _order(kinds, options):
            if log.has(seed, kind, number):
                continue
            if time.monotonic() > until:
                print(f"{options.minutes:g} minutes are over; the same command goes on")
                break
            directory = pathlib.Path(root, "cases")
            directory.mkdir()
            log.add(seed, kind, number, *_tried(kind, seed, number, directory, workshop))
            shutil.rmtree(directory)
    for kind in kinds:
        print(log.line(kind))
    if options.json:
        log.write(options.json, kinds)
    return 1 if log.lost(kinds) else 0


def _order(kinds: list[Kind], options: argparse.Namespace) -> list[tuple[Kind, int]]:
    """Which faults are tried: one of each kind, then the next of each."""
    if options.case is not None:
        return [(kind, options.case) for kind in kinds]
    counts = {
        kind.name: min(kind.few if options.small else kind.cases, options.at_most) for kind in kinds
    }
    rounds = range(max(counts.values(), default=0))
    return [(kind, number) for number in rounds for kind in kinds if number < counts[kind.name]]


def _tried(kind: Kind, seed: int, number: int, directory: pathlib.Path, workshop: Workshop):
    """(what went wrong or None, what was drawn, seconds, signals) of one fault."""
    start = time.monotonic()
    rng = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), number])
    case = Case(directory, rng, workshop)
    wrong = None
    try:
        kind.attempt(case)
    except Skipped as reason:
        case.note(f"skipped: {reason}")
        return SKIPPED, case.notes, 0.0, 0
    except (AssertionError, TimeoutError) as error:
        wrong = str(error)
    except Exception:
        wrong = traceback.format_exc()
    return wrong, case.notes, round(time.monotonic() - start, 2), case.signals


class _Log:
    """What was tried so far, a line of JSON a fault; taken up where it ends."""

    def __init__(self, path: str | None) -> None:
        self._path = path and pathlib.Path(path)
        self._entries: list[dict] = []
        if self._path and self._path.exists():
            self._entries = [json.loads(line) for line in self._path.read_text().splitlines()]

    def has(self, seed: int, kind: Kind, number: int) -> bool:
        """Whether a fault was tried already."""
        key = (seed, kind.name, number)
        return any((e["seed"], e["kind"], e["case"]) == key for e in self._entries)

    def add(self, seed, kind, number, wrong, notes, seconds, signals) -> None:
        """Notes a fault that was tried."""
        entry = {"kind": kind.name, "case": number, "seed": seed, "wrong": wrong}
        entry |= {"drawn": notes, "seconds": seconds, "signals": signals}
        self._entries.append(entry)
        if wrong not in (None, SKIPPED):
            print(f"{kind.name} {number} ({'; '.join(notes)}): {wrong}", flush=True)
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a") as file:
                file.write(json.dumps(entry) + "\n")

    def of(self, kind: Kind) -> list[dict]:
        """What was tried of a kind."""
        return [entry for entry in self._entries if entry["kind"] == kind.name]

    def line(self, kind: Kind) -> str:
        """How many of a kind were tried and survived."""
        tried, survived = self.counts(kind)
        seconds = sum(entry["seconds"] for entry in self.of(kind))
        return f"{kind.name}: {survived} of {tried} survived, {seconds:.0f} s"

    def counts(self, kind: Kind) -> tuple[int, int]:
        """How many of a kind were tried, and how many survived."""
        results = [entry["wrong"] for entry in self.of(kind) if entry["wrong"] != SKIPPED]
        return len(results), results.count(None)

    def lost(self, kinds: list[Kind]) -> bool:
        """Whether any fault of them was not survived."""
        return any(len(set(self.counts(kind))) > 1 for kind in kinds)

    def write(self, path: str, kinds: list[Kind]) -> None:
        """Writes the numbers, for docs/reliability.md."""
        rows = []
        for kind in kinds:
            entries = [entry for entry in self.of(kind) if entry["wrong"] != SKIPPED]
            tried, survived = self.counts(kind)
            row = {"kind": kind.name, "group": kind.group, "what": kind.what}
            row |= {"tried": tried, "survived": survived}
            row |= {"signals": sum(entry["signals"] for entry in entries)}
            row |= {"seconds": round(sum(entry["seconds"] for entry in entries))}
            rows.append({**row, "seeds": sorted({entry["seed"] for entry in entries})})
        content = {"date": time.strftime("%Y-%m-%d"), "kinds": rows}
        pathlib.Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=list(KINDS), metavar="KIND", help="kinds; default: all")
    add("--seed", type=int, help="seed of everything that is drawn; default: the time")
    add("--case", type=int, help="only the fault of this number")
    add("--at-most", type=int, default=10**9, help="how many of each kind at most")
    add("--minutes", type=float, default=1e9, help="how long to go on at most")
    add("--small", action="store_true", help="the few of each kind that the suite tries")
    add("--log", help="file to which each fault is added; what stands there is not tried again")
    add("--json", help="file for how many were tried and survived")
    return parser


if __name__ == "__main__":
    sys.exit(main())
