"""One row a part, experiment and reading; every claim is there; readings and domains are said."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from reproduce import claims, paths
from reproduce.claims.compare import COLUMNS
from reproduce.claims.evidence import Reason
from reproduce.claims.registry import all_claims
from reproduce.claims.report import _REASONS
from reproduce.claims.verdicts import Verdict
from reproduce.results import manifest, runs


def test_every_claim_is_listed_once_or_more_in_order(tmp_path, write_set):
    table = claims.compare(write_set(tmp_path))
    assert table.columns.tolist() == list(COLUMNS)
    assert table["claim"].is_monotonic_increasing
    numbers = {one.number for one in all_claims()}
    assert set(table["claim"]) == numbers == set(range(1, max(numbers) + 1))
    waiting = table[table["verdict"] == Verdict.NOT_MEASURED]
    alone = set(waiting["claim"]) - set(table["claim"][table["verdict"] != Verdict.NOT_MEASURED])
    assert numbers - alone == {4, 5, 9, 11, 16, 18}
    assert waiting["reason"].str.startswith("needs").all()


def test_a_claim_says_what_where_and_which_number_decides():
    for one in all_claims():
        assert one.statement and one.place and one.primary and one.needs.words and one.title
        assert len(one.title) <= 30 and len(one.statement) <= 200
        assert one.judge.__doc__
    names = [(one.number, one.part) for one in all_claims()]
    assert len(names) == len(set(names))


def test_every_claim_has_its_experiments_in_the_manifest():
    everything = runs.find_runs(paths.traces())
    named = manifest.read(paths.traces(), everything).claims
    assert set(named) == {one.number for one in all_claims()}


def test_every_reason_has_words():
    assert set(_REASONS) == set(Reason)


@pytest.mark.slow
def test_two_tasks_in_one_directory_are_both_judged(tmp_path, write_set, write_convnet_set, rows):
    write_convnet_set(tmp_path / "convnet")
    write_set(tmp_path / "autoencoder")
    assert len(rows(tmp_path, 3, "layer 2")) == len(rows(tmp_path, 4, "layer 3")) == 2
    assert set(rows(tmp_path, 11, "rate", scale="layer")["task"]) == {"convnet", "autoencoder"}


def test_digits_are_judged_as_claim_12_never_as_cifar10(tmp_path, write_convnet_set, mnist):
    table = claims.compare(write_convnet_set(tmp_path, data=mnist))
    measured = set(table[table["verdict"] != Verdict.NOT_MEASURED]["claim"])
    assert measured == {11, 12, 16, 18}


def test_each_protocol_is_judged_in_its_own_domain(tmp_path, write_set, rows):
    root = write_set(tmp_path)
    for path in root.glob("*/results/[re]*.csv"):
        table = pd.read_csv(path)
        pd.concat([table, table.assign(radius=2.5)]).to_csv(path, index=False)
    for record in ("figures", "definition"):
        assert rows(root, 4, "layer 3", record)["ball"].tolist() == [True]


@pytest.mark.slow
def test_another_comparator_has_rows_of_its_own(tmp_path, write_set, rows):
    root = write_set(tmp_path)
    for path in root.glob("*/results/[re]*.csv"):
        table = pd.read_csv(path)
        dynamic = table.assign(comparator="each_round")
        pd.concat([table, dynamic]).to_csv(path, index=False)
    table = rows(root, 4, "layer 3", "figures")
    assert table["comparator"].tolist() == ["static", "each_round"]
    bound = rows(root, 11, "bound", "definition", scale="layer").set_index("comparator")["verdict"]
    assert bound["each_round"] == Verdict.NOT_APPLICABLE != bound["static"]


def test_holm_counts_the_claims_of_one_reading(tmp_path, three):
    table = claims.compare(three(tmp_path))
    for _, family in table.groupby(["record", "headline"]):
        p = family["p"].dropna()
        if len(p):
            smallest = p.idxmin()
            expected = min(1.0, p.min() * len(p))
            assert family["p_holm"][smallest] == pytest.approx(expected)
    assert np.isfinite(table["p"]).sum() >= 4


def test_judging_needs_no_tensorflow():
    code = "import sys, reproduce.claims; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_line_shows_the_part_that_fails(tmp_path, three):
    root = three(tmp_path, adam={"final": 0.02})
    line = claims.headline(claims.compare(root)).set_index("claim").loc[9]
    assert line["figures"] == Verdict.NOT_REPRODUCED
    assert line["subject"] == "RMSProp against Adam" and line["value"] < 1
