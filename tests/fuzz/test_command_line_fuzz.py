"""Command lines made of nonsense: one sentence and exit code 1 or 2, or the work begins."""

import json
import shutil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import nta_tf as nta
from reproduce import cli
from tests.fuzz.profiles import cases

_STAGES = "train record solve explore bound verify illustrations lines figures compare report study"
_STAGES = [*_STAGES.split(), "quick", ""]
_OPTIONS = """--task --scale --data --data-dir --optimizers --seeds --epochs --protocols --layers
    --set --out --records --scopes --neurons --checkpoints --domains --comparators --save --epoch
    --seed --points --layer --sgd --ball --no-ball --variant --comparator --runs --details
    --against --experiment --jobs --verbose --help --nothing -x --""".split()
_WORDS = """autoencoder convnet deep_network quick medium paper sample mnist adam sgd:0.1 sgd:-1
    rmsprop_keras adam:fast 0 1 -1 3 1e9 1.5 nan 99999999999999999999 definition figures
    activations dense_3 dense_3:1 dense_3:999 conv2d_1 network use_bias=maybe use_bias=false
    output_activation=relu kernel_initializer=7 input_scaling=[1] =x x= free ball static each_round
    4 A4 99 runs nowhere . / ../.. é""".split()
words = st.one_of(
    st.sampled_from(_WORDS),
    st.sampled_from(["RUNS"]),
    st.sampled_from(_OPTIONS),
    st.text(max_size=6),
)
lines = st.tuples(st.sampled_from(_STAGES), st.lists(words, max_size=7))


class _Begun(BaseException):
    """The work has begun."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    line = "train --epochs 2 --optimizers sgd:0.1 --layers dense_3 --protocols figures activations"
    assert cli.main([*line.split(), "--out", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def begun():
    """What would take time raises instead."""

    def begin(*_, **__):
        raise _Begun

    with pytest.MonkeyPatch.context() as patch:
        for place in (
            "nta_tf.train",
            "nta_tf.replay",
            "nta_tf.regret",
            "nta_tf.regret_bound",
            "nta_tf.exploration.singular_values",
            "reproduce.stages.study.run",
            "reproduce.stages.quick.run",
            "reproduce.stages.illustrations.illustrate",
            "reproduce.stages.lines.follow",
            "reproduce.figures.registry.draw",
            "reproduce.stages.overview.draw",
            "reproduce.claims.compare",
            "reproduce.report.write",
            "requests.head",
        ):
            patch.setattr(place, begin)
        yield


def _called(arguments, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    try:
        code = cli.main(arguments)
    except _Begun:
        return "begun"
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    assert code in (0, 1, 2), code
    if code == 1:
        assert err.startswith("error: ") and err.count("\n") == 1, err
    if code == 2:
        assert ": error: " in err, err
    assert "Traceback" not in err + out
    return code


@cases(120, 1800)
@given(line=lines)
@example(line=("train", ["--set", "use_bias=" + "[" * 100_000]))
@example(line=("train", ["--seeds", "1" * 5000]))
@example(line=("figures", ["4", "--runs", "\0"]))
@example(line=("solve", ["\0"]))
@example(line=("train", ["--out", "\0"]))
def test_nonsense(line, runs, begun, capsys, monkeypatch, tmp_path):
    stage, words = line
    arguments = ([stage] if stage else []) + [str(runs) if w == "RUNS" else w for w in words]
    _called(arguments, capsys, monkeypatch, tmp_path)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(), inner, max_size=2)
    ),
    max_leaves=3,
)


def _paths(value, path=()):
    """Keys of all that a JSON value holds."""
    yield path
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))


@cases(15, 400)
@given(data=st.data(), value=values, known=st.booleans())
def test_configs_of_somebody_else(data, value, known, runs, capsys, monkeypatch, tmp_path):
    """Any entry of config.json or progress.json is replaced, with a checksum that is right."""
    from nta_tf.trace import directory, files

    (run,) = (path for path in runs.iterdir() if path.is_dir())
    name = data.draw(st.sampled_from(["config.json", "progress.json"]))
    contents = {file: json.loads((run / file).read_text()) for file in directory_files}
    content = contents[name]
    paths = [path for path in _paths(content) if path and "model" not in path[:1]]
    *path, last = data.draw(st.sampled_from(paths))
    place = content
    for key in path:
        place = place[key]
    if data.draw(st.booleans()):
        place[last] = value
    else:
        del place[last]
    copy = tmp_path / "runs" / "run"
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
    shutil.copytree(run, copy)
    (copy / "config.json").write_text(json.dumps(contents["config.json"]))
    progress = {k: v for k, v in contents["progress.json"].items() if k != "checksum"}
    if known and isinstance(progress.get("config"), list):
        progress["config"] = [directory.config_checksum(contents["config.json"])]
        progress = files.with_checksum(progress)
    (copy / "progress.json").write_text(json.dumps(progress))
    stages = ["verify {}", "solve {}", "explore {}", "record {}", "lines {} --points 3"]
    stages += ["figures 6 --runs {}", "compare --runs {}", "report --runs {}"]
    stage = data.draw(st.sampled_from(stages))
    _called(stage.format(tmp_path / "runs").split(), capsys, monkeypatch, tmp_path)


directory_files = ("config.json", "progress.json")


def test_the_work_begins_where_all_is_right(runs, begun, capsys, monkeypatch, tmp_path):
    for line in ("train", "solve RUNS", "explore RUNS", "study", "figures 6", "compare"):
        words = [str(runs) if word == "RUNS" else word for word in line.split()]
        assert _called(words, capsys, monkeypatch, tmp_path) == "begun", line
    assert _called(["verify", str(runs)], capsys, monkeypatch, tmp_path) == 0
    assert nta.Run.open(next(runs.iterdir())).status == "finished"
