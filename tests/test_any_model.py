"""Training, recording and replaying of any model: inputs, datasets, shared names, masks, dtypes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from tests.recording import KeepRounds, assert_same_record, assert_same_trace

BATCH, EPOCHS, CLASSES, WIDTH = 6, 3, 3, 5
SCHEDULE = "2 an epoch"
layers = keras.layers


def _data(examples=18):
    generator = np.random.default_rng(2)
    x = generator.normal(size=(examples, WIDTH)).astype(np.float32)
    return x, generator.integers(0, CLASSES, examples)


def _seeded(model, seed=5):
    generator = np.random.default_rng(seed)
    model.set_weights([0.4 * generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def _train(model, x, y=None, recorders=(), epochs=EPOCHS, **options):
    settings = {"optimizer": nta.optimizers.get("sgd", 0.2), "loss": "cross_entropy", **options}
    return nta.train(
        model, x, y, epochs=epochs, batch_size=BATCH, recorders=list(recorders), **settings
    )


def _taylor(names=None, **options):
    return nta.TaylorRounds(names, schedule=SCHEDULE, **options)


def _assert_replayed(make, x, y, recorders, training=None):
    """Trains with recorders, and again with weights alone; both must have the same records."""
    live = _train(make(), x, y, recorders(), **(training or {}))
    kept = _train(make(), x, y, [nta.WeightRounds(SCHEDULE)], **(training or {}))
    nta.replay(kept, make(), x, y, recorders())
    for recorder in recorders():
        assert_same_record(live.records[recorder.name], kept.records[recorder.name])
    return live


def _plain(dtype=None, name=None):
    inputs = keras.Input((WIDTH,))
    hidden = layers.Dense(4, "relu", name="hidden", dtype=dtype)(inputs)
    outputs = layers.Dense(CLASSES, name="top", dtype=dtype)(hidden)
    return _seeded(keras.Model(inputs, outputs, name=name))


class TestSeveralInputs:
    @staticmethod
    def _model(named=True):
        left, tokens = (
            keras.Input((WIDTH,), name="left"),
            keras.Input((2,), dtype="int32", name="t"),
        )
        embedded = layers.Flatten()(layers.Embedding(7, 3, name="table")(tokens))
        hidden = layers.Dense(4, "relu", name="hidden")(layers.Concatenate()([left, embedded]))
        outputs = layers.Dense(CLASSES, name="top")(hidden)
        inputs = {"left": left, "t": tokens} if named else [left, tokens]
        return _seeded(keras.Model(inputs, outputs))

    @staticmethod
    def _data():
        x, y = _data()
        return {"left": x, "t": np.random.default_rng(3).integers(0, 7, (len(x), 2))}, y

    def _recorders(self):
        x, _ = self._data()
        return [_taylor(["table/embeddings", "hidden"]), nta.ActivationRounds(x, schedule=SCHEDULE)]

    def test_a_dictionary_is_recorded_and_replayed(self):
        run = _assert_replayed(self._model, *self._data(), self._recorders)
        assert nta.regret(run, "hidden", checkpoints=1, solver="row_space")["round"].tolist() == [6]
        assert nta.exploration.switches(run).shape == (18,)
        assert run.records["per_example"].config["forms"]["table/embeddings"] == "gradient_tensor"

    def test_lists_and_names_are_the_same_training(self):
        x, y = self._data()
        as_list = [x["left"], x["t"]]
        runs = [_train(self._model(), x, y)]
        runs += [_train(self._model(named=False), given, y) for given in (as_list, x)]
        for run in runs[1:]:
            assert_same_trace(runs[0], run)

    def test_rounds_are_those_of_linearize(self):
        keep, model = KeepSeveral(SCHEDULE), self._model()
        run = _train(model, *self._data(), [keep, _taylor(["table/embeddings", "hidden"])])
        record = run.records["per_example"]
        _, weights, (left, tokens), *_ = keep.rounds[-1]
        for name, variable in nta.variables.recorded_variables(model).items():
            variable.assign(weights[name])
        lin = nta.linearize(model, {"left": left, "t": tokens})
        tensor = record.read_rounds("table/embeddings/gradient_tensor")[-1]
        np.testing.assert_allclose(tensor, lin.gradient_tensor("table/embeddings"), atol=1e-5)
        jacobian = record.read_rounds("hidden/jacobian")[-1]
        np.testing.assert_allclose(jacobian, lin.jacobian("hidden"), atol=1e-5)

    def test_in_fit(self):
        x, y = self._data()
        model = self._model()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        first = {name: array[:BATCH] for name, array in x.items()}
        recorders = [_taylor(["hidden"], form="gradient_tensors")]
        rounds = nta.callbacks.RecordRounds(first, y[:BATCH], recorders, "cross_entropy")
        model.fit(x, y, BATCH, epochs=2, verbose=0, callbacks=[rounds])
        assert len(nta.regret(rounds.run, "hidden", checkpoints=2, solver="row_space")) == 2

    def test_wrong_inputs_are_named(self):
        x, y = self._data()
        with pytest.raises(ValueError, match=r"inputs of .* are called \['left', 't'\].*'right'"):
            _train(self._model(), {"left": x["left"], "right": x["t"]}, y)
        with pytest.raises(ValueError, match=r"must have shape \(D, 5\), \(D, 2\)"):
            _train(self._model(), [x["left"]], y)
        with pytest.raises(ValueError, match="as many of them"):
            _train(self._model(), [x["left"], x["t"][:-1]], y)


class KeepSeveral(KeepRounds):
    """Keeps rounds of several inputs."""

    def record(self, rounds):
        for n, step in enumerate(rounds.steps):
            weights, inputs, targets = rounds.of(n)
            weights = {name: value.numpy() for name, value in weights.items()}
            inputs = [leaf.numpy() for leaf in inputs]
            self.rounds.append((int(step), weights, inputs, targets.numpy()))


class TestDatasets:
    @pytest.mark.parametrize("batch", [pytest.param(None, marks=pytest.mark.slow), 4])
    def test_a_dataset_is_its_arrays(self, batch):
        x, y = _data()
        dataset = tf.data.Dataset.from_tensor_slices((x, y))
        dataset = dataset if batch is None else dataset.batch(batch)

        def recorders(points):
            return [_taylor(["top"]), nta.ActivationRounds(points)]

        arrays = _train(_plain(), x, y, recorders(x))
        streamed = _train(_plain(), dataset, None, recorders(dataset))
        assert_same_trace(arrays, streamed)
        assert arrays.config["data"] == streamed.config["data"]
        nta.replay(
            _train(_plain(), x, y, [nta.WeightRounds(SCHEDULE)]),
            _plain(),
            dataset,
            None,
            [_taylor()],
        )

    def test_in_fit(self):
        x, y = _data()
        first = tf.data.Dataset.from_tensor_slices((x[:BATCH], y[:BATCH])).batch(BATCH)
        model = _plain()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        kept = nta.callbacks.RecordRounds(first, None, [_taylor(["top"])], "cross_entropy")
        model.fit(x, y, BATCH, epochs=2, verbose=0, callbacks=[kept])
        assert kept.run.config["batch_size"] == BATCH

    def test_what_cannot_be_read_is_named(self):
        x, y = _data()
        pairs = tf.data.Dataset.from_tensor_slices((x, y))
        weighted = tf.data.Dataset.from_tensor_slices((x, y, np.ones(18)))
        for given, targets, message in [
            (pairs.repeat(), None, "never ends"),
            (pairs, y, "give y=None"),
            (weighted, None, "weights of examples"),
            (pairs.take(0), None, "no examples"),
            (tf.data.Dataset.from_tensor_slices(x), None, "must be targets"),
            (iter([(x, y)]), None, "arrays .* or a tf.data.Dataset"),
            (x, None, "must be targets"),
        ]:
            with pytest.raises(ValueError, match=message):
                _train(_plain(), given, targets)


class TestSharedPaths:
    @staticmethod
    def _model():
        inputs = keras.Input((WIDTH,))
        hidden = inputs
        for name in ("encoder", "decoder"):
            inner = keras.Input((hidden.shape[-1],))
            part = keras.Model(inner, layers.Dense(4, "relu", name="dense")(inner), name=name)
            hidden = part(hidden)
        return _seeded(keras.Model(inputs, layers.Dense(CLASSES, name="top")(hidden)))

    def test_variables_have_names_of_their_own(self):
        model = self._model()
        paths = [variable.path for variable in model.trainable_variables]
        names = list(nta.variables.recorded_variables(model))
        assert len(set(paths)) < len(paths) == len(set(names))

    def test_they_are_recorded_and_replayed(self):
        def recorders():
            return [
                _taylor(form="gradient_tensors"),
                nta.ActivationRounds(_data()[0]),
                nta.GradientNorms(["encoder/dense", "decoder/dense"]),
            ]

        kept = nta.WeightRounds(SCHEDULE)
        run = _train(self._model(), *_data(), [kept, *recorders()])
        record = run.records["per_example"]
        assert record.config["layers"] == ["encoder/dense", "decoder/dense", "top"]
        one, other = (record.read(f"{name}/dense/kernel") for name in ("encoder", "decoder"))
        assert one.shape[2:] == (WIDTH, 4) and other.shape[2:] == (4, 4)
        weights = run.records["weights"].read("variables/dense/kernel:2")
        np.testing.assert_array_equal(weights, other)
        replayed = _train(self._model(), *_data(), [nta.WeightRounds(SCHEDULE)])
        nta.replay(replayed, self._model(), *_data(), recorders()[:2])
        for name in ("per_example", "activations"):
            assert_same_record(run.records[name], replayed.records[name])


def _dropout(kind):
    def make():
        inputs = keras.Input((WIDTH,))
        hidden = layers.Dense(8, "relu", name="hidden")(inputs)
        if kind == "twice":
            drop = layers.Dropout(0.4, seed=3)
            hidden = drop(layers.Dense(8, "relu", name="more")(drop(hidden)))
        elif kind == "nested":
            inner = keras.Input((8,))
            hidden = keras.Model(inner, layers.Dropout(0.5, seed=4)(inner))(hidden)
        elif kind == "attention":
            hidden = layers.Reshape((2, 4))(hidden)
            attend = layers.MultiHeadAttention(2, 2, dropout=0.3, seed=7, name="attend")
            hidden = layers.Flatten()(attend(hidden, hidden))
        else:
            hidden = kind(seed=1)(layers.Dropout(0.2, seed=2)(hidden))
        return _seeded(keras.Model(inputs, layers.Dense(CLASSES, name="top")(hidden)))

    return make


def _slow(cases, *names):
    """The cases, some of them behind the marker: others hold nearly the same."""
    marks = dict.fromkeys(names, pytest.mark.slow)
    return [pytest.param(one, marks=marks[one]) if one in marks else one for one in cases]


KINDS = {
    "dropout": _dropout(lambda seed: layers.Dropout(0.5, seed=seed)),
    "noise": _dropout(lambda seed: layers.GaussianNoise(0.5, seed=seed)),
    "twice": _dropout("twice"),
    "nested": _dropout("nested"),
    "attention": _dropout("attention"),
}


class TestTrainingMode:
    @pytest.mark.parametrize("kind", _slow(KINDS, "noise", "nested"))
    def test_rounds_have_the_masks_of_their_step(self, kind):
        """The loss of the round is that of the step, to the last digits of float32."""
        make = KINDS[kind]
        run = _train(make(), *_data(), [_taylor(["hidden", "top"], training_mode=True)])
        record = run.records["per_example"]
        steps = nta.schedules.get(SCHEDULE).steps(0, 3, EPOCHS)
        np.testing.assert_allclose(record.read("losses"), run.losses[:, steps], rtol=1e-5)
        inference = _train(make(), *_data(), [_taylor(["hidden"])]).records["per_example"]
        assert np.abs(inference.read("losses") / run.losses[:, steps] - 1).max() > 1e-2

    def test_g_is_that_of_the_masked_network(self):
        keep, model = KeepRounds(SCHEDULE), KINDS["dropout"]()
        run = _train(model, *_data(), [keep, _taylor(["hidden"], training_mode=True)])
        record = run.records["per_example"]
        _, _, weights, inputs, *_ = keep.rounds[-1]
        variables = nta.variables.recorded_variables(model)
        mapping = [(variables[name], tf.constant(value)) for name, value in weights.items()]
        kernel = tf.constant(weights["hidden/kernel"])
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            mapping = [(v, kernel if v.path == "hidden/kernel" else w) for v, w in mapping]
            with keras.StatelessScope(mapping):
                outputs = model(inputs, training=True)
        expected = tape.jacobian(outputs, kernel)
        reader = nta.recorders.taylor_reader(run)
        np.testing.assert_allclose(record.read_rounds("outputs")[-1], outputs, rtol=1e-5, atol=1e-6)
        problem = next(reader.problems(nta.scopes.parse("hidden"))).problem
        move = np.random.default_rng(0).normal(size=kernel.shape)
        moved = problem.linear_map.forward(move)[-BATCH:]
        np.testing.assert_allclose(moved, np.einsum("bkja,ja->bk", expected, move), atol=1e-5)

    def test_a_replay_sees_the_same(self):
        run = _assert_replayed(
            KINDS["dropout"], *_data(), lambda: [_taylor(["hidden"], training_mode=True)]
        )
        table = nta.regret(run, "hidden", checkpoints=1, solver="row_space")
        np.testing.assert_allclose(table["network_loss"], table["cumulative_loss"], rtol=1e-5)

    def test_a_run_that_goes_on_draws_on(self, tmp_path):
        for epochs in (2, 4):
            model = KINDS["dropout"]()
            run = _train(model, *_data(), epochs=epochs, directory=tmp_path / "run")
        whole_model = KINDS["dropout"]()
        assert_same_trace(run, _train(whole_model, *_data(), epochs=4))
        for one, other in zip(model.get_weights(), whole_model.get_weights()):
            np.testing.assert_array_equal(one, other)

    def test_what_mixes_examples_is_named(self):
        inputs = keras.Input((WIDTH,))
        hidden = layers.BatchNormalization(name="norm")(layers.Dense(4, name="hidden")(inputs))
        model = keras.Model(inputs, layers.Dense(CLASSES, name="top")(hidden))
        with pytest.raises(ValueError, match="norm/moving_mean.*mix the examples"):
            _train(model, *_data(), [_taylor(["top"], training_mode=True)])
        with pytest.raises(ValueError, match="all examples.*examples=2"):
            _train(_plain(), *_data(), [_taylor(["top"], training_mode=True, examples=2)])


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
    return _seeded(model)


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
        lin = nta.linearize(model, _data()[0][:2])
        recurrent = next(n for n in lin.layers if n.endswith("recurrent_kernel"))
        bias = next(v.path for v in model.trainable_variables if v.path.endswith("top/bias"))
        return ["first", "shared", recurrent, bias]

    @pytest.mark.parametrize("reduction", _slow(nta.linearization.REDUCTIONS, "batch_mean"))
    def test_a_subclassed_model_is_recorded_as_it_is_linearized(self, reduction):
        keep, model = KeepRounds(SCHEDULE), _subclassed()
        names = self._names(model)
        run = _train(model, *_data(), [keep, _taylor(names, reduction=reduction)])
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

    def test_it_is_replayed_and_resumed(self, tmp_path):
        names = self._names(_subclassed())[:2]
        _assert_replayed(_subclassed, *_data(), lambda: [_taylor(names)])
        for epochs in (1, 2):
            run = _train(_subclassed(), *_data(), epochs=epochs, directory=tmp_path / "run")
        assert_same_trace(run, _train(_subclassed(), *_data(), epochs=2))

    def test_in_fit(self):
        (x, y), model = _data(), _subclassed()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        watch = nta.callbacks.Regret(
            x[:BATCH], y[:BATCH], "first", "cross_entropy", solver="row_space"
        )
        history = model.fit(x, y, BATCH, epochs=2, verbose=0, callbacks=[watch])
        assert len(history.history["regret/first"]) == 2

    def test_its_rectifiers_are_those_of_its_layers(self):
        x, _ = _data()
        keep, model = KeepRounds(SCHEDULE), _Rectified()
        run = _train(model, *_data(), [keep, nta.ActivationRounds(x, schedule=SCHEDULE)])
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
            _train(model, *_data(), [nta.ActivationRounds(_data()[0])])
        run = _train(model, *_data(), [nta.ActivationRounds(_data()[0], layers=["first"])])
        assert nta.exploration.switches(run).shape == (18,)
        with pytest.raises(ValueError, match=r"Rectifiers of model .*'again:2'.*\['top'\]"):
            _train(_Rectified(), *_data(), [nta.ActivationRounds(_data()[0], layers=["top"])])

    def test_several_outputs_are_refused_by_name(self):
        inputs = keras.Input((WIDTH,))
        model = keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(3)(inputs)], name="two")
        with pytest.raises(ValueError, match="'two' has 2"):
            _train(model, *_data())
        with pytest.raises(ValueError, match=r"keras\.Model"):
            _train(lambda x: x, *_data())


class TestLowPrecision:
    @pytest.mark.parametrize(
        "policy",
        _slow(["bfloat16", "float16", "mixed_bfloat16", "mixed_float16"], "mixed_float16"),
    )
    def test_it_is_linearized_in_float32(self, policy):
        model, single = _plain(policy), _plain("float32")
        single.set_weights([tf.cast(w.value, tf.float32).numpy() for w in model.weights])
        x, y = _data()
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

    @pytest.mark.parametrize("policy", _slow(["bfloat16", "float16"], "float16"))
    def test_it_is_trained_recorded_and_replayed(self, policy):
        def recorders():
            return [_taylor(form="gradient_tensors"), nta.ActivationRounds(_data()[0])]

        run = _assert_replayed(lambda: _plain(policy), *_data(), recorders)
        record = run.records["per_example"]
        assert record.read("outputs").dtype == np.float32
        steps = nta.schedules.get(SCHEDULE).steps(0, 3, EPOCHS)
        np.testing.assert_allclose(record.read("losses"), run.losses[:, steps], rtol=3e-2)
        table = nta.regret(run, "hidden", checkpoints=1, solver="row_space")
        assert (table["gap"] <= 1e-3 * table["taylor_optimum"]).all()

    def test_normal_equations_and_gradient_norms(self):
        x, _ = _data()

        def model():
            return keras.Sequential(
                [
                    keras.Input((WIDTH,)),
                    layers.Dense(4, "relu", dtype="bfloat16", name="one"),
                    layers.Dense(WIDTH, dtype="bfloat16", name="two"),
                ]
            )

        recorders = [nta.TaylorRounds(["two"]), nta.GradientNorms(["one"])]
        run = _train(model(), x, x, recorders, loss="mse")
        assert np.isfinite(nta.regret(run, "two")["regret"]).all()
        assert (run.records["gradient_norms"].read("one/squared_norms") > 0).all()
