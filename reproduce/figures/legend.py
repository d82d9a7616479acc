"""The legend above the panels of a figure: optimizers, and which of their runs diverged."""

from matplotlib.lines import Line2D

from reproduce import curves, style

_HANDLE, _CHARACTERS = 7, 15.0  # characters, of a handle and of an inch of legend


def optimizers(shown, losses):
    """Entries of optimizers in the order of the paper's legends.

    Args:
        shown: Dictionary from task to the labels of the optimizers that are drawn.
        losses: Frame of `tables.read_losses`.

    Returns:
        A list of lines; the label of an optimizer with diverged runs says so.
    """
    entries = []
    for label, colour in style.colours(
        {label for each in shown.values() for label in each}
    ).items():
        # One label may stand for runs of both tasks, of which only one diverged.
        fates = {task: _fate(losses, task, label) for task in sorted(shown) if label in shown[task]}
        words = ", ".join(
            f"{task} {fate}" if len(shown) > 1 else fate for task, fate in fates.items() if fate
        )
        entries.append(Line2D([], [], color=colour, label=f"{label} ({words})" if words else label))
    return entries


def above(figure, entries):
    """Draws the legend in rows above all panels, where no curve can run through them.

    Args:
        figure: Figure to draw on.
        entries: List of lines with labels.
    """
    columns = len(entries)
    fitting = figure.get_figwidth() * _CHARACTERS
    if sum(len(entry.get_label()) + _HANDLE for entry in entries) > fitting:
        columns = -(-columns // 2)
    figure.legend(handles=entries, loc="outside upper center", ncols=columns)


def _fate(losses, task, label):
    return curves.diverged(losses[(losses["task"] == task) & (losses["optimizer"] == label)])
