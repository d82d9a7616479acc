"""Training, recording and replaying with any inputs: several, datasets, shared names."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from tests.any_model import (
    BATCH,
    CLASSES,
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
from tests.recording import KeepRounds, assert_same_record, assert_same_trace


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
        return seeded(keras.Model(inputs, outputs))

    @staticmethod
    def _data():
        x, y = data()
        return {"left": x, "t": np.random.default_rng(3).integers(0, 7, (len(x), 2))}, y

    def _recorders(self):
        x, _ = self._data()
        return [taylor(["table/embeddings", "hidden"]), nta.ActivationRounds(x, schedule=SCHEDULE)]

    @pytest.mark.slow
    def test_a_dictionary_is_recorded_and_replayed(self):
        run = assert_replayed(self._model, *self._data(), self._recorders)
        assert nta.regret(run, "hidden", checkpoints=1, solver="row_space")["round"].tolist() == [6]
        assert nta.exploration.switches(run).shape == (18,)
        assert run.records["per_example"].config["forms"]["table/embeddings"] == "gradient_tensor"

    @pytest.mark.slow
    def test_lists_and_names_are_the_same_training(self):
        x, y = self._data()
        as_list = [x["left"], x["t"]]
        runs = [train(self._model(), x, y)]
        runs += [train(self._model(named=False), given, y) for given in (as_list, x)]
        for run in runs[1:]:
            assert_same_trace(runs[0], run)

    def test_rounds_are_those_of_linearize(self):
        keep, model = KeepSeveral(SCHEDULE), self._model()
        run = train(model, *self._data(), [keep, taylor(["table/embeddings", "hidden"])])
        record = run.records["per_example"]
        _, weights, (left, tokens), *_ = keep.rounds[-1]
        for name, variable in nta.variables.recorded_variables(model).items():
            variable.assign(weights[name])
        lin = nta.linearize(model, {"left": left, "t": tokens})
        tensor = record.read_rounds("table/embeddings/gradient_tensor")[-1]
        np.testing.assert_allclose(tensor, lin.gradient_tensor("table/embeddings"), atol=1e-5)
        jacobian = record.read_rounds("hidden/jacobian")[-1]
        np.testing.assert_allclose(jacobian, lin.jacobian("hidden"), atol=1e-5)

    @pytest.mark.slow
    def test_in_fit(self):
        x, y = self._data()
        model = self._model()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        first = {name: array[:BATCH] for name, array in x.items()}
        recorders = [taylor(["hidden"], form="gradient_tensors")]
        rounds = nta.callbacks.RecordRounds(first, y[:BATCH], recorders, "cross_entropy")
        model.fit(x, y, BATCH, epochs=2, verbose=0, callbacks=[rounds])
        assert len(nta.regret(rounds.run, "hidden", checkpoints=2, solver="row_space")) == 2

    def test_wrong_inputs_are_named(self):
        x, y = self._data()
        with pytest.raises(ValueError, match=r"inputs of .* are called \['left', 't'\].*'right'"):
            train(self._model(), {"left": x["left"], "right": x["t"]}, y)
        with pytest.raises(ValueError, match=r"must have shape \(D, 5\), \(D, 2\)"):
            train(self._model(), [x["left"]], y)
        with pytest.raises(ValueError, match="as many of them"):
            train(self._model(), [x["left"], x["t"][:-1]], y)


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
        x, y = data()
        dataset = tf.data.Dataset.from_tensor_slices((x, y))
        dataset = dataset if batch is None else dataset.batch(batch)

        def recorders(points):
            return [taylor(["top"]), nta.ActivationRounds(points)]

        arrays = train(plain(), x, y, recorders(x))
        streamed = train(plain(), dataset, None, recorders(dataset))
        assert_same_trace(arrays, streamed)
        assert arrays.config["data"] == streamed.config["data"]
        nta.replay(
            train(plain(), x, y, [nta.WeightRounds(SCHEDULE)]),
            plain(),
            dataset,
            None,
            [taylor()],
        )

    def test_in_fit(self):
        x, y = data()
        first = tf.data.Dataset.from_tensor_slices((x[:BATCH], y[:BATCH])).batch(BATCH)
        model = plain()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        kept = nta.callbacks.RecordRounds(first, None, [taylor(["top"])], "cross_entropy")
        model.fit(x, y, BATCH, epochs=2, verbose=0, callbacks=[kept])
        assert kept.run.config["batch_size"] == BATCH

    def test_what_cannot_be_read_is_named(self):
        x, y = data()
        pairs = tf.data.Dataset.from_tensor_slices((x, y))
        weighted = tf.data.Dataset.from_tensor_slices((x, y, np.ones(18), np.ones(18)))
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
                train(plain(), given, targets)


class TestSharedPaths:
    @staticmethod
    def _model():
        inputs = keras.Input((WIDTH,))
        hidden = inputs
        for name in ("encoder", "decoder"):
            inner = keras.Input((hidden.shape[-1],))
            part = keras.Model(inner, layers.Dense(4, "relu", name="dense")(inner), name=name)
            hidden = part(hidden)
        return seeded(keras.Model(inputs, layers.Dense(CLASSES, name="top")(hidden)))

    def test_variables_have_names_of_their_own(self):
        model = self._model()
        paths = [variable.path for variable in model.trainable_variables]
        names = list(nta.variables.recorded_variables(model))
        assert len(set(paths)) < len(paths) == len(set(names))

    @pytest.mark.slow
    def test_they_are_recorded_and_replayed(self):
        def recorders():
            return [
                taylor(form="gradient_tensors"),
                nta.ActivationRounds(data()[0]),
                nta.GradientNorms(["encoder/dense", "decoder/dense"]),
            ]

        kept = nta.WeightRounds(SCHEDULE)
        run = train(self._model(), *data(), [kept, *recorders()])
        record = run.records["per_example"]
        assert record.config["layers"] == ["encoder/dense", "decoder/dense", "top"]
        one, other = (record.read(f"{name}/dense/kernel") for name in ("encoder", "decoder"))
        assert one.shape[2:] == (WIDTH, 4) and other.shape[2:] == (4, 4)
        weights = run.records["weights"].read("variables/dense/kernel:2")
        np.testing.assert_array_equal(weights, other)
        replayed = train(self._model(), *data(), [nta.WeightRounds(SCHEDULE)])
        nta.replay(replayed, self._model(), *data(), recorders()[:2])
        for name in ("per_example", "activations"):
            assert_same_record(run.records[name], replayed.records[name])
