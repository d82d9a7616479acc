"""The worked examples of CONTRIBUTING.md do what they say."""

import pathlib
import re

import numpy as np
import pytest

from reproduce import claims, paths
from reproduce.claims import registry as registered
from reproduce.figures import registry as figures
from reproduce.pages import registry as pages
from reproduce.results.runs import find_runs

_PAGE = pathlib.Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"


def _run(title, names=None):
    """Runs the block below a heading; returns the names that it leaves."""
    section = _PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = {"__name__": "example", **(names or {})}
    exec(compile(block, f"CONTRIBUTING.md, {title}", "exec"), names)
    return names


def test_layer_rule():
    import keras

    import nta_tf as nta
    from nta_tf.linearization import rules

    names = _run("A layer rule")
    try:
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(3, activation="relu"),
                names["Scaled"](name="scaled"),
                keras.layers.Dense(2),
            ]
        )
        x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
        y = np.zeros((5, 2), "float32")
        found = nta.linearize(model, x, method="auto")
        slow = nta.linearize(model, x, method="per_output")
        tensor = found.gradient_tensor("scaled")
        assert tensor.shape == (5, 2, 1, 3)
        np.testing.assert_allclose(tensor, slow.gradient_tensor("scaled"), atol=1e-6)
        np.testing.assert_allclose(found.gradient_tensor("scaled", 1), tensor[..., 1])
        kernel = 2 * found.kernel("scaled")
        np.testing.assert_allclose(
            found.predict({"scaled": kernel}),
            found.outputs + np.einsum("bkja,ja->bk", tensor, kernel - found.kernel("scaled")),
            atol=1e-5,
        )
        run = nta.train(
            model,
            x,
            y,
            optimizer="sgd",
            epochs=1,
            batch_size=5,
            recorders=[nta.TaylorRounds(["scaled"])],
        )
        assert len(nta.regret(run, "scaled")) == 1
    finally:
        rules.RULES.pop(names["Scaled"], None)


def test_recorder():
    assert _run("A recorder")["lengths"].shape == (2, 12)


def test_solver():
    optimum = _run("A solver")["optimum"]
    assert optimum.loss == pytest.approx(4.0)
    assert optimum.gap == pytest.approx(0.0, abs=1e-9)


def test_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "FIGURES", dict(figures.FIGURES))
    monkeypatch.setattr(figures, "ALL", list(figures.ALL))
    _run("A figure")
    runs = paths.traces() / "autoencoder" / "sigmoid"
    written = figures.draw(["7"], runs, tmp_path)
    assert any(path.name == "figure_7.png" for path in written)


def test_table(monkeypatch):
    monkeypatch.setattr(pages, "TABLES", dict(pages.TABLES))
    names = _run("A table on a page")
    table = names["trainings"](pages.Results())
    runs = find_runs(paths.traces())
    assert f"| {runs['task'][0]}/{runs['experiment'][0]} |" in table


def test_claim(monkeypatch):
    monkeypatch.setattr(registered, "_CLAIMS", [])
    _run("A claim")
    table = claims.compare(paths.traces() / "autoencoder" / "sigmoid")
    assert table["claim"].tolist() == [99]
    assert table["value"][0] < 0.04 and table["verdict"][0] == "reproduced"
