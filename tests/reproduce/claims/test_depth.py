"""Claim 17: a network of more than 100 layers ends where a constant does, and so do its optima."""

import pandas as pd
import pytest

from reproduce.claims import depth
from reproduce.claims.verdicts import Verdict

_LAYERS = ["dense_2", "dense_110"]
_CONSTANT = depth.MEAN_IMAGE_LOSS["sample"]


@pytest.fixture
def deep(write):
    """Three seeds of a network that learns nothing beyond a constant, unless told otherwise."""

    def _deep(root, **changes):
        options = {"final": _CONSTANT, "slope": 1e-5, **changes}
        for seed in range(3):
            write(
                *(root / "deep_network/deep", f"sgd_seed{seed}", "sgd", 0.1, seed),
                **{"task": "deep_network", "layers": _LAYERS, **options},
            )
        return root

    return _deep


def test_the_mean_image_has_that_loss(sample):
    x = sample.x.reshape(len(sample.x), -1).astype("float64")
    assert x.var(axis=0).mean() == pytest.approx(_CONSTANT, rel=1e-5)


def test_a_network_that_is_no_better_than_a_constant_fails_to_learn(tmp_path, deep, only):
    row = only(deep(tmp_path), 17, "poor optimum", "definition")
    assert row.verdict == Verdict.REPRODUCED and row.seeds == 3


@pytest.mark.parametrize(
    "changes, quantity",
    [
        ({"final": _CONSTANT / 2}, "last loss over that of the mean image"),
        ({"slope": 0.2}, "Taylor optimum / cumulative loss"),
    ],
)
def test_a_network_that_learns_or_could_does_not(tmp_path, deep, only, changes, quantity):
    row = only(deep(tmp_path, **changes), 17, "poor optimum", "definition")
    assert row.verdict == Verdict.NOT_REPRODUCED and row.quantity == quantity


def test_its_regret_obeys_the_bound_unless_it_grows_faster(tmp_path, deep, only):
    assert only(deep(tmp_path / "a", slope=0.05), 17, "bound", "definition").verdict == (
        Verdict.REPRODUCED
    )
    worse = only(deep(tmp_path / "b", slope=0.05, power=0.9), 17, "bound", "definition")
    assert worse.verdict == Verdict.NOT_REPRODUCED
    assert pd.notna(worse.value)
