"""`python -m reproduce.pages`: fills the tables of README.md and docs/; `make docs` calls it."""

import sys

from reproduce.pages import blocks, tables
from reproduce.results.runs import ResultsError


def main() -> int:
    """Fills every page.

    Returns:
        The exit code.
    """
    try:
        for path in tables.write():
            print(path)
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(blocks.pages())} pages are up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
