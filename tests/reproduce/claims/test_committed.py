"""The claims judged on the committed results: in one file, since judging takes seconds."""

import pandas as pd
import pytest

from reproduce import claims, paths
from reproduce.claims.registry import all_claims
from reproduce.claims.verdicts import Verdict


@pytest.fixture(scope="module")
def written(committed, tmp_path_factory):
    """What is written of the claims judged on the committed results."""
    return claims.write(committed, paths.traces(), tmp_path_factory.mktemp("claims") / "out")


def test_the_committed_tables_are_those_of_the_committed_results(written):
    for path in written:
        assert path.read_bytes() == (paths.repository() / "figures" / path.name).read_bytes()


def test_no_cell_is_longer_than_200_characters(committed):
    for line in claims.page(committed).splitlines():
        cells = line.split(" | ") if line.startswith("|") else [line]
        assert max(len(cell.strip("| ")) for cell in cells) <= 200


def test_the_page_begins_with_one_line_a_claim(committed):
    lines = claims.page(committed).splitlines()
    assert lines[2].startswith("| # | claim | figures | definition | number |")
    titles = list(dict.fromkeys((one.number, one.title) for one in all_claims()))
    table = lines[4 : 4 + len(titles)]
    assert [line.split(" | ")[0].strip("| ") for line in table] == [str(n) for n, _ in titles]
    assert lines[4 + len(titles)] == ""


def test_the_summary_fits_a_terminal(committed):
    lines = claims.summary(committed).splitlines()
    assert len(lines) <= 23 and max(map(len, lines)) <= 80
    for one in all_claims():
        assert any(line.startswith(f"{one.number:>2} {one.title}") for line in lines)


def test_the_bound_and_the_rate_have_a_line_each(committed):
    lines = claims.headline(committed)
    eleven = lines[lines["claim"] == 11]
    assert len(eleven) == 2 and len(lines) == len(set(lines["claim"])) + 1
    assert eleven["figures"].iloc[0] == Verdict.NOT_APPLICABLE


def test_a_star_says_that_the_domain_was_another(committed, tmp_path, write_set):
    lines = claims.headline(committed).drop_duplicates("claim").set_index("claim")
    assert not any(text.endswith("*") for text in [*lines["figures"], *lines["definition"]])
    free = claims.compare(write_set(tmp_path))  # without the ball that both readings have
    lines = claims.headline(free).drop_duplicates("claim").set_index("claim")
    assert lines["figures"][4].endswith("*") and lines["definition"][4].endswith("*")
    assert "*" in claims.summary(free).splitlines()[-2]


def test_a_claim_without_a_reading_has_the_same_verdict_under_both(committed):
    lines = claims.headline(committed).set_index("claim")
    for number in (6, 7, 8, 9, 10, 14):
        assert lines["figures"][number] == lines["definition"][number]


def test_counts_of_verdicts_add_up_to_the_lines(committed):
    for reading in ("figures", "definition"):
        counts = claims.headline_counts(committed, reading)
        assert sum(counts.values()) == len(claims.headline(committed))
    assert claims.headline_counts(committed)[Verdict.NOT_APPLICABLE] >= 1


def test_the_overview_is_the_table_of_verdicts(committed):
    shown = claims.overview(committed)
    assert shown.columns.tolist() == ["#", "claim", "figures", "definition", "number"]
    text = claims.verdict_table(committed)
    assert all(str(number) in text for number in shown["number"])


def test_tables_are_written_as_csv_and_as_a_page(committed, written):
    names = [path.name for path in written]
    assert names == ["claims.csv", "claims.md", "exploration.csv", "exploration.md", "readings.csv"]
    table = pd.read_csv(written[0])
    assert table.columns.tolist() == committed.columns.tolist()
    assert table["verdict"].tolist() == committed["verdict"].tolist()


def test_a_set_without_exploration_writes_no_table_of_it(tmp_path, write_set):
    root = write_set(tmp_path / "runs")
    written = claims.write(claims.compare(root), root, tmp_path / "out")
    assert [path.name for path in written] == ["claims.csv", "claims.md", "readings.csv"]


def test_rows_are_unique_and_their_reading_is_in_columns(committed):
    key = "claim part scale task experiment variant record ball comparator".split()
    assert not committed.duplicated(key).any()
    on_regret = committed[committed["record"] != ""]
    assert set(on_regret["ball"]) == {True}
    assert set(on_regret["comparator"]) == {"static", "each_round"}
    assert (committed.loc[committed["record"] == "", "ball"] == "").all()


def test_numbers_are_typed_and_seeds_are_counted(committed):
    judged = committed[committed["value"].notna()]
    for column in ("value", "low", "high", "margin_low", "margin_high"):
        assert pd.api.types.is_numeric_dtype(pd.to_numeric(judged[column]))
    assert (judged["seeds"] >= 1).all()
    alone = judged[(judged["seeds"] == 1) & (judged["quantity"] != "")]
    assert alone["reason"].str.contains("one seed").all()
    assert judged["p"][judged["interval"] != "seeds"].isna().all()
    assert (judged["p_holm"] >= judged["p"] - 1e-12)[judged["p"].notna()].all()


def test_a_verdict_lies_where_its_interval_lies(committed):
    simple = committed[committed["reason"].str.startswith("the interval lies")]
    assert len(simple) > 20
    low, high = (pd.to_numeric(simple[name]) for name in ("low", "high"))
    inside = (low >= simple["margin_low"]) & (high <= simple["margin_high"])
    assert (inside == (simple["verdict"] == Verdict.REPRODUCED)).all()


def test_neurons_and_layers_were_solved_in_the_domain_of_their_reading(committed):
    for number in (1, 3):
        rows = committed[(committed["claim"] == number) & (committed["record"] == "figures")]
        assert (rows["ball"] == True).all() and rows["own_domain"].all()  # noqa: E712


def test_the_digits_say_how_many_there_were(committed):
    rows = committed[committed["claim"] == 12].set_index("experiment")
    assert set(rows.index) == {"mnist_60000", "mnist"}
    fewer, every = rows.loc["mnist"], rows.loc["mnist_60000"]
    assert fewer["data"].str.contains("5,085").all()
    assert fewer["reason"].str.contains("on 5,085 examples only").all()
    assert every["data"].str.contains("MNIST, 60,000 digits, 28 epochs").all()
    assert not every["reason"].str.contains("examples only").any()


def test_the_dead_network_is_not_judged(committed):
    dead = committed[committed["details"].str.contains("SGD lr=1.0 .*learns nothing")]
    assert {6, 7} <= set(dead["claim"])
    assert not committed["subject"][committed["task"] == "convnet"].str.contains("lr=1.0").any()
