"""Rounds given as arrays: the table of the run from which they were taken."""

import functools

import keras
import numpy as np
import pandas as pd
import pytest

import nta_tf as nta
from tests.recording import KeepRounds

EPOCHS, BATCH, CLASSES = 3, 4, 3
LAYERS = ["conv", "top"]


def _model():
    options = {"dtype": "float64"}
    inputs = keras.Input((4, 4, 2), dtype="float64")
    hidden = keras.layers.Conv2D(3, 3, padding="same", name="conv", **options)(inputs)
    hidden = keras.layers.Flatten(**options)(keras.layers.ReLU(**options)(hidden))
    outputs = keras.layers.Dense(CLASSES, name="top", **options)(hidden)
    model = keras.Model(inputs, outputs)
    generator = np.random.default_rng(5)
    model.set_weights([0.4 * generator.normal(size=w.shape) for w in model.get_weights()])
    return model


@functools.cache
def _trained(loss):
    """A run with a record of each reduction, and its rounds linearized one by one."""
    generator = np.random.default_rng(6)
    model, x = _model(), generator.normal(size=(12, 4, 4, 2))
    y = generator.integers(0, CLASSES, 12)
    if loss == "mse":
        y = generator.normal(size=(12, CLASSES))
    keep = KeepRounds("2 an epoch")
    recorders = [
        nta.TaylorRounds(LAYERS, reduction, "2 an epoch", form="gradient_tensors")
        for reduction in nta.linearization.REDUCTIONS
    ]
    run = nta.train(
        model,
        x,
        y,
        optimizer=nta.optimizers.get("sgd", 0.2),
        loss=loss,
        epochs=EPOCHS,
        batch_size=BATCH,
        recorders=[keep, *recorders],
    )
    return run, list(_rounds(model, keep))


def _rounds(model, keep):
    for epoch, _, weights, inputs, targets, loss in keep.rounds:
        for variable in model.trainable_variables:
            variable.assign(weights[variable.path])
        yield epoch + 1, nta.linearize(model, inputs), targets, loss


def _arrays(rounds, loss):
    """What a user of another framework has: plain arrays, G of every example."""
    epochs, lins, targets, losses = zip(*rounds)
    weights = {name: np.stack([lin.kernel(name) for lin in lins]) for name in LAYERS}
    tensors = {name: np.stack([lin.gradient_tensor(name) for lin in lins]) for name in LAYERS}
    outputs = np.stack([lin.outputs for lin in lins])
    settings = {"loss": loss, "epochs": np.array(epochs), "network_losses": np.array(losses)}
    return (outputs, np.stack(targets), weights, tensors), settings


def _factors(rounds):
    lins = [lin for _, lin, *_ in rounds]
    return {
        name: (
            np.stack([lin.jacobian(name) for lin in lins]),
            np.stack([lin.layer_input(name) for lin in lins]),
        )
        for name in LAYERS
    }


def _assert_same_table(one, other):
    columns = ["gap", "distance"]  # where the search stopped, within its tolerance
    pd.testing.assert_frame_equal(
        one.drop(columns=columns), other.drop(columns=columns), check_exact=False, rtol=1e-6
    )
    np.testing.assert_allclose(one["distance"], other["distance"], rtol=1e-2)


@pytest.mark.parametrize(
    "loss, reduction, scope",
    [
        ("mse", "per_example", "conv"),
        pytest.param("cross_entropy", "batch_mean", "network", marks=pytest.mark.slow),
        pytest.param("mse", "batch_mean", "top:1", marks=pytest.mark.slow),
        pytest.param("cross_entropy", "per_example", "network", marks=pytest.mark.slow),
    ],
)
def test_the_table_is_that_of_the_run(loss, reduction, scope):
    run, rounds = _trained(loss)
    arrays, settings = _arrays(rounds, loss)
    ours = nta.regret_from_arrays(*arrays, scope, reduction=reduction, checkpoints=2, **settings)
    _assert_same_table(ours, nta.regret(run, scope, record=reduction, checkpoints=2))


@pytest.mark.slow
def test_radii_solvers_and_comparators_are_those_of_regret():
    run, rounds = _trained("cross_entropy")
    arrays, settings = _arrays(rounds, "cross_entropy")
    for options in (
        {"radius": [0.5, 2.0], "solver": "row_space"},
        {"radius": 0.5, "solver": "row_space", "comparator": "each_round"},
    ):
        ours = nta.regret_from_arrays(*arrays, "top", checkpoints=1, **settings, **options)
        theirs = nta.regret(run, "top", record="per_example", checkpoints=1, **options)
        _assert_same_table(ours, theirs)


def test_arrays_of_the_record_give_its_table_to_the_last_bit():
    run, _ = _trained("cross_entropy")
    for reduction in nta.linearization.REDUCTIONS:
        record = run.records[reduction]
        tensors = {}
        for name in LAYERS:
            names = ("gradient_tensor", "jacobian", "layer_input")
            kept = [n for n in names if f"{name}/{n}" in record.arrays]
            arrays = tuple(record.read_rounds(f"{name}/{n}") for n in kept)
            tensors[name] = arrays if len(arrays) == 2 else arrays[0]
        weights = {name: record.read_rounds(f"{name}/kernel") for name in LAYERS}
        ours = nta.run_from_arrays(
            record.read_rounds("outputs"),
            record.read_rounds("targets"),
            weights,
            tensors,
            loss="cross_entropy",
            reduction=reduction,
            epochs=np.repeat(np.arange(1, EPOCHS + 1), 2),
            layers={"conv": keras.layers.Conv2D(3, 3, padding="same")},
        )
        for scope in ("top", ("conv", [0])):
            options = {"checkpoints": 1, "radius": 0.5, "solver": "row_space"}
            theirs = nta.regret(run, scope, record=reduction, **options)
            table = nta.regret(ours, scope, **options)
            network = theirs.pop("network_loss"), table.pop("network_loss")
            pd.testing.assert_frame_equal(table, theirs, check_exact=True)
            np.testing.assert_allclose(*network, rtol=1e-6)  # measured in float32


def test_factors_are_g():
    _, rounds = _trained("mse")
    (outputs, targets, weights, tensors), settings = _arrays(rounds, "mse")
    layers = {"conv": keras.layers.Conv2D(3, 3, padding="same", name="mine")}
    for reduction in nta.linearization.REDUCTIONS:
        tables = [
            nta.regret_from_arrays(
                outputs,
                targets,
                weights,
                given,
                reduction=reduction,
                checkpoints=1,
                radius=0.5,
                solver="row_space",
                layers=layers,
                **settings,
            )
            for given in (tensors, _factors(rounds))
        ]
        assert tables[0]["scope"].tolist() == ["network"]
        _assert_same_table(*tables)
    assert not layers["conv"].built


def test_kernels_of_pytorch():
    """A kernel (p_l, p_{l-1}) has its neurons on the first axis."""
    _, rounds = _trained("cross_entropy")
    (outputs, targets, weights, tensors), settings = _arrays(rounds, "cross_entropy")
    settings |= {"checkpoints": 1, "radius": 0.5, "solver": "row_space"}
    kernel, tensor = weights["top"], tensors["top"]
    torch = kernel.swapaxes(1, 2), tensor.swapaxes(3, 4)
    ours = nta.regret_from_arrays(outputs, targets, kernel, tensor, "layer:1", **settings)
    theirs = nta.regret_from_arrays(outputs, targets, *torch, "layer:1", neuron_axis=0, **settings)
    pd.testing.assert_frame_equal(ours, theirs)
    run = nta.run_from_arrays(
        outputs, targets, torch[0], _factors(rounds)["top"], neuron_axis=0, loss="cross_entropy"
    )
    pd.testing.assert_frame_equal(
        nta.regret(run, "layer", checkpoints=1, radius=0.5, solver="row_space").drop(
            columns="epoch"
        ),
        nta.regret_from_arrays(outputs, targets, kernel, tensor, **settings).drop(columns="epoch"),
        rtol=1e-5,
    )


def test_a_run_is_kept_and_found_again(tmp_path):
    _, rounds = _trained("mse")
    arrays, settings = _arrays(rounds, "mse")
    settings["epochs"] = [1, 1, 1, 2, 4, 4]  # of several lengths, one of them empty
    run = nta.run_from_arrays(*arrays, **settings, directory=tmp_path / "run")
    again = nta.run_from_arrays(*arrays, **settings, directory=tmp_path / "run")
    opened = nta.Run.open(tmp_path / "run")
    assert opened.verify() == [] and again.status == "finished"
    tables = [
        nta.regret(one, "top", radius=1.0, checkpoints=3, solver="row_space")
        for one in (run, opened)
    ]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["round"].tolist() == [3, 4, 6] and tables[0]["epoch"].tolist() == [1, 2, 4]
    np.testing.assert_allclose(
        tables[0]["network_loss"], np.cumsum(settings["network_losses"])[[2, 3, 5]]
    )
    arrays[2]["top"] = arrays[2]["top"] + 1
    with pytest.raises(nta.RunDirectoryError, match="another run.*data"):
        nta.run_from_arrays(*arrays, **settings, directory=tmp_path / "run")


class TestWrongInput:
    ROUNDS = (np.zeros((5, 4, 3)), np.zeros((5, 4, 3)), np.ones((5, 2, 3)))
    G = np.ones((5, 4, 3, 2, 3))

    def _regret(self, *arrays, **options):
        given = [*self.ROUNDS, self.G]
        given[: len(arrays)] = arrays
        return nta.regret_from_arrays(*given, **options)

    def test_it_would_be_taken(self):
        assert self._regret()["round"].tolist() == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize(
        "arrays, message",
        [
            ([np.zeros((5, 12))], r"outputs must have shape \(N, B, p_L\).*\(5, 12\)"),
            ([np.full((5, 4, 3), np.nan)], "outputs hold NaN"),
            ([ROUNDS[0], np.zeros((5, 3, 3))], r"Targets must have shape \(5, 4, 3\)"),
            ([*ROUNDS[:2], np.ones((4, 2, 3))], r"N = 5 rounds.*\(4, 2, 3\)"),
            ([*ROUNDS, np.ones((5, 4, 3, 3, 2))], r"G of 'layer' must have shape \(5, 4, 3, 2, 3"),
            ([*ROUNDS, (np.ones((5, 4, 3, 3)), np.ones((5, 4, 7)))], "its Dense layer.*kernel"),
            ([*ROUNDS, (G,)], r"tuple \(J, x\)"),
            ([*ROUNDS, {"a": G}], "both be arrays"),
            ([[np.zeros((4, 3)), np.zeros((3, 3))]], "same number of examples"),
        ],
    )
    def test_arrays_that_do_not_fit(self, arrays, message):
        with pytest.raises(ValueError, match=message):
            self._regret(*arrays)

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"reduction": "sum"}, "reduction must be one of"),
            ({"reduction": "batch_mean", "scope": "other"}, "has layers.*'other'"),
            ({"loss": keras.losses.LogCosh()}, "loss must be one of"),
            ({"loss": "cross_entropy"}, "each must sum to one"),
            ({"epochs": [1, 1, 2, 2]}, "5 rounds"),
            ({"epochs": [1, 1, 3, 2, 2]}, "never fall"),
            ({"network_losses": [1.0, 2.0]}, r"one network loss a round, shape \(5,\)"),
            ({"neuron_axis": 2}, "neuron_axis must be an axis"),
            ({"layers": {"a": None, "b": None}}, r"layers=\['a', 'b'\]"),
        ],
    )
    def test_options_that_do_not_fit(self, options, message):
        with pytest.raises(ValueError, match=message):
            self._regret(**options)

    def test_probabilities_are_no_logits(self):
        probabilities = np.full((5, 4, 3), 1 / 3)
        labels = np.zeros((5, 4), int)
        with pytest.raises(ValueError, match="look like probabilities.*logits"):
            self._regret(probabilities, labels, loss="cross_entropy")
