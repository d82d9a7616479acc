"""The map of the paper's figures."""

from reproduce.pages.markdown import table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered

# What each shows, and the stages that make its tables from nothing.
_SHOWS = {
    "1": ("shattered gradients", "`illustrations`"),
    "2": ("Taylor losses in one weight", "`illustrations`"),
    "3": ("regret of 50 neurons a layer, convnet", "`train`, `record`, `solve`"),
    "4": ("regret of one layer; losses beside their optima", "`train`, `record`, `solve`"),
    "5": ("exploration: three measures, both tasks", "`train`, `record`, `explore`"),
    "6": ("training losses", "`train`, `solve`"),
    "A4": ("the loss, its Taylor loss and its affine approximation along lines", "`lines`"),
    "bound": ("regret beside its own bound; not in the paper", "`train`, `bound`"),
}
_ELSEWHERE = {"bound": "figures/autoencoder/every_step/figure_bound.png"}


@registered("figures")
def figures(results: Results) -> str:
    """Every figure with its file, the command that redraws it and the stages behind it."""
    rows = []
    for number, (shows, stages) in _SHOWS.items():
        path = _ELSEWHERE.get(number, f"figures/paper/figure_{number.lower()}.png")
        rows.append([f"[{number}]({path})", shows, f"`figures {number}`", stages])
    return table(["figure", "shows", "`python -m reproduce ...`", "from nothing"], rows)
