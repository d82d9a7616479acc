"""The command line: what it takes. `commands` has what each stage does and prints."""

import argparse
import sys
from pathlib import Path

from reproduce import commands, paths, values
from reproduce.results.runs import ResultsError

_PROTOCOLS_HELP = (
    "what is recorded: 'activations' (for exploration), the scale's protocols of Taylor rounds, "
    "such as 'figures' or 'definition', and 'gradient_norms' (for `bound`, with 'definition'); "
    "default: all but the last"
)
_DATA_DIR_HELP = "where TFDS keeps its datasets, instead of TFDS_DATA_DIR"
_COMPARATORS = ["static", "each_round", "each_epoch"]
_AS_IN_THE_PAPER = {
    "records": None,
    "layer": None,
    "sgd": None,
    "ball": None,
    "variant": None,
    "comparator": None,
}


def main(arguments: list[str] | None = None) -> int:
    """Runs `python -m reproduce`; returns the exit code.

    Args:
        arguments: List of command line arguments. Defaults to those of the process.

    Returns:
        0, or 1 after an error, whose one sentence went to standard error.
    """
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_program(),
        description="Figures and claims of 'Neural Taylor Approximations' (ICML 2017). "
        "Without a command: draws the paper's figures, judges its claims and writes a report, "
        "from saved results. `figures` also draws other readings, optimizers and layers.",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="let TensorFlow say what it finds at start-up"
    )
    _drawing_options(parser)
    parser.set_defaults(stage=commands.everything, numbers=[], **_AS_IN_THE_PAPER)
    stages = parser.add_subparsers(title="stages", metavar="STAGE")
    _add_train(stages)
    _add_record(stages)
    _add_solve(stages)
    _add_bound(stages)
    _add_explore(stages)
    _add_verify(stages)
    _add_illustrations(stages)
    _add_lines(stages)
    _add_figures(stages)
    _add_compare(stages)
    _add_report(stages)
    _add_study(stages)
    _add_quick(stages)
    return parser


def _program() -> str:
    """What the command was called by."""
    installed = Path(sys.argv[0]).stem == "nta-reproduce"
    return "nta-reproduce" if installed else "python -m reproduce"


def _add_train(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser(
        "train",
        help="train the paper's networks, record Taylor rounds and activations",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = stage.add_argument
    add(
        "--task",
        default="autoencoder",
        choices=["autoencoder", "convnet", "deep_network"],
        help="which network",
    )
    add(
        "--scale",
        default="quick",
        choices=["quick", "medium", "paper"],
        help="quick: shipped digits, a minute; paper: MNIST, 100 epochs",
    )
    add("--data", choices=["sample", "mnist", "cifar10"], help="data, instead of the scale's own")
    add("--data-dir", help=_DATA_DIR_HELP)
    add(
        "--optimizers",
        nargs="+",
        metavar="NAME[:RATE]",
        help="adam, rmsprop, sgd, adam_keras, rmsprop_keras; without a rate those of the "
        "paper; or any class of Keras optimizers, also one in the working directory: "
        "MODULE:CLASS?learning_rate=0.1&momentum=0.9; default: the paper's five",
    )
    add(
        "--seeds", nargs="+", type=values.count, default=[0], help="seeds of weights and data order"
    )
    add("--epochs", type=values.positive, help="number of epochs, instead of the scale's own")
    add("--protocols", nargs="+", help=_PROTOCOLS_HELP)
    add("--layers", nargs="+", help="layers of the Taylor rounds, instead of the scale's own")
    add(
        "--set",
        nargs="+",
        default=[],
        type=values.setting,
        metavar="OPTION=VALUE",
        help="change an open choice of the paper, such as output_activation=sigmoid, "
        "kernel_initializer, use_bias, input_scaling, optimizer_variant",
    )
    add("--out", default="runs", help="directory of the runs; a killed one is resumed")
    _workers_options(stage, "runs")
    stage.set_defaults(stage=commands.train)


def _add_record(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser(
        "record", help="record Taylor rounds and activations of runs that kept weights (convnets)"
    )
    stage.add_argument("runs", help="a run, or a directory of runs; what is there is not repeated")
    stage.add_argument("--protocols", nargs="+", help=_PROTOCOLS_HELP)
    stage.add_argument("--layers", nargs="+", help="layers of the Taylor rounds")
    stage.add_argument("--data-dir", help=_DATA_DIR_HELP)
    _workers_options(stage, "runs")
    stage.set_defaults(stage=commands.record)


def _add_solve(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser("solve", help="find the Taylor optima of saved runs, each once")
    _table_options(stage)
    stage.add_argument("--records", nargs="+", help="records to solve; default: all")
    stage.add_argument(
        "--scopes",
        nargs="+",
        help="'network', layers ('conv2d_2') or neurons ('conv2d_2:7'); default: all layers, "
        "the network, and some neurons a layer",
    )
    stage.add_argument(
        "--neurons", type=values.count, help="how many neurons a layer; default: the scale's"
    )
    stage.add_argument(
        "--checkpoints",
        type=values.positive,
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
    stage.add_argument(
        "--comparators",
        nargs="+",
        default=["static"],
        choices=_COMPARATORS,
        help="what the loss is compared with: one V for all rounds (regret), or one for each "
        "round or epoch (dynamic regret); default: static",
    )
    stage.add_argument("--again", action="store_true", help="what is solved already, too")
    _workers_options(stage, "scopes")
    stage.set_defaults(stage=commands.solve)


def _add_bound(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser(
        "bound",
        help="put regret beside the bound of the run's own gradients (runs with `--protocols "
        "definition gradient_norms`)",
    )
    _table_options(stage)
    stage.add_argument(
        "--scopes",
        nargs="+",
        help="layers, or 'network' where rounds were kept as gradient tensors; default: all",
    )
    stage.add_argument(
        "--checkpoints",
        type=values.positive,
        help="at the end of how many epochs; default: all, or 20 where there is no closed form",
    )
    stage.add_argument(
        "--domains",
        nargs="+",
        default=["ball"],
        choices=["ball", "free"],
        help="over which V: the ball of Theorem 2, or all; default: ball",
    )
    stage.set_defaults(stage=commands.bound)


def _add_explore(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser(
        "explore", help="measure the exploration of runs that recorded activations"
    )
    _table_options(stage)
    _workers_options(stage, "runs")
    stage.set_defaults(stage=commands.explore)


def _add_verify(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser("verify", help="hold all that runs keep against its checksums")
    stage.add_argument("runs", help="a run, or a directory of runs")
    stage.set_defaults(stage=commands.verify)


def _add_illustrations(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser(
        "illustrations", help="compute Figures 1 and 2 from small networks, a minute"
    )
    _tables_option(stage)
    stage.set_defaults(stage=commands.illustrations)


def _add_lines(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser(
        "lines", help="compute losses and Taylor losses along lines through W^n, for Figure A4"
    )
    stage.add_argument("run", help="a run; its kept weights, or those after its last epoch")
    stage.add_argument(
        "--epoch", type=values.positive, help="epoch of the round, where weights were kept"
    )
    stage.add_argument("--seed", type=values.count, default=0, help="seed of the random directions")
    stage.add_argument(
        "--points", type=values.positive, default=81, help="positions along each direction"
    )
    stage.add_argument("--data-dir", help=_DATA_DIR_HELP)
    _tables_option(stage)
    stage.set_defaults(stage=commands.lines)


def _tables_option(stage: argparse.ArgumentParser) -> None:
    stage.add_argument(
        "--out",
        default="runs/illustrations",
        help="directory of the tables; `figures --runs DIR` looks for them in DIR/illustrations",
    )


def _add_figures(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser("figures", help="draw figures from solved runs")
    stage.add_argument(
        "numbers",
        nargs="*",
        metavar="NUMBER|RUN",
        help="numbers of the paper's figures; default: all. Or directories of any runs, of "
        "nta.train too, which are drawn over each other",
    )
    stage.add_argument("--layer", help="which layer Figure 4 shows; default: the paper's")
    stage.add_argument(
        "--sgd",
        nargs="+",
        type=values.rate,
        metavar="RATE",
        help="which SGD stands in Figure 4; default: the one with the lowest final loss",
    )
    stage.add_argument(
        "--records", nargs="+", help="which records Figures 3 and 4 show; default: presets"
    )
    stage.add_argument(
        "--ball",
        action=argparse.BooleanOptionalAction,
        help="optima over the ball of Theorem 2, or over all V; default: as each protocol has it",
    )
    stage.add_argument(
        "--variant",
        choices=["tensorflow_2016", "keras_3"],
        help="which RMSProp and Adam; default: those of 2016",
    )
    stage.add_argument("--comparator", choices=_COMPARATORS, help="what the loss is compared with")
    _drawing_options(stage)
    stage.set_defaults(stage=commands.figures)


def _add_compare(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser("compare", help="judge the paper's claims")
    stage.add_argument("--details", action="store_true", help="print every verdict, not a summary")
    stage.add_argument(
        "--against",
        metavar="OTHER",
        help="compare numbers with those of other runs, or of a port's CSV files "
        "(losses.csv, regret.csv, exploration.csv; see reproduce/results/exchange.py)",
    )
    stage.add_argument(
        "--experiment",
        help="which experiment is compared with OTHER, such as autoencoder/linear; default: all",
    )
    _drawing_options(stage)
    stage.set_defaults(stage=commands.compare)


def _add_report(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser("report", help="write one page of HTML with verdicts and figures")
    _drawing_options(stage)
    stage.set_defaults(stage=commands.report)


def _add_study(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser(
        "study",
        help="train and solve what tells readings of the paper apart (hours at paper scale)",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = stage.add_argument
    add("--scale", default="paper", choices=["quick", "paper"], help="digits and epochs")
    add("--epochs", type=values.positive, help="number of epochs, instead of the scale's own")
    add("--seeds", type=values.count, default=10, help="how many seeds of the headline runs")
    add("--data-dir", help=_DATA_DIR_HELP)
    add("--out", default="runs/study", help="directory of the runs; done jobs are not repeated")
    _workers_options(stage, "trainings")
    stage.set_defaults(stage=commands.study)


def _add_quick(stages: argparse._SubParsersAction) -> None:
    stage = stages.add_parser(
        "quick",
        help="all stages at quick scale, then the paper's figures and claims: a few minutes",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = stage.add_argument
    add("--out", default="runs/quick", help="directory of the runs; done stages are not repeated")
    add("--epochs", type=values.positive, help="number of epochs, instead of the scales' own")
    add(
        "--jobs",
        type=values.positive,
        help="networks side by side; default: one a core, at most two",
    )
    stage.set_defaults(stage=commands.quick)


def _workers_options(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--jobs", type=values.positive, default=1, help=f"how many {what} side by side; default: 1"
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help=f"a Dask scheduler whose workers share the {what}, such as tcp://10.0.0.1:8786; they "
        "need the same package and the same directories",
    )


def _table_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", help="a run, or a directory of runs")
    parser.add_argument(
        "--save", metavar="DIR", help="copy config and tables, without the trace, to DIR/RUN"
    )


def _drawing_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", default=str(paths.traces()), help="solved runs (default: saved results)"
    )
    parser.add_argument(
        "--out",
        help="directory of the drawings; default: `figures`, in the clone for saved results "
        "and beside the runs for others",
    )
