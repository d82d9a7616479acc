"""Losses as users of Keras have them, and targets in the shapes that they have there."""

import keras
import numpy as np
import pytest

import nta_tf as nta
from nta_tf import losses
from nta_tf.training_data import checked

RECOGNIZED = {
    "mse": [keras.losses.MeanSquaredError(), "mean_squared_error", losses.mean_squared_error],
    "cross_entropy": [
        keras.losses.CategoricalCrossentropy(from_logits=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        losses.cross_entropy,
        losses.CrossEntropy(),
    ],
    "binary_cross_entropy": [keras.losses.BinaryCrossentropy(from_logits=True)],
    "huber": [keras.losses.Huber(), losses.Huber()],
    "absolute_error": [keras.losses.MeanAbsoluteError(), keras.losses.mean_absolute_error, "mae"],
    "hinge": [keras.losses.Hinge()],
}
REFUSED = [
    keras.losses.MeanSquaredError(reduction="sum"),
    keras.losses.MeanSquaredError(reduction=None),
    keras.losses.CategoricalCrossentropy(),
    keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    "sparse_categorical_crossentropy",
    keras.losses.Huber(delta=2.0),
    losses.Huber(delta=2.0),
    keras.losses.Poisson(),  # of the rate itself
    keras.losses.LogCosh(),
    "no such loss",
    3,
]


@pytest.mark.parametrize(
    "name, loss", [(name, loss) for name, given in RECOGNIZED.items() for loss in given]
)
def test_the_same_losses_are_taken(name, loss):
    assert losses.name_of(loss) == name


@pytest.mark.parametrize("loss", REFUSED, ids=lambda loss: getattr(loss, "name", loss))
def test_other_losses_are_refused(loss):
    with pytest.raises(ValueError, match="The loss must be one of .* Received: loss="):
        losses.name_of(loss)


def classifier():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="top")])


def test_training_is_the_same_with_either(rng):
    x, labels = rng.normal(size=(32, 4)), rng.integers(3, size=32)
    asked = {"optimizer": "sgd", "epochs": 2, "batch_size": 8}
    ours = nta.train(classifier(), x, labels, loss="cross_entropy", **asked)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for same in (labels[:, np.newaxis], labels.astype(float)):
        theirs = nta.train(classifier(), x, same, loss=sparse, **asked)
        np.testing.assert_array_equal(ours.losses, theirs.losses)
    assert theirs.config["loss"] == "cross_entropy"


def test_fit_and_taylor_loss_take_the_compiled_loss(rng):
    x, labels = rng.normal(size=(8, 4)), rng.integers(3, size=(8, 1))
    model, loss = classifier(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    lin = nta.linearize(model, x)
    incurred = float(nta.taylor_loss(lin, {}, labels, loss=loss))
    assert incurred == pytest.approx(float(loss(labels, model(x))), rel=1e-5)
    model.compile("sgd", loss)
    watch = nta.callbacks.RecordRounds(x, labels, [nta.TaylorRounds(["top"])], loss=model.loss)
    model.fit(x, labels, verbose=0, callbacks=[watch])
    assert watch.run.losses[0, 0] == pytest.approx(incurred, rel=1e-5)


@pytest.mark.slow
def test_images_are_targets(rng):
    images = rng.normal(size=(6, 4, 4, 2)).astype(np.float32)
    model = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Conv2D(2, 3, padding="same")])
    incurred = float(np.mean((model(images) - images) ** 2))
    recorder = nta.TaylorRounds()
    run = nta.train(
        model, images, images, optimizer="sgd", epochs=1, batch_size=6, recorders=[recorder]
    )
    assert run.losses[0, 0] == pytest.approx(incurred, rel=1e-5)
    assert nta.regret(run, "network")["cumulative_loss"][0] == pytest.approx(incurred, rel=1e-5)
    for same in (images.reshape(6, -1), images[..., np.newaxis]):
        assert checked(model, images, same, "mse", 1, 6).targets.shape == (6, 32)
    with pytest.raises(ValueError, match="must have shape"):  # the channels stand elsewhere
        checked(model, images, np.moveaxis(images, 3, 1), "mse", 1, 6)
