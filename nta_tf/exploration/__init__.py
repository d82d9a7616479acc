"""Exploration of activation configurations (section 3 of the paper)."""

from nta_tf.exploration.rectifiers import Rectifiers

__all__ = ["Rectifiers"]
