"""What the benchmark scripts share: medians, and tables whose last column is a ratio."""

import argparse
import datetime
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

import pandas as pd

_LEAST_SECONDS, _TURN_SECONDS = 0.5, 0.05


def median_seconds(function, repeats, clock=time.perf_counter):
    """Median time of `function()`, which must return only when its work is done.

    Args:
        function: Called once unmeasured, then measured.
        repeats: Number of measured calls, if they fill half a second; otherwise as many as do.
        clock: What tells the time: the wall's, or the processor's (`time.process_time`).

    Returns:
        Seconds.
    """
    return medians_in_turn([function], repeats, clock)[0]


def medians_in_turn(functions, repeats, clock=time.perf_counter):
    """Median times of functions that take turns, so that what slows the machine slows them all.

    Args:
        functions: As for `median_seconds`.
        repeats: As for `median_seconds`, of each function.
        clock: As for `median_seconds`.

    Returns:
        A list of seconds, one a function.
    """
    for function in functions:
        function()
    measured = [[] for _ in functions]
    while min(map(len, measured)) < repeats or min(map(sum, measured)) < _LEAST_SECONDS:
        for function, of_function in zip(functions, measured):
            turn = []
            while sum(turn) < _TURN_SECONDS:  # calls of a millisecond go in runs
                turn.append(_seconds(function, clock))
            of_function += turn
    return list(map(statistics.median, measured))


def _seconds(function, clock):
    start = clock()
    function()
    return clock() - start


def measured(arguments, environment=None, folder=None):
    """Runs a command to its end.

    Args:
        arguments: The command as a list.
        environment: Variables that differ.
        folder: Where it runs. Defaults to the working directory.

    Returns:
        (seconds, seconds of the processor, peak resident MiB, what it printed).
    """
    with tempfile.TemporaryFile("w+") as printed:
        start = time.perf_counter()
        process = subprocess.Popen(
            arguments, stdout=printed, env={**os.environ, **(environment or {})}, cwd=folder
        )
        # Of this process alone: what getrusage says of children is the largest of all so far.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        output = printed.read()
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, arguments))} ended with {process.returncode}:\n{output}"
        )
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output


class Report:
    """The tables and remarks of a benchmark: printed as they come, and written as JSON.

    `docs/speed.md` is made from the files in `benchmarks/results`.

    Args:
        name: Name of the benchmark, and of its file.
        out: Directory to write to, or None to print only.
    """

    def __init__(self, name, out=None):
        self._path = out and pathlib.Path(out, f"{name}.json")
        self._content = {
            "benchmark": name,
            "date": datetime.date.today().isoformat(),
            "machine": describe_machine(),
            "tables": [],
            "notes": [],
        }
        print(", ".join(f"{key} {value}" for key, value in self._content["machine"].items()))

    def table(self, title, rows, time, reference):
        """Adds a table of timings, with the ratio to a reference row as its last column.

        Args:
            title: What was measured.
            rows: List of dictionaries, each with a `what` and a column of times.
            time: Name of that column, which has the unit in it.
            reference: The `what` of the row to which the others are compared.
        """
        table = pd.DataFrame(rows)
        base = table.loc[table["what"] == reference, time].iloc[0]
        shown = table.assign(**{f"ratio to {reference}": table[time] / base})
        print(f"\n{title}")
        print(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
        kept = [
            {key: _plain(value) for key, value in row.items() if not _is_missing(value)}
            for row in rows
        ]
        entry = {"title": title, "time": time, "reference": reference, "rows": kept}
        self._content["tables"].append(entry)
        self._write()

    def comparison(self, title, rows, first, second):
        """Adds a table of what was timed twice, with the ratio of both times as its last column.

        Args:
            title: What was measured.
            rows: List of dictionaries, each with a `what` and columns of times.
            first: Name of the column that is divided.
            second: Name of the column by which it is divided.
        """
        table = pd.DataFrame(rows)
        shown = table.assign(times_faster=table[first] / table[second])
        print(f"\n{title}")
        print(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
        kept = [{key: _plain(value) for key, value in row.items()} for row in rows]
        self._content["tables"].append(
            {"title": title, "time": first, "divided_by": second, "rows": kept}
        )
        self._write()

    def note(self, text):
        """Adds a sentence about what was measured."""
        print(text)
        self._content["notes"].append(text)
        self._write()

    def keep(self, key, value):
        """Adds something else that a page shows."""
        self._content[key] = value
        self._write()

    def _write(self):
        # After every table, so that a benchmark that is stopped leaves what it measured.
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._content, indent=1) + "\n")


def parser(description):
    """Command line options that every benchmark takes.

    Args:
        description: Docstring of the script, of which the first line is shown.

    Returns:
        An `argparse.ArgumentParser` with `--json`.
    """
    made = argparse.ArgumentParser(description=description.splitlines()[0])
    made.add_argument(
        "--json",
        metavar="DIR",
        help="also write the numbers there; benchmarks/results is committed",
    )
    return made


def describe_machine():
    """Where numbers are measured.

    Returns:
        A dictionary: `cores`, `processor`, `devices`, `TensorFlow`, `Keras`, `Python`.
    """
    import keras
    import tensorflow as tf

    devices = [device.device_type for device in tf.config.list_physical_devices()]
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "devices": "+".join(devices),
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "Python": platform.python_version(),
    }


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _plain(value):
    """A NumPy number as JSON has it, to six digits."""
    value = value.item() if hasattr(value, "item") else value
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _is_missing(value):
    return isinstance(value, float) and math.isnan(value)
