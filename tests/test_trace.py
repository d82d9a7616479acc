"""Records of a run: what they say of themselves, and reading and writing them."""

import numpy as np
import pytest

import nta_tf as nta
from tests.networks import dense_chain


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    x = np.random.default_rng(2).normal(size=(20, 6)).astype(np.float32)
    return nta.train(
        dense_chain((6, 5, 6), ("relu", "linear"), seed=1, dtype="float32"),
        x,
        x,
        optimizer="sgd",
        epochs=3,
        batch_size=4,
        recorders=[nta.TaylorRounds(schedule="every 3 steps"), nta.WeightRounds("every 3 steps")],
        directory=tmp_path_factory.mktemp("trace") / "run",
    )


def test_a_record_says_what_it_holds(run):
    assert sorted(run.records) == ["per_example", "weights"] and len(run.records) == 2
    record = run.records["weights"]
    assert (record.name, record.kind) == ("weights", "weight_rounds")
    assert record.config == run.config["records"]["weights"]
    assert record.rounds.tolist() == [2, 2, 1] and record.epochs.tolist() == [0, 1, 2]
    assert record.arrays["variables/dense_1/kernel"] == (2, 6, 5)
    assert record.arrays["rounds"] == ()


def test_rounds_are_read_without_the_filling_of_short_epochs(run):
    record = run.records["weights"]
    assert record.read("losses").shape == (3, 2)
    assert record.read_rounds("losses").shape == (5,)
    np.testing.assert_array_equal(record.read_rounds("losses"), run.losses.ravel()[::3])
    assert record.read_rounds("variables/dense_1/kernel", 2).shape == (1, 6, 5)


def test_weights_of_chosen_steps(run):
    reader = nta.recorders.WeightReader(run)
    assert reader.steps(1).tolist() == [1, 4]
    kept = run.records["weights"].read("variables/dense_2/bias", 1)
    np.testing.assert_array_equal(reader.at(1, np.array([4]))["dense_2/bias"], kept[1:])


def test_the_form_of_each_layer_is_in_the_config(run):
    forms = run.records["per_example"].config["forms"]
    assert {layer: form["name"] for layer, form in forms.items()} == {"dense_2": "output_layer"}


def test_what_is_not_there(run):
    with pytest.raises(KeyError, match=r"records \['per_example', 'weights'\].*'nothing'"):
        run.records["nothing"]
    with pytest.raises(KeyError, match="no array 'records/weights/nothing'"):
        run.records["weights"].read("nothing")
    with pytest.raises(ValueError, match=r"Taylor records.*\['per_example'\].*'weights'"):
        nta.regret(run, "dense_2", record="weights")


def test_a_directory_of_an_older_schema_is_refused(run, tmp_path):
    text = (run.directory / "config.json").read_text()
    (tmp_path / "config.json").write_text(
        text.replace('"schema_version": 2', '"schema_version": 1')
    )
    with pytest.raises(nta.RunDirectoryError, match="schema version 1; this nta_tf reads .* 2"):
        nta.Run.open(tmp_path)
