"""Protocols: presets, what they record, what they refuse."""

import keras
import pytest

import nta_tf as nta


def test_presets_are_what_the_design_says():
    definition = nta.Protocol.preset("definition")
    figures = nta.Protocol.preset("figures")
    assert (definition.reduction, definition.schedule) == ("per_example", "every step")
    assert (figures.reduction, figures.schedule) == ("batch_mean", "1 an epoch")
    assert definition.radius is None and figures.radius is None
    assert definition.comparator == figures.comparator == "static"
    # What the study found to explain the published figures best; the text has x_L = a_L.
    assert definition.output_activation == "linear" and figures.output_activation == "sigmoid"
    assert figures.kernel_initializer == "he_normal"
    same = set(definition.training_options()) - {"output_activation", "kernel_initializer"}
    assert all(getattr(definition, name) == getattr(figures, name) for name in same)


def test_recorder_carries_the_protocol():
    protocol = nta.Protocol.preset("figures", dtype="float64", bias_in_scope=True)
    recorder = protocol.recorder(["dense_3"])
    assert (recorder.name, recorder.layers, recorder.reduction) == (
        "figures",
        ["dense_3"],
        "batch_mean",
    )
    assert (str(recorder.schedule), recorder.bias, recorder.dtype) == (
        "1 an epoch",
        True,
        "float64",
    )
    sampled = nta.Protocol.preset("definition", examples=8).recorder()
    assert (sampled.examples, recorder.examples) == (8, None)
    with pytest.raises(ValueError, match="Received: True"):
        nta.Protocol.preset("definition", examples=True)


def test_optimizer_variant():
    old = nta.Protocol.preset("figures")
    new = nta.Protocol.preset("figures", optimizer_variant="keras_3")
    assert isinstance(old.optimizer("rmsprop", 0.001), nta.optimizers.RMSProp)
    assert type(new.optimizer("rmsprop", 0.001)) is keras.optimizers.RMSprop
    assert type(old.optimizer("rmsprop_keras", 0.001)) is keras.optimizers.RMSprop


def test_wrong_choices():
    with pytest.raises(ValueError, match="definition.*figures.*'paper'"):
        nta.Protocol.preset("paper")
    with pytest.raises(ValueError, match="batch_mean.*'sum'"):
        nta.Protocol("mine", reduction="sum")
    with pytest.raises(ValueError, match="every K steps.*'daily'"):
        nta.Protocol("mine", schedule="daily")
    with pytest.raises(ValueError, match="keras_3.*'pytorch'"):
        nta.Protocol("mine", optimizer_variant="pytorch")


def test_unknown_comparator():
    with pytest.raises(ValueError, match="static.*'dynamic'"):
        nta.Protocol("mine", comparator="dynamic")
