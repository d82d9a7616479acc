"""Tables of docs/reliability.md: faults tried, cases of fuzz, planted errors.

They are made from `tests/faults/results/*.json`, which the programs in `tests` write.
"""

import json
from collections import Counter
from pathlib import Path

from reproduce import paths
from reproduce.pages.markdown import table
from reproduce.pages.registry import Results
from reproduce.pages.registry import table as registered
from reproduce.results.runs import ResultsError

_CAUGHT = ("terminated", "interrupted")  # by other signals than SIGKILL
_COMMANDS = {
    "faults": "python -m tests.faults --seed 13 --log build/faults.jsonl --json",
    "fuzz": "NTA_TF_FUZZ=full NTA_TF_FUZZ_JSON=... python -m pytest -m 'not gpu' tests/fuzz",
    "mutations": "python -m tests.faults.mutations --json",
}


def read(name: str) -> dict:
    """What one of the programs in `tests` has tried.

    Args:
        name: `"faults"`, `"fuzz"` or `"mutations"`.

    Returns:
        A dictionary with `date` and `kinds`, `properties` or `mutations`.

    Raises:
        ResultsError: If it is not there, or damaged.
    """
    path = Path(paths.repository() or ".", "tests", "faults", "results", f"{name}.json")
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} is missing or damaged ({error}). Make it again with `{_COMMANDS[name]}`."
        ) from error


@registered("faults")
def faults(results: Results) -> str:
    """Each kind of fault: how many were tried and survived, and what repeats it."""
    content = read("faults")
    kinds = [kind for kind in content["kinds"] if kind["tried"]]
    tried, survived = (sum(kind[key] for kind in kinds) for key in ("tried", "survived"))
    kills = sum(kind["signals"] for kind in kinds if kind["kind"] not in _CAUGHT)
    rows = [
        [
            kind["kind"],
            kind["what"],
            kind["tried"],
            kind["survived"],
            f"`--seed {' '.join(map(str, kind['seeds']))} --only '{kind['kind']}'`",
        ]
        for kind in kinds
    ]
    total = ["**all**", "", f"**{tried}**", f"**{survived}**", ""]
    head = (
        f"*{content['date']}. SIGKILL ended {kills} processes (some cases kill twice, others come "
        f"too late); {tried - survived} of {tried} faults were not survived.*\n\n"
    )
    header = ["fault", "what is done, and must come of it", "tried", "survived"]
    return head + table([*header, "`python -m tests.faults ...`"], [*rows, total])


@registered("fuzz")
def fuzz(results: Results) -> str:
    """Each property that random cases are held against, and how many of them held."""
    content = read("fuzz")
    rows = [
        [
            one["file"].removeprefix("tests/fuzz/"),
            one["property"],
            f"{one['cases']:,}",
            _failed(one),
        ]
        for one in content["properties"]
    ]
    total = sum(one["cases"] for one in content["properties"])
    rows.append(["**all**", "", f"**{total:,}**", ""])
    header = ["file in `tests/fuzz`", "property", "cases that held", "cases that did not"]
    return f"*{content['date']}.*\n\n" + table(header, rows)


def _failed(one: dict) -> str:
    return "some" if one["failed"] else "0"


@registered("mutations")
def mutations(results: Results) -> str:
    """Planted errors by module, and those that no test can notice."""
    content = read("mutations")
    planted: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    equivalent: Counter[str] = Counter()
    for one in content["mutations"]:
        module = one["error"].partition(":")[0]
        planted[module] += 1
        caught[module] += bool(one["caught"])
        equivalent[module] += not one["caught"] and bool(one["equivalent"])
    rows = [
        [f"`{module}`", count, caught[module], equivalent[module]]
        for module, count in planted.items()
    ]
    sums = [f"**{sum(counts.values())}**" for counts in (planted, caught, equivalent)]
    made = table(["module", "planted", "caught", "equivalent"], [*rows, ["**all**", *sums]])
    left = [
        f"* {one['error']}: {one['equivalent'] or 'survived'}"
        for one in content["mutations"]
        if not one["caught"]
    ]
    return "\n\n".join([f"*{content['date']}.*", made, *(["\n".join(left)] if left else [])])
