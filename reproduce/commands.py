"""What each stage does on the command line. Only this module and `cli` print."""

import argparse
import operator
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from reproduce import files, optimizers, paths, quiet
from reproduce.results.runs import ResultsError, find_runs
from reproduce.stages import engines, jobs


def train(options: argparse.Namespace) -> None:
    """`train`: one line a run as it ends, then a table of all."""
    quiet.import_tensorflow(options.verbose)
    from reproduce import processors, tasks
    from reproduce.stages.train import train as run_all

    if not {"", os.getcwd()} & set(sys.path):  # where optimizers of one's own may stand
        sys.path.insert(0, os.getcwd())
    task, changes = tasks.TASKS[options.task], dict(options.set)
    asked = [one for text in options.optimizers or () for one in optimizers.parse(text, task.name)]
    if changes.get("optimizer_variant") == optimizers.KERAS_3:
        asked = [optimizers.Optimizer.of(one.name, one.rate, optimizers.KERAS_3) for one in asked]
    runs = run_all(
        options.task,
        options.scale,
        options.data,
        asked or None,
        options.seeds,
        options.out,
        options.epochs,
        options.protocols,
        options.layers,
        changes,
        options.data_dir,
        options.jobs,
        options.scheduler,
    )
    if scale := task.scales.get(options.scale):  # else training says so
        policy = tasks.training(scale, changes).dtype_policy
        if warning := processors.warning(policy, quiet.accelerators()):
            print(warning, file=sys.stderr)
    rows, start, alone = [], time.perf_counter(), not _side_by_side(options)
    for run in runs:
        seconds = time.perf_counter() - start
        start += seconds * alone
        rows.append(
            {
                "run": run.directory.name,
                "status": run.status,
                "epochs": run.epochs,
                "first epoch's loss": run.losses[0].mean(),
                "last epoch's loss": run.losses[-1].mean(),
                "seconds" if alone else "done after seconds": round(seconds, 1),
            }
        )
        if not sys.stdout.isatty():
            print(f"{run.directory}: {run.status}, {seconds:.0f} s", flush=True)
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.5f}"))
    stage = "record" if task.scales[options.scale].weights else _tables_stage(options.protocols)
    _next(stage, options.out)


def record(options: argparse.Namespace) -> None:
    """`record`: what each record will take, before it is made."""
    quiet.import_tensorflow(options.verbose)
    from reproduce.stages.outputs import find_run_directories
    from reproduce.stages.record import prepare

    directories = find_run_directories(options.runs)
    if _side_by_side(options):
        asked = options.protocols, options.layers, options.data_dir
        for directory, _ in _each_run(options, jobs.record, directories, *asked):
            print(f"{directory}: recorded", flush=True)
    else:
        for directory in directories:
            recording = prepare(directory, options.protocols, options.layers, options.data_dir)
            for cost in recording.cost().itertuples():
                print(
                    f"{directory.name}, record {cost.record}: {cost.rounds} rounds, "
                    f"{cost.bytes / 2**20:,.0f} MiB, about {cost.seconds:,.0f} s",
                    flush=True,
                )
            recording.record()
    _next(_tables_stage(options.protocols), options.runs)


def solve(options: argparse.Namespace) -> None:
    """`solve`: one line a run."""
    quiet.import_tensorflow(options.verbose)
    from reproduce.stages import solve as stage
    from reproduce.stages.outputs import find_run_directories, save

    asked = "neurons", "scopes", "records", "checkpoints", "domains", "comparators", "again"
    chosen = {name: getattr(options, name) for name in asked}
    directories, start = find_run_directories(options.runs), time.perf_counter()
    for directory, written in _solved(stage, options, directories, chosen):
        _written(written, start)
        start = time.perf_counter()
        if options.save:
            print(f"saved as {save(directory, options.save, written)}")
    _next(_figures_stage(find_run_directories(options.runs)), options.runs)


def _solved(stage, options: argparse.Namespace, directories: list[Path], chosen: dict) -> Iterator:
    """Each run as it is solved, with the tables written."""
    if _side_by_side(options):
        workers = options.jobs, options.scheduler
        yield from stage.solve_side_by_side(directories, *workers, **chosen)
        return
    for directory in directories:
        bar = _bar(f"solve {directory.name}", "scope")
        yield directory, stage.solve(directory, bar, **chosen)


def bound(options: argparse.Namespace) -> None:
    """`bound`: one line a run with its smallest slack, and which runs had no gradient norms."""
    quiet.import_tensorflow(options.verbose)
    from reproduce.stages.bound import bound as bound_run
    from reproduce.stages.bound import find_recorded
    from reproduce.stages.outputs import save

    recorded, others = find_recorded(options.runs)
    for directory in others:
        print(f"{directory}: no record of gradient norms, left out")
    for directory in recorded:
        start = time.perf_counter()
        written = bound_run(
            directory,
            _bar(f"bound {directory.name}", "scope"),
            scopes=options.scopes,
            checkpoints=options.checkpoints,
            domains=options.domains,
        )
        table = pd.read_csv(written[-1])
        slack = table["slack"].min()
        above = int((table["slack"] < -table["rounding"]).sum())
        told = f", smallest slack {slack:.3g}, {above} above the bound" if slack == slack else ""
        _written(written, start, told)
        if options.save:
            print(f"saved as {save(directory, options.save, written)}")
    _next(_figures_stage(recorded, "figures bound --runs"), options.runs)


def explore(options: argparse.Namespace) -> None:
    """`explore`: one line a run, and which runs had nothing to explore."""
    quiet.import_tensorflow(options.verbose)
    from reproduce.stages.explore import explore as explore_run
    from reproduce.stages.explore import find_recorded
    from reproduce.stages.outputs import save

    recorded, others = find_recorded(options.runs)
    for directory in others:
        print(f"{directory}: no record of activations, left out")
    start = time.perf_counter()
    for directory, written in _explored(explore_run, options, recorded):
        empty = "" if len(pd.read_csv(written[-1])) else ", fewer than two rounds to compare"
        _written(written, start, empty)
        start = time.perf_counter()
        if options.save:
            print(f"saved as {save(directory, options.save, written)}")
    _next(_figures_stage(recorded, "figures 5 --runs"), options.runs)


def _explored(explore_run: Callable, options: argparse.Namespace, directories: list[Path]):
    """Each run as it is measured, with the tables written."""
    if _side_by_side(options):
        yield from _each_run(options, jobs.explore, directories)
        return
    for directory in directories:
        yield directory, explore_run(directory, _bar(f"explore {directory.name}", "scope"))


def _side_by_side(options: argparse.Namespace) -> bool:
    """Whether jobs go to other processes."""
    return options.jobs > 1 or options.scheduler is not None


def _each_run(options: argparse.Namespace, function: Callable, directories: list[Path], *asked):
    """Each run as its job ends, with what the job returned."""
    calls = {directory: (os.path.abspath(directory), *asked) for directory in directories}
    return engines.completed(function, calls, options.jobs, options.scheduler)


def verify(options: argparse.Namespace) -> None:
    """`verify`: one line a damaged file, or that there is none."""
    quiet.import_tensorflow(options.verbose)
    import nta_tf as nta
    from reproduce.stages.outputs import find_run_directories

    damaged = 0
    for directory in find_run_directories(options.runs):
        damages = nta.trace.verify(directory)
        damaged += len(damages)
        for damage in damages:
            print(f"{directory / damage.file}: {damage.problem}. {damage.remedy}")
        print(f"{directory}: {len(damages) or 'no'} damaged file{'' if len(damages) == 1 else 's'}")
    if damaged:
        raise ResultsError(f"{damaged} files are damaged; what to do is said behind each.")


def illustrations(options: argparse.Namespace) -> None:
    """`illustrations`: the files written."""
    quiet.import_tensorflow(options.verbose)
    from reproduce.stages.illustrations import illustrate

    _list(illustrate(options.out))


def lines(options: argparse.Namespace) -> None:
    """`lines`: the files written."""
    quiet.import_tensorflow(options.verbose)
    from reproduce.stages.lines import write

    asked = options.epoch, options.seed, options.points, options.data_dir
    _list(write(options.run, options.out, *asked))


def figures(options: argparse.Namespace) -> None:
    """`figures`: the files written, of the paper's figures or of any runs."""
    from reproduce.figures import registry

    given = [word for word in options.numbers if registry.registered(word) is None]
    runs = [word for word in given if Path(word).is_dir()]
    if not runs:
        _list(_draw(options))
        return
    other = [name for name in ("sgd", "ball", "variant", "comparator") if _asked(options, name)]
    if len(runs) < len(options.numbers) or other:
        raise ResultsError(
            "Runs of one's own are drawn by `figures RUN ...` with --layer, --records and --out; "
            "the paper's figures of runs by `figures NUMBER ... --runs RUNS`. Received: "
            f"{' '.join([*options.numbers, *(f'--{name}' for name in other)])}"
        )
    quiet.import_tensorflow(options.verbose)
    from reproduce.stages.overview import draw

    record = options.records[0] if options.records else None
    _list(
        [draw(runs, options.out, options.layer, record, lambda run: _bar(f"solve {run}", "scope"))]
    )


def compare(options: argparse.Namespace) -> None:
    """`compare`: one line a claim, or a comparison with other results; where the rest is."""
    if options.against:
        _compare_against(options)
        return
    table, written = _judge(options)
    print(table if options.details else _summary(table))
    _list(written)


def _compare_against(options: argparse.Namespace) -> None:
    from reproduce.results import against, exchange

    runs = find_runs(options.runs)
    if options.experiment:
        names = runs["task"] + "/" + runs["experiment"]
        runs = runs[names == options.experiment]
        if runs.empty:
            raise ResultsError(
                f"There is no experiment {options.experiment} in {options.runs}; there are "
                f"{', '.join(sorted(set(names)))}."
            )
    ours, theirs = exchange.of_runs(runs), exchange.read(options.against)
    table = against.compare(exchange.quantities(ours), exchange.quantities(theirs))
    print(against.summary(table).to_string(index=False, float_format=lambda value: f"{value:.2g}"))
    _list([files.write_csv(_out(options) / "against.csv", table, digits=6)])


def everything(options: argparse.Namespace) -> None:
    """Without a stage: the paper's figures, claims, report, and a summary that fits a screen."""
    print(_everything(options))


def _everything(options: argparse.Namespace) -> str:
    from reproduce import report as page

    start = time.perf_counter()
    _draw(options, variants=False)
    table, _ = _judge(options)
    out = _out(options)
    written = page.write(options.runs, out, out / "report.html", table)
    return f"{_summary(table)}\n{written} ({time.perf_counter() - start:.0f} s)"


def report(options: argparse.Namespace) -> None:
    """`report`: the page, of the figures that are drawn already."""
    from reproduce import report as page

    out = _out(options)
    _list([page.write(options.runs, out, out / "report.html")])


def study(options: argparse.Namespace) -> None:
    """`study`: one line a job as it ends, and where the tables are."""
    from reproduce.stages import study as stage

    wanted = [
        *stage.choices(options.scale, options.epochs),
        *stage.seeds(options.seeds, scale=options.scale, epochs=options.epochs),
    ]
    where = options.out, options.jobs, options.data_dir, options.scheduler
    for job, directory in stage.run(wanted, *where):
        print(f"{job.experiment}, {directory.name}: done", flush=True)
    _next("report --runs", options.out)


def quick(options: argparse.Namespace) -> None:
    """`quick`: what each stage took, the summary of the paper's claims, where the rest is."""
    from reproduce.stages import quick as stage

    start = time.perf_counter()
    for _, steps in stage.run(options.out, options.jobs, options.epochs):
        for step in steps:
            print(f"{step.seconds:5.0f} s  {step.command}", flush=True)
    of_runs = argparse.Namespace(
        **{**vars(options), "runs": options.out, "out": None, "numbers": []}
    )
    of_paper = argparse.Namespace(
        **{**vars(of_runs), "runs": str(paths.traces()), "out": str(paths.figures())}
    )
    workers = min(2, options.jobs or os.cpu_count() or 1)
    calls: dict[str, tuple] = {"runs": (_draw, of_runs), "paper": (_everything, of_paper)}
    texts = dict(engines.completed(operator.call, calls, workers))
    print(f"\n{texts['paper']}")
    print(
        f"The quick runs are in {options.out}, their figures in {_out(of_runs)}; all of it took "
        f"{time.perf_counter() - start:.0f} s."
    )


def _draw(options: argparse.Namespace, variants: bool = True) -> list[Path]:
    from reproduce.figures import registry

    asked = ("records", "layer", "sgd", "ball", "variant", "comparator")
    chosen = {name: getattr(options, name) for name in asked if _asked(options, name)}
    numbers = options.numbers or registry.ALL
    return registry.draw(numbers, options.runs, _out(options), variants, **chosen)


def _asked(options: argparse.Namespace, name: str) -> bool:
    return getattr(options, name) is not None


def _judge(options: argparse.Namespace) -> tuple[pd.DataFrame, list[Path]]:
    from reproduce import claims

    table = claims.compare(options.runs)
    return table, claims.write(table, options.runs, _out(options))


def _summary(table: pd.DataFrame) -> str:
    from reproduce import claims

    return claims.summary(table)


def _out(options: argparse.Namespace) -> Path:
    """Where drawings go: nobody's own runs may overwrite those of the clone."""
    if options.out:
        return Path(options.out)
    if Path(options.runs).resolve() == paths.traces().resolve():
        return paths.figures()
    return Path(options.runs) / "figures"


def _tables_stage(recorded: list[str] | None) -> str:
    if recorded and "gradient_norms" in recorded:
        return "bound"
    return "explore" if recorded == ["activations"] else "solve"


def _figures_stage(directories: list[Path], of_paper: str = "figures --runs") -> str:
    """How the runs are drawn: as the paper's, if all of them are of its tasks."""
    import nta_tf as nta

    ours = all("task" in nta.Run.open(one).config["metadata"] for one in directories)
    return of_paper if ours else "figures"


def _bar(text: str, unit: str) -> Callable[[list], Iterable]:
    return lambda items: tqdm(items, desc=text, unit=unit, disable=None)


def _written(written: list[Path], start: float, remark: str = "") -> None:
    seconds = time.perf_counter() - start
    print(f"{written[0].parent}: {len(written)} tables{remark}, {seconds:.1f} s", flush=True)


def _next(stage: str, runs: str) -> None:
    print(f"next: python -m reproduce {stage} {runs}")


def _list(written: list[Path]) -> None:
    for path in written:
        print(path)
