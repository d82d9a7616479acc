"""Finding the marked blocks of a page, and filling them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from reproduce import paths
from reproduce.pages.registry import Results
from reproduce.results.runs import ResultsError

_BLOCK = re.compile(r"<!-- table: (?P<name>\S+) -->\n(?P<content>.*?)<!-- end -->", re.DOTALL)


def names(text: str) -> list[str]:
    """Names of the tables that a page asks for.

    Args:
        text: The page.

    Returns:
        A list of names.

    Example:

    >>> names("Losses:" + chr(10) + "<!-- table: losses -->" + chr(10) + "<!-- end -->")
    ['losses']
    """
    return [match["name"] for match in _BLOCK.finditer(text)]


def fill(text: str, tables: Mapping[str, Callable[[Results], str]], results: Results) -> str:
    """A page with its tables as the results have them now.

    Args:
        text: The page.
        tables: {name: function that makes the table}.
        results: What the tables are made from.

    Returns:
        The page.

    Raises:
        ResultsError: If there is no such table, or a marker has no end.
    """
    if text.count("<!-- table: ") != len(names(text)):
        raise ResultsError(
            "Every '<!-- table: NAME -->' must be followed by a line '<!-- end -->', on lines of "
            f"their own. Received: a page with the tables {names(text)}."
        )

    def replace(match: re.Match) -> str:
        name = match["name"]
        if name not in tables:
            raise ResultsError(f"There is no table '{name}'; there are {', '.join(tables)}.")
        return f"<!-- table: {name} -->\n{tables[name](results)}\n<!-- end -->"

    return _BLOCK.sub(replace, text)


def pages() -> list[Path]:
    """The pages of the clone: README.md and all of docs/.

    Returns:
        A list of paths.

    Raises:
        ResultsError: If the package was installed as a copy, with no pages beside it.
    """
    root = paths.repository()
    if root is None:
        raise ResultsError("Pages are part of the repository: call this in a clone.")
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
