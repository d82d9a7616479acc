"""The claims as tables: one line a claim, for a page and for a terminal, and all rows below."""

import textwrap
from pathlib import Path

import pandas as pd

from reproduce import files
from reproduce.claims import report
from reproduce.claims.evidence import Unit
from reproduce.claims.verdicts import SEVEREST_FIRST, Verdict, all_of
from reproduce.pages import markdown
from reproduce.results import exploration_table, readings

READINGS = ("figures", "definition")
LONGEST_CELL = 200
_STAR = "*"  # a verdict of which the single neurons were not solved in the reading's own domain
_WIDTH = 79
_LINE = ["claim", "title", *READINGS, "number"]
_OTHER_DOMAIN = "* of optima over another domain of V than the reading's own (ball or none). "
_LEGEND = "Numbers are of the reading `figures` where it has one."


def headline(claims: pd.DataFrame) -> pd.DataFrame:
    """One line a claim.

    Args:
        claims: Frame of `compare`.

    Returns:
        A frame with `claim`, `title`, a verdict under each reading (`figures`, `definition`;
        claims that do not rest on regret have the same under both) and `number`, the one that
        decides, with `unit` and `subject`. A verdict holds for every part, on the first
        experiment of each task that the manifest names.
    """
    counted, rows = claims[claims["headline"]], []
    for (number, title), lines in counted.groupby(["claim", "title"], sort=False):
        verdicts = {reading: _verdict(_under(lines, reading)) for reading in READINGS}
        decides = next(filter(len, (_deciding(_under(lines, one)) for one in READINGS)), lines[:1])
        first = decides.iloc[0]
        rows.append(
            {
                "claim": number,
                "title": title,
                **verdicts,
                "number": _number(first),
                "value": first["value"],
                "unit": first["unit"],
                "quantity": first["quantity"],
                "subject": first["subject"],
            }
        )
    return pd.DataFrame(rows)


def overview(claims: pd.DataFrame) -> pd.DataFrame:
    """The same as text, for readers.

    Args:
        claims: Frame of `compare`.

    Returns:
        A frame with the columns `#`, `claim`, a verdict under each reading, and `number`.
    """
    lines = headline(claims)
    subjects = lines["subject"].map(lambda text: f" ({text})" if text else "")
    numbers = lines["number"] + " " + lines["quantity"] + subjects
    shown = lines[["claim", "title", *READINGS]].assign(number=numbers.str.strip())
    return shown.rename(columns={"claim": "#", "title": "claim"})


def headline_counts(claims: pd.DataFrame, reading: str = READINGS[0]) -> dict[Verdict, int]:
    """How many claims have which verdict under a reading.

    Args:
        claims: Frame of `compare`.
        reading: `"figures"` or `"definition"`.

    Returns:
        {verdict: number of lines of `headline`}.
    """
    verdicts = headline(claims)[reading].str.removesuffix(_STAR)
    return {verdict: int((verdicts == verdict.value).sum()) for verdict in Verdict}


def verdict_table(claims: pd.DataFrame) -> str:
    """The table of verdicts, as the README and `claims.md` have it.

    Args:
        claims: Frame of `compare`.

    Returns:
        Markdown.
    """
    shown = overview(claims)
    rows = shown.astype(str).to_numpy().tolist()
    return f"{markdown.table(list(shown.columns), rows)}\n\n{_legend(claims)}\n"


def summary(claims: pd.DataFrame) -> str:
    """The claims for a terminal of 80 by 24.

    Args:
        claims: Frame of `compare`.

    Returns:
        Text of one line a claim, with its verdicts and the number that decides.
    """
    lines = [f"{'#':>2} {'claim':<30} {'figures':<15} {'definition':<15} number"]
    shown = headline(claims).astype(str)
    for claim, title, *verdicts, number in shown[_LINE].to_numpy().tolist():
        number = number if len(number) <= _ROOM else number.partition(" [")[0]
        figures, definition = verdicts
        lines.append(f"{claim:>2} {title:<30} {figures:<15} {definition:<15} {number}".rstrip())
    return "\n".join([*lines, *textwrap.wrap(_legend(claims), _WIDTH)])


def _legend(claims: pd.DataFrame) -> str:
    verdicts = headline(claims)[list(READINGS)]
    starred = verdicts.apply(lambda column: column.str.endswith(_STAR)).to_numpy().any()
    return (_OTHER_DOMAIN if starred else "") + _LEGEND


def page(claims: pd.DataFrame) -> str:
    """The page of all claims: one line each, and a section each with every row.

    Args:
        claims: Frame of `compare`.

    Returns:
        Markdown.
    """
    sections = [_section(rows) for _, rows in claims.groupby("claim", sort=False)]
    return "\n".join(["# The claims of the paper", "", verdict_table(claims), *sections])


def write(claims: pd.DataFrame, root: str | Path, out: str | Path) -> list[Path]:
    """Writes the claims as CSV, with every column, and as a page; and the table of exploration.

    Args:
        claims: Frame of `compare`.
        root: Directory of runs that they were judged on.
        out: Directory, made when it is not there.

    Returns:
        The paths written: `claims.csv`, `claims.md`, and where exploration was measured
        `exploration.csv` and `exploration.md`, and where regret was compared `readings.csv`.
    """
    totals = exploration_table.of_directory(root)
    return [
        files.write_csv(Path(out, "claims.csv"), claims, digits=6),
        files.write_text(Path(out, "claims.md"), page(claims)),
        *exploration_table.write(totals, out),
        *readings.write(root, out),
    ]


def _under(lines: pd.DataFrame, reading: str) -> pd.DataFrame:
    """Rows of one reading with one V for all rounds, and those that do not rest on regret."""
    of_reading = (lines["record"] == reading) & (lines["comparator"] == "static")
    return lines[of_reading | (lines["record"] == "")]


def _verdict(lines: pd.DataFrame) -> str:
    """Verdict of all parts; a scale that one task lacks counts only if all tasks lack it."""
    parts = []
    for _, rows in lines.groupby(["part", "scale"], sort=False):
        verdicts = [Verdict(text) for text in rows["verdict"]]
        measured = [one for one in verdicts if one != Verdict.NOT_MEASURED]
        parts.append(all_of(measured or verdicts))
    verdict = all_of(parts).value
    foreign = (lines["own_domain"] == False) & lines["value"].notna()  # noqa: E712 - or empty
    return verdict + (_STAR if foreign.any() else "")


def _deciding(lines: pd.DataFrame) -> pd.DataFrame:
    """The row that decides: the severest verdict that has a number, the first of equals."""
    there = lines[lines["value"].notna()]
    rank = there["verdict"].map(lambda text: SEVEREST_FIRST.index(Verdict(text)))
    return there.loc[rank.sort_values(kind="stable").index[:1]]


def _number(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return ""
    return report.number(row["value"], row["low"], row["high"], Unit[row["unit"].upper()])


def _section(rows: pd.DataFrame) -> str:
    """One claim: what the paper says and where, what decides, and every row."""
    first = rows.iloc[0]
    lines = [f"## {first['claim']}. {first['title']}", ""]
    for _, part in rows.drop_duplicates("part").iterrows():
        name = f"**{part['part']}**: " if part["part"] else ""
        text = f"{name}{part['statement']} ({part['place']}). Decides: {part['primary']}."
        lines += textwrap.wrap(f"* {text}", 100, subsequent_indent="  ")
    for remark in dict.fromkeys(rows["remark"]):
        lines += ["", *textwrap.wrap(remark, 100)] if remark else []
    cells = [_cells(row) for _, row in rows.iterrows()]
    lines += ["", markdown.table(_HEAD, cells)]
    for data in dict.fromkeys(zip(rows["task"], rows["data"])):
        lines += (
            textwrap.wrap(f"* {' - '.join(data)}", 100, subsequent_indent="  ") if data[1] else []
        )
    details = [_details(row) for _, row in rows.iterrows() if row["details"]]
    return "\n".join([*lines, "", *details, ""])


_HEAD = "part on reading verdict number of seeds p(Holm) why".split()


def _cells(row: pd.Series) -> list[str]:
    p = "" if pd.isna(row["p"]) else f"{row['p']:.2g} ({row['p_holm']:.2g})"
    seeds = str(row["seeds"] or "")
    texts = [_part(row), _on(row), _reading(row), row["verdict"]]
    return [*texts, _number(row), row["subject"], seeds, p, _shortened(row["reason"])]


def _details(row: pd.Series) -> str:
    name = ", ".join(text for text in (_part(row), _on(row), _reading(row)) if text)
    text = f"* *{name}*: {row['details']}"
    return "\n".join(textwrap.wrap(text, 160, subsequent_indent="  "))


def _part(row: pd.Series) -> str:
    return ", ".join(text for text in (row["part"], row["scale"]) if text)


def _on(row: pd.Series) -> str:
    variant = "" if row["variant"] in ("", "tensorflow_2016") else f" ({row['variant']})"
    return f"{row['task']}/{row['experiment']}{variant}".strip("/")


def _reading(row: pd.Series) -> str:
    if not row["record"]:
        return ""
    comparator = "" if row["comparator"] == "static" else f", {row['comparator']}"
    return f"{row['record']}, {'ball' if row['ball'] else 'no ball'}{comparator}"


def _shortened(text: str) -> str:
    return textwrap.shorten(text, LONGEST_CELL, placeholder=" ...")


# Room for a number at the end of a terminal's line.
_ROOM = _WIDTH - len(f"{'#':>2} {'claim':<30} {'figures':<15} {'definition':<15} ")
