"""What trains and records is one graph, of ops that have GPU kernels, without callbacks."""

import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from nta_tf.recorders import Training
from nta_tf.recorders.gradient_tensors import GradientTensorRecorder
from nta_tf.recorders.normal_equations import NormalEquationRecorder
from nta_tf.training import _compile_segment
from nta_tf.training_data import Layout
from tests import graphs

BATCH = 8
CONVNET = {"input_shape": (12, 12, 1), "filters": 4, "dense_units": 8}


def _segment(model, loss, optimizer, dtype_policy):
    x = tf.TensorSpec((32, *model.input_shape[1:]))
    labels = (tf.TensorSpec((32,), tf.int32),) if loss == "cross_entropy" else ()
    optimizer = nta.optimizers.get(optimizer)
    optimizer.build(model.trainable_variables)
    training = Training(model, loss, epochs=1, steps_per_epoch=4, batch_size=BATCH)
    layout = Layout(0, own=not labels)
    segment = _compile_segment(training, optimizer, layout, 2, dtype_policy=dtype_policy)
    return segment.get_concrete_function(
        (x, *labels),
        tf.TensorSpec((4, BATCH), tf.int32),
        tf.TensorSpec((), tf.int32),
        tf.TensorSpec((), tf.int32),
        tf.TensorSpec((4,), tf.int32),
    )


def _check(concrete):
    assert graphs.host_callbacks(concrete) == []
    if not graphs.lists_gpu_kernels():
        pytest.skip("this build of TensorFlow does not register GPU kernels")
    assert graphs.without_gpu_kernel(concrete) == []


@pytest.mark.parametrize(
    "optimizer, dtype_policy",
    [
        ("adam", None),
        ("rmsprop", "mixed_bfloat16"),
        pytest.param("adam", "mixed_bfloat16", marks=pytest.mark.slow),
        pytest.param("rmsprop", None, marks=pytest.mark.slow),
        pytest.param("sgd", None, marks=pytest.mark.slow),
        pytest.param("adam_keras", None, marks=pytest.mark.slow),
        pytest.param("rmsprop_keras", None, marks=pytest.mark.slow),
    ],
)
def test_training_of_the_convnet(optimizer, dtype_policy):
    model = nta.models.convnet(seed=0, **CONVNET)
    _check(_segment(model, "cross_entropy", optimizer, dtype_policy))


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_training_of_the_autoencoder(optimizer):
    _check(_segment(nta.models.autoencoder(seed=0), "mse", optimizer, None))


@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_gradient_tensor_rounds_of_the_convnet(reduction):
    model = nta.models.convnet(seed=0, **CONVNET)
    recorder = GradientTensorRecorder(None, reduction, nta.schedules.get("1 an epoch"), False, "r")
    recorder.start(Training(model, "cross_entropy", 1, 4, BATCH))
    weights = {v.path: tf.TensorSpec(v.shape) for v in model.trainable_variables}
    _check(
        recorder._look.get_concrete_function(
            weights, [tf.TensorSpec((BATCH, 12, 12, 1))], tf.TensorSpec((BATCH,), tf.int32)
        )
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", nta.linearization.REDUCTIONS)
def test_normal_equation_rounds_of_the_autoencoder(reduction, dtype):
    model = nta.models.autoencoder(seed=0)
    schedule = nta.schedules.get("every step")
    recorder = NormalEquationRecorder(None, reduction, schedule, False, dtype, "r")
    arrays = recorder.start(Training(model, "mse", 1, 4, BATCH))
    recorder.begin_epoch(0)
    rounds = 2
    weights = {
        layer.name: (
            tf.TensorSpec((rounds, *layer.kernel.shape)),
            tf.TensorSpec((rounds, *layer.bias.shape)),
        )
        for layer in model.layers[1:]
    }
    sums = {name: tf.TensorSpec(total.shape, tf.float64) for name, total in recorder._sums.items()}
    batch = tf.TensorSpec((rounds, BATCH, 784))
    assert arrays
    _check(recorder._accumulate.get_concrete_function(sums, weights, batch, batch))


@pytest.mark.gpu
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_gpu_trains_and_records_what_the_cpu_does(loss):
    losses = {}
    for device in ("CPU:0", "GPU:0"):
        with tf.device(device):
            generator = np.random.default_rng(0)
            if loss == "mse":
                model, x = nta.models.autoencoder(seed=0), generator.random((64, 784), np.float32)
                y = x
            else:
                model = nta.models.convnet(seed=0, **CONVNET)
                x = generator.random((64, 12, 12, 1), np.float32)
                y = generator.integers(0, 10, 64)
            run = nta.train(
                model,
                x,
                y,
                optimizer="rmsprop",
                loss=loss,
                epochs=2,
                batch_size=BATCH,
                recorders=[nta.TaylorRounds([model.layers[3].name], schedule="1 an epoch")]
                if loss == "mse"
                else [nta.TaylorRounds(["conv2d_2"], schedule="1 an epoch")],
            )
            table = nta.regret(run, run.records["per_example"].config["layers"][0])
            losses[device] = (run.losses, table["taylor_optimum"])
    np.testing.assert_allclose(losses["CPU:0"][0], losses["GPU:0"][0], rtol=1e-4)
    np.testing.assert_allclose(losses["CPU:0"][1], losses["GPU:0"][1], rtol=1e-3)
