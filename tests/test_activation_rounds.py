"""The recorder of activation configurations, against preactivations that are computed plainly."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf.exploration import Rectifiers
from nta_tf.recorders import Training
from nta_tf.sampling import draw
from tests import graphs
from tests.reference import exploration as reference

EPOCHS = 3


def _model(seed=1):
    return nta.models.autoencoder(seed, widths=(11, 6, 9), input_size=16)


def _data(count=50):
    return np.random.default_rng(2).random((count, 16)).astype(np.float32)


def _train(recorders, model=None, x=None, directory=None, epochs=EPOCHS):
    x = _data() if x is None else x
    return nta.train(
        model or _model(),
        x,
        x,
        optimizer=nta.optimizers.get("rmsprop", 0.05),
        epochs=epochs,
        batch_size=8,
        seed=7,
        recorders=recorders,
        directory=directory,
    )


def _bits_of_weights(run, x):
    """Boolean (N, D, M) from the weights that the run kept, by plain products."""
    configurations = []
    for epoch in range(run.epochs):
        for row in range(run.records["weights"].rounds[epoch]):
            hidden, active = x.astype(np.float32), []
            for layer in ("dense_1", "dense_2", "dense_3"):
                kernel, bias = (
                    run.records["weights"].read(f"variables/{layer}/{name}", epoch)[row]
                    for name in ("kernel", "bias")
                )
                preactivation = hidden @ kernel + bias
                active.append(preactivation > 0)
                hidden = np.maximum(preactivation, 0)
            configurations.append(np.concatenate(active, axis=1))
    return np.stack(configurations)


def _unpacked(run, layers=("dense_1", "dense_2", "dense_3")):
    configurations = nta.exploration.Configurations(run, list(layers))
    (block,) = configurations.blocks()
    return np.unpackbits(block, axis=-1)[..., configurations.unit_bits()].astype(bool)


@pytest.mark.parametrize("schedule", ["1 an epoch", "2 an epoch", "every 4 steps"])
def test_bits_say_whether_preactivations_are_positive(schedule):
    x = _data()
    run = _train([nta.WeightRounds(schedule), nta.ActivationRounds(x, schedule=schedule)])
    expected = _bits_of_weights(run, x)
    np.testing.assert_array_equal(_unpacked(run), expected)
    epochs = nta.exploration.Configurations(run).epochs
    assert len(epochs) == len(expected) and epochs[-1] == EPOCHS
    assert (np.diff(epochs) > 0).all()
    assert 0.05 < expected.mean() < 0.95 and (expected[0] != expected[-1]).any()


def test_measures_of_a_run_and_of_its_layers(tmp_path):
    x = _data()
    run = _train([nta.WeightRounds(), nta.ActivationRounds(x)], directory=tmp_path / "run")
    bits = _bits_of_weights(run, x)
    layers = {None: slice(None), "dense_2": slice(11, 17), ("dense_1", "dense_3"): [*range(11)]}
    layers["dense_1", "dense_3"] += range(17, 26)
    for names, units in layers.items():
        names = list(names) if isinstance(names, tuple) else names
        for measure in ("minimum_hamming", "switches", "singular_values"):
            found = getattr(nta.exploration, measure)(tmp_path / "run", names)
            expected = getattr(reference, measure)(bits[:, :, units])
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)


def test_points_and_units_are_chosen_with_the_seed():
    x = _data()
    recorders = [
        nta.ActivationRounds(x, name="all"),
        nta.ActivationRounds(x, points=20, units=6, name="some"),
        nta.ActivationRounds(x, points=20, units=6, seed=1, name="others"),
    ]
    run = _train(recorders)
    names = nta.exploration.units(run, record="all")
    some = nta.exploration.units(run, record="some")
    assert some.groupby("layer").size().to_dict() == {"dense_1": 6, "dense_2": 6, "dense_3": 6}
    whole = nta.exploration.Configurations(run, record="all")
    bits = np.unpackbits(next(whole.blocks()), axis=-1)[..., whole.unit_bits()]
    merged = names.reset_index().merge(some, on=["layer", "channel"], how="right")
    points = draw(50, 20, 0)
    chosen = nta.exploration.Configurations(run, record="some")
    found = np.unpackbits(next(chosen.blocks()), axis=-1)[..., chosen.unit_bits()]
    np.testing.assert_array_equal(found, bits[:, points][:, :, merged["index"]])
    other = nta.exploration.units(run, record="others")
    assert some["channel"].tolist() != other["channel"].tolist()


def test_replayed_bits_are_those_of_the_training(tmp_path):
    x = _data()
    live = _train([nta.WeightRounds("2 an epoch"), nta.ActivationRounds(x)])
    kept = _train([nta.WeightRounds("2 an epoch")], directory=tmp_path / "run")
    nta.replay(kept, _model(seed=5), x, x, [nta.ActivationRounds(x)])
    reopened = nta.Run.open(tmp_path / "run")
    assert reopened.config["records"] == live.config["records"]
    np.testing.assert_array_equal(_unpacked(reopened), _unpacked(live))


def test_recording_does_not_change_the_training():
    plain, recorded = _train([]), _train([nta.ActivationRounds(_data())])
    np.testing.assert_array_equal(plain.losses, recorded.losses)


def test_other_points_than_those_of_the_training():
    others = np.random.default_rng(9).random((13, 16)).astype(np.float32)
    run = _train([nta.WeightRounds(), nta.ActivationRounds(tf.constant(others))])
    np.testing.assert_array_equal(_unpacked(run), _bits_of_weights(run, others))


@pytest.mark.slow
def test_a_run_that_stops_early_has_the_epochs_that_are_done(tmp_path):
    x = _data()

    class Stop(nta.ActivationRounds):
        def begin_epoch(self, epoch):
            if epoch == 2:
                raise KeyboardInterrupt
            super().begin_epoch(epoch)

    with pytest.raises(KeyboardInterrupt):
        _train([Stop(x)], directory=tmp_path / "run", epochs=4)
    assert nta.exploration.Configurations(tmp_path / "run").rounds == 2
    _train([nta.ActivationRounds(x)], directory=tmp_path / "run", epochs=4)
    whole = _train([nta.ActivationRounds(x)], epochs=4)
    np.testing.assert_array_equal(_unpacked(tmp_path / "run"), _unpacked(whole))


def test_blocks_of_points_give_the_same_bits(monkeypatch):
    x = _data()
    whole = _unpacked(_train([nta.ActivationRounds(x)]))
    monkeypatch.setattr("nta_tf.recorders.activations._VALUES_AT_ONCE", 16 * 7)
    np.testing.assert_array_equal(_unpacked(_train([nta.ActivationRounds(x)])), whole)


def test_digits_in_the_convnet(sample):
    """Images, positions and channels, a sub-sample, and a layer of max-pooling between."""
    x, y = sample.x[:64], sample.y[:64]
    model = nta.models.convnet((28, 28, 1), 0, filters=3, kernel_size=3, dense_units=7)
    run = nta.train(
        model,
        x,
        y,
        optimizer="adam",
        loss="cross_entropy",
        epochs=2,
        batch_size=32,
        recorders=[nta.WeightRounds(), nta.ActivationRounds(x, points=20, units=500)],
    )
    names = nta.exploration.units(run)
    assert names.groupby("layer").size().to_dict() == {
        "conv2d_1": 500,
        "conv2d_2": 500,
        "conv2d_3": 147,
        "dense_4": 7,
    }
    for variable in model.trainable_variables:  # W^n of the last round
        variable.assign(run.records["weights"].read(f"variables/{variable.path}", 1)[0])
    first = names[names["layer"] == "conv2d_1"]
    layers = [model.get_layer(name).output for name in ("conv2d_1", "dense_4")]
    points = draw(64, 20, 0)
    images, vectors = keras.Model(model.input, layers)(x[points])
    rows, columns = np.array(first["position"].tolist()).T
    expected = images.numpy()[:, rows, columns, first["channel"]] > 0
    np.testing.assert_array_equal(_unpacked(run, ["conv2d_1"])[-1], expected)
    np.testing.assert_array_equal(_unpacked(run, ["dense_4"])[-1], vectors.numpy() > 0)


class TestRectifiers:
    def _given(self, units, seed=3):
        return np.random.default_rng(seed).normal(size=(6, units)).astype(np.float32)

    @pytest.mark.parametrize(
        "rectifier",
        [
            keras.layers.ReLU(),
            keras.layers.ReLU(max_value=0.3, negative_slope=0.1),
            keras.layers.LeakyReLU(0.2),
            keras.layers.PReLU(keras.initializers.Constant(-0.5)),  # sends a < 0 to the positive
            keras.layers.Activation("relu"),
            keras.layers.Activation("leaky_relu"),
            keras.ops.relu,
            keras.ops.relu6,
        ],
        ids=lambda rectifier: getattr(rectifier, "name", getattr(rectifier, "__name__", "")),
    )
    def test_layers_of_their_own(self, rectifier):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(2)(rectifier(inputs)))
        (active,) = Rectifiers(model)(self._given(4)).values()
        np.testing.assert_array_equal(active, self._given(4) > 0)

    @pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu"])
    def test_activations_of_other_layers(self, activation):
        inputs = keras.Input((4,))
        layer = keras.layers.Dense(5, activation, name="hidden")
        model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
        active = Rectifiers(model)(self._given(4))
        assert list(active) == ["hidden"]
        expected = self._given(4) @ layer.kernel.numpy() > 0
        np.testing.assert_array_equal(active["hidden"], expected)

    def test_the_threshold_is_where_the_kink_is(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.ReLU(threshold=0.4)(inputs))
        (active,) = Rectifiers(model)(self._given(4)).values()
        np.testing.assert_array_equal(active, self._given(4) > np.float32(0.4))

    def test_names(self):
        inputs = keras.Input((3,))
        shared = keras.layers.ReLU(name="shared")
        hidden = shared(keras.layers.Dense(5, name="one")(inputs))
        hidden = shared(keras.layers.Dense(6, name="two")(hidden))
        nested = keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(2, "relu", name="dense")], name="nested"
        )
        outputs = keras.layers.Dense(4, "relu", name="dense")(nested(hidden))
        shapes = Rectifiers(keras.Model(inputs, outputs)).shapes
        assert shapes == {"shared": (5,), "shared:2": (6,), "nested/dense": (2,), "dense": (4,)}

    def test_several_inputs(self):
        image, numbers = keras.Input((4, 4, 2), name="image"), keras.Input((5,), name="numbers")
        left = keras.layers.Conv2D(3, 2, activation="relu", name="conv")(image)
        right = keras.layers.Dense(4, "relu", name="dense")(numbers)
        joined = keras.layers.Concatenate()([keras.layers.Flatten()(left), right])
        model = keras.Model([image, numbers], keras.layers.Dense(2)(joined))
        recorder = nta.ActivationRounds([np.ones((7, 4, 4, 2)), np.ones((7, 5))], points=5)
        arrays = recorder.start(Training(model, "mse", 1, 4, 2))
        assert arrays["bits/conv"].shape == (1, 5, 4) and arrays["bits/dense"].shape == (1, 5, 1)

    def test_no_rectifier(self):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh")])
        with pytest.raises(ValueError, match=r"Rectifiers of model .* are \[\]"):
            Rectifiers(model)

    def test_unknown_layer(self):
        with pytest.raises(ValueError, match="dense_3.*Received: layers=dense_4"):
            Rectifiers(_model(), "dense_4")


class TestBadInput:
    def test_counts(self):
        with pytest.raises(ValueError, match="points must be a positive whole number"):
            nta.ActivationRounds(_data(), points=0.1)
        with pytest.raises(ValueError, match="There are 50 data points. Received: points=51"):
            _train([nta.ActivationRounds(_data(), points=51)])

    def test_points_that_do_not_fit_the_model(self):
        with pytest.raises(ValueError, match=r"shape \(None, 16\)"):
            _train([nta.ActivationRounds(np.ones((4, 15)))])

    def test_a_run_without_such_a_record(self):
        with pytest.raises(ValueError, match="nta.ActivationRounds"):
            nta.exploration.switches(_train([]))

    def test_an_unknown_layer(self):
        run = _train([nta.ActivationRounds(_data())])
        with pytest.raises(ValueError, match="recorded are .*Received: layers='dense_9'"):
            nta.exploration.switches(run, "dense_9")

    def test_a_single_epoch(self):
        run = _train([nta.ActivationRounds(_data())], epochs=1)
        with pytest.raises(ValueError, match="at least two rounds"):
            nta.exploration.minimum_hamming(run)


def test_what_looks_at_the_points_runs_on_every_device():
    recorder = nta.ActivationRounds(np.ones((9, 12, 12, 1)), units=30)
    model = nta.models.convnet((12, 12, 1), filters=4, dense_units=8)
    recorder.start(Training(model, "cross_entropy", 1, 4, 8))
    weights = {v.path: tf.TensorSpec(v.shape) for v in model.trainable_variables}
    concrete = recorder._look.get_concrete_function(weights, [tf.TensorSpec((9, 12, 12, 1))])
    assert graphs.host_callbacks(concrete) == []
    if graphs.lists_gpu_kernels():
        assert graphs.without_gpu_kernel(concrete) == []
