"""Schedules, scopes, protocols and optimizers: right as described, or refused in a sentence."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nta_tf as nta
from reproduce import optimizers
from tests.fuzz.profiles import cases

numbers = st.one_of(st.integers(-2, 40), st.sampled_from([10**6, 10**30]))
words = st.one_of(
    st.text(max_size=12),
    st.builds("every {} steps".format, numbers),
    st.builds("every {} step".format, numbers),
    st.builds("{} an epoch".format, numbers),
    st.builds("{} log-spaced".format, numbers),
    st.sampled_from(["every step", "every step ", "Every step", "every 1.5 steps", "1 an epoch\n"]),
)
nonsense = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.floats(),
    st.text(max_size=6),
    st.lists(st.integers(0, 3), max_size=2),
    st.just({}),
)


def _expected(text, steps, epochs):
    """Recorded steps of the whole run, one test after the other."""
    words = text.split()
    total = range(steps * epochs)
    if text == "every step":
        return list(total)
    number = int(words[1] if words[0] == "every" else words[0])
    if words[0] == "every":
        return [step for step in total if step % number == 0]
    if words[1] == "an":
        ends = [(k + 1) * steps // number - 1 for k in range(number)]
        return [epoch * steps + end for epoch in range(epochs) for end in ends]
    places = {
        round(float(place)) - 1 for place in np.geomspace(1, steps * epochs, min(number, 10**5))
    }
    return sorted(places)


@cases(150, 1200)
@given(text=words, steps=st.integers(1, 12), epochs=st.integers(1, 4))
def test_schedules(text, steps, epochs):
    try:
        schedule = nta.schedules.get(text)
        found = [schedule.steps(epoch, steps, epochs) for epoch in range(epochs)]
    except ValueError as error:
        assert "Received" in str(error)
        return
    assert str(nta.schedules.get(str(schedule))) == str(schedule)
    for part in found:
        assert part.dtype.kind == "i" and ((part >= 0) & (part < steps)).all()
        assert (np.diff(part) > 0).all()
    whole = [epoch * steps + int(step) for epoch, part in enumerate(found) for step in part]
    assert whole == _expected(str(schedule), steps, epochs)


@cases(60, 400)
@given(value=nonsense)
def test_what_is_no_schedule(value):
    if not isinstance(value, str):
        with pytest.raises(ValueError, match="Received"):
            nta.schedules.get(value)


@cases(100, 600)
@given(
    scope=st.one_of(
        nonsense,
        st.builds("{}:{}".format, st.sampled_from(["dense_1", "network", ""]), nonsense),
        st.tuples(st.sampled_from(["dense_1", "", 3]), nonsense),
        st.tuples(nonsense, nonsense, nonsense),
    )
)
def test_scopes(scope):
    try:
        parsed = nta.scopes.parse(scope)
    except ValueError as error:
        assert "A scope is" in str(error)
        return
    assert parsed.layer is None or (isinstance(parsed.layer, str) and parsed.layer)
    assert parsed.layer is not None or parsed.neurons is None
    for neuron in parsed.neurons or ():
        assert isinstance(neuron, int)
    assert [nta.scopes.parse(name).names for name in parsed.names] == [[n] for n in parsed.names]


_RIGHT = {
    "reduction": ["per_example", "batch_mean"],
    "schedule": ["every step", "1 an epoch"],
    "radius": [None, math.inf, 1.0, 0.0],
    "comparator": ["static", "each_round", "each_epoch"],
    "bias_in_scope": [False, True],
    "dtype": ["float32", "float64"],
    "examples": [None, 1, 8],
    "output_activation": ["linear", "sigmoid", "relu"],
    "kernel_initializer": ["glorot_uniform", "he_normal", "truncated_normal:0.1"],
    "use_bias": [True, False],
    "input_scaling": ["unit"],
    "optimizer_variant": ["tensorflow_2016", "keras_3"],
    "dtype_policy": [None, "float32", "mixed_bfloat16"],
}


@cases(150, 1500)
@given(data=st.data(), wrong=st.sampled_from([None, *_RIGHT]))
def test_protocols(data, wrong):
    fields = {name: data.draw(st.sampled_from(values)) for name, values in _RIGHT.items()}
    if wrong:
        fields[wrong] = data.draw(nonsense)
    try:
        protocol = nta.Protocol("mine", **fields)
    except ValueError as error:
        assert wrong and "Received" in str(error), error
        return
    kept = protocol.training_options()
    assert json.loads(json.dumps(kept)) == kept
    assert protocol.recorder(["dense_1"]).name == "mine"
    if wrong:
        value = fields[wrong]
        fine = any(type(value) is type(right) and value == right for right in _RIGHT[wrong])
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fine |= wrong == "radius" and number and value >= 0
        fine |= wrong == "examples" and number and value == int(value) and value >= 1
        assert fine, f"{wrong}={value!r} was taken"


@cases(100, 800)
@given(
    text=st.one_of(
        st.text(max_size=8),
        st.builds(
            "{}:{}".format,
            st.sampled_from(["adam", "sgd", "rmsprop", "adam_keras", "", "newton"]),
            st.one_of(st.floats(), st.text(max_size=4), st.just("0.1:0.2")),
        ),
    ),
    task=st.sampled_from(["autoencoder", "convnet", "deep_network"]),
)
def test_names_of_optimizers(text, task):
    try:
        found = optimizers.parse(text, task)
    except ValueError as error:
        assert "Received" in str(error)
        return
    for one in found:
        assert one.rate > 0 and math.isfinite(one.rate)
        assert not set(one.slug) & set("/\\ ") and one.slug.isprintable()
