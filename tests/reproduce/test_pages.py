"""README.md and docs/ say what the committed results say now."""

import pathlib
import re

import pandas as pd
import pytest

from reproduce import paths
from reproduce.pages import blocks, speed, tables
from reproduce.pages.registry import TABLES, Results
from reproduce.results.runs import ResultsError

_PAGES = {path.relative_to(paths.repository()).as_posix(): path for path in blocks.pages()}


@pytest.fixture(scope="module")
def results():
    return Results()


@pytest.mark.parametrize("page", _PAGES)
def test_tables_of_pages_are_those_of_the_results(page, results):
    path = _PAGES[page]
    assert path.read_text() == tables.filled(path, results), "call `make docs`"


def test_every_table_stands_on_a_page():
    asked = {name for path in _PAGES.values() for name in blocks.names(path.read_text())}
    assert asked == set(TABLES)


def test_results_have_numbers_in_tables_only():
    """Prose names epochs, layers, rates and axes, but measures nothing."""
    text = _PAGES["docs/results.md"].read_text()
    prose = re.sub(r"<!-- table: .*?<!-- end -->", "", text, flags=re.DOTALL)
    measured = re.findall(r"\b\d+\.\d{2,}\b|\b\d+(?:\.\d+)?%", prose)
    allowed = {"95%", "1%", "0.01", "0.12", "0.001", "0.07"}  # intervals, shares of data, axes
    assert set(measured) <= allowed


@pytest.mark.parametrize("page", _PAGES)
def test_links_lead_somewhere(page):
    path = _PAGES[page]
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


def test_run_directory_explains_every_column():
    text = _PAGES["docs/run_directory.md"].read_text()
    columns = set()
    for table in paths.traces().glob("autoencoder/*/*/results/*.csv"):
        columns |= set(pd.read_csv(table, nrows=1).columns)
    assert not {column for column in columns if f"`{column}`" not in text}


@pytest.mark.parametrize(
    "text", ["<!-- table: losses -->", "<!-- table: nothing -->\n<!-- end -->"]
)
def test_markers_are_checked(text):
    with pytest.raises(ResultsError, match="end|no table"):
        blocks.fill(text, {}, None)


def test_a_filled_page_stays_as_it_is():
    page = "a\n<!-- table: one -->\nold\n<!-- end -->\nb\n"
    filled = blocks.fill(page, {"one": lambda results: "new"}, None)
    assert filled == page.replace("old", "new")
    assert blocks.fill(filled, {"one": lambda results: "new"}, None) == filled


@pytest.mark.parametrize("name", speed.NAMES)
def test_benchmarks_say_where_and_when(name):
    content = speed.read(name)
    assert content["benchmark"] == name
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", content["date"])
    assert {"cores", "processor", "TensorFlow"} <= set(content["machine"])


def test_benchmarks_write_what_the_page_reads(tmp_path, capsys):
    timing = pytest.importorskip("benchmarks.timing")
    report = timing.Report("mine", tmp_path)
    rows = [{"what": "one", "seconds": 1.0}, {"what": "other", "seconds": 2.5, "gap": 1e-3}]
    report.table("Two of them", rows, "seconds", "one")
    report.note("both were quick")
    assert "ratio to one" in capsys.readouterr().out
    content = speed.json.loads((tmp_path / "mine.json").read_text())
    text = speed.rendered(content)
    assert "**Two of them**" in text and "2.5x" in text and "* both were quick" in text
    assert pathlib.Path(tmp_path, "mine.json").read_text().endswith("\n")
