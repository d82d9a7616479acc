"""The program of 2016 against the library: the same weights, the same minibatches.

Tolerances: in float32 a trajectory drifts by rounding, here by less than 1e-4 of the weights in 12
steps. In float64, under SGD (the old Adam and RMSProp round their decays to float32), gradient
tensors and Taylor losses agree to 1e-9, and optima to 1e-6: a trace keeps losses in float32, and
the library solves normal equations where the program stacks rows. The convnet's optima, minimised
by SciPy on the program's own Taylor loss, agree to the 1e-3 of their certificates; SGD on V stops
above them.
"""

import ast
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.special

import nta_tf as nta
import reproduce.original
from reproduce.original import graphs, optima, program, tables, training
from tests.recording import KeepRounds

EPOCHS, EXAMPLES, BATCH, SEED = 3, 64, 16, 5
LAYERS = ("dense_2", "dense_3")
WIDTHS = (8, 5, 8)


@pytest.fixture(scope="module")
def digits(sample):
    return program.shrink(sample.x[:EXAMPLES], 7), sample.y[:EXAMPLES]


def _autoencoder(digits, optimizer, rate, dtype="float64", activation="linear"):
    """Both programs' runs, and the model with its last weights."""
    x = digits[0].reshape(EXAMPLES, -1).astype(dtype)
    model = nta.models.autoencoder(
        SEED, widths=WIDTHS, input_size=16, dtype=dtype, output_activation=activation
    )
    network = graphs.autoencoder(program.initial_weights(model), activation == "sigmoid")
    order = training.shuffled(SEED, EPOCHS, EXAMPLES, BATCH)
    layers = LAYERS if dtype == "float64" else ()
    recording = training.train(network, optimizer, rate, x, x, order, layers, range(order.shape[1]))
    recorders = [KeepRounds("every step")]
    if dtype == "float64" and activation == "linear":
        recorders += [
            nta.TaylorRounds(LAYERS, reduction, dtype="float64")
            for reduction in ("per_example", "batch_mean")
        ]
        recorders.append(nta.ActivationRounds(x))
    run = nta.train(
        model,
        x,
        x,
        optimizer=nta.optimizers.get(optimizer, rate),
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=SEED,
        recorders=recorders,
    )
    return recording, run, model, recorders[0]


@pytest.fixture(scope="module")
def both(digits):
    return _autoencoder(digits, "sgd", 0.5)


@pytest.mark.parametrize("optimizer, rate", program.RATES["autoencoder"][:3])
@pytest.mark.parametrize("activation", ["linear", pytest.param("sigmoid", marks=pytest.mark.slow)])
def test_trajectories_of_the_autoencoder(digits, optimizer, rate, activation):
    recording, run, model, _ = _autoencoder(digits, optimizer, rate, "float32", activation)
    np.testing.assert_allclose(recording.losses, run.losses, rtol=1e-4)
    for path, weights in program.initial_weights(model).items():
        np.testing.assert_allclose(recording.weights[path], weights, rtol=1e-4, atol=1e-5)


def test_minibatches_are_the_same():
    order = training.shuffled(SEED, EPOCHS, 50, BATCH)
    for epoch in range(EPOCHS):
        np.testing.assert_array_equal(order[epoch], nta.session.epoch_order(SEED, epoch, 50, BATCH))


def test_gradient_tensors_and_taylor_losses(both):
    recording, _, model, kept = both
    generator = np.random.default_rng(0)
    for mine, (_, _, weights, inputs, targets, loss) in zip(recording.rounds, kept.rounds):
        for variable in model.trainable_variables:
            variable.assign(weights[variable.path])
        linearization = nta.linearize(model, inputs)
        assert mine.loss == pytest.approx(loss, rel=1e-6)  # a trace keeps losses in float32
        for layer in LAYERS:
            tensor = linearization.gradient_tensor(layer)
            np.testing.assert_allclose(mine.tensors[layer], tensor, rtol=1e-9, atol=1e-12)
            kernel = weights[f"{layer}/kernel"] + generator.normal(
                0, 0.1, weights[f"{layer}/kernel"].shape
            )
            snapshot = optima.snapshot(mine, layer, "per_example")
            expected = nta.taylor_loss(linearization, {layer: kernel}, targets, loss="mse")
            assert optima.squared_error(snapshot, kernel.ravel()) == pytest.approx(
                float(expected), rel=1e-9
            )


@pytest.mark.parametrize("reduction", ["per_example", "batch_mean"])
@pytest.mark.parametrize("layer", LAYERS)
def test_optima_of_the_autoencoder(both, layer, reduction):
    recording, run, _, _ = both
    theirs = nta.regret(run, layer, record=reduction, radius=math.inf)
    table = tables.regret(recording, layer, reduction, "mse")
    mine = table[table["comparator"] == "static"]
    assert mine["round"].tolist() == theirs["round"].tolist() == [4, 8, 12]
    for column in ("cumulative_loss", "taylor_optimum"):
        np.testing.assert_allclose(mine[column], theirs[column], rtol=1e-6)
    alone = table[table["comparator"] == "each_round"]["taylor_optimum"].to_numpy()
    assert (alone <= mine["taylor_optimum"] * (1 + 1e-9)).all()


def test_a_neuron_is_a_column_of_its_layer(both):
    recording, run, _, _ = both
    theirs = nta.regret(run, "dense_3:2", record="per_example", radius=math.inf)
    mine = tables.regret(recording, "dense_3:2", "per_example", "mse").query("comparator=='static'")
    np.testing.assert_allclose(mine["taylor_optimum"], theirs["taylor_optimum"], rtol=1e-6)


def test_gradients_of_a_minibatch_are_sums(both):
    """What `tf.gradients` computes without being asked: B times the mean, one G for all."""
    for one in both[0].rounds:
        for layer in LAYERS:
            total = one.tensors[layer].sum(axis=0)
            np.testing.assert_allclose(one.sums[layer], total, rtol=1e-9, atol=1e-12)
            summed, mean = (
                optima.snapshot(one, layer, reduction) for reduction in ("batch_sum", "batch_mean")
            )
            np.testing.assert_allclose(summed.tensor, BATCH * mean.tensor, rtol=1e-12)
            v = np.random.default_rng(1).normal(size=mean.weights.shape)
            np.testing.assert_allclose(
                optima.taylor_approximation(summed, mean.weights + (v - mean.weights) / BATCH),
                optima.taylor_approximation(mean, v),
            )


def test_sums_matter_for_one_v_and_not_for_a_v_a_round(both):
    recording = both[0]
    summed, mean = (
        tables.regret(recording, "dense_3", reduction, "mse")
        for reduction in ("batch_sum", "batch_mean")
    )
    own = summed["comparator"] == "each_round"
    np.testing.assert_allclose(
        summed[own]["taylor_optimum"], mean[own]["taylor_optimum"], rtol=1e-9
    )
    one_v, other = (table[~own]["regret"].iloc[-1] for table in (summed, mean))
    print(f"regret of one V: {one_v:.4f} of sums, {other:.4f} of means")
    assert abs(one_v - other) > 0.01 * other


def test_exploration_is_the_librarys(both):
    recording, run, _, _ = both
    totals = tables.exploration(recording).set_index("measure")["total"]
    assert totals["minimum_hamming"] == pytest.approx(
        np.nansum(nta.exploration.minimum_hamming(run))
    )
    assert totals["switches"] == pytest.approx(nta.exploration.switches(run).mean())
    # The last singular value is zero in exact arithmetic, and counts as the floor.
    assert totals["log_volume"] == pytest.approx(nta.exploration.log_volume(run).mean(), rel=1e-6)


@pytest.fixture(scope="module")
def convnets(digits):
    x, y = digits[0].repeat(4, axis=1).repeat(4, axis=2).astype("float64"), digits[1]
    model = nta.models.convnet(
        x.shape[1:], SEED, filters=3, kernel_size=3, dense_units=6, dtype="float64"
    )
    network = graphs.convnet(program.initial_weights(model))
    order = training.shuffled(SEED, EPOCHS, EXAMPLES, BATCH)
    recording = training.train(network, "sgd", 0.5, x, y, order, ("conv2d_2",), range(4))
    run = nta.train(
        model,
        x,
        y,
        optimizer=nta.optimizers.get("sgd", 0.5),
        loss="cross_entropy",
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=SEED,
        recorders=[
            nta.TaylorRounds(["conv2d_2"], reduction) for reduction in ("per_example", "batch_mean")
        ],
    )
    return recording, run, model


@pytest.mark.slow
def test_trajectory_of_the_convnet(convnets):
    recording, run, model = convnets
    np.testing.assert_allclose(recording.losses, run.losses, rtol=1e-6)
    for path, weights in program.initial_weights(model).items():
        np.testing.assert_allclose(recording.weights[path], weights, rtol=1e-6, atol=1e-9)


@pytest.fixture(scope="module", params=["per_example", "batch_mean"])
def neuron_of_convnet(convnets, request):
    """Snapshots of a neuron at all rounds, and the last row of the library's table."""
    recording, run, _ = convnets
    table = nta.regret(run, "conv2d_2:1", record=request.param, radius=math.inf, checkpoints=1)
    snapshots = [optima.snapshot(one, "conv2d_2:1", request.param) for one in recording.rounds]
    return snapshots, table.iloc[-1]


@pytest.mark.slow  # the program of 2016 traces every output of a convnet
def test_taylor_optimum_of_the_convnet(neuron_of_convnet):
    """SciPy finds the library's certified optimum when it minimises the program's Taylor loss."""
    snapshots, theirs = neuron_of_convnet
    incurred = sum(one.loss for one in snapshots)
    assert incurred == pytest.approx(theirs["cumulative_loss"], rel=1e-6)
    start = np.mean([one.weights for one in snapshots], axis=0)
    best = scipy.optimize.minimize(
        lambda v: sum(optima.cross_entropy(one, v) for one in snapshots),
        start,
        jac=lambda v: sum(_gradient(one, v) for one in snapshots),
        options={"maxiter": 5000, "gtol": 1e-7},
    )
    assert best.fun == pytest.approx(theirs["taylor_optimum"], rel=1e-3)


@pytest.mark.slow
def test_sgd_stops_above_the_taylor_optimum(neuron_of_convnet):
    """What "we use SGD" (appendix A5) costs: part of the regret is not found."""
    snapshots, theirs = neuron_of_convnet
    reached, _ = optima.descend(snapshots, rates=(10.0,), passes=50)
    share = (theirs["cumulative_loss"] - reached) / theirs["regret"]
    print(f"SGD finds {share:.0%} of the regret")
    assert reached >= theirs["taylor_optimum"] - theirs["gap"]
    assert 0.05 < share < 1


def _gradient(one, v):
    """Gradient of the cross-entropy of a Taylor approximation with respect to V."""
    logits = optima.taylor_approximation(one, v)
    residual = scipy.special.softmax(logits, axis=1) - np.eye(logits.shape[1])[one.targets]
    tensor = np.broadcast_to(one.tensor, (*logits.shape, len(v)))
    return np.einsum("bk,bkp->p", residual, tensor) / len(logits)


def test_three_files_in_the_documented_schema(tmp_path, capsys):
    arguments = "autoencoder --examples 32 --epochs 2 --shrink 7 --widths 4 3 4 --batch-size 8"
    arguments += " --optimizers sgd --scopes dense_2 dense_3:1"
    program.main([*arguments.split(), "--out", str(tmp_path)])
    assert len(capsys.readouterr().out.split()) == 3
    documented = " ".join(reproduce.original.__doc__.split())
    for name, columns in tables.COLUMNS.items():
        table = pd.read_csv(tmp_path / f"{name}.csv")
        assert list(table) == columns
        assert f"`{name}.csv`: {', '.join(columns)}." in documented
        assert table["learning_rate"].unique().tolist() == [1.0, 0.1, 0.01]
    regret = pd.read_csv(tmp_path / "regret.csv")
    assert len(regret) == 3 * 2 * 3 * 2 * 2  # rates, scopes, reductions, comparators, epochs
    np.testing.assert_allclose(
        regret["regret"], regret["cumulative_loss"] - regret["taylor_optimum"], atol=1e-12
    )


def test_only_data_and_weights_come_from_the_library():
    for path in Path(reproduce.original.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        imported = {
            name.name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in node.names
        }
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "nta"
        }
        assert not any("nta_tf" in name for name in imported) or path.stem == "program"
        assert used <= {"data", "models"}
