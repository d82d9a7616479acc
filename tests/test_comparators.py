"""One V for all rounds, for those of each epoch, or for each: against a loop over rounds."""

import math

import keras
import numpy as np
import pytest

import nta_tf as nta
from nta_tf.comparators import COMPARATORS, CumulativeOptimum
from nta_tf.solvers import Status
from tests.networks import dense_chain
from tests.recording import KeepRounds
from tests.reference.taylor_problem import ReferenceProblem, sum_of_minima
from tests.variants import slow

EPOCHS, BATCH, CLASSES = 3, 4, 3
SCOPES = ("hidden", "top:1", "network")


def _convnet():
    options = {"dtype": "float64"}
    inputs = keras.Input((4, 4, 2), dtype="float64")
    hidden = keras.layers.Conv2D(2, 3, activation="relu", name="hidden", **options)(inputs)
    hidden = keras.layers.Flatten(**options)(hidden)
    outputs = keras.layers.Dense(CLASSES, name="top", **options)(hidden)
    model = keras.Model(inputs, outputs)
    generator = np.random.default_rng(5)
    model.set_weights([0.4 * generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def _train(model, x, y, loss, recorders):
    keep = KeepRounds("2 an epoch")
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
    return run, keep


@pytest.fixture(scope="module", params=["mse", "cross_entropy"])
def convnet(request):
    """A run with gradient tensors of both reductions, and what the rounds were made of."""
    generator = np.random.default_rng(6)
    x = generator.normal(size=(12, 4, 4, 2))
    y = generator.integers(0, CLASSES, 12)
    if request.param == "mse":
        y = generator.normal(size=(12, CLASSES))
    recorders = [
        nta.TaylorRounds(reduction=reduction, schedule="2 an epoch", form="gradient_tensors")
        for reduction in nta.linearization.REDUCTIONS
    ]
    model = _convnet()
    run, keep = _train(model, x, y, request.param, recorders)
    return model, run, keep, request.param


def _reference_rounds(model, keep, scope, reduction, loss, centre):
    """A `ReferenceProblem` of each round, from `nta.linearize` at its weights."""
    layers = ["hidden", "top"] if scope == "network" else [scope.partition(":")[0]]
    neuron = int(scope[-1]) if ":" in scope else None
    for *_, weights, inputs, targets, _ in keep.rounds:
        for variable in model.trainable_variables:
            variable.assign(weights[variable.path])
        lin = nta.linearize(model, inputs)
        tensors = [lin.gradient_tensor(layer, neuron=neuron).numpy() for layer in layers]
        kernels = [lin.kernel(layer).numpy() for layer in layers]
        kernels = [kernel if neuron is None else kernel[..., neuron] for kernel in kernels]
        g = np.concatenate([t.reshape(*t.shape[:2], -1) for t in tensors], axis=-1)
        w = np.concatenate([kernel.ravel() for kernel in kernels])
        outputs = lin.outputs.numpy()
        if reduction == "batch_mean":
            g, outputs, targets = g.mean(axis=0)[None], outputs[None], targets[None]
        else:
            outputs, targets = outputs[:, None], targets[:, None]
        outputs = outputs + (g @ (centre - w))[:, None]
        scales = np.full(len(outputs), 1 / BATCH)
        yield ReferenceProblem(g, outputs, targets, scales, centre, loss)


def _joined(problems):
    """Several reference problems as one, with one V."""
    first = problems[0]
    parts = [
        np.concatenate([getattr(problem, name) for problem in problems])
        for name in ("gradient_tensors", "outputs", "targets", "weights")
    ]
    return ReferenceProblem(*parts, first.centre, first.loss)


@pytest.mark.parametrize(
    "reduction, scope",
    [
        ("per_example", "hidden"),
        pytest.param("batch_mean", "top:1", marks=pytest.mark.slow),
        pytest.param("per_example", "top:1", marks=pytest.mark.slow),
        pytest.param("per_example", "network", marks=pytest.mark.slow),
        pytest.param("batch_mean", "hidden", marks=pytest.mark.slow),
        pytest.param("batch_mean", "network", marks=pytest.mark.slow),
    ],
)
def test_minima_are_those_of_a_loop_over_rounds(convnet, reduction, scope):
    model, run, keep, loss = convnet
    problem = next(nta.recorders.taylor_reader(run, reduction).problems(nta.scopes.parse(scope)))
    centre = np.concatenate([np.ravel(part) for part in problem.centre])
    if scope != "network":
        centre = np.ravel(problem.centre)
    rounds = list(_reference_rounds(model, keep, scope, reduction, loss, centre))
    by_epoch = [_joined(rounds[first : first + 2]) for first in range(0, len(rounds), 2)]
    expected = {"static": [_joined(rounds)], "each_epoch": by_epoch, "each_round": rounds}
    for comparator, problems in expected.items():
        row = nta.regret(run, scope, record=reduction, comparator=comparator).iloc[-1]
        best = sum_of_minima(problems, problem.radius)
        slack = 1e-6 * row["cumulative_loss"]
        assert row["taylor_optimum"] <= best + slack
        assert row["taylor_optimum"] - row["gap"] <= best + 1e-9
        assert row["gap"] <= 1e-3 * max(row["taylor_optimum"], 0.1 * row["cumulative_loss"])


@pytest.mark.parametrize("radius", [None, math.inf])
@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_more_freedom_never_costs(convnet, reduction, radius):
    _, run, _, loss = convnet
    if loss == "cross_entropy" and radius == math.inf:
        pytest.skip("separable without a ball: no minimum is attained")
    tables = {
        comparator: nta.regret(
            run, ("hidden", [0, 1]), record=reduction, radius=radius, comparator=comparator
        )
        for comparator in COMPARATORS
    }
    static, each_epoch, each_round = (tables[name] for name in COMPARATORS)
    slack = 1e-6 * static["cumulative_loss"]
    assert (each_epoch["taylor_optimum"] <= static["taylor_optimum"] + slack).all()
    assert (each_round["taylor_optimum"] <= each_epoch["taylor_optimum"] + slack).all()
    for table in tables.values():
        assert list(table) == list(static)
        for column in ("round", "epoch", "cumulative_loss", "radius", "network_loss", "scope"):
            assert table[column].equals(static[column])
    one_epoch = static["epoch"] == 1
    np.testing.assert_allclose(
        each_epoch["taylor_optimum"][one_epoch], static["taylor_optimum"][one_epoch], atol=1e-6
    )


@pytest.fixture(scope="module")
def chain():
    """A chain of Dense layers with one round an epoch, in both forms."""
    model = dense_chain((5, 4, 3, 5), ("relu", "relu", "linear"), seed=3)
    x = np.random.default_rng(4).normal(size=(24, 5))
    options = {"schedule": "1 an epoch", "dtype": "float64"}
    recorders = [
        nta.TaylorRounds(
            ["dense_2", "dense_3"], reduction, name=f"{form} {reduction}", form=form, **options
        )
        for form in ("normal_equations", "gradient_tensors")
        for reduction in nta.linearization.REDUCTIONS
    ]
    several = nta.TaylorRounds(["dense_2"], schedule="2 an epoch", name="several")
    return nta.train(
        model, x, x, optimizer="sgd", epochs=4, batch_size=8, recorders=[*recorders, several]
    )


@pytest.mark.parametrize("comparator", COMPARATORS)
@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
@pytest.mark.parametrize("scope", slow(["dense_2", "dense_2:1", "dense_3"], "dense_3"))
def test_both_forms_agree(chain, comparator, reduction, scope):
    exact, other = (
        nta.regret(chain, scope, record=f"{form} {reduction}", radius=0.02, comparator=comparator)
        for form in ("normal_equations", "gradient_tensors")
    )
    # The two know the trajectory at different rounds, so that centres differ a little.
    np.testing.assert_allclose(other["taylor_optimum"], exact["taylor_optimum"], rtol=1e-2)
    assert (exact["gap"] <= 1e-6 * exact["taylor_optimum"]).all()


@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_one_round_an_epoch_makes_the_two_the_same(chain, reduction):
    for form in ("normal_equations", "gradient_tensors"):
        each_round, each_epoch = (
            nta.regret(chain, "dense_2", record=f"{form} {reduction}", comparator=comparator)
            for comparator in ("each_round", "each_epoch")
        )
        assert each_round.equals(each_epoch)
        static = nta.regret(chain, "dense_2", record=f"{form} {reduction}")
        np.testing.assert_allclose(
            static["taylor_optimum"][0], each_round["taylor_optimum"][0], rtol=1e-6
        )


def test_sums_over_several_rounds_have_no_optimum_for_each(chain):
    assert len(nta.regret(chain, "dense_2", record="several", comparator="each_epoch")) == 4
    with pytest.raises(ValueError, match=r"sum of the 2 rounds.*1 an epoch.*gradient_tensors"):
        nta.regret(chain, "dense_2", record="several", comparator="each_round")


def test_checkpoints_are_rows_of_the_whole_table(chain):
    record = "gradient_tensors per_example"
    whole = nta.regret(chain, "dense_2", record=record, comparator="each_round")
    some = nta.regret(chain, "dense_2", record=record, comparator="each_round", checkpoints=2)
    assert some.equals(whole[whole["epoch"].isin([2, 4])].reset_index(drop=True))


def test_sums_have_the_worst_status_and_all_gaps():
    one = CumulativeOptimum(1.0, 0.1, 2.0, Status.OPTIMAL, rank=3)
    two = CumulativeOptimum(2.0, 0.2, 1.0, Status.ON_BALL)
    total = one + two + CumulativeOptimum(0.0, 0.0, 0.0, Status.STALLED)
    assert (total.loss, total.distance, total.rank) == (3.0, 2.0, None)
    assert total.gap == pytest.approx(0.3) and total.status is Status.STALLED
    assert (one + two).status is Status.ON_BALL


def test_unknown_comparator(chain):
    with pytest.raises(ValueError, match="each_round.*'dynamic'"):
        nta.regret(chain, "dense_2", comparator="dynamic")


@pytest.mark.parametrize("status", Status)
def test_every_status_has_its_place_in_a_sum(status):
    one = CumulativeOptimum(1.0, 0.0, 0.0, status)
    assert (one + one).status is status
    best = CumulativeOptimum(1.0, 0.0, 0.0, Status.OPTIMAL)
    assert (best + one).status is status
    assert status.solved or not (one + best).status.solved
