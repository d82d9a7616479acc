"""Errors to plant, one at a time: a piece of a module, what stands there instead, and its tests.

A piece occurs once in its module. Names of tests are files below tests/, or `file::test`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One planted error.

    Attributes:
        module: Path of the module.
        piece: What stands there.
        instead: What is planted.
        tests: Tests that concern it.
        equivalent: Why no test can notice, where that is so.
    """

    module: str
    piece: str
    instead: str
    tests: tuple[str, ...]
    equivalent: str = ""

    @property
    def name(self) -> str:
        """The module and the error in one line."""
        return f"{self.module}: `{_flat(self.piece)}` -> `{_flat(self.instead)}`"


def _flat(text: str) -> str:
    return " ".join(text.split())


def _planted(module: str, tests: str, *pieces: tuple[str, ...]) -> list[Mutation]:
    return [Mutation(module, one[0], one[1], tuple(tests.split()), *one[2:]) for one in pieces]


_CLOSED_FORM = (
    "test_closed_form.py test_closed_form_factors.py fuzz/test_solvers_fuzz.py::test_quadratics"
)
_SOLVERS = "test_solvers.py"
_ROW_SPACE = "test_solvers.py test_solvers_maps.py test_separate_minima.py"
_NORMAL = "test_taylor_rounds.py"
_TENSORS = "test_gradient_tensor_rounds.py"
_EXPLORATION = "test_exploration.py"
_GROWTH = "test_growth.py fuzz/test_growth_fuzz.py"
_STATISTICS = "reproduce/claims/test_statistics.py"
_CHAINS = "fuzz/test_linearization_fuzz.py::test_chains test_linearization.py"

MUTATIONS = [
    *_planted(
        "reproduce/claims/statistics.py",
        _STATISTICS,
        ("return float(min(2 * larger, 1.0))", "return float(min(larger, 1.0))"),
        ("numbers.std(ddof=1)", "numbers.std()"),
        ("bdtrc(above - 1, signed, 0.5)", "bdtrc(above, signed, 0.5)"),
        ("(len(order) - rank)", "len(order)"),
    ),
    *_planted(
        "nta_tf/solvers/closed_form.py",
        _CLOSED_FORM,
        ("(2 * curvatures.slope_without_curvature + of_slope) * reach",
         "(curvatures.slope_without_curvature + of_slope) * reach"),
        ("slope, reach, rounding) ** 2 + flat)", "slope, reach, rounding) ** 2)"),
        ("on_ball = frank_wolfe_gap(slope, displacement, radius)", "on_ball = 0.0"),
        ("on_ball += way * (rounding.of_slope + way * rounding.of_curvature)", "pass",
         "what the slope's rounding can do on the way is no more than twice `rounding.of_value`, "
         "which is added to every gap and is itself the worst case of P roundings"),
    ),
    *_planted(
        "nta_tf/solvers/curvatures.py",
        _CLOSED_FORM,
        ("self.slope_without_curvature = math.hypot(flat_slope, self._local.dead_slope)",
         "self.slope_without_curvature = 0.0"),
        ("square / self.cut if self.cut > 0 else 0.0", "0.0"),
        ("noise = max(0.0, -2 * float(values.min(initial=0.0)))", "noise = 0.0"),
        ("return step * (radius / np.linalg.norm(step))", "return step"),
        ("if outside:", "if False:"),
    ),
    *_planted(
        "nta_tf/solvers/spectrum.py",
        _CLOSED_FORM,
        ("components**2 / (4 * certain)", "components**2 / (8 * certain)"),
        ("return -self._slope / np.where", "return self._slope / np.where"),
        ("self._slope = np.where(self._values > 0, slope, 0.0)", "self._slope = slope"),
    ),
    *_planted(
        "nta_tf/solvers/tridiagonal.py",
        _CLOSED_FORM,
        ("self._directions_up_to(self.cut)", "self._directions_up_to(2 * self.cut)"),
        ("packed[0, 1:] = 0.0", "pass"),
        ("step = step - self._solved(residual, shift)", "step = -self._solved(self._slope, shift)"),
        ("self._solved(steep, shift)) / 4", "self._solved(steep, shift)) / 8"),
        ("of_slope / (2 * math.sqrt(certain))", "0.0"),
        ("(1 + shift / self._least) * self._least / certain", "1.0"),
        ("u = u - self._flat @ (u @ self._flat)", "pass"),
    ),
    *_planted(
        "nta_tf/solvers/local.py",
        _CLOSED_FORM,
        ("self.dead_slope = float(", "self.dead_slope = 0 * float("),
        ("self.slope = slope[:, self._alive] / 2", "self.slope = slope[:, self._alive]"),
    ),
    *_planted(
        "nta_tf/solvers/quadratic.py",
        _CLOSED_FORM,
        ("weights * (self.gradient * 2 + product)", "weights * (self.gradient + product)"),
        ("2 * (self.gradient + product)", "self.gradient + product"),
        ("max(self.precision, other.precision)", "min(self.precision, other.precision)"),
        ("self.constant + other.constant", "self.constant"),
    ),
    *_planted(
        "nta_tf/growth.py",
        _GROWTH,
        ("log -= (len(y) - 1) / 2 * np.log(", "log -= len(y) / 2 * np.log("),
        ("- np.log(square) / 2", ""),
        ("tail = (1 - confidence) / 2", "tail = 1 - confidence"),
        ("float(max(too_low, 1 - not_too_high))", "float(min(too_low, 1 - not_too_high))"),
        ("correlation**apart", "correlation ** (2 * apart)"),
    ),
    *_planted(
        "nta_tf/exploration/measures.py",
        _EXPLORATION,
        ("+ sums.sum()\n", "\n",
         "the constant vector gets a negative eigenvalue, which counts as the zero that it has"),
        ("distance[np.triu_indices_from(distance)]", "distance[np.triu_indices_from(distance, 1)]"),
        ("possible = (configurations.rounds - 1) * configurations.units",
         "possible = configurations.rounds * configurations.units"),
        ("np.linalg.eigvalsh(_centred(gram))[::-1]", "np.linalg.eigvalsh(_centred(gram))"),
    ),
    *_planted(
        "nta_tf/comparators.py",
        "test_comparators.py",
        ("self.gap + other.gap", "max(self.gap, other.gap)"),
        ("max(self.distance, other.distance)", "min(self.distance, other.distance)"),
    ),
    *_planted(
        "nta_tf/regret.py",
        "test_regret.py test_comparators.py test_from_arrays.py",
        ("difference = incurred - optimum.loss", "difference = optimum.loss - incurred"),
        ("difference / math.sqrt(count)", "difference / math.sqrt(epoch + 1)"),
        ("np.cumsum(reader.rounds)[epochs]", "reader.rounds[epochs]"),
    ),
    *_planted(
        "nta_tf/linearization/chain.py",
        _CHAINS,
        ("preactivation += bias[..., tf.newaxis, :]", "preactivation -= bias[..., tf.newaxis, :]"),
        ("_scale_columns(_times_transposed(rows, kernels[k]), slopes[k - 1])",
         "_scale_columns(_times_transposed(rows, kernels[k]), slopes[k])"),
        ("_scale_columns(_scale_rows(rows, slopes[-1]), slopes[-2])",
         "_scale_columns(rows, slopes[-2])"),
        ("rows = _scale_columns(rows, slopes[k])", "pass"),
        ("change = changes[k] if change is None else change + changes[k]",
         "change = changes[k]"),
    ),
    *_planted(
        "nta_tf/recorders/normal_equations/forms.py",
        _NORMAL,
        ("_total(squares - _dot(moved, 2 * back - through))",
         "_total(squares - _dot(moved, back - through))"),
        ("changes = _column_totals(moved * (2 * back - own * moved))",
         "changes = _column_totals(moved * (back - own * moved))"),
        ("slope = pulled - tf.matmul(gram, kernel)", "slope = pulled"),
        ("tf.matmul(_flat(back - own * moved), flat_x", "tf.matmul(_flat(back - through), flat_x"),
        ("np.arange(self.width) * self.units + neuron", "np.arange(self.width) + neuron"),
        ("pulled = slopes * (errors - slopes * moved)", "pulled = slopes * (errors - moved)"),
        ("mean_errors = tf.reduce_mean(linear.errors(), axis=1)",
         "mean_errors = tf.reduce_sum(linear.errors(), axis=1)"),
        ("tf.reduce_sum(products, axis=0) / self.outputs", "tf.reduce_sum(products, axis=0)"),
    ),
    *_planted(
        "nta_tf/recorders/gradient_tensors/recorder.py",
        _TENSORS,
        ("tensor = tf.reduce_mean(tensor, axis=0)", "tensor = tf.reduce_sum(tensor, axis=0)"),
        ("targets = tf.gather(targets, chosen)", "targets = targets[: len(chosen)]"),
    ),
    *_planted(
        "nta_tf/recorders/normal_equations/reader.py",
        f"{_NORMAL} test_comparators.py",
        ("self.radius = float(distances.max())", "self.radius = float(distances.mean())"),
        ("self.centre = trajectory.mean(axis=0)", "self.centre = trajectory[0]"),
    ),
    *_planted(
        "nta_tf/recorders/normal_equations/linearized_chain.py",
        _NORMAL,
        ("[0, 1]], constant_values=1)", "[0, 1]], constant_values=2)"),
    ),
    *_planted(
        "nta_tf/bound.py",
        "test_bound.py",
        ("self._rate / 2 * squared", "self._rate * squared"),
        ("one.squared_norms for one in layers.values()], axis=0)",
         "one.squared_norms for one in list(layers.values())[:1]], axis=0)"),
    ),
    *_planted(
        "nta_tf/recorders/gradient_norms.py",
        "test_gradient_norms.py test_bound.py",
        ("self.last_kernel - rate * self.last_gradient",
         "self.last_kernel + rate * self.last_gradient"),
    ),
    *_planted(
        "nta_tf/linearization/rules/dense.py",
        "test_linearization.py test_grams.py",
        ("return total / tf.cast(examples, total.dtype)", "return total"),
        ("tiles *= of_input[:, np.newaxis, :, np.newaxis]", "pass"),
    ),
    *_planted(
        "nta_tf/solvers/objective.py",
        _SOLVERS,
        ("tf.maximum(inner + radius * length(slope)", "tf.maximum(inner - radius * length(slope)"),
        ("weights[..., tf.newaxis] * gradient,", "gradient,"),
        ("REACH = 2.0", "REACH = 0.5"),
    ),
    *_planted(
        "nta_tf/solvers/certificate.py",
        _SOLVERS,
        ("gap = float(min(gap, value) if math.isfinite(gap) else gap)", "gap = float(gap)"),
        ("if free and ending.recession:", "if False:"),
        ("np.where(length > radii, radii / length, 1.0)", "np.ones_like(length)"),
        ("unsolved = gap > 1.05 * accepted", "unsolved = gap > 105 * accepted"),
    ),
    *_planted(
        "nta_tf/solvers/descent.py",
        _SOLVERS,
        ("point.shift)) - point.slope", "point.shift)) + point.slope"),
        ("return self.free & falls & (recedes", "return self.free & (recedes"),
    ),
    *_planted(
        "nta_tf/solvers/row_space.py",
        _ROW_SPACE,
        ("basis[column + 1, column] = -(column + 1)", "basis[column + 1, column] = -column"),
        ("noise = precision * max(", "noise = 0.1 * max("),
        ("shift = np.where(used[:, np.newaxis] & np.isfinite(shift), shift, 0.0)", "shift *= 2"),
        ("level = _ENOUGH * float(negligible)", "level = 10 * float(negligible)"),
    ),
    *_planted(
        "nta_tf/solvers/separate.py",
        "test_separate_minima.py",
        ("change = -_solved(", "change = _solved("),
        ("(promise <= _PROMISE * value)", "(promise <= 0 * value)"),
        ("& (there >= _NEAR * self._level)", ""),
        ("done | (there[0] <= level)", "done | (there[0] <= 10 * level)"),
    ),
    *_planted(
        "nta_tf/linearization/rules/patches.py",
        "test_layers.py",
        ("first, last = missing // 2, missing - missing // 2",
         "last, first = missing // 2, missing - missing // 2"),
    ),
    *_planted(
        "nta_tf/exploration/bit_counts.py",
        _EXPLORATION,
        ("for n in range(1, rows):", "for n in range(2, rows):"),
        ("used = (count + 63) // 64", "used = count // 64"),
        ("column[count:] = 0", "pass"),
    ),
]  # fmt: skip
