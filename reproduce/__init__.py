"""Regenerates the paper's figures from saved runs and judges its claims.

`python -m reproduce --help` shows the stages. Each reads what the stage before has saved:
train -> solve -> figures, compare.
"""
