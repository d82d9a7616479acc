"""Saved results as tidy tables: finding runs, reading, choosing rows, saying what they rest on.

Nothing here imports TensorFlow.
"""
