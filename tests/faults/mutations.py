"""`python -m tests.faults.mutations`: plants errors, and says which of them no test noticed.

Each error of `planted` is written into a copy of the tree, never into the checkout, and the tests
that concern the module run in a fork of a process that has imported TensorFlow. What has caught
an error must pass without it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from tests.faults.planted import MUTATIONS, Mutation
from tests.faults.processes import Process

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_OURS = ("nta_tf", "reproduce", "tests", "benchmarks")
# Seconds after which tests count as hanging: an error may have made a loop endless.
_LONGEST = 900.0


def main(arguments: list[str] | None = None) -> int:
    """Plants the errors; returns 0 if each was noticed or is equivalent."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutations", description=__doc__)
    parser.add_argument("--json", help="file of the results; what it holds is not tried again")
    parser.add_argument("--only", help="only errors whose name has this text, tried in any case")
    options = parser.parse_args(arguments)
    results = _read(options.json)
    with tempfile.TemporaryDirectory(prefix="mutations-") as directory:
        copy = pathlib.Path(directory, "copy")
        _copy_tree(copy)
        _import_others()
        for mutation in MUTATIONS:
            known = mutation.name in results and not options.only
            if known or (options.only or "") not in mutation.name:
                continue
            start = time.monotonic()
            with _planted(copy, mutation):
                caught = _failing(copy, mutation.tests)
            if "::" in caught and _failing(copy, (caught,)):
                raise SystemExit(f"{caught} fails without an error, too")
            caught = caught.partition("[")[0]
            results[mutation.name] = {"caught": caught, "seconds": round(time.monotonic() - start)}
            print(f"{'caught by ' + caught if caught else 'SURVIVED'}: {mutation.name}", flush=True)
            if options.json:
                _write(options.json, results)
    survived = [
        one
        for one in MUTATIONS
        if not one.equivalent and not results.get(one.name, {"caught": True})["caught"]
    ]
    print(f"{len(survived)} of {len(MUTATIONS)} survived")
    return 1 if survived else 0


def _read(path: str | None) -> dict[str, dict]:
    if not path or not pathlib.Path(path).exists():
        return {}
    rows = json.loads(pathlib.Path(path).read_text())["mutations"]
    return {row["error"]: {"caught": row["caught"], "seconds": row["seconds"]} for row in rows}


def _write(path: str, results: dict[str, dict]) -> None:
    rows = [
        {"error": one.name, **results[one.name], "equivalent": one.equivalent}
        for one in MUTATIONS
        if one.name in results
    ]
    content = {"date": time.strftime("%Y-%m-%d"), "mutations": rows}
    pathlib.Path(path).write_text(json.dumps(content, indent=1) + "\n")


def _copy_tree(copy: pathlib.Path) -> None:
    """What git knows of the checkout, as it lies there."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=_ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (_ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_ROOT / name, copy / name)


@contextlib.contextmanager
def _planted(copy: pathlib.Path, mutation: Mutation):
    path = copy / mutation.module
    text = path.read_text()
    if text.count(mutation.piece) != 1:
        raise SystemExit(f"{mutation.name}: the piece stands there {text.count(mutation.piece)} x")
    path.write_text(text.replace(mutation.piece, mutation.instead))
    try:
        yield
    finally:
        path.write_text(text)


def _import_others() -> None:
    """What the package and its tests import of others; nothing of it runs here."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "Agg"}
    import hypothesis  # noqa: F401
    import keras  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import numba  # noqa: F401
    import pandas  # noqa: F401
    import pytest  # noqa: F401
    import scipy.optimize  # noqa: F401
    import tensorflow  # noqa: F401
    import zarr  # noqa: F401


def _failing(copy: pathlib.Path, tests: tuple[str, ...]) -> str:
    """The first test that fails in the copy, or "" if all pass."""
    found = copy.parent / "failing"
    found.write_text("")

    def program() -> int:
        import pytest

        _forget_own_modules(copy)
        names = [f"tests/{test}" for test in tests]
        words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *names]
        code = pytest.main(words, plugins=[_First(found)])
        if code not in (0, 1):
            found.write_text(f"pytest, with {int(code)}")
        return 0

    try:
        ended = Process(program, copy, seconds=_LONGEST).wait()
    except TimeoutError:
        return "the time, which it took too long"
    if ended.code:
        return f"the process, which ended with {ended.code}"
    return found.read_text()


class _First:
    """A plugin of pytest that writes down the first test that fails."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report) -> None:
        """Called after each part of a test."""
        if report.failed and not self._path.read_text():
            self._path.write_text(report.nodeid.removeprefix("tests/"))

    def pytest_collectreport(self, report) -> None:
        """Called after each file."""
        if report.failed and not self._path.read_text():
            self._path.write_text(report.nodeid.removeprefix("tests/"))


def _forget_own_modules(copy: pathlib.Path) -> None:
    """Whatever is imported from now on is that of the copy, and leaves no stale bytecode."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    here = {"", str(_ROOT), os.getcwd()}
    sys.path[:] = [str(copy), *(entry for entry in sys.path if entry not in here)]
    os.environ["PYTHONPATH"] = str(copy)
    sys.dont_write_bytecode = True


if __name__ == "__main__":
    sys.exit(main())
