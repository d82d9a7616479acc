"""Recorded normal equations against the stacked least-squares problem of the reference."""

import functools
import math

import keras
import numpy as np
import pytest

import nta_tf as nta
from tests.networks import CHAINS, dense_chain, reference_of
from tests.recording import KeepRounds
from tests.reference.dense_network import DenseNetwork, taylor_optimum
from tests.variants import slow

EPOCHS, EXAMPLES, BATCH = 3, 21, 4  # five steps an epoch, one example left out
SCHEDULES = ("every step", "1 an epoch", "8 log-spaced")


def _train(name, seed, recorders, dtype="float64", optimizer="sgd", **options):
    widths, activations = CHAINS[name]
    model = dense_chain(widths, activations, seed=seed, dtype=dtype)
    generator = np.random.default_rng(seed + 1)
    inputs = generator.normal(size=(EXAMPLES, widths[0]))
    targets = generator.normal(size=(EXAMPLES, widths[-1]))
    run = nta.train(
        model,
        inputs,
        targets,
        optimizer=nta.optimizers.get(optimizer, 0.05),
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=seed,
        recorders=recorders,
        **options,
    )
    return model, run


def _reference_rounds(model, keep, up_to_epoch):
    """(network at W^n, inputs, targets) of the kept rounds up to an epoch."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    activations = reference_of(model).activations
    return [
        (
            DenseNetwork(
                [weights[layer.kernel.path] for layer in layers],
                [weights[layer.bias.path] for layer in layers],
                activations,
            ),
            inputs,
            targets,
        )
        for epoch, _, weights, inputs, targets, _ in keep.rounds
        if epoch <= up_to_epoch
    ]


def _name(reduction, schedule):
    return f"{reduction} {schedule}"


@functools.cache
def _recorded(name, seed):
    """One training of a chain, all layers recorded in every way, and its rounds by schedule."""
    layers = [f"dense_{number}" for number in range(1, len(CHAINS[name][0]))]
    recorders = [
        nta.TaylorRounds(
            layers, reduction, schedule, dtype="float64", name=_name(reduction, schedule)
        )
        for reduction in nta.linearization.REDUCTIONS
        for schedule in SCHEDULES
    ]
    keeps = {schedule: KeepRounds(schedule, name=f"keep {schedule}") for schedule in SCHEDULES}
    model, run = _train(name, seed, [*recorders, *keeps.values()])
    return layers, model, run, keeps


_MORE_CHAINS = (
    "narrow middle",
    "wide middle",
    "leaky",
    "linear middle",
    "smooth",
)  # a training each


@pytest.mark.parametrize(
    "name", slow(CHAINS, *_MORE_CHAINS), ids=lambda name: name.replace(" ", "-")
)
@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_optimum_equals_lstsq_on_the_stacked_problem(name, reduction, schedule, seed):
    layers, model, run, keeps = _recorded(name, seed)
    keep = keeps[schedule]
    for index, layer in enumerate(layers):
        table = nta.regret(run, layer, _name(reduction, schedule), radius=math.inf)
        for row in table.itertuples():
            rounds = _reference_rounds(model, keep, row.epoch - 1)
            assert row.round == len(rounds)
            expected, _ = taylor_optimum(rounds, index, reduction)
            assert row.taylor_optimum == pytest.approx(expected, rel=1e-8, abs=1e-9)
            incurred = [kept[-1] for kept in keep.rounds[: row.round]]
            assert row.cumulative_loss == pytest.approx(sum(incurred), rel=1e-6)
            assert row.regret == row.cumulative_loss - row.taylor_optimum
            assert row.gap <= 1e-5 * (1 + row.taylor_optimum)


@pytest.mark.parametrize("name", slow(["narrow middle", "sigmoid output"], "narrow middle"))
@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
@pytest.mark.parametrize("schedule", ["every step", "1 an epoch"])
def test_neuron_optimum_equals_lstsq(name, reduction, schedule, seed):
    layers, model, run, keeps = _recorded(name, seed)
    rounds = _reference_rounds(model, keeps[schedule], EPOCHS)
    for index, layer in enumerate(layers):
        asked = {"record": _name(reduction, schedule), "radius": math.inf}
        for neuron in range(CHAINS[name][0][index + 1]):
            table = nta.regret(run, (layer, neuron), **asked)
            expected, _ = taylor_optimum(rounds, index, reduction, neuron)
            found = table["taylor_optimum"].iloc[-1]
            assert found == pytest.approx(expected, rel=1e-8, abs=1e-9)
        assert table.equals(nta.regret(run, f"{layer}:{neuron}", **asked))


@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_bias_as_weight_can_only_lower_the_optimum(reduction, seed):
    def recorder(bias):
        return nta.TaylorRounds(
            reduction=reduction, bias=bias, dtype="float64", name=f"bias {bias}"
        )

    _, run = _train("narrow middle", seed, [recorder(False), recorder(True)])
    for layer in ("dense_2", "dense_3", "dense_4"):
        fixed, free = (
            nta.regret(run, layer, record=f"bias {bias}", radius=math.inf) for bias in (False, True)
        )
        assert (free["taylor_optimum"] < fixed["taylor_optimum"] - 1e-6).all()
        assert (free["cumulative_loss"] == fixed["cumulative_loss"]).all()


def test_frozen_layers_are_recorded_too(seed):
    widths, activations = CHAINS["narrow middle"]
    model = dense_chain(widths, activations, seed=seed)
    model.get_layer("dense_2").trainable = False
    x = np.random.default_rng(seed).normal(size=(8, 6))
    keep = KeepRounds()
    run = nta.train(
        model,
        x,
        x,
        optimizer="sgd",
        epochs=2,
        batch_size=4,
        recorders=[nta.TaylorRounds(["dense_2", "dense_3"], dtype="float64"), keep],
    )
    frozen = {v.path: v.numpy() for v in model.get_layer("dense_2").weights}
    keep.rounds = [(e, s, {**w, **frozen}, *rest) for e, s, w, *rest in keep.rounds]
    rounds = _reference_rounds(model, keep, 2)
    for index, layer in ((1, "dense_2"), (2, "dense_3")):
        found = nta.regret(run, layer, radius=math.inf)["taylor_optimum"].iloc[-1]
        expected, _ = taylor_optimum(rounds, index, "per_example")
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.slow
def test_recorded_value_at_the_trajectory_is_the_incurred_loss(seed):
    """T1: with one round and a ball of radius zero around W^1, regret is zero."""
    model = dense_chain(*CHAINS["narrow middle"], seed=seed)
    x = np.random.default_rng(seed).normal(size=(4, 6))
    for reduction in nta.linearization.REDUCTIONS:
        run = nta.train(
            model,
            x,
            x,
            optimizer="sgd",
            epochs=1,
            batch_size=4,
            recorders=[
                nta.TaylorRounds(reduction=reduction, dtype="float64", bias=bias, name=name)
                for name, bias in (("kernel", False), ("with bias", True))
            ],
        )
        for name in run.records:
            for layer in ("dense_2", "dense_3", "dense_4"):
                table = nta.regret(run, layer, name, radius=0.0)
                assert table["regret"].iloc[0] == pytest.approx(0, abs=1e-6)


def test_bias_as_weight_moves_its_preactivation_by_as_much(seed):
    model = dense_chain(*CHAINS["narrow middle"], seed=seed)
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(4, 6))
    lin = nta.linearize(model, x)
    before = {layer: model.get_layer(layer).get_weights() for layer in ("dense_2", "dense_3")}
    recorder = nta.TaylorRounds(list(before), dtype="float64", bias=True)
    run = nta.train(model, x, x, optimizer="sgd", epochs=1, batch_size=4, recorders=[recorder])
    for layer, (kernel, bias) in before.items():
        (problem,) = nta.recorders.taylor_reader(run).problems(nta.scopes.Scope(layer))
        change = generator.normal(size=bias.shape)
        found = problem.quadratic(0).value(np.vstack([kernel, bias + change]).reshape(1, -1))
        predicted = lin.outputs + np.einsum("bka,a->bk", lin.jacobian(layer), change)
        assert found == pytest.approx(np.mean((predicted - x) ** 2), rel=1e-9)


@pytest.mark.slow
def test_float32_products_agree_with_float64(sample):
    """On the paper's autoencoder and real digits, to well below what a figure shows."""
    digits = sample.x[:1024].reshape(1024, 784)
    recorders = [
        nta.TaylorRounds(["dense_3", "dense_6"], dtype=dtype, name=dtype)
        for dtype in ("float32", "float64")
    ]
    run = nta.train(
        nta.models.autoencoder(seed=0),
        digits,
        digits,
        optimizer=nta.optimizers.get("adam", 0.01),
        epochs=2,
        batch_size=64,
        recorders=recorders,
    )
    for layer in ("dense_3", "dense_6"):
        single, double = (
            nta.regret(run, layer, record=dtype, radius=[None, math.inf])
            for dtype in ("float32", "float64")
        )
        on_ball = np.isfinite(double["radius"])
        relative = (single["taylor_optimum"] / double["taylor_optimum"] - 1).abs()
        assert relative[on_ball].max() < 1e-6
        assert relative.max() < 1e-4


@pytest.mark.slow
def test_schedules_of_two_recorders_are_kept_apart(seed):
    keep = KeepRounds("2 an epoch")
    every = nta.TaylorRounds(["dense_2"], schedule="every step", name="every")
    sparse = nta.TaylorRounds(["dense_2"], schedule="2 an epoch", name="sparse")
    _, run = _train("narrow middle", seed, [every, keep, sparse])
    assert nta.regret(run, "dense_2", "every")["round"].tolist()[-3:] == [5, 10, 15]
    assert nta.regret(run, "dense_2", "sparse")["round"].tolist()[-3:] == [2, 4, 6]
    assert [step for _, step, *_ in keep.rounds] == [1, 4] * EPOCHS


def test_default_radius_is_the_trajectory(seed):
    _, run = _train("narrow middle", seed, [nta.TaylorRounds(["dense_3"])])
    table = nta.regret(run, "dense_3")
    kernels = [run.records["per_example"].read("dense_3/first_kernel", 0)]
    kernels += list(run.records["per_example"].read("dense_3/kernel"))
    kernels = np.array(kernels, np.float64)
    centre = kernels.mean(axis=0)
    radius = max(np.linalg.norm(kernel - centre) for kernel in kernels)
    assert table["radius"].iloc[0] == pytest.approx(radius, rel=1e-6)
    assert (table["distance"] <= table["radius"] * (1 + 1e-9)).all()


class TestWrongInput:
    """Each wrong input ends in one sentence that names it and what would be right."""

    def test_unknown_layer(self, seed):
        with pytest.raises(ValueError, match="dense_1.*Received: layers=.*'conv'"):
            _train("narrow middle", seed, [nta.TaylorRounds(["conv"])])

    def test_unknown_reduction_and_schedule(self):
        with pytest.raises(ValueError, match="batch_mean.*reduction='sum'"):
            nta.TaylorRounds(reduction="sum")
        with pytest.raises(ValueError, match="every K steps.*'often'"):
            nta.TaylorRounds(schedule="often")

    def test_cross_entropy_has_no_normal_equations(self, seed):
        model = dense_chain(*CHAINS["narrow middle"], seed=seed)
        with pytest.raises(ValueError, match="mean squared error.*cross_entropy"):
            nta.train(
                model,
                np.ones((4, 6)),
                np.zeros(4, int),
                optimizer="sgd",
                epochs=1,
                loss="cross_entropy",
                batch_size=2,
                recorders=[nta.TaylorRounds(form="normal_equations")],
            )

    def test_unknown_scope(self, seed):
        _, run = _train("narrow middle", seed, [nta.TaylorRounds(["dense_3"])])
        with pytest.raises(ValueError, match=r"\['dense_3'\].*'dense_2'"):
            nta.regret(run, "dense_2")
        with pytest.raises(ValueError, match="neurons 0 to 3.*neuron 4"):
            nta.regret(run, "dense_3:4")
        with pytest.raises(ValueError, match="A scope is.*Received: 3"):
            nta.regret(run, 3)
        with pytest.raises(ValueError, match=r"\['per_example'\].*record='mine'"):
            nta.regret(run, "dense_3", record="mine")
