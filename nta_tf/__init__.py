"""Neural Taylor approximations (Balduzzi et al., ICML 2017) for Keras models.

This module is the whole public surface of the library; see README.md for a tour.
"""

from nta_tf import (
    callbacks,
    compilers,
    data,
    exploration,
    linearization,
    losses,
    models,
    optimizers,
    plotting,
    precision,
    recorders,
    replicas,
    sampling,
    schedules,
    scopes,
    session,
    solvers,
    trace,
    variables,
)
from nta_tf._version import __version__ as __version__
from nta_tf.bound import regret_bound
from nta_tf.from_arrays import regret_from_arrays, run_from_arrays
from nta_tf.growth import GrowthExponent, growth_equivalence, growth_exponent
from nta_tf.linearization import Linearization, linearize, taylor_loss
from nta_tf.protocol import Protocol
from nta_tf.recorders import ActivationRounds, GradientNorms, Recorder, TaylorRounds, WeightRounds
from nta_tf.regret import regret
from nta_tf.replaying import replay, replay_cost
from nta_tf.trace import Run, RunDirectoryError
from nta_tf.training import train

__all__ = [
    "ActivationRounds",
    "GradientNorms",
    "GrowthExponent",
    "Linearization",
    "Protocol",
    "Recorder",
    "Run",
    "RunDirectoryError",
    "TaylorRounds",
    "WeightRounds",
    "callbacks",
    "compilers",
    "data",
    "exploration",
    "growth_equivalence",
    "growth_exponent",
    "linearization",
    "linearize",
    "losses",
    "models",
    "optimizers",
    "plotting",
    "precision",
    "recorders",
    "regret",
    "regret_bound",
    "regret_from_arrays",
    "replay",
    "replay_cost",
    "replicas",
    "run_from_arrays",
    "sampling",
    "schedules",
    "scopes",
    "session",
    "solvers",
    "taylor_loss",
    "trace",
    "train",
    "variables",
]
