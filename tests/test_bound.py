"""Regret and its bound from the run's own gradients: the identity, the inequality, and errors."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf.bound import constant_rate
from nta_tf.recorders.gradient_norms import GradientNormReader, LayerGradients
from nta_tf.recorders.gradient_tensors import GradientTensorReader
from tests.networks import CHAINS, dense_chain, reference_of
from tests.recording import KeepRounds
from tests.reference import bound as reference
from tests.reference.dense_network import DenseNetwork
from tests.variants import slow

EPOCHS, EXAMPLES, BATCH, RATE = 3, 21, 4, 0.05  # five steps an epoch
WIDTHS, ACTIVATIONS = CHAINS["narrow middle"]
LAYERS = [f"dense_{number}" for number in range(1, len(WIDTHS))]


def _train(recorders, optimizer="sgd", directory=None, epochs=EPOCHS, model=None, **options):
    model = model or dense_chain(WIDTHS, ACTIVATIONS, seed=5)
    generator = np.random.default_rng(6)
    inputs = generator.normal(size=(EXAMPLES, WIDTHS[0]))
    targets = generator.normal(size=(EXAMPLES, WIDTHS[-1]))
    if isinstance(optimizer, str):
        optimizer = nta.optimizers.get(optimizer, RATE)
    run = nta.train(
        model,
        inputs,
        targets,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=BATCH,
        recorders=recorders,
        directory=directory,
        **options,
    )
    return model, run


def _normal_equations():
    return nta.TaylorRounds(LAYERS, dtype="float64")


def _gradient_tensors(**options):
    return nta.TaylorRounds(LAYERS, form="gradient_tensors", **options)


@pytest.fixture(scope="module")
def kept():
    """A run of gradient descent with both forms of Taylor rounds, and its rounds as they were."""
    keep = KeepRounds()
    recorders = [_normal_equations(), _gradient_tensors(name="tensors"), nta.GradientNorms(), keep]
    return *_train(recorders), keep


@pytest.fixture(scope="module")
def rounds(kept):
    """(network at W^n, inputs, targets) of every round."""
    model, _, keep = kept
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
        for _, _, weights, inputs, targets, _ in keep.rounds
    ]


def _breaks(table):
    """Rows in which regret is above the bound, or the bound is not the linearized regret."""
    above = table["regret"] > table["bound"] + table["rounding"]
    apart = (table["bound"] - table["linearized_regret"]).abs() > table["step_rounding"]
    return above | apart


def test_identity_holds_for_any_v_in_plain_gradient_descent(rng):
    """The theorem's algebra itself, without a line of the library."""
    network = reference_of(dense_chain((3, 4, 2), ("relu", "linear"), seed=1))
    layer, first, gradients, kernels = 0, network.kernels[0].copy(), [], []
    for _ in range(6):
        inputs, targets = rng.normal(size=(2, 3)), rng.normal(size=(2, 2))
        gradients.append(reference.gradient(network, inputs, targets, layer))
        kernels.append(network.kernels[layer])
        network = network.with_kernel(layer, kernels[-1] - 0.3 * gradients[-1])
    for size in (0.1, 1.0, 10.0):
        v = size * rng.normal(size=first.shape)
        linearized = reference.linearized_regret(gradients, kernels, v)
        bound = reference.right_hand_side(gradients, first, network.kernels[layer], 0.3, v)
        assert bound == pytest.approx(linearized, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("record", "layer"),
    [
        *(("per_example", layer) for layer in LAYERS),
        pytest.param("tensors", "dense_2", marks=pytest.mark.slow),
    ],
)
def test_table_equals_the_reference(kept, rounds, record, layer):
    model, run, _ = kept
    index = LAYERS.index(layer)
    gradients = [reference.gradient(*one, index) for one in rounds]
    kernels = [network.kernels[index] for network, _, _ in rounds]
    after = [*kernels[1:], model.get_layer(layer).kernel.numpy()]
    rate = float(np.float32(RATE))
    table = nta.regret_bound(run, layer, record=record)
    optima = _optima(run, layer, record)
    assert table["round"].tolist() == [5, 10, 15] and table["epoch"].tolist() == [1, 2, 3]
    for row, v in zip(table.itertuples(), optima):
        chosen = slice(0, row.round)
        linearized = reference.linearized_regret(gradients[chosen], kernels[chosen], v)
        bound = reference.right_hand_side(
            gradients[chosen], kernels[0], after[row.round - 1], rate, v
        )
        assert row.linearized_regret == pytest.approx(linearized, rel=1e-9)
        assert row.bound == pytest.approx(bound, rel=1e-9)
        assert row.bound == pytest.approx(row.linearized_regret, rel=1e-9)
        # What the bound gives away is the curvature of the loss, and nothing else. Losses are
        # kept in float32.
        given_away = reference.second_order(rounds[chosen], index, v)
        assert row.slack == pytest.approx(given_away, abs=row.rounding) and row.slack > 0
        assert row.g == pytest.approx(max(np.linalg.norm(g) for g in gradients[chosen]), rel=1e-9)
        farthest = max(np.linalg.norm(w - v) for w in kernels[chosen])
        assert farthest <= row.d <= 2 * farthest
        assert row.g_d_root_n == pytest.approx(row.g * row.d * math.sqrt(row.round))


def _optima(run, layer, record):
    """V of every checkpoint."""
    reader = nta.recorders.taylor_reader(run, record)
    (problem,) = reader.problems(nta.scopes.parse(layer))
    epochs = reader.checkpoint_epochs()
    optima = problem.optima(epochs, [problem.radius], "auto", 1e-3)
    return [problem.kernels(optimum.weights)[layer] for (optimum,) in optima]


def test_regret_is_that_of_the_table_of_regret(kept):
    _, run, _ = kept
    for radius in (None, math.inf, 0.5):
        table = nta.regret_bound(run, "dense_2", "per_example", radius=radius, checkpoints=2)
        regret = nta.regret(run, "dense_2", "per_example", radius=radius, checkpoints=2)
        for column in ("scope", "round", "epoch", "regret", "radius"):
            assert table[column].tolist() == regret[column].tolist()
        assert not _breaks(table).any()


@pytest.mark.slow
def test_network_adds_up_its_layers(kept):
    _, run, _ = kept
    table = nta.regret_bound(run, "network", record="tensors", radius=0.0)  # V is the centre
    reader = GradientNormReader(run)
    squared = sum(reader.layer(layer, EPOCHS).squared_norms for layer in LAYERS)
    assert table["g"].iloc[-1] == pytest.approx(math.sqrt(squared.max()))
    np.testing.assert_allclose(table["bound"], table["linearized_regret"], rtol=1e-9)
    assert (table["slack"] > 0).all()


@pytest.mark.parametrize("rate", slow([1.0, 0.1], 0.1))
def test_bound_of_the_paper_s_autoencoder(sample, rate):
    """In float32, on digits: free optima and those on the ball, a hidden and the output layer."""
    digits = sample.x[:512].reshape(512, 784)
    layers = ["dense_3", "dense_6"]
    run = nta.train(
        nta.models.autoencoder(seed=0),
        digits,
        digits,
        optimizer=nta.optimizers.get("sgd", rate),
        epochs=3,
        batch_size=64,
        recorders=[nta.TaylorRounds(layers), nta.GradientNorms(layers)],
    )
    for layer in layers:
        for radius in (None, math.inf):
            table = nta.regret_bound(run, layer, radius=radius)
            assert not _breaks(table).any()
            # Worst cases add up what really cancels; even they are little beside the bound.
            apart = (table["bound"] - table["linearized_regret"]).abs()
            assert (table["rounding"] < 0.1 * table["bound"]).all()
            assert (apart < 0.1 * table["step_rounding"]).all()


def test_cross_entropy_of_convolutions_has_a_bound(rng):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    run = nta.train(
        model,
        rng.normal(size=(16, 6, 6, 1)),
        rng.integers(0, 3, 16),
        optimizer=nta.optimizers.get("sgd", 0.1),
        loss="cross_entropy",
        epochs=2,
        batch_size=4,
        recorders=[nta.TaylorRounds(), nta.GradientNorms()],
    )
    table = nta.regret_bound(run, "conv", radius=0.0)  # V is the centre
    assert not _breaks(table).any()
    assert (table["slack"] > table["rounding"]).all()


@pytest.mark.parametrize("optimizer", slow(["adam", "rmsprop"], "adam"))
def test_other_optimizers_have_no_bound_but_a_linearized_regret(optimizer):
    _, run = _train([_normal_equations(), nta.GradientNorms()], optimizer)
    table = nta.regret_bound(run, "dense_3")
    assert table["bound"].isna().all() and table["slack"].isna().all()
    assert (table["regret"] <= table["linearized_regret"]).all()
    cauchy_schwarz = table["g"] * table["d"] * table["round"]
    assert (table["linearized_regret"] <= cauchy_schwarz).all()
    assert (table["g_d_root_n"] > 0).all()


class TestPlantedErrors:
    """Each error breaks the inequality or the identity."""

    def test_wrong_sign_of_g(self, kept, monkeypatch):
        _, run, _ = kept
        tensors = GradientTensorReader._tensors

        def negative(reader, *arguments):
            found = tensors(reader, *arguments)
            return (-found[0], found[1]) if isinstance(found, tuple) else -found

        monkeypatch.setattr(GradientTensorReader, "_tensors", negative)
        table = nta.regret_bound(run, "dense_2", record="tensors", checkpoints=1)
        assert (table["regret"] > table["bound"] + table["rounding"]).all()

    @pytest.mark.slow
    def test_wrong_weights_of_one_round(self):
        _, run = _train([_normal_equations(), _WrongWeight()])
        for layer in LAYERS:  # those of the others are the gradients of another network
            assert _breaks(nta.regret_bound(run, layer)).tolist() == [False, True, True]

    @pytest.mark.parametrize("field", ["squared_norms", "sums", "products", "first_kernels"])
    def test_one_wrong_number(self, kept, monkeypatch, field):
        _, run, _ = kept
        layer = GradientNormReader.layer

        def wrong(*arguments):
            found = layer(*arguments)
            numbers = getattr(found, field).copy()
            numbers.reshape(-1)[len(numbers.reshape(-1)) // 2] *= 1.2
            return LayerGradients(**{**vars(found), field: numbers})

        assert not _breaks(nta.regret_bound(run, "dense_2", "per_example")).any()
        monkeypatch.setattr(GradientNormReader, "layer", wrong)
        assert _breaks(nta.regret_bound(run, "dense_2", "per_example")).any()

    @pytest.mark.parametrize("factor", slow([0.9, 1.1], 1.1))
    def test_wrong_rate(self, factor):
        _, run = _train([_normal_equations(), nta.GradientNorms()])
        run.config["optimizer"]["config"]["learning_rate"] *= factor
        for layer in LAYERS:
            assert _breaks(nta.regret_bound(run, layer)).all()


class _WrongWeight(nta.GradientNorms):
    """Reads one kernel of one round of the second epoch wrongly."""

    def begin_epoch(self, epoch):
        super().begin_epoch(epoch)
        self._epoch = epoch

    def record(self, rounds):
        path = next(path for path in rounds.weights if "dense_3/kernel" in path)
        wrong = rounds.weights[path].numpy()
        if self._epoch == 1:
            wrong[2] += 0.05
        rounds.weights[path] = tf.constant(wrong)
        super().record(rounds)


@pytest.fixture(scope="module")
def unfit():
    """A run with records of which the bound does not speak."""
    recorders = [
        nta.TaylorRounds(LAYERS, "batch_mean", name="mean"),
        nta.TaylorRounds(LAYERS, schedule="2 an epoch", name="sparse"),
        nta.TaylorRounds(LAYERS[1:], bias=True, name="bias"),
        _gradient_tensors(examples=2, name="some"),
        _gradient_tensors(training_mode=True, name="training"),
        _normal_equations(),
        nta.GradientNorms(LAYERS[1:]),
    ]
    return _train(recorders, epochs=2)[1]


class TestRefusals:
    """What the bound does not speak of ends in one sentence."""

    @pytest.mark.parametrize(
        ("record", "scope", "message"),
        [
            ("mean", "dense_2", "reduction='batch_mean'"),
            ("sparse", "dense_2", "every step.*'2 an epoch'"),
            ("bias", "dense_2", "bias=False"),
            ("some", "dense_2", "examples=2"),
            ("training", "dense_2", "in training mode"),
            ("per_example", "dense_1", r"not of \['dense_1'\]"),
            ("per_example", "dense_2:1", "scope 'dense_2:1'"),
            ("per_example", "dense_9", "'dense_9'"),
            ("per_example", "network", r"not of \['dense_1'\]"),
            ("none", "dense_2", "record='none'"),
        ],
    )
    def test_records_and_scopes(self, unfit, record, scope, message):
        with pytest.raises(ValueError, match=message):
            nta.regret_bound(unfit, scope, record=record)

    def test_no_record_of_norms(self, unfit):
        with pytest.raises(ValueError, match="no record 'norms' of gradient norms"):
            nta.regret_bound(unfit, "dense_2", record="per_example", norms="norms")
        with pytest.raises(ValueError, match="no record 'mean' of gradient norms"):
            nta.regret_bound(unfit, "dense_2", record="per_example", norms="mean")

    def test_unknown_and_frozen_layers(self):
        with pytest.raises(ValueError, match=r"layers=\['conv'\]"):
            _train([nta.GradientNorms("conv")])
        model = dense_chain(WIDTHS, ACTIVATIONS, seed=5)
        model.get_layer("dense_2").trainable = False
        with pytest.raises(ValueError, match=r"frozen layers \['dense_2'\]"):
            _train([nta.GradientNorms()], model=model)

    def test_steps_in_training_mode(self):
        inputs = keras.Input((6,))
        hidden = keras.layers.Dense(5, activation="relu", name="dense_1")(inputs)
        hidden = keras.layers.Dropout(0.5, seed=0)(hidden)
        model = keras.Model(inputs, keras.layers.Dense(6, name="dense_2")(hidden))
        _, run = _train([nta.TaylorRounds(), nta.GradientNorms()], model=model)
        with pytest.raises(ValueError, match="training mode"):
            nta.regret_bound(run, "dense_2")

    @pytest.mark.slow
    def test_steps_in_another_precision(self):
        model = dense_chain(WIDTHS, ACTIVATIONS, seed=5, dtype="float32")
        recorders = [nta.TaylorRounds(LAYERS), nta.GradientNorms()]
        _, run = _train(recorders, model=model, dtype_policy="mixed_bfloat16", epochs=1)
        with pytest.raises(ValueError, match="'mixed_bfloat16'"):
            nta.regret_bound(run, "dense_2")

    @pytest.mark.slow
    def test_fit(self, rng):
        x = rng.normal(size=(8, WIDTHS[0]))
        model = dense_chain(WIDTHS, ACTIVATIONS, seed=5)
        model.compile(keras.optimizers.SGD(RATE), "mse")
        recorders = [nta.TaylorRounds(LAYERS), nta.GradientNorms()]
        watching = nta.callbacks.RecordRounds(x[:4], x[:4], recorders, loss="mse")
        model.fit(x, x, 4, epochs=1, verbose=0, callbacks=[watching])
        with pytest.raises(ValueError, match="model.fit"):
            nta.regret_bound(watching.run, "dense_2")


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.optimizers.SGD(0.1, weight_decay=1e-3),
        keras.optimizers.SGD(0.1, clipnorm=1.0),
        keras.optimizers.SGD(0.1, use_ema=True),
        keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_only_plain_gradient_descent_has_a_constant_rate(optimizer):
    def run(one):
        return nta.Run(None, {"optimizer": _config(one), "records": {}}, {"added": {}}, None)

    assert constant_rate(run(optimizer)) is None
    assert constant_rate(run(keras.optimizers.SGD(0.5))) == 0.5


def _config(optimizer):
    from nta_tf.provenance import optimizer_config

    return optimizer_config(optimizer)
