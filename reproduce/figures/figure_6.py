"""Figure 6: training loss of every optimizer."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes

from reproduce import optimizers, paper
from reproduce.figures import axes as ranges
from reproduce.figures import captions, legend, panels, registry, style
from reproduce.figures.options import Options
from reproduce.figures.sheets import Sheet
from reproduce.optimizers import TENSORFLOW_2016
from reproduce.results import select, words
from reproduce.results.curves import over_seeds
from reproduce.results.runs import NoResults
from reproduce.results.tables import Tables

_HEIGHT, _WIDTH = 2.45, {1: style.NARROW_WIDTH, 2: style.WIDTH}  # inches, without the caption
_LETTERS = {"convnet": "b", "autoencoder": "c"}
_LINE: style.Line = {"linewidth": 1.1}


def whole(tables: Tables, options: Options) -> Sheet:
    """Draws Figure 6 as the paper lays it out: legend, (b) convnet, (c) autoencoder.

    Args:
        tables: Tables of the runs.
        options: Of which `variant` is taken.

    Returns:
        A `Sheet`; a task without losses has no panel.

    Raises:
        NoResults: If neither task has losses.
    """
    return compose(tables, options.variant or TENSORFLOW_2016)


def variants(tables: Tables, options: Options) -> Iterator[tuple[str, Sheet]]:
    """Draws Figure 6 of one task, for each variant of RMSProp and Adam.

    Args:
        tables: Tables of one task and experiment.
        options: Of which `variant` is taken.

    Yields:
        `figure_6`, and `figure_6_keras_3` where optimizers of Keras 3 were trained.
    """
    for variant, ending in options.variants(optimizers.of_table(tables.losses)).items():
        yield f"figure_6{ending}", compose(tables, variant)


@style.styled
def compose(tables: Tables, variant: str = TENSORFLOW_2016) -> Sheet:
    """Losses of each task in a panel of its own.

    Args:
        tables: Tables of the runs.
        variant: Variant of RMSProp and Adam.

    Returns:
        A `Sheet`.

    Raises:
        NoResults: If neither task has losses.
    """
    shown = {
        task: select.of_variant(optimizers.of_table(tables.of(task).losses), variant)
        for task in _LETTERS
        if (tables.losses["task"] == task).any()
    }
    if not shown:
        raise NoResults(
            "The runs have no losses of the convnet or the autoencoder. Write "
            "them with `python -m reproduce solve RUNS`."
        )
    looks = style.looks(optimizers.by_task(tables.runs))
    tables = tables.only(shown)
    figure = style.new_figure(_HEIGHT, _WIDTH[len(shown)])
    for axes, task in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown):
        _panel(axes, task, tables.of(task).losses, looks)
    legend.above(figure, legend.entries(shown, looks, tables.losses, dashes=True))
    drawn = optimizers.by_task(tables.losses)
    phrases = [captions.bands(tables.runs), "logarithmic axes; the paper's are linear"]
    short = [*captions.experiments(tables.runs), captions.short_variants(drawn)]
    captions.write(figure, [*short, *phrases])
    details = [*captions.details(tables.runs), captions.variants(drawn), *phrases]
    for task in shown:
        accuracies = words.accuracies(tables.of(task).losses)
        details += [f"{task}: {accuracies}"] if accuracies else []
    return Sheet(figure, "Figure 6: training loss", [text for text in details if text])


def _panel(axes: Axes, task: str, losses: pd.DataFrame, looks: style.Looks) -> None:
    drawn = []
    for one in optimizers.of_table(losses):
        look = looks[task, one]
        drawn.append(over_seeds(optimizers.rows(losses, one), "loss"))
        label = words.label(one, task)
        panels.draw(axes, drawn[-1], look.colour, label, linestyle=look.dashes, **_LINE)
    ranges.logarithmic(axes, drawn, paper.TRAINING_LOSS_AXIS[task])
    axes.set_ylabel("loss")
    axes.set_xlabel(f"epochs\n({_LETTERS[task]}) {task.capitalize()}")


registry.register(registry.Figure("6", whole, variants, options=("variant",)))
