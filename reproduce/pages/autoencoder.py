"""Tables of the autoencoder: training losses, regret, losses beside optima (Figures 4 and 6)."""

import pandas as pd

from reproduce import paper
from reproduce.optimizers import KERAS_3, TENSORFLOW_2016
from reproduce.pages.markdown import interval, number, significant, spread, table
from reproduce.pages.registry import Results, by_optimizer, only
from reproduce.pages.registry import table as registered

_EPOCHS = (20, 50, 80, 100)
_LAYERS = ("dense_3", "dense_6")  # what "layer 3" may mean
# The experiments whose numbers stand side by side, as (words, experiment, variant).
_SETTINGS = (
    ("sigmoid output, He's initializer", "sigmoid_he_normal", TENSORFLOW_2016),
    ("sigmoid output", "sigmoid", TENSORFLOW_2016),
    ("linear output", "linear", TENSORFLOW_2016),
    ("linear output, RMSProp and Adam of Keras 3", "linear", KERAS_3),
)
# The readings whose regret stands side by side, as (words, experiment, record, ball, layer).
_READINGS = (
    (
        "`figures`: sigmoid output, He's initializer, output layer; mean G, one round an epoch, "
        "ball",
        *("sigmoid_he_normal", "figures", True, "dense_6"),
    ),
    ("the same, Glorot's initializer", "sigmoid", "figures", True, "dense_6"),
    ("the same, linear output, layer 3", "linear", "figures", True, "dense_3"),
    (
        "`definition`: linear output, layer 3; G of each example, every step, ball",
        *("linear", "definition", True, "dense_3"),
    ),
    (
        "linear output, layer 3; G of each example, one round an epoch, no ball",
        *("linear", "one_an_epoch", False, "dense_3"),
    ),
    (
        "linear output, layer 3; mean G, every 10 steps, no ball",
        *("linear", "mean_every_10", False, "dense_3"),
    ),
)


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
    """1000 regret / sqrt(N) of "layer 3" along training, and its exponent; seed 0."""
    rows = []
    for text, experiment, record, ball, layer in _READINGS:
        asked = _asked(experiment, record, ball, layer) | {"seed": 0}
        fits = dict(by_optimizer(only(results.exponents, **asked), TENSORFLOW_2016))
        for name, curve in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
            fit = fits[name].iloc[0]
            rows.append([text, name, *_along(curve), _exponent(fit)])
    return table(["reading", "optimizer", *_epochs(), "exponent"], rows)


@registered("autoencoder_other_settings")
def other_settings(results: Results) -> str:
    """The same of mean G, one round an epoch, for networks, optimizers and layers; seed 0."""
    rows = []
    for text, experiment, variant in _SETTINGS:
        for layer in _LAYERS:
            asked = _asked(experiment, "figures", True, layer) | {"seed": 0}
            for name, curve in by_optimizer(only(results.regret, **asked), variant):
                if variant == TENSORFLOW_2016 or "Keras" in name:
                    rows.append([text, f"`{layer}`", _plain(name), *_along(curve)])
    return table(["network and optimizers", "layer", "optimizer", *_epochs()], rows)


@registered("autoencoder_seeds")
def seeds(results: Results) -> str:
    """The same over seeds, where they were solved."""
    rows = []
    for text, experiment, _ in _SETTINGS[:3]:
        for layer in _LAYERS:
            asked = _asked(experiment, "figures", True, layer)
            for name, curves in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
                at = [curves[curves["epoch"] == epoch] for epoch in _EPOCHS[:3:2]]
                cells = [spread(1000 * rows_at["regret_over_sqrt_n"]) for rows_at in at]
                rows.append([text, f"`{layer}`", name, curves["seed"].nunique(), *cells])
    epochs = [f"epoch {epoch}" for epoch in _EPOCHS[:3:2]]
    return table(["network", "layer", "optimizer", "seeds", *epochs], rows)


@registered("autoencoder_layers")
def layers(results: Results) -> str:
    """Of how many layers regret is positive to the end, and its exponent; seed 0."""
    rows = []
    for record, ball in (("figures", True), ("definition", True), ("definition", False)):
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
    asked = _asked("sigmoid_he_normal", "figures", True, "dense_6") | {"epoch": paper.EPOCHS}
    rows = []
    for name, last in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
        share = 100 * last["regret"] / last["cumulative_loss"]
        columns = ("cumulative_loss", "taylor_optimum", "regret")
        cells = [spread(last[column], 3) for column in columns]
        rows.append([name, *cells, f"{spread(share, 1)}%", last["seed"].nunique()])
    titles = ["optimizer", "loss", "Taylor optimum", "gap (regret)", "gap / loss", "seeds"]
    return table(titles, rows)


def _asked(experiment: str, record: str, ball: bool, layer: str) -> dict[str, object]:
    """The columns by which rows of one reading of regret are found."""
    return {
        "task": "autoencoder",
        "experiment": experiment,
        "record": record,
        "ball": ball,
        "scope": layer,
        "comparator": "static",
    }


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
