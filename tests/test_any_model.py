"""Training, recording and replaying of models that are no graphs, and of low precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from tests.any_model import (
    BATCH,
    CLASSES,
    EPOCHS,
    SCHEDULE,
    WIDTH,
    assert_replayed,
    data,
    layers,
    plain,
    seeded,
    taylor,
    train,
)
from tests.recording import KeepRounds, assert_same_trace
from tests.variants import slow


class _Subclassed(keras.Model):
    """No graph of layers: a loop, a layer that is called twice, a recurrent one."""

    def __init__(self):
        super().__init__(name="mine")
        self.first = layers.Dense(4, "relu", name="first")
        self.shared = layers.Dense(4, "tanh", name="shared")
        self.recurrent = layers.SimpleRNN(3, name="recurrent")
        self.top = layers.Dense(CLASSES, name="top")

    def call(self, x, training=False):
        hidden = self.first(x)
        for _ in range(2):
            hidden = self.shared(hidden)
        return self.top(self.recurrent(hidden[:, tf.newaxis]))


def _subclassed():
    model = _Subclassed()
    model(np.zeros((1, WIDTH), np.float32))
    return seeded(model)


class _Rectified(keras.Model):
    """Rectifiers as activations, one of them twice, and perhaps one that no layer makes."""

    def __init__(self, hidden=False):
        super().__init__(name="rectified")
        self.first = layers.Dense(4, "relu", name="first")
        self.again = layers.Dense(4, "relu", name="again")
        self.top = layers.Dense(CLASSES, name="top")
        self.hidden = hidden

    def call(self, x):
        x = self.again(self.again(self.first(x)))
        return self.top(keras.ops.relu(x - 1) if self.hidden else x)


class TestAnyModelAndVariable:
    def _names(self, model):
        lin = nta.linearize(model, data()[0][:2])
        recurrent = next(n for n in lin.layers if n.endswith("recurrent_kernel"))
        bias = next(v.path for v in model.trainable_variables if v.path.endswith("top/bias"))
        return ["first", "shared", recurrent, bias]

    @pytest.mark.slow
    @pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
    def test_a_subclassed_model_is_recorded_as_it_is_linearized(self, reduction):
        keep, model = KeepRounds(SCHEDULE), _subclassed()
        names = self._names(model)
        run = train(model, *data(), [keep, taylor(names, reduction=reduction)])
        record = run.records[reduction]
        assert set(record.config["layers"]) == set(names)
        _, _, weights, inputs, *_ = keep.rounds[-1]
        for name, variable in nta.variables.recorded_variables(model).items():
            variable.assign(weights[name])
        lin = nta.linearize(model, inputs, layers=names, reduction=reduction)
        for name in names:
            if record.config["forms"][name] == "gradient_tensor":
                tensor = record.read_rounds(f"{name}/gradient_tensor")[-1]
                np.testing.assert_allclose(tensor, lin.gradient_tensor(name), atol=1e-5)
            np.testing.assert_allclose(record.read_rounds(f"{name}/kernel")[-1], lin.kernel(name))
        table = nta.regret(run, names[-1], checkpoints=1, solver="row_space")
        assert (table["gap"] <= 1e-3 * table["taylor_optimum"]).all()

    @pytest.mark.slow  # other models are, in test_replaying.py and test_training.py
    def test_it_is_replayed_and_resumed(self, tmp_path):
        names = self._names(_subclassed())[:2]
        assert_replayed(_subclassed, *data(), lambda: [taylor(names)])
        for epochs in (1, 2):
            run = train(_subclassed(), *data(), epochs=epochs, directory=tmp_path / "run")
        assert_same_trace(run, train(_subclassed(), *data(), epochs=2))

    @pytest.mark.slow
    def test_in_fit(self):
        (x, y), model = data(), _subclassed()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        watch = nta.callbacks.Regret(
            x[:BATCH], y[:BATCH], "first", "cross_entropy", solver="row_space"
        )
        history = model.fit(x, y, BATCH, epochs=2, verbose=0, callbacks=[watch])
        assert len(history.history["regret/first"]) == 2

    def test_its_rectifiers_are_those_of_its_layers(self):
        x, _ = data()
        keep, model = KeepRounds(SCHEDULE), _Rectified()
        run = train(model, *data(), [keep, nta.ActivationRounds(x, schedule=SCHEDULE)])
        reader = nta.recorders.ActivationReader(run)
        assert reader.layers == {"first": 4, "again": 4, "again:2": 4}
        _, _, weights, *_ = keep.rounds[-1]
        for name, variable in nta.variables.recorded_variables(model).items():
            variable.assign(weights[name])
        first = model.first(x)
        second = model.again(first)
        expected = np.concatenate([first > 0, second > 0, model.again(second) > 0], axis=1)
        bits = np.unpackbits(reader.block(reader.rounds, 0, len(x))[-1], axis=-1)
        np.testing.assert_array_equal(bits[:, [*range(4), *range(8, 12), *range(16, 20)]], expected)

    def test_rectifiers_that_are_no_layers_are_named(self):
        model = _Rectified(hidden=True)
        with pytest.raises(ValueError, match="'rectified' rectifies outside of layers.*Relu"):
            train(model, *data(), [nta.ActivationRounds(data()[0])])
        run = train(model, *data(), [nta.ActivationRounds(data()[0], layers=["first"])])
        assert nta.exploration.switches(run).shape == (18,)
        with pytest.raises(ValueError, match=r"Rectifiers of model .*'again:2'.*\['top'\]"):
            train(_Rectified(), *data(), [nta.ActivationRounds(data()[0], layers=["top"])])

    def test_several_outputs_are_refused_by_name(self):
        inputs = keras.Input((WIDTH,))
        model = keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(3)(inputs)], name="two")
        with pytest.raises(ValueError, match="'two' has 2"):
            train(model, *data())
        with pytest.raises(ValueError, match=r"keras\.Model"):
            train(lambda x: x, *data())


class TestLowPrecision:
    @pytest.mark.parametrize(
        "policy",
        slow(["bfloat16", "float16", "mixed_bfloat16", "mixed_float16"], "mixed_float16"),
    )
    def test_it_is_linearized_in_float32(self, policy):
        model, single = plain(policy), plain("float32")
        single.set_weights([tf.cast(w.value, tf.float32).numpy() for w in model.weights])
        x, y = data()
        lin, expected = nta.linearize(model, x), nta.linearize(single, x)
        np.testing.assert_array_equal(lin.outputs, expected.outputs)
        for name in ("hidden", "top"):
            assert lin.gradient_tensor(name).dtype == lin.kernel(name).dtype == tf.float32
            np.testing.assert_array_equal(lin.gradient_tensor(name), expected.gradient_tensor(name))
        moved = {"hidden": 1.001 * lin.kernel("hidden")}  # less than bfloat16 resolves
        assert np.abs(lin.predict(moved) - lin.outputs).max() > 0
        np.testing.assert_array_equal(lin.predict(moved), expected.predict(moved))
        assert float(nta.taylor_loss(lin, {}, y, "cross_entropy")) == pytest.approx(
            float(np.mean(nta.losses.cross_entropy(expected.outputs, y)))
        )
        assert model(x[:1]).dtype == policy.removeprefix("mixed_")

    @pytest.mark.parametrize("policy", slow(["bfloat16", "float16"], "float16"))
    def test_it_is_trained_recorded_and_replayed(self, policy):
        def recorders():
            return [taylor(form="gradient_tensors"), nta.ActivationRounds(data()[0])]

        run = assert_replayed(lambda: plain(policy), *data(), recorders)
        record = run.records["per_example"]
        assert record.read("outputs").dtype == np.float32
        steps = nta.schedules.get(SCHEDULE).steps(0, 3, EPOCHS)
        np.testing.assert_allclose(record.read("losses"), run.losses[:, steps], rtol=3e-2)
        table = nta.regret(run, "hidden", checkpoints=1, solver="row_space")
        assert (table["gap"] <= 1e-3 * table["taylor_optimum"]).all()

    def test_normal_equations_and_gradient_norms(self):
        x, _ = data()

        def model():
            return keras.Sequential(
                [
                    keras.Input((WIDTH,)),
                    layers.Dense(4, "relu", dtype="bfloat16", name="one"),
                    layers.Dense(WIDTH, dtype="bfloat16", name="two"),
                ]
            )

        recorders = [nta.TaylorRounds(["two"]), nta.GradientNorms(["one"])]
        run = train(model(), x, x, recorders, loss="mse")
        assert np.isfinite(nta.regret(run, "two")["regret"]).all()
        assert (run.records["gradient_norms"].read("one/squared_norms") > 0).all()
