"""The version, in the one place from which setup.cfg takes it too."""

__version__ = "0.2.0.dev0"
