"""The same work by two versions of the package, in turn: how much faster is this one?

    git worktree add ../before fd4823d
    python -m benchmarks.before_and_after ../before [--repeats 3] [--reproduce]

Each side is a process with its own checkout in front, that calls public names only and prints
times and numbers; the sides take turns, medians are shown, and the numbers must agree.
`--reproduce` also runs `make reproduce` of both, once.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from benchmarks import timing

_BEFORE, _AFTER = "before", "now"
_WORK = pathlib.Path(__file__).with_name("one_version.py")


def one_side(checkout):
    """Times and numbers of one version.

    Args:
        checkout: Its repository.

    Returns:
        {what: ([seconds, seconds of the processor], numbers)}.
    """
    call = [sys.executable, "-P", _WORK]
    output = timing.measured(call, {"PYTHONPATH": str(checkout)})[-1]
    return json.loads(output.splitlines()[-1])


def in_turn(sides, repeats):
    """Medians of both sides, which are checked to have found the same."""
    turns = {side: [] for side in sides}
    for turn in range(repeats):
        for side in list(sides)[:: -1 if turn % 2 else 1]:  # who is first changes
            turns[side].append(one_side(sides[side]))
        for what, (_, expected) in turns[_BEFORE][-1].items():
            found = turns[_AFTER][-1][what][1]
            # The first epoch of a training, of which two compilers round differently.
            np.testing.assert_allclose(found, expected, rtol=2e-2, err_msg=what)
    return {
        side: {
            what: np.median([turn[what][0] for turn in of_side], axis=0).tolist()
            for what in of_side[0]
        }
        for side, of_side in turns.items()
    }


def reproduced(checkout):
    """Seconds, and seconds of the processor, of `make reproduce` in a copy of the checkout."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "copy")
        subprocess.run(["git", "clone", "--quiet", checkout, copy], check=True)
        (copy / ".venv").symlink_to(pathlib.Path(sys.prefix))
        call = ["make", "--quiet", "--assume-old=.venv/.stamp", "reproduce"]
        seconds, processor, *_ = timing.measured(call, {"PYTHONPATH": str(copy)}, copy)
    return [seconds, processor]


def main(arguments=None):
    parser = timing.parser(__doc__)
    parser.add_argument("before", help="a checkout of the other version")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--reproduce", action="store_true", help="also `make reproduce`")
    options = parser.parse_args(arguments)
    here = pathlib.Path(__file__).resolve().parent.parent
    sides = {_BEFORE: pathlib.Path(options.before).resolve(), _AFTER: here}
    report = timing.Report("before_and_after", options.json)
    medians = in_turn(sides, options.repeats)
    if options.reproduce:
        for side, checkout in sides.items():
            medians[side]["make reproduce"] = reproduced(checkout)
    rows = [
        {
            "what": what,
            **{f"{side}, seconds": medians[side][what][0] for side in sides},
            **{f"{side}, of the processor": medians[side][what][1] for side in sides},
        }
        for what in medians[_AFTER]
    ]
    report.comparison(f"{_BEFORE} and {_AFTER}", rows, f"{_BEFORE}, seconds", f"{_AFTER}, seconds")
    commit = subprocess.run(
        ["git", "-C", options.before, "rev-parse", "--short", "HEAD"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    report.note(f"before: {commit.stdout.strip()}; medians of {options.repeats} turns")
    return report


if __name__ == "__main__":
    main()
