"""What does each stage of the pipeline take: time on the clock and of the processor, and memory?

    python -m benchmarks.pipeline [--scale quick] [--epochs N] [--data-dir DIR] [--skip-convnet]

Every stage is called as it is from the command line, in a process of its own, start-up of
TensorFlow included: `make reproduce` starts two processes for all of them. A step of the convnet is
timed with oneDNN and without, since TensorFlow leaves it off on processors without AVX-512.
"""

import json
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import timing

_STAGES = {
    "autoencoder": (
        "train --task autoencoder --optimizers rmsprop {settings} --out {runs}",
        "solve {runs} --checkpoints 10",
        "explore {runs}",
        "figures 4 5 6 --runs {runs} --out {figures}",
        "compare --runs {runs}",
    ),
    "convnet": (
        "train --task convnet --optimizers rmsprop {settings} --out {runs}",
        "record {runs}",
        "solve {runs} --domains ball --checkpoints 10",
        "explore {runs}",
    ),
}


def steps_table(report):
    """A step of the convnet: precision, and oneDNN."""
    rows, losses = [], []
    for switch, words in (("1", "with oneDNN"), ("0", "without oneDNN")):
        call = [sys.executable, "-m", "benchmarks.convnet_step"]
        output = timing.measured(call, {"TF_ENABLE_ONEDNN_OPTS": switch})[-1]
        for name, (seconds, loss) in json.loads(output.splitlines()[-1]).items():
            rows.append({"what": f"{name}, {words}", "milliseconds": 1e3 * seconds})
            losses.append(loss)
    assert max(losses) < 1.02 * min(losses), losses  # the same steps from the same weights
    title = "A step of the convnet, minibatch of 128, model.fit"
    report.table(title, rows, "milliseconds", "float32, with oneDNN")


def stages_table(report, task, scale, epochs):
    """Every stage of one run of a task."""
    settings = f"--scale {scale}" + (f" --epochs {epochs}" if epochs else "")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        places = {
            "settings": settings,
            "runs": str(pathlib.Path(folder, "runs")),
            "figures": str(pathlib.Path(folder, "figures")),
        }
        for command in _STAGES[task]:
            arguments = command.format(**places).split()
            call = [sys.executable, "-m", "reproduce", *arguments]
            seconds, processor, memory, _ = timing.measured(call, {"TQDM_DISABLE": "1"})
            rows.append(
                {
                    "what": arguments[0],
                    "seconds": seconds,
                    "seconds of the processor": processor,
                    "peak memory, MiB": round(memory),
                }
            )
    length = f", {epochs} epochs" if epochs else ""
    report.table(f"One run of the {task}, {scale} scale{length}", rows, "seconds", "train")


def main(arguments=None):
    parser = timing.parser(__doc__)
    parser.add_argument("--scale", default="quick", help="of the runs; default: quick")
    parser.add_argument("--epochs", type=int, help="instead of the scale's own")
    parser.add_argument("--data-dir", help="of the datasets, for scales that need them")
    parser.add_argument("--skip-convnet", action="store_true", help="the autoencoder alone")
    options = parser.parse_args(arguments)
    if options.data_dir:
        os.environ["TFDS_DATA_DIR"] = options.data_dir
    report = timing.Report("pipeline", options.json)
    if not options.skip_convnet:
        steps_table(report)
    for task in ("autoencoder",) if options.skip_convnet else _STAGES:
        stages_table(report, task, options.scale, options.epochs)
    return report


if __name__ == "__main__":
    main()
