"""A run directory of somebody else: it leads nowhere else, and nothing of it is executed."""

import json
import os
import pathlib
import pickle
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

import nta_tf as nta
from nta_tf.trace import directory as directories
from nta_tf.trace import files
from reproduce.cli import main
from tests.networks import dense_chain


def _train(directory, model=None, **options):
    x = np.random.default_rng(2).normal(size=(24, 6)).astype(np.float32)
    model = model or dense_chain((6, 5, 6), ("relu", "linear"), seed=1, dtype="float32")
    settings = {"optimizer": "sgd", "epochs": 2, "batch_size": 8, "directory": directory}
    return nta.train(model, x, x, **{**settings, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    return _train(directory, recorders=[nta.TaylorRounds(), nta.WeightRounds("every step")])


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole.directory, tmp_path / "copy")


@pytest.fixture
def precious(tmp_path):
    folder = tmp_path / "precious"
    (folder / "epoch_0001").mkdir(parents=True)
    (folder / "thesis.tex").write_text("precious")
    (folder / "epoch_0001" / "weights.index").write_text("precious")
    yield folder
    assert (folder / "thesis.tex").read_text() == "precious"
    assert (folder / "epoch_0001" / "weights.index").read_text() == "precious"


def _rewrite(directory, change_config=None, change_progress=None):
    """Config and progress of somebody who knows how checksums are made."""
    config = json.loads((directory / "config.json").read_text())
    progress = files.without_checksum(json.loads((directory / "progress.json").read_text()))
    (change_config or dict)(config)
    (change_progress or dict)(progress)
    (directory / "config.json").write_text(json.dumps(config))
    progress["config"] = [directories.config_checksum(config)]
    directories.write_progress(directory, progress)


_NAMES = ["../outside", "a/b", "..", ".", "", "a\\b", "a\0b", "a\nb", "__a"]


@pytest.mark.parametrize("name", _NAMES)
def test_names_of_records(tmp_path, copy, name):
    with pytest.raises(ValueError, match="name of a file"):
        _train(tmp_path / "run", recorders=[nta.WeightRounds(name=name)])
    record = {"kind": "weight_rounds"}
    _rewrite(copy, lambda config: config["records"].update({name: record}))
    with pytest.raises(nta.RunDirectoryError, match="config.json cannot be read"):
        nta.Run.open(copy)
    added = {name: {"config": record, "epochs": 0, "synced": 0}}
    _rewrite(
        copy,
        lambda config: config["records"].pop(name),
        lambda progress: progress.update(added=added),
    )
    with pytest.raises(nta.RunDirectoryError, match="progress.json cannot be read"):
        nta.Run.open(copy)


@pytest.mark.parametrize("name", _NAMES)
def test_names_of_tables(copy, name):
    before = sorted(copy.parent.rglob("*"))
    with pytest.raises(ValueError, match="name of a file"):
        nta.Run.open(copy).save_table(name, pd.DataFrame())
    assert sorted(copy.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["..", ".", "a\0b"])
def test_names_of_layers(tmp_path, name):
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(5, name=name)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(6, name="top")(hidden))
    with pytest.raises(ValueError, match="name of a file"):
        _train(tmp_path / "run", model, recorders=[nta.WeightRounds("every step")])
    assert [path.name for path in tmp_path.rglob("*")] == ["run", ".lock"]


def test_names_of_layers_with_slashes_are_no_names():
    with pytest.raises(ValueError, match="cannot contain character"):
        keras.layers.Dense(5, name="../outside")


@pytest.mark.parametrize("name", ["../../losses", "/losses", "a/../../b"])
def test_names_of_arrays(copy, name):
    path = copy / "trace.zarr/records/weights/checksums/zarr.json"
    about = json.loads(path.read_text())
    about["attributes"]["arrays"][0] = name
    path.write_text(json.dumps(about))
    run = nta.Run.open(copy)
    with pytest.raises((nta.RunDirectoryError, KeyError)):
        _ = run.records["weights"].arrays
    with pytest.raises((nta.RunDirectoryError, KeyError)):
        run.records["weights"].read(name)
    assert run.verify()


@pytest.mark.parametrize(
    "name", ["../elsewhere/weights", "/elsewhere/weights", "checkpoints/../../a/epoch_0001/weights"]
)
@pytest.mark.parametrize("key", ["checkpoint", "synced_checkpoint"])
def test_names_of_checkpoints(copy, key, name):
    _rewrite(copy, change_progress=lambda progress: progress.update({key: name}))
    with pytest.raises(nta.RunDirectoryError, match="it names a checkpoint"):
        nta.Run.open(copy)


class _Evil:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_nothing_is_unpickled(copy, tmp_path, monkeypatch):
    numcodecs = pytest.importorskip("numcodecs")
    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    mark = tmp_path / "executed"
    trace = copy / "trace.zarr"
    shutil.rmtree(trace)
    (trace / "losses").mkdir(parents=True)
    (trace / ".zgroup").write_text('{"zarr_format": 2}')
    about = {"zarr_format": 2, "shape": [2], "chunks": [1], "dtype": "|O", "order": "C"}
    about |= {"filters": [{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 4}]}
    about |= {"fill_value": None, "compressor": None}
    (trace / "losses/.zarray").write_text(json.dumps(about))
    (trace / "losses/.zattrs").write_text("{}")
    shutil.copytree(trace / "losses", trace / "checksums")
    for array in ("losses", "checksums"):
        (trace / array / "0").write_bytes(pickle.dumps([_Evil(mark), [1], "|O"]))
    with pytest.raises(nta.RunDirectoryError, match="trace.zarr cannot be read"):
        nta.Run.open(copy).read("losses")
    assert nta.trace.verify(copy) and not mark.exists()
    # The trap works where it is not avoided.
    import zarr

    with pytest.raises((AttributeError, TypeError, ValueError)):
        zarr.open_group(trace, mode="r")["losses"][0]
    assert mark.exists()


def test_codecs_of_others_are_not_run(copy):
    path = copy / "trace.zarr/losses/zarr.json"
    about = json.loads(path.read_text())
    about["codecs"].append({"name": "gzip", "configuration": {"level": 1}})
    path.write_text(json.dumps(about))
    with pytest.raises(nta.RunDirectoryError, match="trace.zarr cannot be read"):
        nta.Run.open(copy)


def test_the_source_evaluates_and_unpickles_nothing():
    root = pathlib.Path(nta.__file__).parent.parent
    for path in (*root.glob("nta_tf/**/*.py"), *root.glob("reproduce/**/*.py")):
        words = path.read_text().replace("(", " ").split()
        banned = {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system"}
        banned |= {"allow_pickle=True"}
        banned |= {"keras.models.load_model", "keras.saving.load_model"}
        assert not banned & set(words), path


def test_old_checkpoints_behind_links_stay(copy, precious):
    shutil.rmtree(copy / "checkpoints")
    (copy / "checkpoints").symlink_to(precious)
    nta.Run.open(copy).commit(final=True)


def test_a_link_among_old_checkpoints(copy, precious):
    (copy / "checkpoints" / "epoch_0001").symlink_to(precious / "epoch_0001")
    (copy / "checkpoints" / "epoch_0009").symlink_to(precious)
    _train(copy, epochs=3, recorders=[nta.TaylorRounds(), nta.WeightRounds("every step")])


def test_a_checkpoint_is_not_written_over_what_a_link_leads_to(copy, precious):
    (copy / "checkpoints" / "epoch_0003").symlink_to(precious / "epoch_0001")
    with pytest.raises(nta.RunDirectoryError, match="epoch_0003 is a link"):
        _train(copy, epochs=3, recorders=[nta.TaylorRounds(), nta.WeightRounds("every step")])


def test_a_new_run_does_not_empty_what_a_link_leads_to(tmp_path, precious, whole):
    directory = tmp_path / "run"
    directory.mkdir()
    shutil.copyfile(whole.directory / "config.json", directory / "config.json")
    (directory / "trace.zarr").symlink_to(precious)
    with pytest.raises(nta.RunDirectoryError, match="trace.zarr is a link"):
        _train(directory, recorders=[nta.TaylorRounds(), nta.WeightRounds("every step")])


def test_the_lock_is_not_written_through_a_link(copy, precious):
    (copy / ".lock").unlink()
    (copy / ".lock").symlink_to(precious / "thesis.tex")
    with pytest.raises(nta.RunDirectoryError, match=r"\.lock is a link"):
        _train(copy, recorders=[nta.TaylorRounds(), nta.WeightRounds("every step")])


@pytest.mark.parametrize("name", ["config.json", "progress.json"])
def test_files_are_replaced_and_not_written_through_links(copy, precious, name):
    shutil.move(copy / name, precious / name)
    before = (precious / name).read_bytes()
    (copy / name).symlink_to(precious / name)
    _train(copy, epochs=3, recorders=[nta.TaylorRounds(), nta.WeightRounds("every step")])
    assert (precious / name).read_bytes() == before
    assert not (copy / name).is_symlink()


@pytest.mark.parametrize("task", ["../../outside", "/tmp/outside", "..", ""])
def test_drawings_stay_where_they_were_wanted(tmp_path, task, capsys):
    traces = pathlib.Path(main.__code__.co_filename).parent / "traces/autoencoder/linear"
    source = next(path for path in sorted(traces.iterdir()) if path.is_dir())
    run = shutil.copytree(source, tmp_path / "runs" / "run")
    config = json.loads((run / "config.json").read_text())
    config["metadata"]["task"] = task
    (run / "config.json").write_text(json.dumps(config))
    out = tmp_path / "deep" / "figures"
    assert main(["figures", "6", "--runs", str(tmp_path / "runs"), "--out", str(out)]) == 1
    assert "cannot be the name of a file" in capsys.readouterr().err
    assert not out.exists() and sorted(os.listdir(tmp_path)) == ["runs"]
