"""Do established convex solvers find the same Taylor optima, and how long do they take?

    python -m benchmarks.convex_solvers [--weights 600] [--rounds 40] [--repeats 5]

SciPy (L-BFGS where V is free, trust-constr on a ball) and CVXPY with Clarabel (`pip install
"nta_tf[peers]"`) solve the same problems as `nta.solvers.minimize`, with their own tolerances:

* quadratics: a layer of the autoencoder, trained on the shipped digits, every example of every
  round of two epochs, without a ball and on the trajectory's;
* cross-entropies: a neuron of the convnet's second layer, some rounds of it, on the trajectory's
  ball and on one five times as large.

Every minimiser is put into the ball and judged by one NumPy function: its loss, and its
Frank-Wolfe gap on the ball (without one: its distance from the lowest loss of all). No loss may lie
below what our certificate allows, and none of the peers' far above ours. Times are the processor's,
in one process with one thread, medians of some calls; SciPy and Clarabel get what they need (H, a
factor of it, gradients, products with Hessians) ready made, and the time in which CVXPY translates
a problem is not counted.
"""

import functools
import math
import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import scipy.optimize
import scipy.sparse
from scipy.sparse.linalg import LinearOperator
from scipy.special import log_softmax

import nta_tf as nta
from benchmarks import timing
from benchmarks.cross_entropy import LAYER as CONVOLUTION
from benchmarks.cross_entropy import record_rounds
from nta_tf.solvers import minimize

TIME = "seconds of the processor"
OURS = "nta.solvers.minimize"
LAYERS = {600: "dense_3", 1500: "dense_5"}  # of the autoencoder, by weights
# By how much of F a solver may miss the minimum at its own tolerance, or the check fails.
TOLERANCE = 1e-2
# Of trust-constr, which would go on for a thousand.
MOST_ITERATIONS = 60


class LeastSquares:
    """F(C + u) = start + 2 <slope, u> + <u, H u>, and what solvers want to know of it."""

    def __init__(self, quadratic):
        self.ours = quadratic
        self.start, slope = quadratic.value_and_slope(quadratic.centre)
        self.slope, self.hessian_matrix = slope[0] / 2, quadratic.hessian[0]
        self.size = len(self.slope)

    def value_and_slope(self, u):
        product = self.hessian_matrix @ u
        return self.start + u @ (2 * self.slope + product), 2 * (self.slope + product)

    def hessian(self, u):
        return 2 * self.hessian_matrix

    @functools.cached_property
    def factor(self):
        """R with H = R^T R, as a conic solver takes it."""
        values, vectors = np.linalg.eigh(self.hessian_matrix)
        kept = values > values[-1] * 1e-13
        return np.sqrt(values[kept])[:, np.newaxis] * vectors[:, kept].T

    def expression(self, cvxpy, u):
        """F as CVXPY takes it, and constraints that belong to it."""
        return cvxpy.sum_squares(self.factor @ u) + 2 * self.slope @ u + self.start, []


class CrossEntropy:
    """F(C + u) = sum_g weight_g sum_i -log softmax(outputs_gi + A_g u)[label_gi], in NumPy."""

    def __init__(self, problem):
        self.ours = problem
        self.matrix = problem.linear_map.dense().tensors[0].numpy().astype(np.float64)
        self.outputs, self.one_hot, self.weights = problem.outputs, problem.targets, problem.weights
        if self.one_hot.shape != self.outputs.shape:
            self.one_hot = np.eye(self.outputs.shape[-1])[self.one_hot.astype(int)]
        self.size = self.matrix.shape[-1]

    def _log_probabilities(self, u):
        return log_softmax(self.outputs + (self.matrix @ u)[:, np.newaxis], axis=-1)

    def value_and_slope(self, u):
        logs = self._log_probabilities(u)
        value = -np.sum(self.weights[:, np.newaxis, np.newaxis] * self.one_hot * logs)
        errors = np.sum(np.exp(logs) - self.one_hot, axis=1) * self.weights[:, np.newaxis]
        return value, np.tensordot(errors, self.matrix, 2)

    def hessian(self, u):
        """By its products: each takes two with A."""
        p = np.exp(self._log_probabilities(u))
        inner = -np.einsum("g,gic,gid->gcd", self.weights, p, p)
        classes = np.arange(p.shape[-1])
        inner[:, classes, classes] += self.weights[:, np.newaxis] * p.sum(axis=1)

        def product(v):
            shift = np.einsum("gcd,gd->gc", inner, self.matrix @ np.ravel(v))
            return np.tensordot(shift, self.matrix, 2)

        return LinearOperator((self.size, self.size), product, dtype=np.float64)

    def expression(self, cvxpy, u):
        groups, examples, classes = self.outputs.shape
        # The shifts are variables of their own: a dense row an example would be in A's place. One
        # large expression, since CVXPY takes long over many small ones.
        shifts = cvxpy.Variable((groups, classes))
        moved = self.matrix.reshape(-1, self.size) @ u
        constraints = [cvxpy.reshape(shifts, (groups * classes,), order="C") == moved]
        repeated = np.repeat(np.arange(groups), examples)
        logits = shifts[repeated] + self.outputs.reshape(-1, classes)
        weights = self.weights[repeated]
        chosen = cvxpy.sum(cvxpy.multiply(self.one_hot.reshape(-1, classes), logits), axis=1)
        return weights @ (cvxpy.log_sum_exp(logits, axis=1) - chosen), constraints


def ours(problem, radius):
    """u of `nta.solvers.minimize`, and its optimum."""
    optimum = minimize(problem.ours, radius)
    return np.ravel(optimum.weights - problem.ours.centre), optimum


def scipy_solver(problem, radius):
    """u of SciPy."""
    start = np.zeros(problem.size)
    if math.isinf(radius):
        return scipy.optimize.minimize(
            problem.value_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 10_000}
        ).x
    eye = 2 * scipy.sparse.eye_array(problem.size, format="csr")
    ball = scipy.optimize.NonlinearConstraint(
        lambda u: u @ u, -np.inf, radius**2, jac=lambda u: 2 * u, hess=lambda u, v: v[0] * eye
    )
    return scipy.optimize.minimize(
        problem.value_and_slope,
        start,
        jac=True,
        hess=problem.hessian,
        constraints=[ball],
        method="trust-constr",
        options={"maxiter": MOST_ITERATIONS},
    ).x


def clarabel(problem, radius):
    """u of CVXPY with Clarabel, and how long Clarabel took."""
    import cvxpy

    u = cvxpy.Variable(problem.size)
    expression, constraints = problem.expression(cvxpy, u)
    if math.isfinite(radius):
        constraints.append(cvxpy.norm(u) <= radius)
    stated = cvxpy.Problem(cvxpy.Minimize(expression), constraints)
    data, chain, inverse = stated.get_problem_data(cvxpy.CLARABEL, ignore_dpp=True, solver_opts={})
    seconds, solution = timed(lambda: chain.solve_via_data(stated, data), 1)
    stated.unpack_results(solution, chain, inverse)
    return u.value, seconds


def timed(function, repeats):
    """Median seconds of the processor of some calls, and what the last returned."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


def compare(report, problem, radius, title, repeats):
    """One table: our solver and the peers on one problem."""
    ours(problem, radius)  # compiles
    seconds, (u, optimum) = timed(lambda: ours(problem, radius), repeats)
    found = {OURS: (u, seconds)}
    name = "SciPy, L-BFGS" if math.isinf(radius) else "SciPy, trust-constr"
    seconds, u = timed(lambda: scipy_solver(problem, radius), 1)
    found[name] = (u, seconds)
    try:
        u, seconds = clarabel(problem, radius)
        found["CVXPY, Clarabel"] = (u, seconds)
    except ImportError:
        report.note("CVXPY is not installed: its rows are left out.")
    judged = {what: judge(problem, u, radius) for what, (u, _) in found.items()}
    lowest = min(value for value, _ in judged.values())
    assert lowest >= optimum.loss - optimum.gap - 1e-9 * optimum.loss, "our certificate is wrong"
    assert abs(judged[OURS][0] - optimum.loss) <= 1e-6 * optimum.loss, "our loss is wrong"
    rows = []
    for what, (_, seconds) in found.items():
        value, gap = judged[what]
        assert value - lowest <= TOLERANCE * lowest, f"{what} found something else: {value}"
        above = gap if gap is not None else value - lowest
        rows.append({"what": what, "loss": value, "above, of the loss": above / value})
        rows[-1][TIME] = seconds
    report.table(title, rows, TIME, OURS)


def judge(problem, u, radius):
    """F and its gap on the ball, of u put into the ball; None without one."""
    length = np.linalg.norm(u)
    u = u if length <= radius else u * (radius / length)
    value, slope = problem.value_and_slope(u)
    if math.isinf(radius):
        return float(value), None
    return float(value), max(float(slope @ u + radius * np.linalg.norm(slope)), 0.0)


def quadratic(weights):
    """The problem of a layer of the autoencoder, and the trajectory's radius."""
    digits = nta.data.load("sample").x.reshape(-1, 784)
    layer = LAYERS[weights]
    run = nta.train(
        nta.models.autoencoder(seed=0),
        digits,
        digits,
        optimizer=nta.optimizers.get("sgd", 1.0),
        epochs=2,
        batch_size=64,
        recorders=[nta.TaylorRounds([layer])],
    )
    (recorded,) = nta.recorders.taylor_reader(run).problems(nta.scopes.parse(layer))
    (total,) = recorded.prefixes([int(recorded.epochs[-1])])
    return LeastSquares(total), recorded.radius


def neuron(rounds):
    """The problem of a neuron of the convnet, and the trajectory's radius."""
    reader = nta.recorders.taylor_reader(record_rounds(rounds), "figures")
    (recorded,) = reader.problems(nta.scopes.Scope(CONVOLUTION, (0,)))
    return CrossEntropy(recorded.problem.prefix(rounds)), recorded.radius


def main():
    parser = timing.parser(__doc__)
    parser.add_argument("--weights", type=int, choices=LAYERS, default=600)
    parser.add_argument(
        "--rounds", type=int, default=40, help="of the cross-entropy; 0 leaves it out"
    )
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    report = timing.Report("convex_solvers", options.json)
    report.note("Every solver has its own tolerances; ours certifies a relative gap of 0.001.")
    report.note("Seconds of the processor, one thread; the machine did other work meanwhile.")
    report.note(f"trust-constr may take {MOST_ITERATIONS} iterations; its default is 1,000.")
    report.note("Of SciPy and Clarabel one call each; CVXPY's translation is not counted.")
    problem, radius = quadratic(options.weights)
    what = f"quadratic, {problem.size} weights"
    for size in (math.inf, radius):
        compare(report, problem, size, f"{what}, {_ball(size)}", options.repeats)
    if not options.rounds:
        report.note("Cross-entropies were left out (--rounds 0).")
        return
    problem, radius = neuron(options.rounds)
    groups, examples, _ = problem.outputs.shape
    what = f"cross-entropy, {problem.size} weights, {groups} rounds of {examples} examples"
    for size in (radius, 5 * radius):
        compare(report, problem, size, f"{what}, {_ball(size)}", options.repeats)


def _ball(radius):
    return "free" if math.isinf(radius) else f"ball of radius {radius:.3g}"


if __name__ == "__main__":
    main()
