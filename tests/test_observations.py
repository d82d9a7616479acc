"""Observation 1: kinks of the loss are where the activation configuration changes.

A small rectifier network with real digits as its data moves along a straight line in the
space of all its weights. The loss has a kink there where its directional derivative jumps.

The proof in A3 shows that there is no kink without a rectifier that switches. The converse
needs one more word than the observation has: a unit that nothing downstream listens to (all
the units that it feeds are inactive on that data point, or its outgoing weights are zero)
switches without a trace. So what is tested is sharper than either: at every switch, of unit
m on data point d, the derivative jumps by

    (1/D) <dl/df, J_m> |da_m/dt|,

the effect that the unit has when it is active, times the speed at which its preactivation
goes through zero; zero if and only if J_m, the Jacobian of the outputs with respect to the
unit, is not heard by the loss.
"""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

import nta_tf as nta
from tests.networks import dense_chain
from tests.variants import slow

EXAMPLES = 6
ACTIVATIONS = ("relu", "relu", "linear")
# Widths and seed. In the narrow network all of layer 2 is inactive on some data points along
# the line, and nothing hears layer 1 there: 10 of 41 switches. In the wide one that is rare.
NETWORKS = {"wide": ((49, 8, 6, 10), 5), "narrow": ((49, 8, 2, 10), 1)}
WIDTH = 1e-12  # of the interval in which a switch is located
STEP = 1e-9  # to either side of a switch, where the derivative is taken
SCAN = 200  # steps of the line in which switches are looked for
SMALLEST_JUMP = 1e-6  # what STEP and rounding make of a derivative that does not jump is less


class Line:
    """The loss on a few digits along a line W + t V in the space of all weights."""

    def __init__(self, loss, widths, seed, sample):
        self.loss = loss
        x = sample.x[:EXAMPLES].astype("float64").reshape(EXAMPLES, 7, 4, 7, 4).mean(axis=(2, 4))
        self.x = x.reshape(EXAMPLES, 49)
        y = sample.y[:EXAMPLES]
        self.y = y if loss == "cross_entropy" else np.eye(10)[y]
        self.model = dense_chain(widths, ACTIVATIONS, seed)
        self.start = [variable.numpy() for variable in self.model.trainable_variables]
        other = dense_chain(widths, ACTIVATIONS, seed + 1)
        self.direction = [
            end.numpy() - start for start, end in zip(self.start, other.trainable_variables)
        ]
        self.rectifiers = nta.exploration.Rectifiers(self.model)

    def weights(self, t):
        return [start + t * change for start, change in zip(self.start, self.direction)]

    def bits(self, t):
        """The activation configuration, (D, M) bits."""
        return self._bits(tf.constant(t, tf.float64)).numpy()

    def derivative(self, t):
        """The derivative of the loss along the line."""
        return float(self._derivative(tf.constant(t, tf.float64)))

    def linearization(self, t):
        for variable, value in zip(self.model.trainable_variables, self.weights(t)):
            variable.assign(value)
        return nta.linearize(self.model, self.x)

    @functools.cached_property
    def _bits(self):
        def bits(t):
            active = self.rectifiers(self.x, weights=self.weights(t))
            return tf.concat([tf.reshape(one, (EXAMPLES, -1)) for one in active.values()], axis=1)

        return tf.function(bits)

    @functools.cached_property
    def _derivative(self):
        def derivative(t):
            with tf.GradientTape() as tape:
                tape.watch(t)
                outputs = self.rectifiers.run(
                    self.x, lambda call, args, kwargs: call.layer(*args, **kwargs), self.weights(t)
                )
                loss = tf.reduce_mean(nta.losses.get(self.loss)(outputs, self.y))
            return tape.gradient(loss, t)

        return tf.function(derivative)


@dataclasses.dataclass(frozen=True)
class Switch:
    """One unit that switches on one data point, between two values of t next to each other."""

    below: float
    above: float
    example: int
    unit: int

    def jump(self, line):
        """By how much the directional derivative jumps."""
        return line.derivative(self.above + STEP) - line.derivative(self.below - STEP)

    def effect(self, line):
        """<dl/df, J_m> / D on the side where the unit is active, and J_m itself."""
        place = self.above + STEP
        if not line.bits(place)[self.example, self.unit]:
            place = self.below - STEP
        lin = line.linearization(place)
        layer, neuron = self.place(line)
        jacobian = lin.jacobian(layer)[self.example, :, neuron]
        outputs = tf.Variable(lin.outputs)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(nta.losses.get(line.loss)(outputs, line.y))
        errors = tape.gradient(loss, outputs)[self.example]
        return float(tf.tensordot(errors, jacobian, 1)), jacobian.numpy()

    def speed(self, line):
        """|da_m / dt|, with which the preactivation goes through zero."""
        layer, neuron = self.place(line)
        ends = self.below - STEP, self.above + STEP
        before, after = (
            float(line.linearization(t).preactivation(layer)[self.example, neuron]) for t in ends
        )
        return abs(after - before) / (ends[1] - ends[0])

    def place(self, line):
        first = line.model.get_layer("dense_1").units
        return ("dense_1", self.unit) if self.unit < first else ("dense_2", self.unit - first)


def _switches(line, low=0.0, high=1.0):
    """All switches between two points, by bisection, in order."""
    grid = np.linspace(low, high, SCAN + 1)
    found = []
    for below, above in itertools.pairwise(grid):
        _bisect(line, below, line.bits(below), above, line.bits(above), found)
    return found


def _bisect(line, below, bits_below, above, bits_above, found):
    changed = np.argwhere(bits_below != bits_above)
    if not len(changed):
        return
    if above - below < WIDTH:
        assert len(changed) == 1, "two units switch at one place: choose another seed"
        found.append(Switch(below, above, *changed[0]))
        return
    middle = (below + above) / 2
    bits = line.bits(middle)
    _bisect(line, below, bits_below, middle, bits, found)
    _bisect(line, middle, bits, above, bits_above, found)


@pytest.fixture(params=["mse", "cross_entropy"], scope="module")
def loss(request):
    return request.param


@pytest.fixture(params=slow([*NETWORKS], "wide"), scope="module")
def line(request, loss, sample):
    return Line(loss, *NETWORKS[request.param], sample)


@pytest.fixture(scope="module")
def switches(line):
    return _switches(line)


def test_observation_1_the_loss_has_a_kink_where_a_unit_switches(line, switches):
    kinks = []
    for switch in switches:
        effect, jacobian = switch.effect(line)
        jump = switch.jump(line)
        assert jump == pytest.approx(effect * switch.speed(line), rel=1e-4, abs=SMALLEST_JUMP / 10)
        kinks.append(abs(jump) > SMALLEST_JUMP)
        assert kinks[-1] == bool(jacobian.any())  # no kink: exactly nothing hears the unit
    assert sum(kinks) >= 30 and np.mean(kinks) >= 0.7  # kinks are the rule


def test_observation_1_there_is_no_kink_where_no_unit_switches(line, switches):
    """Between switches, differences of the derivative halve when the step is halved.

    At a kink the largest difference would stay as large as the jump.
    """
    edges = [0.0, *(edge for switch in switches for edge in (switch.below, switch.above)), 1.0]
    for low, high in zip(edges[::2], edges[1::2]):
        margin = 1e-3 * (high - low)
        coarse, fine = (
            np.diff([line.derivative(t) for t in np.linspace(low + margin, high - margin, count)])
            for count in (17, 33)
        )
        assert np.abs(fine).max() == pytest.approx(np.abs(coarse).max() / 2, rel=0.05, abs=1e-12)


def test_observation_1_a_unit_that_nothing_listens_to_switches_without_a_kink(loss, sample):
    deaf = Line(loss, *NETWORKS["wide"], sample)
    dead = 3  # a unit of layer 1 without outgoing weights, anywhere on the line
    for weights in (deaf.start, deaf.direction):
        weights[2][dead] = 0.0
    of_the_unit = [switch for switch in _switches(deaf) if switch.unit == dead]
    assert of_the_unit
    for switch in of_the_unit:
        assert switch.jump(deaf) == pytest.approx(0.0, abs=SMALLEST_JUMP)


def test_observation_1_not_every_switch_of_a_narrow_network_is_a_kink(loss, sample):
    """Where all of layer 2 is inactive on a data point, layer 1 switches without a kink."""
    narrow = Line(loss, *NETWORKS["narrow"], sample)
    silent = [s for s in _switches(narrow) if abs(s.jump(narrow)) < SMALLEST_JUMP]
    assert len(silent) >= 5
    for switch in silent:
        assert switch.place(narrow)[0] == "dense_1"
        assert not narrow.bits(switch.below)[switch.example, 8:].any()
