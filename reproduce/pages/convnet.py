"""Tables of the convnet: training losses, regret of layers and neurons (Figures 3, 4(a), 6)."""

import pandas as pd

from reproduce import optimizers, paper
from reproduce.optimizers import TENSORFLOW_2016
from reproduce.pages.markdown import interval, number, significant, spread, table
from reproduce.pages.registry import Results, by_optimizer, only
from reproduce.pages.registry import table as registered

_LAYER = paper.FIGURE_4_LAYER["convnet"]
_SCOPES = (*paper.CONVOLUTIONS, "network")
# Seeds of which the whole run is elsewhere, but for SGD 0.01.
_SHORTER = "cifar10_30_epochs"
# Regret below this share of the cumulative loss is the rounding of float32 losses.
_ROUNDING = 1e-5


@registered("convnet_losses")
def losses(results: Results) -> str:
    """Training loss along training, and the accuracy at its end."""
    epochs = (10, 20, 30, 50, 100)
    trained = only(results.losses, task="convnet", experiment=["cifar10", _SHORTER])
    trained = trained.drop_duplicates([*optimizers.COLUMNS, "seed", "epoch"])
    rows = []
    for name, curves in by_optimizer(trained, TENSORFLOW_2016):
        cells = [spread(only(curves, epoch=epoch)["loss"], 3, significant) for epoch in epochs]
        last = only(curves, epoch=epochs[-1])
        accuracy = spread(100 * last["accuracy"], 1) + " %"
        counted = [curves["seed"].nunique(), last["seed"].nunique()]
        rows.append([name, *cells, accuracy, " to ".join(map(str, sorted(set(counted))))])
    header = ["optimizer", *(f"epoch {epoch}" for epoch in epochs), "accuracy, epoch 100"]
    return table([*header, "seeds"], rows)


@registered("convnet_layer_2")
def layer_2(results: Results) -> str:
    """regret / sqrt(N) of layer 2 along training, and its exponent."""
    return _layer_table(results, "cifar10", (10, 20, 50, 80, 100))


@registered("mnist_layer_2")
def mnist(results: Results) -> str:
    """The same of the convnet on MNIST."""
    return _layer_table(results, "mnist", (10, 50, 90))


@registered("mnist_60000_layer_2")
def all_digits(results: Results) -> str:
    """The same on all digits of MNIST."""
    return _layer_table(results, "mnist_60000", (5, 10, 20, 28))


@registered("convnet_layers")
def layers(results: Results) -> str:
    """Optima of every scope at the last epoch, as a share of the cumulative loss; exponents."""
    rows = []
    for record in ("figures", "definition"):
        asked = {"task": "convnet", "experiment": "cifar10", "record": record, "ball": True}
        asked["comparator"] = "static"
        fits = dict(by_optimizer(only(results.exponents, **asked), TENSORFLOW_2016))
        for name, curves in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
            cells = [_share(curves, fits[name], scope) for scope in _SCOPES]
            rows.append([f"`{record}`", name, *cells])
    return table(["reading", "optimizer", *(f"`{one}`" for one in _SCOPES)], rows)


@registered("convnet_neurons")
def neurons(results: Results) -> str:
    """Median exponent of the neurons of each layer, and regret / sqrt(N) of their mean."""
    return _neuron_table(results, "cifar10")


@registered("mnist_neurons")
def mnist_neurons(results: Results) -> str:
    """The same of the convnet on MNIST."""
    return _neuron_table(results, "mnist")


@registered("mnist_60000_neurons")
def all_digits_neurons(results: Results) -> str:
    """The same on all digits of MNIST."""
    return _neuron_table(results, "mnist_60000")


@registered("neurons_above_optimum")
def above_optimum(results: Results) -> str:
    """Of how many neurons the loss lies above the Taylor optimum at every checkpoint."""
    rows = []
    for record in ("figures", "definition"):
        asked = {"task": "convnet", "experiment": "cifar10", "record": record, "ball": True}
        solved = only(results.regret, comparator="static", **asked)
        solved = solved[solved["epoch"] >= paper.FIRST_EPOCH]
        for name, curves in by_optimizer(solved, TENSORFLOW_2016):
            cells = []
            for layer in paper.CONVOLUTIONS:
                of_layer = curves[curves["scope"].str.startswith(f"{layer}:")]
                neuron = [of_layer["seed"], of_layer["scope"]]
                always = (of_layer["regret"] > 0).groupby(neuron).all()
                cells.append(f"{always.sum()} of {len(always)}")
            rows.append([f"`{record}`", name, *cells])
    return table(["reading", "optimizer", *(f"`{one}`" for one in paper.CONVOLUTIONS)], rows)


@registered("precision")
def precision(results: Results) -> str:
    """The same training with steps in bfloat16 and in float32."""
    epochs, rows = (10, 20, 30, 40), []
    for text in ("bfloat16", "float32"):
        asked = {"task": "convnet", "experiment": f"precision_{text}"}
        loss = only(results.losses, **asked).set_index("epoch")["loss"]
        asked |= {"scope": _LAYER, "comparator": "static", "record": "figures"}
        curve = only(results.regret, **asked)
        curve = curve[curve["ball"] == curve["ball"].iloc[0]].set_index("epoch")
        cells = [significant(loss[epoch]) for epoch in epochs]
        rows.append([text, *cells, number(curve["regret_over_sqrt_n"][epochs[-1]])])
    header = ["steps in", *(f"loss, epoch {epoch}" for epoch in epochs)]
    return table([*header, "regret / sqrt(N) of layer 2"], rows)


def _layer_table(results: Results, experiment: str, epochs: tuple[int, ...]) -> str:
    rows = []
    for record, ball in (("figures", False), ("definition", True)):
        asked = {"task": "convnet", "experiment": experiment, "record": record, "ball": ball}
        asked |= {"scope": _LAYER, "comparator": "static"}
        fits = dict(by_optimizer(only(results.exponents, **asked), TENSORFLOW_2016))
        for name, curves in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
            at = [only(curves, epoch=epoch)["regret_over_sqrt_n"] for epoch in epochs]
            cells = [spread(over_seeds) for over_seeds in at]
            if _is_rounding(curves):
                cells = ["rounding"] * len(epochs)
            where = f"`{record}`, {'ball' if ball else 'no ball'}"
            rows.append([where, name, *cells, _exponent(fits[name])])
    return table(
        ["reading", "optimizer", *(f"epoch {epoch}" for epoch in epochs), "exponent"], rows
    )


def _neuron_table(results: Results, experiment: str) -> str:
    rows = []
    for record in ("figures", "definition"):
        asked = {"task": "convnet", "experiment": experiment, "record": record, "ball": True}
        asked["comparator"] = "static"
        fits = dict(by_optimizer(only(results.exponents, **asked), TENSORFLOW_2016))
        for name, curves in by_optimizer(only(results.regret, **asked), TENSORFLOW_2016):
            cells = [_neurons(curves, fits[name], layer) for layer in paper.CONVOLUTIONS]
            rows.append([f"`{record}`", name, *cells])
    return table(["reading", "optimizer", *(f"`{one}`" for one in paper.CONVOLUTIONS)], rows)


def _neurons(curves: pd.DataFrame, fits: pd.DataFrame, layer: str) -> str:
    curves = curves[curves["scope"].str.startswith(f"{layer}:")]
    fits = fits[fits["scope"].str.startswith(f"{layer}:")]
    last = only(curves, epoch=curves["epoch"].max())
    if _is_rounding(last):
        return "rounding"
    level = last.groupby("seed")["regret_over_sqrt_n"].mean().mean()
    return f"{significant(level, 2)} ({number(fits['exponent'].median())})"


def _share(curves: pd.DataFrame, fits: pd.DataFrame, scope: str) -> str:
    curves = only(curves, scope=scope)
    if curves.empty:
        return "-"
    last, fit = only(curves, epoch=curves["epoch"].max()), only(fits, scope=scope)
    if _is_rounding(last):
        return "rounding"
    share = 100 * (last["taylor_optimum"] / last["cumulative_loss"]).mean()
    return f"{significant(share, 2)}% ({number(fit['exponent'].mean())})"


def _is_rounding(curves: pd.DataFrame) -> bool:
    return bool((curves["regret"].abs() <= _ROUNDING * curves["cumulative_loss"]).all())


def _exponent(fits: pd.DataFrame) -> str:
    """Of one run with its interval, of several seeds their range."""
    known = fits.dropna(subset="exponent")
    if known.empty:
        return "none: not positive"
    if len(known) > 1:
        return spread(known["exponent"])
    fit = known.iloc[0]
    return interval(fit["exponent"], fit["low"], fit["high"])
