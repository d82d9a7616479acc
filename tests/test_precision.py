"""Training steps in another precision: what changes, and what must not."""

import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from tests.networks import dense_chain


def _convnet(**options):
    return nta.models.convnet((12, 12, 1), seed=0, filters=4, dense_units=8, **options)


def _train(x, y, **options):
    model = _convnet()
    run = nta.train(
        model,
        x,
        y,
        optimizer=nta.optimizers.get("sgd", 0.05),
        loss="cross_entropy",
        epochs=2,
        batch_size=32,
        recorders=[nta.WeightRounds("every step")],
        **options,
    )
    return model, run


@pytest.fixture(scope="module")
def digits(sample):
    return sample.x[:128, 8:20, 8:20], sample.y[:128]


def test_steps_compute_in_bfloat16_and_variables_stay_float32(digits):
    plain, run = _train(*digits)
    mixed, mixed_run = _train(*digits, dtype_policy="mixed_bfloat16")
    for own, other in zip(plain.get_weights(), mixed.get_weights()):
        assert own.dtype == other.dtype == np.float32
    difference = np.abs(run.losses - mixed_run.losses).max()
    # Eight bits of mantissa: visible, and small.
    assert 1e-5 < difference < 0.05
    assert mixed_run.config["dtype_policy"] == "mixed_bfloat16"


def test_it_is_the_arithmetic_of_a_model_made_with_the_policy(digits):
    x, y = digits
    with_policy = _convnet(dtype="mixed_bfloat16")
    run = nta.train(
        with_policy,
        x,
        y,
        optimizer=nta.optimizers.get("sgd", 0.05),
        loss="cross_entropy",
        epochs=2,
        batch_size=32,
    )
    _, mixed_run = _train(x, y, dtype_policy="mixed_bfloat16")
    np.testing.assert_array_equal(run.losses, mixed_run.losses)


def test_layers_are_left_as_they_were_even_by_an_error():
    model = _convnet()
    before = [layer.dtype_policy.name for layer in model.layers]
    with pytest.raises(RuntimeError, match="stop"):
        with nta.precision.computing_in(model, "mixed_bfloat16"):
            inside = {layer.name: layer.compute_dtype for layer in model.layers}
            raise RuntimeError("stop")
    assert [layer.dtype_policy.name for layer in model.layers] == before
    assert inside["conv2d_1"] == "bfloat16" and inside["dense_5"] == "float32"


def test_recorders_see_weights_in_float32_and_compute_in_it(digits):
    x, y = digits
    _model, run = _train(x, y, dtype_policy="mixed_bfloat16")
    kernels = run.records["weights"].read("variables/conv2d_1/kernel")
    assert kernels.dtype == np.float32
    # Not one of a thousand numbers that all have room for eight bits only.
    assert (tf.cast(tf.cast(kernels, tf.bfloat16), tf.float32).numpy() != kernels).mean() > 0.5


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_other_policies_are_refused_by_name(digits, policy):
    with pytest.raises(ValueError, match=f"mixed_bfloat16.*Received: dtype_policy='{policy}'"):
        _train(*digits, dtype_policy=policy)


def test_accuracy_is_that_of_a_plain_loop(digits):
    x, y = digits
    model, plain = _train(x, y)[1], _convnet()
    optimizer = nta.optimizers.get("sgd", 0.05)
    for epoch in range(2):
        for step, examples in enumerate(nta.session.epoch_order(0, epoch, 128, 32)):
            with tf.GradientTape() as tape:
                logits = plain(x[examples])
                loss = tf.reduce_mean(nta.losses.cross_entropy(logits, y[examples]))
            right = np.mean(np.argmax(logits, axis=1) == y[examples])
            assert model.read("accuracies")[epoch, step] == pytest.approx(right, abs=1e-6)
            optimizer.apply_gradients(
                zip(tape.gradient(loss, plain.trainable_variables), plain.trainable_variables)
            )


def test_one_hot_targets_have_an_accuracy_and_mse_has_none(digits):
    x, y = digits
    rows = np.eye(10, dtype=np.float32)[y]
    _, labels = _train(x, y)
    _, one_hot = _train(x, rows)
    np.testing.assert_array_equal(labels.read("accuracies"), one_hot.read("accuracies"))
    chain = dense_chain((4, 3, 4), ("relu", "linear"), seed=0, dtype="float32")
    data = np.ones((8, 4), np.float32)
    run = nta.train(chain, data, data, optimizer="sgd", epochs=1, batch_size=4)
    assert "accuracies" not in run.measured
