"""Curves of any run, of several over each other, or of tables: losses, regret, exploration.

Every function takes one source, a list of them, or a dictionary of them by what the legend calls
them. A source is a `nta.Run` or its directory, a copy of one without its trace (config and tables,
as in `reproduce/traces`), a `nta.callbacks.RecordRounds`, a table (`pandas.DataFrame` or CSV file)
as `nta.regret` makes it, or, for exploration, an array of activation configurations. So mine and
theirs go into one figure:

    nta.plotting.regret({"mine": run, "theirs": "regret.csv"}, "dense_3")

They draw on `ax`, or on axes of a new figure, which belongs to no window:
`nta.plotting.losses(run).figure.savefig("losses.png")`. What is solved already, in the tables
beside a run, is not solved again.
"""

from nta_tf.plotting.curves import exploration, losses, regret, taylor_optimum
from nta_tf.plotting.overview import figure

__all__ = ["exploration", "figure", "losses", "regret", "taylor_optimum"]
