"""Weights of examples and of classes: in training, in its rounds, and in their regret."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta

_LABELS = np.array([0, 1, 2, 1, 2, 2, 0, 1])
_COUNTED = np.array([1, 1, 1, 1, 0, 0, 0, 0], np.float32)


def _model():
    keras.utils.set_random_seed(0)
    layers = keras.layers.Dense(5, "relu", name="hidden"), keras.layers.Dense(3, name="top")
    return keras.Sequential([keras.Input((4,)), *layers])


def _train(x, y, batch_size, rate, recorders=(), **weights):
    optimizer = keras.optimizers.SGD(rate)
    return nta.train(
        _model(), x, y, optimizer=optimizer, loss="cross_entropy", epochs=3, batch_size=batch_size,
        recorders=recorders, **weights,
    )  # fmt: skip


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


@pytest.fixture(scope="module")
def weighted(x):
    recorders = [nta.TaylorRounds(["hidden"]), nta.GradientNorms(["hidden"])]
    recorders.append(nta.WeightRounds("every step"))
    return _train(x, _LABELS, 8, 0.2, recorders, sample_weight=_COUNTED)


@pytest.mark.slow
def test_examples_of_weight_zero_are_not_there(x, weighted):
    recorders = [nta.TaylorRounds(["hidden"]), nta.GradientNorms(["hidden"])]
    alone = _train(x[:4], _LABELS[:4], 4, 0.1, recorders)
    # The mean is over all 8: half the loss, and with twice the rate the same steps.
    np.testing.assert_allclose(weighted.losses, alone.losses / 2, rtol=1e-5)
    table, expected = nta.regret(weighted, "hidden"), nta.regret(alone, "hidden")
    for column in ("cumulative_loss", "taylor_optimum"):
        np.testing.assert_allclose(table[column], expected[column] / 2, rtol=1e-4)
    np.testing.assert_allclose(table["radius"], expected["radius"], rtol=1e-4)
    norms = [
        run.records["gradient_norms"].read("hidden/squared_norms") for run in (weighted, alone)
    ]
    np.testing.assert_allclose(norms[0], norms[1] / 4, rtol=1e-4)


def test_classes_and_datasets_say_the_same(x):
    counts = np.where(_LABELS == 1, 3, 1)
    by_example = _train(x, _LABELS, 4, 0.1, sample_weight=counts)
    by_class = _train(x, _LABELS, 4, 0.1, class_weight={1: 3.0})
    dataset = tf.data.Dataset.from_tensor_slices((x, _LABELS, counts)).batch(4)
    from_dataset = _train(dataset, None, 4, 0.1)
    for run in (by_class, from_dataset):
        np.testing.assert_array_equal(run.losses, by_example.losses)
    assert not np.allclose(by_example.losses, _train(x, _LABELS, 4, 0.1).losses)


@pytest.mark.slow
def test_a_replay_sees_the_same_weights(x, weighted):
    again = nta.TaylorRounds(["hidden"], name="again")
    with pytest.raises(ValueError, match="data are not those"):
        nta.replay(weighted, _model(), x, _LABELS, [again])
    nta.replay(weighted, _model(), x, _LABELS, [again], sample_weight=_COUNTED)
    tables = [nta.regret(weighted, "hidden", record=name) for name in ("per_example", "again")]
    np.testing.assert_allclose(tables[0]["taylor_optimum"], tables[1]["taylor_optimum"], rtol=1e-6)


@pytest.mark.slow
def test_rounds_inside_fit_have_weights(x):
    model = _model()
    logits = np.asarray(model(x))
    losses = np.asarray(nta.losses.cross_entropy(logits, _LABELS))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    watch = nta.callbacks.RecordRounds(
        x, _LABELS, [nta.TaylorRounds(["top"])], "cross_entropy", sample_weight=_COUNTED
    )
    model.fit(x, _LABELS, sample_weight=_COUNTED, verbose=0, callbacks=[watch])
    assert watch.run.losses[0, 0] == pytest.approx((losses * _COUNTED).mean(), rel=1e-5)


def test_normal_equations_are_of_examples_that_count_once(x):
    recorder = nta.TaylorRounds(["hidden"], form="normal_equations")
    with pytest.raises(ValueError, match="each counted once"):
        nta.train(_model(), x, np.zeros((8, 3)), optimizer="sgd", epochs=1, batch_size=8,
                  recorders=[recorder], sample_weight=_COUNTED)  # fmt: skip


@pytest.mark.parametrize(
    "weights, message",
    [
        ({"sample_weight": _COUNTED, "class_weight": {0: 2.0}}, "not both"),
        ({"sample_weight": _COUNTED[:5]}, "one weight an example"),
        ({"sample_weight": _COUNTED - 1}, "none of them negative"),
        ({"sample_weight": 0 * _COUNTED}, "not all zero"),
    ],
)
def test_weights_that_do_not_fit_are_refused(x, weights, message):
    with pytest.raises(ValueError, match=message):
        _train(x, _LABELS, 4, 0.1, **weights)
