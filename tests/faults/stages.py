"""The commands that are disturbed, each with what it starts from and what it must end with."""

from __future__ import annotations

import pathlib
import shutil
from dataclasses import dataclass

from tests.faults import trees
from tests.faults.processes import Ended, Process, Program


def command(*lines: str | list[str]) -> Program:
    """Command lines of `python -m reproduce`, one after the other, as a program."""

    def program() -> int:
        from reproduce.cli import main

        _make_convnet_small()
        words = [line.split() if isinstance(line, str) else line for line in lines]
        return max(main(arguments) for arguments in words)

    return program


def _make_convnet_small() -> None:
    """Two steps an epoch: the moments of a kill count, not how long the steps between them take."""
    import dataclasses

    from reproduce import tasks

    scales = tasks.TASKS["convnet"].scales
    scales["quick"] = dataclasses.replace(scales["quick"], examples=256, points=16)


def _library() -> None:
    """A small network of a user's own, its regret and its exploration, without `reproduce`."""
    import numpy as np

    import nta_tf as nta
    from tests.networks import dense_chain

    x = np.random.default_rng(2).normal(size=(24, 6)).astype(np.float32)
    run = nta.train(
        dense_chain((6, 5, 6), ("relu", "linear"), seed=1, dtype="float32"),
        x,
        x,
        optimizer=nta.optimizers.get("adam", 0.01),
        epochs=4,
        batch_size=8,
        recorders=[nta.TaylorRounds(), nta.ActivationRounds(x)],
        directory="runs/own",
    )
    run.save_table("regret", nta.regret(run, "dense_2"))


def _study() -> None:
    """Two of the study's jobs, side by side with nothing, in a process of their own."""
    from reproduce.stages import study

    for _ in study.run(_jobs(), "runs"):
        pass


def _job() -> None:
    """One of them, in this process."""
    from reproduce.stages import study

    study.do(_jobs()[0], "runs", comparators=("static",))


def _jobs() -> list:
    from reproduce.stages import study

    jobs = study.choices("quick", epochs=2)
    return [jobs[0], jobs[4]]


@dataclass(frozen=True)
class Stage:
    """A command that is disturbed.

    Attributes:
        program: What is run.
        after: Name of the stage from whose result it starts, or None for an empty directory.
    """

    program: Program
    after: str | None = None


_TRAIN = "train --optimizers adam --layers dense_6 --protocols figures activations --out runs"
_PAIR = f"{_TRAIN} --epochs 3 --seeds 0 1"
_CONVNET = "--layers conv2d_3 --protocols figures activations"
STAGES = {
    "library": Stage(_library),
    "train": Stage(command(f"{_TRAIN} --epochs 3")),
    "extend": Stage(command(f"{_TRAIN} --epochs 5"), "train"),
    "solve": Stage(command("solve runs"), "train"),
    "explore": Stage(command("explore runs"), "solve"),
    "figures": Stage(command("figures 4 6 --runs runs --out figures"), "explore"),
    "train convnet": Stage(
        # bfloat16 is emulated on most processors, and takes ten times as long
        command(
            "train --task convnet --optimizers adam --epochs 2 --out runs --protocols figures "
            "--set dtype_policy=float32"
        )
    ),
    "record": Stage(command(f"record runs {_CONVNET}"), "train convnet"),
    "solve convnet": Stage(
        command("solve runs --domains ball --scopes conv2d_3 conv2d_3:1 conv2d_3:2"), "record"
    ),
    "pair": Stage(command(_PAIR, "solve runs", "explore runs")),
    "pair, trained again": Stage(command(_PAIR), "pair"),
    "pair, solved again": Stage(command("solve runs"), "pair"),
    "pair, explored again": Stage(command("explore runs"), "pair"),
    "pair, drawn": Stage(command("figures 4 6 --runs runs --out figures"), "pair"),
    "study, a job": Stage(_job),
    "study": Stage(_study),
}


@dataclass(frozen=True)
class Reference:
    """A stage undisturbed.

    Attributes:
        before: Directory in which it starts.
        after: Directory as it is then.
        ended: How it ended.
    """

    before: pathlib.Path
    after: pathlib.Path
    ended: Ended


class Workshop:
    """Stages undisturbed, each made when it is first needed.

    Args:
        root: Directory to work in.
    """

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self._references: dict[str, Reference] = {}

    def reference(self, name: str) -> Reference:
        """A stage undisturbed."""
        if name not in self._references:
            self._references[name] = self._made(name)
        return self._references[name]

    def _made(self, name: str) -> Reference:
        stage = STAGES[name]
        nothing = self.root / "nothing"
        nothing.mkdir(parents=True, exist_ok=True)
        before = self.reference(stage.after).after if stage.after else nothing
        directory = trees.copy(before, self.root / "after" / name)
        ended = Process(stage.program, directory, directory).wait()
        if ended.code:
            raise RuntimeError(f"{name}, undisturbed, ended with {ended.code}: {ended.err}")
        return Reference(before, directory, ended)


class Case:
    """One fault that is tried: a directory, random numbers, and stages to disturb.

    Attributes:
        directory: An empty directory.
        rng: NumPy generator.
        workshop: A `Workshop`.
        notes: What was drawn, for the log.
        signals: How many processes a signal ended.
    """

    def __init__(self, directory: pathlib.Path, rng, workshop: Workshop) -> None:
        self.directory = directory
        self.rng = rng
        self.workshop = workshop
        self.notes: list[str] = []
        self.signals = 0

    def begin(self, stage: str, name: str = "case") -> tuple[pathlib.Path, Reference]:
        """A fresh copy of what a stage starts from, and the stage undisturbed."""
        reference = self.workshop.reference(stage)
        target = self.directory / name
        shutil.rmtree(target, ignore_errors=True)
        return trees.copy(reference.before, target), reference

    def run(self, program: Program, directory: pathlib.Path, **options) -> Ended:
        """Runs a program to its end."""
        return Process(program, directory, **options).wait()

    def note(self, text: str) -> None:
        """Says what was drawn."""
        self.notes.append(text)

    def pick(self, things):
        """One of some things."""
        things = list(things)
        return things[int(self.rng.integers(len(things)))]


def finish(case: Case, stage: str, directory: pathlib.Path, reference: Reference) -> None:
    """Runs a stage that was disturbed again; all must then be as if it never had been."""
    ended = case.run(STAGES[stage].program, directory)
    assert ended.code == 0, f"the same command ended with {ended.code}: {ended.err}"
    different = trees.differences(reference.after, directory)
    assert not different, f"after the same command again: {different[:8]}"


def check_sentence(ended: Ended, *words: str) -> None:
    """An error of the command line: one sentence on standard error, which has the words."""
    assert ended.code == 1, f"ended with {ended.code}: {ended.err}"
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), ended.err
    missing = [word for word in words if word not in ended.err]
    assert not missing, f"the message lacks {missing}: {ended.err}"


VERIFY = command("verify runs")
