"""Figures 4 and 6 of small sets of results, and what is seen in them."""

from reproduce.figures import figure_4, figure_6
from reproduce.figures.options import Options
from reproduce.results.curves import Curve
from reproduce.results.runs import find_runs
from reproduce.results.select import Reading
from reproduce.results.tables import Tables

KERAS = {"optimizer_variant": "keras_3"}
MINE = {
    "kind": "taylor_rounds",
    "form": "normal_equations",
    "layers": ["dense_3"],
    "reduction": "batch_mean",
    "schedule": "8 an epoch",
}


def sheet_4(root, record="figures", ball=False, variant="tensorflow_2016", **options):
    reading = Reading(record, ball)
    return figure_4.compose(Tables(find_runs(root)), reading, Options(**options), variant)


def figure_of_4(root, **options):
    return sheet_4(root, **options).figure


def figure_of_6(root):
    return figure_6.compose(Tables(find_runs(root))).figure


def curve_of(along, values):
    return Curve(along, values[:, None])


def lines_of(axes):
    return {
        line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")
    }


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def names_of(paths):
    return sorted(path.name for path in paths)
