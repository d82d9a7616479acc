"""Values of the command line: what they must be, or a sentence that says so."""

import argparse
import json


def positive(text: str) -> int:
    """A whole number from one on."""
    return _whole(text, 1)


def count(text: str) -> int:
    """A whole number from zero on."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
    return number


def rate(text: str) -> float:
    """A learning rate."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive learning rate")
    return number


def setting(text: str) -> tuple[str, object]:
    """OPTION=VALUE, the value as JSON has it where it is JSON."""
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not OPTION=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value
