"""The command line. Only this module prints."""

import argparse
import json
import os
import sys
import time

import pandas as pd
from tqdm import tqdm

from reproduce import paths
from reproduce.tables import ResultsError

_PROTOCOLS_HELP = (
    "what is recorded: 'activations' (for exploration) and the scale's protocols of Taylor "
    "rounds, such as 'figures' or 'definition'; default: all"
)
_AS_IN_THE_PAPER = {"records": None, "layer": None, "sgd": None, "ball": None}


def main(arguments=None):
    """Runs `python -m reproduce`; returns the exit code.

    Args:
        arguments: List of command line arguments. Defaults to those of the process.

    Returns:
        0, or 1 after an error, whose one sentence went to standard error.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
    options = _parser().parse_args(arguments)
    try:
        options.stage(options)
    except (ValueError, OSError, NotImplementedError, ResultsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    return 0


def _train(options):
    from reproduce import tasks
    from reproduce.train import train

    task = tasks.TASKS[options.task]
    pairs = _optimizers(options.optimizers, task.optimizers())
    runs = train(
        options.task,
        options.scale,
        options.data,
        pairs,
        options.seeds,
        options.out,
        options.epochs,
        options.protocols,
        options.layers,
        dict(options.set),
        options.data_dir,
    )
    rows, start = [], time.perf_counter()
    for run in runs:
        seconds, start = time.perf_counter() - start, time.perf_counter()
        rows.append(
            {
                "run": run.directory.name,
                "status": run.status,
                "epochs": run.epochs,
                "first epoch's loss": run.losses[0].mean(),
                "last epoch's loss": run.losses[-1].mean(),
                "seconds": round(seconds, 1),
            }
        )
        if not sys.stdout.isatty():
            print(f"{run.directory}: {run.status}, {seconds:.0f} s", flush=True)
    _show(pd.DataFrame(rows))
    stage = "record" if task.scales[options.scale].weights else _tables_stage(options.protocols)
    print(f"next: python -m reproduce {stage} {options.out}")


def _record(options):
    from reproduce.record import prepare
    from reproduce.results import find_run_directories

    for directory in find_run_directories(options.runs):
        recording = prepare(directory, options.protocols, options.layers, options.data_dir)
        for cost in recording.cost().itertuples():
            print(
                f"{directory.name}, record {cost.record}: {cost.rounds} rounds, "
                f"{cost.bytes / 2**20:,.0f} MiB, about {cost.seconds:,.0f} s",
                flush=True,
            )
        recording.record()
    print(f"next: python -m reproduce {_tables_stage(options.protocols)} {options.runs}")


def _solve(options):
    from reproduce.results import find_run_directories, save
    from reproduce.solve import solve

    for directory in find_run_directories(options.runs):
        start = time.perf_counter()

        def progress(pairs, name=directory.name):
            return tqdm(pairs, desc=f"solve {name}", unit="scope", disable=None)

        written = solve(
            directory,
            progress,
            options.neurons,
            options.scopes,
            options.records,
            options.checkpoints,
            options.domains,
        )
        seconds = time.perf_counter() - start
        print(f"{written[0].parent}: {len(written)} tables, {seconds:.1f} s", flush=True)
        if options.save:
            print(f"saved as {save(directory, options.save, written)}")
    print(f"next: python -m reproduce figures --runs {options.runs}")


def _explore(options):
    from reproduce.explore import explore, find_recorded
    from reproduce.results import save

    recorded, others = find_recorded(options.runs)
    for directory in others:
        print(f"{directory}: no record of activations, left out")
    for directory in recorded:
        start = time.perf_counter()

        def progress(scopes, name=directory.name):
            return tqdm(scopes, desc=f"explore {name}", unit="scope", disable=None)

        written = explore(directory, progress)
        seconds = time.perf_counter() - start
        empty = "" if len(pd.read_csv(written[-1])) else ", fewer than two rounds to compare"
        print(f"{written[0].parent}: {len(written)} tables{empty}, {seconds:.1f} s", flush=True)
        if options.save:
            print(f"saved as {save(directory, options.save, written)}")
    print(f"next: python -m reproduce figures 5 --runs {options.runs}")


def _illustrations(options):
    from reproduce import illustrations

    _list(illustrations.illustrate(options.out))


def _lines(options):
    from reproduce import lines

    asked = options.epoch, options.seed, options.points, options.data_dir
    _list(lines.write(options.run, options.out, *asked))


def _figures(options):
    from reproduce import figures

    chosen = {name: getattr(options, name) for name in _AS_IN_THE_PAPER}
    _list(figures.draw(options.numbers or figures.ALL, options.runs, options.out, **chosen))


def _compare(options):
    from reproduce import compare, exploration_table

    claims, totals = compare.compare(options.runs), exploration_table.totals(options.runs)
    print(compare.markdown(claims))
    written = compare.write(claims, options.out)
    if len(totals):
        written += exploration_table.write(totals, options.out, compare.markdown)
    _list(written)


def _everything(options):
    _figures(options)
    _compare(options)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m reproduce",
        description="Figures and claims of 'Neural Taylor Approximations' (ICML 2017). "
        "Without a command: draws the figures and judges the claims from saved results.",
    )
    _drawing_options(parser)
    parser.set_defaults(stage=_everything, numbers=[], **_AS_IN_THE_PAPER)
    stages = parser.add_subparsers(title="stages", metavar="STAGE")
    _add_train(stages)
    _add_record(stages)
    _add_solve(stages)
    _add_explore(stages)
    _add_illustrations(stages)
    _add_lines(stages)
    _add_figures(stages)
    _add_compare(stages)
    return parser


def _add_train(stages):
    stage = stages.add_parser(
        "train",
        help="train the paper's networks, record Taylor rounds and activations",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = stage.add_argument
    add("--task", default="autoencoder", choices=["autoencoder", "convnet"], help="which network")
    add(
        "--scale",
        default="quick",
        choices=["quick", "medium", "paper"],
        help="quick: shipped digits, a minute; paper: MNIST, 100 epochs",
    )
    add("--data", choices=["sample", "mnist", "cifar10"], help="data, instead of the scale's own")
    add("--data-dir", help="where TFDS keeps its datasets, instead of TFDS_DATA_DIR")
    add(
        "--optimizers",
        nargs="+",
        metavar="NAME[:RATE]",
        help="adam, rmsprop, sgd, adam_keras, rmsprop_keras; without a rate those of the "
        "paper; default: the paper's five",
    )
    add("--seeds", nargs="+", type=int, default=[0], help="seeds of weights and data order")
    add("--epochs", type=int, help="number of epochs, instead of the scale's own")
    add("--protocols", nargs="+", help=_PROTOCOLS_HELP)
    add("--layers", nargs="+", help="layers of the Taylor rounds, instead of the scale's own")
    add(
        "--set",
        nargs="+",
        default=[],
        type=_setting,
        metavar="OPTION=VALUE",
        help="change an open choice of the paper, such as output_activation=sigmoid, "
        "kernel_initializer, use_bias, input_scaling, optimizer_variant",
    )
    add("--out", default="runs", help="directory of the runs; a killed one is resumed")
    stage.set_defaults(stage=_train)


def _add_record(stages):
    stage = stages.add_parser(
        "record", help="record Taylor rounds and activations of runs that kept weights (convnets)"
    )
    stage.add_argument("runs", help="a run, or a directory of runs; what is there is not repeated")
    stage.add_argument("--protocols", nargs="+", help=_PROTOCOLS_HELP)
    stage.add_argument("--layers", nargs="+", help="layers of the Taylor rounds")
    stage.add_argument("--data-dir", help="where TFDS keeps its datasets, instead of TFDS_DATA_DIR")
    stage.set_defaults(stage=_record)


def _add_solve(stages):
    stage = stages.add_parser("solve", help="find the Taylor optima of saved runs")
    _table_options(stage)
    stage.add_argument("--records", nargs="+", help="records to solve; default: all")
    stage.add_argument(
        "--scopes",
        nargs="+",
        help="'network', layers ('conv2d_2') or neurons ('conv2d_2:7'); default: all layers, "
        "the network, and some neurons a layer",
    )
    stage.add_argument("--neurons", type=int, help="how many neurons a layer; default: the scale's")
    stage.add_argument(
        "--checkpoints",
        type=int,
        help="at the end of how many epochs; default: all, or 20 where there is no closed form",
    )
    stage.add_argument(
        "--domains",
        nargs="+",
        default=["ball", "free"],
        choices=["ball", "free"],
        help="over which V: the ball of Theorem 2, or all; single neurons only over the ball "
        "unless 'free' is asked for alone; default: both",
    )
    stage.set_defaults(stage=_solve)


def _add_explore(stages):
    stage = stages.add_parser(
        "explore", help="measure the exploration of runs that recorded activations"
    )
    _table_options(stage)
    stage.set_defaults(stage=_explore)


def _add_illustrations(stages):
    stage = stages.add_parser(
        "illustrations", help="compute Figures 1 and 2 from small networks, a minute"
    )
    _tables_option(stage)
    stage.set_defaults(stage=_illustrations)


def _add_lines(stages):
    stage = stages.add_parser(
        "lines", help="compute losses and Taylor losses along lines through W^n, for Figure A4"
    )
    stage.add_argument("run", help="a run; its kept weights, or those after its last epoch")
    stage.add_argument("--epoch", type=int, help="epoch of the round, where weights were kept")
    stage.add_argument("--seed", type=int, default=0, help="seed of the random directions")
    stage.add_argument("--points", type=int, default=81, help="positions along each direction")
    stage.add_argument("--data-dir", help="where TFDS keeps its datasets, instead of TFDS_DATA_DIR")
    _tables_option(stage)
    stage.set_defaults(stage=_lines)


def _tables_option(stage):
    stage.add_argument(
        "--out",
        default="runs/illustrations",
        help="directory of the tables; `figures --runs DIR` looks for them in DIR/illustrations",
    )


def _add_figures(stages):
    stage = stages.add_parser("figures", help="draw figures from solved runs")
    stage.add_argument("numbers", nargs="*", help="numbers of figures; default: all")
    stage.add_argument("--layer", help="which layer Figure 4(b) and (c) show; default: dense_3")
    stage.add_argument(
        "--sgd",
        type=float,
        metavar="RATE",
        help="which SGD stands in Figure 4; default: the one with the lowest final loss",
    )
    stage.add_argument(
        "--records", nargs="+", help="which records Figure 4 shows; default: presets"
    )
    stage.add_argument(
        "--ball",
        action=argparse.BooleanOptionalAction,
        help="optima over the ball of Theorem 2, or over all V; default: as each protocol has it",
    )
    _drawing_options(stage)
    stage.set_defaults(stage=_figures)


def _add_compare(stages):
    stage = stages.add_parser("compare", help="judge the paper's claims, one row each")
    _drawing_options(stage)
    stage.set_defaults(stage=_compare)


def _table_options(parser):
    parser.add_argument("runs", help="a run, or a directory of runs")
    parser.add_argument(
        "--save", metavar="DIR", help="copy config and tables, without the trace, to DIR/RUN"
    )


def _drawing_options(parser):
    parser.add_argument(
        "--runs", default=str(paths.traces()), help="solved runs (default: saved results)"
    )
    parser.add_argument("--out", default=str(paths.figures()), help="directory of the drawings")


def _tables_stage(recorded):
    return "explore" if recorded == ["activations"] else "solve"


def _setting(text):
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not OPTION=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _optimizers(names, paper):
    """[(name, rate)] of "adam" (the paper's rates) or "adam:0.003"."""
    if not names:
        return paper
    pairs = []
    for text in names:
        name, _, rate = text.partition(":")
        base = name.removesuffix("_keras")
        own = [(name, r) for n, r in paper if n == base]
        if not own:
            raise ValueError(
                f"Optimizers are adam, rmsprop, sgd, adam_keras and rmsprop_keras. "
                f"Received: {text!r}"
            )
        pairs += [(name, float(rate))] if rate else own
    return pairs


def _list(written):
    for path in written:
        print(path)


def _show(table):
    print(table.to_string(index=False, float_format=lambda value: f"{value:.5f}"))
