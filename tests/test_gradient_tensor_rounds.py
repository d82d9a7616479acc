"""Rounds kept as gradient tensors: what is recorded, and regret of every scope from it."""

import keras
import numpy as np
import pytest
import scipy.optimize

import nta_tf as nta
from nta_tf.solvers.maps import LinearMap
from tests.networks import CHAINS, dense_chain
from tests.recording import KeepRounds

EPOCHS, BATCH, CLASSES = 3, 6, 3
LAYERS = ["conv", "wide", "top"]


def _model():
    """A small convnet in float64 with a layer of each kind; wide keeps factors."""
    options = {"dtype": "float64"}
    inputs = keras.Input((6, 6, 2), dtype="float64")
    hidden = keras.layers.Conv2D(3, 3, strides=2, activation="relu", name="conv", **options)(inputs)
    hidden = keras.layers.Flatten(**options)(hidden)
    hidden = keras.layers.Dense(40, "relu", name="wide", **options)(hidden)
    outputs = keras.layers.Dense(CLASSES, name="top", **options)(hidden)
    model = keras.Model(inputs, outputs)
    generator = np.random.default_rng(5)
    model.set_weights([0.4 * generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def _data():
    generator = np.random.default_rng(6)
    x = generator.normal(size=(20, 6, 6, 2))
    return x, generator.integers(0, CLASSES, 20)


def _train(recorders, loss="cross_entropy", schedule="2 an epoch"):
    model, (x, y) = _model(), _data()
    if loss == "mse":
        y = np.eye(CLASSES)[y]
    keep = KeepRounds(schedule)
    run = nta.train(
        model,
        x,
        y,
        optimizer=nta.optimizers.get("sgd", 0.3),
        loss=loss,
        epochs=EPOCHS,
        batch_size=BATCH,
        recorders=[keep, *recorders],
    )
    return model, run, keep


def _recorder(reduction, schedule="2 an epoch", examples=None, **options):
    return nta.TaylorRounds(LAYERS, reduction, schedule, examples=examples, **options)


def _rounds(model, keep):
    """Linearization, inputs and labels of every kept round, by the public nta.linearize."""
    for epoch, step, weights, inputs, targets, _loss in keep.rounds:
        for variable in model.trainable_variables:
            variable.assign(weights[variable.path])
        yield epoch, step, inputs, targets


@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_predictions_of_a_problem_are_those_of_linearize(reduction, seed):
    variables = [*LAYERS, "conv/bias"]
    model, run, keep = _train([nta.TaylorRounds(variables, reduction, "2 an epoch")])
    generator = np.random.default_rng(seed)
    reader = nta.recorders.taylor_reader(run, reduction)
    for layer in variables:
        scope = nta.scopes.Scope(layer)
        problem = next(reader.problems(scope)).problem
        kernel = generator.normal(size=reader.kernel_shape(layer))
        total = 0.0
        for _, _, inputs, targets in _rounds(model, keep):
            lin = nta.linearize(model, inputs, layers=variables, reduction=reduction)
            total += float(nta.taylor_loss(lin, {layer: kernel}, targets, "cross_entropy"))
        assert problem.value(kernel) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_neurons_and_network_are_slices_and_sums_of_layers(reduction, seed):
    model, run, keep = _train([_recorder(reduction)])
    generator = np.random.default_rng(seed)
    reader = nta.recorders.taylor_reader(run, reduction)
    for layer, neurons in (("conv", (0, 2)), ("wide", (3,)), ("top", (1,))):
        scope = nta.scopes.Scope(layer, neurons)
        for neuron, recorded in zip(neurons, reader.problems(scope)):
            column = generator.normal(size=reader.kernel_shape(layer)[:-1])
            total = 0.0
            for _, _, inputs, targets in _rounds(model, keep):
                lin = nta.linearize(model, inputs, reduction=reduction)
                kernel = lin.kernel(layer).numpy()
                kernel[..., neuron] = column
                total += float(nta.taylor_loss(lin, {layer: kernel}, targets, "cross_entropy"))
            assert recorded.problem.value(column) == pytest.approx(total, rel=1e-9)
    problem = next(reader.problems(nta.scopes.Scope(None))).problem
    kernels = {layer: generator.normal(size=reader.kernel_shape(layer)) for layer in LAYERS}
    total = 0.0
    for _, _, inputs, targets in _rounds(model, keep):
        lin = nta.linearize(model, inputs, reduction=reduction)
        total += float(nta.taylor_loss(lin, kernels, targets, "cross_entropy"))
    assert problem.value([kernels[layer] for layer in LAYERS]) == pytest.approx(total, rel=1e-9)


def test_the_smaller_form_is_kept():
    _, run, _ = _train([_recorder("per_example"), _recorder("batch_mean")])
    kept = {
        f"{name}/{array}"
        for name in ("per_example", "batch_mean")
        for array in run.records[name].arrays
    }
    assert "per_example/conv/gradient_tensor" in kept or "per_example/conv/jacobian" in kept
    for reduction, examples in (("per_example", BATCH), ("batch_mean", BATCH)):
        for layer, sizes in {
            "conv": (54, 12, 72),
            "wide": (480, 40, 12),
            "top": (120, 3, 40),
        }.items():
            form = nta.recorders.smallest_form(reduction, examples, CLASSES, *sizes)
            name = "gradient_tensor" if form == "gradient_tensor" else "jacobian"
            assert f"{reduction}/{layer}/{name}" in kept
            assert run.records[reduction].config["forms"][layer] == form


def _minimum_by_scipy(problem, shape, radius, loss):
    """The minimum over the ball by SciPy, from G written out and plain NumPy losses."""
    size = int(np.prod(shape))
    matrix = np.stack(
        [problem.linear_map.forward(unit.reshape(shape)).numpy() for unit in np.eye(size)], axis=-1
    )

    def value_and_slope(u):
        outputs = problem.outputs + (matrix @ u)[:, np.newaxis]
        if loss == "mse":
            errors = outputs - problem.targets
            values = (errors**2).mean(axis=-1)
            slopes = 2 * errors / CLASSES
        else:
            shifted = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
            softmax = shifted / shifted.sum(axis=-1, keepdims=True)
            values = -(problem.targets * np.log(softmax)).sum(axis=-1)
            slopes = softmax - problem.targets
        weights = problem.weights[:, np.newaxis]
        slope = np.einsum("gk,gkp->p", (slopes * weights[..., np.newaxis]).sum(axis=1), matrix)
        return (values * weights).sum(), slope

    return scipy.optimize.minimize(
        value_and_slope,
        np.zeros(size),
        jac=True,
        method="trust-constr",
        constraints=scipy.optimize.NonlinearConstraint(
            lambda u: u @ u, 0, radius**2, jac=lambda u: 2 * u[np.newaxis]
        ),
        options={"gtol": 1e-9, "maxiter": 3000},
    )


@pytest.mark.parametrize(
    "loss, reduction",
    [
        ("cross_entropy", "per_example"),
        ("mse", "batch_mean"),
        pytest.param("cross_entropy", "batch_mean", marks=pytest.mark.slow),
        pytest.param("mse", "per_example", marks=pytest.mark.slow),
    ],
)
def test_regret_on_the_ball_equals_an_independent_solver(loss, reduction):
    model, run, keep = _train([_recorder(reduction)], loss)
    table = nta.regret(run, "conv", record=reduction, checkpoints=1)
    row = table.iloc[-1]
    reader = nta.recorders.taylor_reader(run, reduction)
    recorded = next(reader.problems(nta.scopes.Scope("conv")))
    assert row["radius"] == pytest.approx(recorded.radius)
    found = _minimum_by_scipy(recorded.problem, reader.kernel_shape("conv"), recorded.radius, loss)
    assert row["taylor_optimum"] <= found.fun + 1e-6
    assert row["taylor_optimum"] - row["gap"] <= found.fun
    assert row["taylor_optimum"] == pytest.approx(found.fun, rel=1e-4)
    incurred = sum(loss for *_, loss in keep.rounds)
    assert row["cumulative_loss"] == pytest.approx(incurred, rel=1e-6)
    assert row["network_loss"] == pytest.approx(incurred, rel=1e-6)


def test_on_balls_products_in_float32_are_certified_as_closely(monkeypatch):
    x = nta.data.load("sample").x[:192].reshape(192, 784)
    rounds = nta.TaylorRounds(["dense_3"], schedule="every step", examples=4)
    model, sgd = nta.models.autoencoder(seed=0), nta.optimizers.get("sgd", 1.0)
    run = nta.train(model, x, x, optimizer=sgd, epochs=2, batch_size=64, recorders=[rounds])
    casts, cast = [], LinearMap.cast
    monkeypatch.setattr(LinearMap, "cast", lambda *of: casts.append(of) or cast(*of))
    scope = ("dense_3", [0, 3, 7])
    single = nta.regret(run, scope, checkpoints=2)
    assert len(casts) == 3
    free = nta.regret(run, scope, checkpoints=2, radius=[None, np.inf])
    assert len(casts) == 3  # flat directions lead far away without a ball
    double = free[np.isfinite(free["radius"])].reset_index(drop=True)
    assert single["status"].tolist() == double["status"].tolist()
    assert (single["gap"] <= 1e-6 * single["taylor_optimum"]).all()
    apart = (single["taylor_optimum"] - double["taylor_optimum"]).abs()
    rounding = 1e-12 * single["taylor_optimum"]
    assert (apart <= single["gap"] + double["gap"] + rounding).all()


def test_gradient_tensors_and_normal_equations_agree_on_mse():
    """Layer 1 and sub-sampled rounds go through the solvers; all examples through both."""
    model = dense_chain(*CHAINS["narrow middle"], seed=3)
    x = np.random.default_rng(4).normal(size=(24, 6))
    recorders = [
        nta.TaylorRounds(
            ["dense_2", "dense_3"], schedule="every step", dtype="float64", name=form, form=form
        )
        for form in ("normal_equations", "gradient_tensors")
    ]
    run = nta.train(model, x, x, optimizer="sgd", epochs=3, batch_size=8, recorders=recorders)
    for scope in ("dense_2", "dense_3:1"):
        exact = nta.regret(run, scope, record="normal_equations", radius=0.05)
        other = nta.regret(run, scope, record="gradient_tensors", radius=0.05, checkpoints=3)
        np.testing.assert_allclose(other["cumulative_loss"], exact["cumulative_loss"], rtol=1e-6)
        # The two know the trajectory at different rounds, so that centres differ a little.
        np.testing.assert_allclose(other["taylor_optimum"], exact["taylor_optimum"], rtol=2e-2)


def test_sub_sampled_examples_incur_their_own_loss():
    model, run, keep = _train([_recorder("per_example", examples=2)])
    seen = run.records["per_example"].read("losses").ravel()
    expected, whole = [], []
    for epoch, step, inputs, targets in _rounds(model, keep):
        chosen = nta.sampling.chosen_examples(BATCH, 2, (0, epoch, step))
        logits = model(inputs[chosen])
        expected.append(np.mean(nta.losses.cross_entropy(logits, targets[chosen])))
        whole.append(np.mean(nta.losses.cross_entropy(model(inputs), targets)))
    np.testing.assert_allclose(seen, expected, rtol=1e-6)
    table = nta.regret(run, "conv", checkpoints=1)
    assert table["cumulative_loss"].iloc[-1] == pytest.approx(sum(expected), rel=1e-6)
    assert table["network_loss"].iloc[-1] == pytest.approx(sum(whole), rel=1e-6)


@pytest.mark.slow
def test_a_resumed_recording_is_the_same(tmp_path):
    x, y = _data()
    options = {"loss": "cross_entropy", "batch_size": BATCH, "epochs": EPOCHS}
    model, run, _ = _train([_recorder("per_example", examples=3)])
    kept = nta.train(
        _model(),
        x,
        y,
        optimizer=nta.optimizers.get("sgd", 0.3),
        recorders=[nta.WeightRounds("2 an epoch")],
        directory=tmp_path / "run",
        **options,
    )
    nta.replay(kept, _model(), x, y, [_recorder("per_example", examples=3)])
    one, other = kept.records["per_example"], run.records["per_example"]
    for array in other.arrays:
        np.testing.assert_allclose(one.read(array), other.read(array), rtol=1e-6, err_msg=array)


@pytest.mark.slow
def test_layer_1_and_the_network_of_the_autoencoder(sample):
    """39,200 weights, and 44,000 together: too many for normal equations, not for solvers."""
    digits = sample.x[:128].reshape(128, 784)
    run = nta.train(
        nta.models.autoencoder(seed=0),
        digits,
        digits,
        optimizer=nta.optimizers.get("sgd", 1.0),
        epochs=2,
        batch_size=64,
        recorders=[nta.TaylorRounds(None, schedule="1 an epoch", examples=1)],
    )
    optima = {}
    for scope in ("dense_1", "network"):
        table = nta.regret(run, scope, checkpoints=1)
        assert (table["gap"] <= 1e-3 * table["taylor_optimum"]).all()
        assert (table["taylor_optimum"] <= table["cumulative_loss"] * (1 + 1e-6)).all()
        optima[scope] = table["taylor_optimum"].iloc[-1]
    # The network's ball holds that of its layer.
    assert optima["network"] <= optima["dense_1"]


class TestWrongInput:
    def test_biases(self):
        with pytest.raises(NotImplementedError, match="bias=True"):
            _train([_recorder("per_example", bias=True)])

    def test_too_many_examples(self):
        with pytest.raises(ValueError, match="has 6 examples.*examples=7"):
            _train([_recorder("per_example", examples=7)])

    def test_unknown_scope(self):
        _, run, _ = _train([_recorder("per_example", examples=2)])
        with pytest.raises(ValueError, match="neurons 0 to 2.*neuron 3"):
            nta.regret(run, "conv:3")
        with pytest.raises(ValueError, match="has layers.*'dense'"):
            nta.regret(run, "dense")

    def test_normal_equations_have_no_network(self):
        model = dense_chain((4, 3, 4), ("relu", "linear"), seed=0)
        x = np.ones((8, 4))
        run = nta.train(
            model, x, x, optimizer="sgd", epochs=1, batch_size=4, recorders=[nta.TaylorRounds()]
        )
        with pytest.raises(ValueError, match='form="gradient_tensors"'):
            nta.regret(run, "network")
