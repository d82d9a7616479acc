"""One figure of all that runs have recorded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nta_tf.plotting import curves
from nta_tf.plotting.sources import Source, sources

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS, _PANEL = 3, (4.0, 3.0)  # inches
_MOST_LAYERS = 4


def figure(
    runs: Any,
    scopes: list[Any] | None = None,
    *,
    record: str | None = None,
    radius: float | None = None,
    **options: Any,
) -> Figure:
    """Draws all that runs have: losses, regret of layers, losses beside optima, exploration.

    Args:
        runs: A source, a list of them, or a dictionary by label; see `nta.plotting`.
        scopes: Scopes of regret. Defaults to the layers that all of the runs have recorded, at
            most four of them.
        record: Name of the record of Taylor rounds. Defaults to the first one of each run.
        radius: As for `nta.regret`.
        **options: Further arguments of `nta.regret`, such as `checkpoints`.

    Returns:
        A `matplotlib.figure.Figure`, which belongs to no window.

    Raises:
        ValueError: If runs have nothing in common that could be drawn.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample").x[:128].reshape(128, 784)
    >>> run = nta.train(nta.models.autoencoder(seed=0), digits, digits, optimizer="rmsprop",
    ...                 epochs=3, batch_size=64,
    ...                 recorders=[nta.TaylorRounds(["dense_3"]), nta.ActivationRounds(digits)])
    >>> [ax.get_ylabel() for ax in nta.plotting.figure(run).axes][:2]
    ['training loss', 'regret / sqrt(N)']
    """
    from matplotlib.figure import Figure

    given = sources(runs)
    panels = _panels(given, scopes, record, radius, options)
    if not panels:
        raise ValueError(
            "There is nothing to draw: no losses, no layer that all of them have recorded, and no "
            f"activation configurations. Received: {[source.label for source in given]}"
        )
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    drawn = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows), layout="constrained")
    axes = drawn.subplots(rows, columns, squeeze=False).ravel()
    colours = {source.label: f"C{place % 10}" for place, source in enumerate(given)}
    for ax, (draw, of, arguments) in zip(axes, panels):
        draw(of, *arguments, ax, colours=[colours[label] for label in of])
        if ax is not axes[0] and _labels(ax) == _labels(axes[0]):
            legend = ax.get_legend()
            if legend is not None:
                legend.remove()
    for ax in axes[len(panels) :]:
        ax.remove()
    return drawn


def _panels(given: list[Source], scopes: Any, record: Any, radius: Any, options: dict) -> list:
    """(function, what it draws by label, its arguments) of each panel."""
    panels: list[tuple] = []
    with_losses = {source.label: source.data for source in given if _has_losses(source)}
    if with_losses:
        panels.append((curves.losses, with_losses, ()))
    with_layers = [source for source in given if source.layers]
    for scope in _common(with_layers) if scopes is None else scopes:
        tables = {s.label: s.regret(scope, record, radius, **options) for s in with_layers}
        panels += [(curves.regret, tables, (scope,)), (curves.taylor_optimum, tables, (scope,))]
    exploring = {source.label: source.data for source in given if source.explores}
    if exploring:
        panels += [(curves.exploration, exploring, (measure,)) for measure in curves.MEASURES]
    return panels


def _has_losses(source: Source) -> bool:
    try:
        return bool(source.losses()["loss"].notna().any())
    except ValueError:
        return False


def _labels(ax: Any) -> list[str] | None:
    legend = ax.get_legend()
    return None if legend is None else [text.get_text() for text in legend.get_texts()]


def _common(given: list[Source]) -> list[str]:
    layers = [[name for name in source.layers if name != "network"] for source in given]
    shared = [name for name in (layers or [[]])[0] if all(name in others for others in layers)]
    if len(shared) <= _MOST_LAYERS:
        return shared
    places = [round(n * (len(shared) - 1) / (_MOST_LAYERS - 1)) for n in range(_MOST_LAYERS)]
    return [shared[place] for place in places]
