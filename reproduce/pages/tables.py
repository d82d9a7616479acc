"""All tables, and writing them into the pages."""

from pathlib import Path

from reproduce import files
from reproduce.pages import (  # noqa: F401 - importing registers their tables
    against,
    autoencoder,
    blocks,
    bound,
    certificates,
    claims,
    convnet,
    convnet_seeds,
    exploration,
    figures,
    growth_of_costs,
    layers,
    readings,
    reliability,
    speed,
)
from reproduce.pages.registry import TABLES, Results


def filled(path: Path, results: Results) -> str:
    """A page as it should be.

    Args:
        path: The page.
        results: What its tables are made from.

    Returns:
        Its text.
    """
    return blocks.fill(path.read_text(), TABLES, results)


def write() -> list[Path]:
    """Fills the tables of all pages.

    Returns:
        The pages that changed.

    Raises:
        ResultsError: If a page asks for a table that is not there, or results are missing.
    """
    results, changed = Results(), []
    for path in blocks.pages():
        text = filled(path, results)
        if text != path.read_text():
            files.write_text(path, text)
            changed.append(path)
    return changed
