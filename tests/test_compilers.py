"""jit_compile="auto": chosen by a rule and a trial, kept by the run, changing nothing else."""

import numpy as np
import pytest

import nta_tf as nta
from nta_tf import compilers


@pytest.fixture
def train(sample):
    digits = sample.x[:128].reshape(128, 784)

    def call(**options):
        model = nta.models.autoencoder(seed=0)
        arguments = {"epochs": 1, "batch_size": 32, "optimizer": "adam", **options}
        return nta.train(model, digits, digits, **arguments)

    return call


def test_short_trainings_and_convolutions_on_a_cpu_stay_with_tensorflow():
    assert compilers.worth_trying(nta.models.autoencoder(), 5_000)
    assert not compilers.worth_trying(nta.models.autoencoder(), 4_999)
    assert not compilers.worth_trying(nta.models.convnet(), 100_000)


@pytest.mark.slow
@pytest.mark.parametrize("seconds, chosen", [((1.0, 0.9), True), ((1.0, 0.95), False)])
def test_a_trial_leaves_the_training_as_it_was(train, tmp_path, monkeypatch, seconds, chosen):
    monkeypatch.setattr(compilers, "_SHORT", 1)
    tried = []

    def timed(run, steps):
        run(steps)
        tried.append(steps)
        return dict(zip(("plain", "xla"), seconds))["plain" if len(tried) > 1 else "xla"]

    monkeypatch.setattr(compilers, "_seconds", timed)
    run = train(jit_compile="auto", directory=tmp_path)
    assert tried == [4, 4] and run.config["jit_compile"] is chosen
    np.testing.assert_array_equal(run.losses, train(jit_compile=chosen).losses)
    longer = train(jit_compile="auto", directory=tmp_path, epochs=2)  # it is not tried again
    assert len(tried) == 2 and longer.epochs == 2


def test_what_xla_cannot_compile_is_not_compiled(monkeypatch):
    def fails(steps):
        raise compilers.tf.errors.InvalidArgumentError(None, None, "no kernel")

    assert not compilers.xla_is_faster(lambda steps: None, fails, [], 3)
