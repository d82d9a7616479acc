"""Tables of the autoencoder: training losses, regret, losses beside optima (Figures 4 and 6)."""

import pandas as pd

from reproduce import paper
from reproduce.optimizers import KERAS_3, TENSORFLOW_2016
from reproduce.pages.markdown import interval, number, significant, spread, table
from reproduce.pages.registry import Results, by_optimizer, only
from reproduce.pages.registry import table as registered

_LAYER = paper.FIGURE_4_LAYER["autoencoder"]
_EPOCHS = (20, 50, 80, 100)
# The experiments whose numbers stand side by side, as (words, experiment, variant).
_SETTINGS = (
    ("linear output", "linear", TENSORFLOW_2016),
    ("sigmoid output", "sigmoid", TENSORFLOW_2016),
    ("linear output, RMSProp and Adam of Keras 3", "linear", KERAS_3),
)
# What the records of the committed runs are, in words.
_RECORDS = {
    "figures": "`figures`: mean G, one round an epoch, no ball",
    "definition": "`definition`: G of each example, every step, ball",
    "one_an_epoch": "G of each example, one round an epoch, no ball",
    "mean_every_10": "mean G, every 10 steps, no ball",
}


@registered("autoencoder_losses")
def losses(results: Results) -> str:
    """Training loss of the last epoch, mean and range over seeds."""
    names: list[str] = []
    rows = []
    for text, experiment, variant in _SETTINGS:
        trained = only(results.losses, task="autoencoder", experiment=experiment)
        final = trained[trained["epoch"] == paper.EPOCHS]
        shown = {_plain(name): of_one["loss"] for name, of_one in by_optimizer(final, variant)}
        names = names or list(shown)
        seeds = sorted({len(shown[name]) for name in names})
        counted = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        rows.append([text, *(spread(shown[name], 4) for name in names), counted])
    return table(["loss of the last epoch", *names, "seeds"], rows)


@registered("autoencoder_regret")
def regret(results: Results) -> str:
    """1000 regret / sqrt(N) of the paper's layer along training, and its exponent; seed 0."""
    rows = []
    for record in _RECORDS:
        ball = record == "definition"
        asked = {"task": "autoencoder", "experiment": "linear", "record": record, "ball": ball}
        asked |= {"scope": _LAYER, "comparator": "static", "seed": 0}
        fits = dict(by_optimizer(only(results.exponents, **asked), TENSORFLOW_2016))
        for name, curve in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
            fit = fits[name].iloc[0]
            rows.append([_RECORDS[record], name, *_along(curve), _exponent(fit)])
    return table(["reading", "optimizer", *_epochs(), "exponent"], rows)


@registered("autoencoder_other_settings")
def other_settings(results: Results) -> str:
    """The same under the `figures` protocol where the network or the optimizers differ."""
    rows = []
    for text, experiment, variant in _SETTINGS:
        asked: dict[str, object] = {"task": "autoencoder", "experiment": experiment}
        asked |= {"record": "figures", "ball": False, "scope": _LAYER}
        asked |= {"comparator": "static", "seed": 0}
        for name, curve in by_optimizer(only(results.regret, **asked), variant):
            if variant == TENSORFLOW_2016 or "Keras" in name:
                rows.append([text, _plain(name), *_along(curve)])
    return table(["network and optimizers", "optimizer", *_epochs()], rows)


@registered("autoencoder_seeds")
def seeds(results: Results) -> str:
    """The same over seeds."""
    asked: dict[str, object] = {"task": "autoencoder", "experiment": "linear"}
    asked |= {"record": "figures", "ball": False, "scope": _LAYER, "comparator": "static"}
    rows = []
    for name, curves in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
        cells = [
            spread(1000 * curves["regret_over_sqrt_n"][curves["epoch"] == epoch])
            for epoch in _EPOCHS
        ]
        rows.append([name, curves["seed"].nunique(), *cells])
    return table(["optimizer", "seeds", *_epochs()], rows)


@registered("autoencoder_layers")
def layers(results: Results) -> str:
    """Of how many layers regret is positive to the end, and its exponent; seed 0."""
    rows = []
    for record, ball in (("figures", False), ("definition", True), ("definition", False)):
        asked = {"task": "autoencoder", "experiment": "linear", "record": record, "ball": ball}
        asked |= {"comparator": "static", "seed": 0}
        fits = dict(by_optimizer(only(results.exponents, **asked), TENSORFLOW_2016))
        for name, curves in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
            scopes = sorted(curves["scope"].unique())
            cells = [_layer(only(curves, scope=one), only(fits[name], scope=one)) for one in scopes]
            where = f"`{record}`, {'ball' if ball else 'no ball'}"
            rows.append([where, name, *cells])
    scopes = sorted(only(results.regret, task="autoencoder", experiment="linear")["scope"].unique())
    return table(["reading", "optimizer", *(f"`{one}`" for one in scopes)], rows)


@registered("autoencoder_gaps")
def gaps(results: Results) -> str:
    """Cumulative loss, Taylor optimum and the gap between them at the last epoch (Figure 4(c))."""
    asked = {"task": "autoencoder", "experiment": "linear", "record": "figures", "ball": False}
    asked |= {"scope": _LAYER, "comparator": "static", "epoch": paper.EPOCHS}
    rows = []
    for name, last in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
        share = 100 * last["regret"] / last["cumulative_loss"]
        columns = ("cumulative_loss", "taylor_optimum", "regret")
        cells = [spread(last[column], 3) for column in columns]
        rows.append([name, *cells, f"{spread(share, 1)}%"])
    return table(["optimizer", "loss", "Taylor optimum", "gap (regret)", "gap / loss"], rows)


def _plain(name: str) -> str:
    return name.removesuffix(" (Keras 3)")


def _epochs() -> list[str]:
    return [f"epoch {epoch}" for epoch in _EPOCHS]


def _along(curve: pd.DataFrame) -> list[str]:
    """1000 regret / sqrt(N) of one run at the end of some epochs."""
    last = curve.drop_duplicates("epoch", keep="last").set_index("epoch")["regret_over_sqrt_n"]
    return [significant(1000 * last.get(epoch, float("nan"))) for epoch in _EPOCHS]


def _exponent(fit: pd.Series) -> str:
    if pd.isna(fit["exponent"]):
        return "none: negative"
    text = interval(fit["exponent"], fit["low"], fit["high"])
    return text if fit["last_epoch"] >= paper.EPOCHS else f"{text}, to epoch {fit['last_epoch']}"


def _layer(curve: pd.DataFrame, fit: pd.DataFrame) -> str:
    """1000 regret / sqrt(N) at the end, and the exponent where regret is positive."""
    last = 1000 * curve.sort_values("round")["regret_over_sqrt_n"].iloc[-1]
    exponent = fit["exponent"].iloc[0]
    return significant(last) + ("" if pd.isna(exponent) else f" ({number(exponent)})")
