"""The look that all figures share: style sheet, colours, caption, saving."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from reproduce import paths

# Colour-blind safe (after Okabe and Ito). SGD is one family whose darkness
# falls with the learning rate; a Keras 3 variant is the lighter colour beside
# its original. The order is that of the paper's legends.
_COLOURS = {
    "RMSProp": "#D55E00",
    "Adam": "#0072B2",
    "SGD lr=1.0": "#00523B",
    "SGD lr=0.1": "#009E73",
    "SGD lr=0.01": "#7ACFB0",
    "RMSProp (Keras 3)": "#E69F00",
    "Adam (Keras 3)": "#56B4E9",
}
_OTHER_COLOURS = ["#CC79A7", "#6A3D9A", "#8C6D31", "#7F7F7F", "#000000"]

# The convnet's layers in Figure 3, and what layers share there: none an optimizer's colour.
LAYERS = ["#6A3D9A", "#C4417A", "#B8860B"]
BLACK = "#1A1A1A"

WIDTH = 6.75  # inches: both columns of an ICML page
NARROW_WIDTH = 5.1  # of a figure with a single panel
GREY = "#8A8A8A"

_CAPTION_SIZE = 6.5
_ROW_HEIGHT = 0.135  # inches, of a row of the caption
_CHARACTERS_PER_INCH = 24.5  # of STIX at the caption's size
_SEPARATOR = "  |  "


def new_figure(height, width=WIDTH):
    """Empty figure in the common style.

    Args:
        height: Height in inches.
        width: Width in inches; both columns of an ICML page by default.

    Returns:
        A `matplotlib.figure.Figure` that no window and no global state holds.
    """
    with matplotlib.rc_context(fname=paths.STYLE):
        return Figure(figsize=(width, height))


def context():
    """Context in which axes, lines and labels take the common style."""
    return matplotlib.rc_context(fname=paths.STYLE)


def in_order(labels):
    """Optimizer labels without repetition, in the order of the paper's legends.

    Args:
        labels: Optimizer labels.

    Returns:
        A list; labels that the paper does not have come last, sorted.

    Example:

    >>> in_order(["SGD lr=0.1", "Adam", "SGD lr=1.0", "RMSProp", "Adam"])
    ['RMSProp', 'Adam', 'SGD lr=1.0', 'SGD lr=0.1']
    """
    given = set(labels)
    known = [label for label in _COLOURS if label in given]
    return known + sorted(given - set(known))


def colours(labels):
    """Colour of every optimizer, the same in every figure.

    Args:
        labels: Optimizer labels.

    Returns:
        A dictionary from label to colour.

    Example:

    >>> colours(["Adam"])
    {'Adam': '#0072B2'}
    """
    ordered = in_order(labels)
    others = [label for label in ordered if label not in _COLOURS]
    extra = {
        label: _OTHER_COLOURS[index % len(_OTHER_COLOURS)] for index, label in enumerate(others)
    }
    return {label: _COLOURS.get(label) or extra[label] for label in ordered}


def caption(figure, lines):
    """Writes the small print at the foot of a figure, which grows by its height.

    Args:
        figure: Figure to write on.
        lines: List of lines, each a list of phrases; a line too long for the
            figure is broken between phrases.
    """
    limit = int(figure.get_figwidth() * _CHARACTERS_PER_INCH)
    wrapped = [row for phrases in lines for row in _wrap(phrases, limit)]
    figure.set_figheight(figure.get_figheight() + _ROW_HEIGHT * len(wrapped))
    with context():
        figure.supxlabel(
            "\n".join(wrapped), fontsize=_CAPTION_SIZE, color="#4D4D4D", linespacing=1.35
        )


def save(figure, out, name):
    """Writes a figure as PNG and PDF, the same bytes whenever it is drawn again.

    Args:
        figure: Figure to write.
        out: Directory, made when it is not there.
        name: File name without extension.

    Returns:
        The two paths written.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    png, pdf = out / f"{name}.png", out / f"{name}.pdf"
    with context():  # no date, no versions: redrawing must not change a committed file
        figure.savefig(png, metadata={"Software": None})
        figure.savefig(pdf, metadata={"Creator": None, "Producer": None, "CreationDate": None})
    return [png, pdf]


def _wrap(phrases, limit):
    """Rows of phrases, as few as the limit allows and then as even as they can be."""
    rows = _fill(phrases, limit)
    while limit > 1 and len(shorter := _fill(phrases, limit - 1)) == len(rows):
        rows, limit = shorter, limit - 1
        if max(len(row) for row in rows) > limit:  # a phrase that no limit can break
            break
    return rows


def _fill(phrases, limit):
    rows = [phrases[0]]
    for phrase in phrases[1:]:
        longer = rows[-1] + _SEPARATOR + phrase
        if len(longer) <= limit:
            rows[-1] = longer
        else:
            rows.append(phrase)
    return rows
