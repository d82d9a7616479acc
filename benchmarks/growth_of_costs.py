"""How do costs grow with the work, and do they grow as they should?

    python -m benchmarks.growth_of_costs [--json benchmarks/results] [--draw] [--only PART]

Processor time of `linearize` (J and G) against examples, outputs and width; of `nta.regret`
against rounds and weights; of exploration against rounds, points and units. Everything else stays
as it is. The exponent is that of the three largest sizes, where what a call takes anyway is little
of it; beside it stands the one that the arithmetic has. `--draw` draws the figure of what is in
benchmarks/results and measures nothing.
"""

import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from benchmarks import timing

NAME = "growth_of_costs"
RESULTS = pathlib.Path(__file__).parent / "results"
STYLE = pathlib.Path(__file__).parents[1] / "reproduce" / "style.mplstyle"
PARTS = {
    "J": "linearize, J",
    "G": "linearize, G",
    "regret": "regret",
    "exploration": "minimum_hamming",
}


def chain(widths):
    """A chain of Dense layers, dense_1, dense_2, ..., rectifiers but for the last."""
    import keras

    layers = [keras.Input((widths[0],))]
    for number, units in enumerate(widths[1:], 1):
        activation = "relu" if number < len(widths) - 1 else None
        layers.append(keras.layers.Dense(units, activation, name=f"dense_{number}"))
    keras.utils.set_random_seed(0)
    return keras.Sequential(layers)


def of_linearize(what):
    """J or G of a chain's first layer: (against, sizes, exponent, call of a size)."""
    import nta_tf as nta

    def call(examples=64, outputs=64, width=64):
        model = chain([width, width, width, outputs])
        x = np.random.default_rng(0).normal(size=(examples, width)).astype("float32")
        method = "jacobian" if what == "J" else "gradient_tensor"
        return lambda: getattr(nta.linearize(model, x, "dense_1"), method)("dense_1").numpy()

    top, few = {"J": (4096, 64), "G": (512, 4)}[what]
    yield "examples", _doubled(top, 6), 1, lambda n: call(examples=n)
    yield "outputs", _doubled(top, 6), 1, lambda n: call(outputs=n)
    yield "width", _doubled(2048, 5), 2, lambda n: call(few, few, n)


def of_regret():
    """`nta.regret` of neurons by their rounds, of a layer in closed form by its weights."""
    import nta_tf as nta

    def run(widths, steps, loss, batch, **recorded):
        generator = np.random.default_rng(0)
        model = chain(widths)
        x = generator.normal(size=(batch * steps, widths[0])).astype("float32")
        rows = generator.normal(size=(len(x), widths[-1])).astype("float32")
        y = rows if loss == "mse" else np.argmax(rows, axis=1)
        return nta.train(
            model,
            x,
            y,
            optimizer=nta.optimizers.get("sgd", 0.01),
            loss=loss,
            epochs=2,
            batch_size=batch,
            recorders=[nta.TaylorRounds(**recorded)],
        )

    def by_rounds(rounds):
        trained = run([32, 16, 10], rounds // 2, "cross_entropy", 8, layers=["dense_1"])
        return lambda: nta.regret(trained, "dense_1:0", checkpoints=1)

    def by_weights(weights):
        units = int(weights**0.5)
        trained = run([8, units, units, 8], 200, "mse", 64, layers=["dense_2"])
        return lambda: nta.regret(trained, "dense_2", checkpoints=1)

    yield "rounds", _doubled(4096, 5), 1, by_rounds
    yield "weights", [n**2 for n in (16, 23, 32, 45)], 3, by_weights


def of_exploration():
    """`minimum_hamming` by the sizes of the configurations: all pairs of rounds, all bits."""
    import nta_tf as nta

    def call(rounds=32, points=16384, units=128):
        shape = rounds, points, units // 8
        packed = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
        return lambda: nta.exploration.minimum_hamming(packed, units=units)

    yield "rounds", _doubled(512, 5), 2, lambda n: call(rounds=n)
    yield "points", _doubled(2**18, 5), 1, lambda n: call(points=n)
    yield "units", _doubled(2048, 5), 1, lambda n: call(units=n)


MADE = {
    "J": lambda: of_linearize("J"),
    "G": lambda: of_linearize("G"),
    "regret": of_regret,
    "exploration": of_exploration,
}


def measured(part):
    """The curves of a part.

    Args:
        part: A name of `PARTS`.

    Returns:
        List of dictionaries with `part`, `against`, `sizes`, `seconds`, `exponent`, `expected`.
    """
    curves = []
    for against, sizes, expected, make in MADE[part]():
        seconds = [_seconds(make(size)) for size in sizes]
        exponent = np.polyfit(np.log(sizes[-3:]), np.log(seconds[-3:]), 1)[0]
        curves.append(
            {
                "part": part,
                "against": against,
                "sizes": list(sizes),
                "seconds": [float(f"{value:.4g}") for value in seconds],
                "exponent": round(float(exponent), 2),
                "expected": expected,
            }
        )
        print(f"{part} against {against}: {curves[-1]['exponent']} ({expected})", seconds)
    return curves


def _seconds(call, least=0.3, most=15):
    """Smallest processor time of a call, after a first one, in a third of a second of calls."""
    call()
    spent = []
    while len(spent) < 3 or (sum(spent) < least and len(spent) < most):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return min(spent)


def _doubled(last, count):
    return [last >> step for step in reversed(range(count))]


def draw(content, path):
    """One panel a part, sizes relative to their largest one.

    Args:
        content: What was measured, as `benchmarks/results` has it.
        path: Where the figure goes.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.style.use(STYLE)
    figure, panels = pyplot.subplots(1, len(PARTS), figsize=(7.2, 2.9))
    for (part, title), axes in zip(PARTS.items(), panels):
        for number, curve in enumerate(c for c in content["curves"] if c["part"] == part):
            shares = np.array(curve["sizes"]) / curve["sizes"][-1]
            seconds = np.array(curve["seconds"])
            label = f"{curve['against']}, to {curve['sizes'][-1]:,}: {curve['exponent']:.2f}"
            axes.loglog(shares, seconds, "o-", color=f"C{number}", markersize=3, label=label)
            should = seconds[-1] * shares ** curve["expected"]
            axes.loglog(shares, should, ":", color=f"C{number}", linewidth=0.8)
        axes.set_title(title)
        axes.set_xlabel("share of the largest size")
        axes.margins(0.08)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), fontsize=7)
    panels[0].set_ylabel("processor seconds")
    figure.savefig(path)
    pyplot.close(figure)


def main():
    parser = timing.parser(__doc__)
    parser.add_argument("--draw", action="store_true", help="draw what was measured before")
    parser.add_argument("--only", choices=PARTS, help="measure one part, which is not kept")
    options = parser.parse_args()
    if options.draw:
        draw(json.loads((RESULTS / f"{NAME}.json").read_text()), RESULTS / f"{NAME}.png")
        return
    report = timing.Report(NAME, options.json)
    curves = []
    for part in [options.only] if options.only else PARTS:
        curves += measured(part)
    if not options.only:
        report.keep("curves", curves)
        if options.json:
            content = {"curves": curves}
            draw(content, pathlib.Path(options.json, f"{NAME}.png"))


if __name__ == "__main__":
    main()
