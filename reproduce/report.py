"""`python -m reproduce report`: one page of HTML with the answer, its numbers and its figures.

The page holds everything itself, pictures too, and asks no network for anything. Its tables are
those of `reproduce.claims` and `reproduce.results`: nothing on it is written by hand but the words
around the numbers.
"""

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reproduce import claims, files, paper
from reproduce.claims.verdicts import Verdict
from reproduce.figures import sheets
from reproduce.results import load, readings, runs

_STYLE = """
:root { color-scheme: light; --ink: #1a1a1a; --grey: #6a6a6a; --line: #d9d9d9; }
body { font: 16px/1.5 Georgia, 'Times New Roman', serif; color: var(--ink); margin: 0 auto;
  max-width: 62rem; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
.answer { font-size: 1.1rem; border-left: 4px solid #0072b2; padding-left: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font: 0.85rem/1.35 Helvetica, Arial, sans-serif; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem;
  border-bottom: 1px solid var(--line); min-width: 4rem; }
td:first-child, th:first-child { min-width: 1rem; } td:last-child { min-width: 5rem; }
td.words { min-width: 13rem; } td.reproduced, td.not { white-space: nowrap; }
th { border-bottom: 2px solid var(--ink); } td.number { text-align: right; white-space: nowrap; }
.reproduced { color: #00523b; font-weight: bold; } .not { color: #a33b00; font-weight: bold; }
.open, figcaption, .small { color: var(--grey); }
figure { margin: 2rem 0; } img { max-width: 100%; height: auto; }
figcaption, .small { font-size: 0.85rem; } code { font-size: 0.85em; overflow-wrap: anywhere; }
"""
_CLASSES = {Verdict.REPRODUCED: "reproduced", Verdict.NOT_REPRODUCED: "not"}
_SHOWN_READINGS = 12


def write(
    root: str | Path, drawings: str | Path, out: str | Path, verdicts: pd.DataFrame | None = None
) -> Path:
    """Writes the page.

    Args:
        root: Directory of runs, whose tables are judged.
        drawings: Directory of its figures, drawn before.
        out: Path of the page.
        verdicts: Frame of `claims.compare`, where it is made already.

    Returns:
        That path.

    Raises:
        ResultsError: If tables are missing or damaged.
    """
    found = runs.find_runs(root)
    verdicts = claims.compare(root) if verdicts is None else verdicts
    table = readings.table(load.read_regret(found)) if _has_autoencoder(found) else None
    sections = [
        _answer(verdicts, table),
        _claims(verdicts),
        _readings(table),
        _bound(found),
        _figures(Path(drawings), root),
        _open(verdicts),
    ]
    return files.write_text(out, _page("".join(section for section in sections if section)))


def sentences(verdicts: pd.DataFrame, table: pd.DataFrame | None) -> list[str]:
    """The answer in three sentences.

    Args:
        verdicts: Frame of `claims.compare`.
        table: Frame of `readings.table`, or None.

    Returns:
        A list of sentences: what holds, which reading explains Figure 4, and how sure that is.
    """
    counts = claims.headline_counts(verdicts)
    words = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    told = [f"Of the paper's {sum(counts.values())} claims that were looked at, {words}."]
    if table is None or table.empty:
        return [*told, "No autoencoder was solved, so that no reading of Figure 4 can be told."]
    best = table.iloc[0]
    missing = [text for fact, text in readings.FACTS.items() if not best[fact]]
    told.append(
        f"Among {len(table):,} readings of the autoencoder's regret the one that explains Figure "
        f"4(b) and (c) best is {_reading(best)}: it has {int(best['agrees'])} of the "
        f"{len(readings.FACTS)} properties of the published curves"
        + (f", but not that {'; nor that '.join(missing)}." if missing else ".")
    )
    rivals = int((table["agrees"] == best["agrees"]).sum()) - 1
    told.append(
        f"It rests on {int(best['seeds'])} seed{'s' if best['seeds'] > 1 else ''} of each "
        f"optimizer, and {rivals or 'no'} other reading{'' if rivals == 1 else 's'} "
        f"{'does' if rivals == 1 else 'do'} as well."
    )
    return told


def _answer(verdicts: pd.DataFrame, table: pd.DataFrame | None) -> str:
    text = " ".join(html.escape(sentence) for sentence in sentences(verdicts, table))
    return f'<p class="answer">{text}</p>'


def _claims(verdicts: pd.DataFrame) -> str:
    overview = claims.overview(verdicts)
    return _section("What holds", _table(overview))


def _readings(table: pd.DataFrame | None) -> str:
    if table is None or table.empty:
        return ""
    shown = table.head(_SHOWN_READINGS)
    rows = []
    for _, row in shown.iterrows():
        cells = {
            "network": row["experiment"] or "autoencoder",
            "layer": row["scope"],
            "reading": _reading(row, short=True),
            "seeds": str(int(row["seeds"])),
        }
        for name in ("rmsprop", "adam", "sgd"):
            regret = f"{row[f'regret_20_{name}']:.1f} → {row[f'regret_80_{name}']:.1f}"
            cells[f"4(b) {name}"] = regret
        for name in ("rmsprop", "adam", "sgd"):
            cells[f"4(c) {name}"] = f"{row[f'loss_20_{name}']:.2f} → {row[f'loss_80_{name}']:.2f}"
        cells |= {fact.replace("_", " "): readings.holds(row, fact) for fact in readings.FACTS}
        rows.append(cells)
    low, high = paper.REGRET_AXIS["autoencoder"]
    words = (
        f"<p>Regret / sqrt(N) times 1000 (published axis {low:g} to {high:g}) and cumulative loss "
        f"/ sqrt(N) (published axis {paper.LOSS_AXIS[0]:g} to {paper.LOSS_AXIS[1]:g}) at epochs "
        f"20 and 80, means over seeds; whether each property holds of the means, and in how many "
        f"seeds; the {len(shown)} of {len(table):,} readings that agree with most of what the "
        "paper shows.</p>"
    )
    facts = "".join(
        f"<li><b>{fact.replace('_', ' ')}</b>: {html.escape(text)}</li>"
        for fact, text in readings.FACTS.items()
    )
    return _section(
        "Which reading do the published figures show?",
        words + _table(pd.DataFrame(rows)) + f'<ul class="small">{facts}</ul>',
    )


def _bound(found: pd.DataFrame) -> str:
    table = load.read_bound(found)
    if table.empty:
        return ""
    own = table[table["bound"].notna()]
    holds = int((own["holds"] & own["agrees"]).sum())
    words = (
        "<p>For gradient descent with a constant rate, every step a round and one G an example, "
        "regret against any V is at most (||W<sup>1</sup> - V||² - ||W<sup>N+1</sup> - V||²) / 2η "
        "+ (η/2) Σ||g<sup>n</sup>||². It holds at "
        f"{holds:,} of {len(own):,} checkpoints, to within rounding. The linearized regret, "
        "Σ&lt;g<sup>n</sup>, W<sup>n</sup> - V&gt;, bounds the regret of every optimizer. At the "
        "last round:</p>"
    )
    curves = table.sort_values("round").groupby(["run", "record", "scope", "radius"], sort=False)
    last = curves.tail(1).sort_index()
    last = last.assign(run=[Path(run).name for run in last["run"]])
    last["bound"] = last["bound"].astype(object).where(last["bound"].notna(), "-")
    columns = ["task", "run", "scope", "round", "regret", "bound", "linearized_regret"]
    shown = last[[*columns, "g_d_root_n"]].rename(
        columns={"linearized_regret": "linearized regret", "g_d_root_n": "G D sqrt(N)"}
    )
    return _section("The bound beside regret", words + _table(shown))


def _figures(drawings: Path, root: str | Path) -> str:
    parts = []
    for path in sorted((drawings / "paper").glob("figure_*.png")):
        number = path.stem.removeprefix("figure_").upper()
        picture = base64.b64encode(path.read_bytes()).decode()
        title, details = sheets.about(path)
        command = f"python -m reproduce figures {number} --runs {_shown(root)}"
        caption = "".join(f"<li>{html.escape(text)}</li>" for text in details)
        parts.append(
            f'<figure><img alt="{html.escape(title)}" src="data:image/png;base64,{picture}">'
            f"<figcaption><b>{html.escape(title)}</b><details><summary>what it rests on"
            f"</summary><ul>{caption}</ul></details><code>{html.escape(command)}</code>"
            "</figcaption></figure>"
        )
    return _section("Figures", "".join(parts)) if parts else ""


def _open(verdicts: pd.DataFrame) -> str:
    rows = verdicts[verdicts["verdict"].isin([Verdict.INCONCLUSIVE, Verdict.NOT_MEASURED])]
    rows = rows[rows["headline"]].drop_duplicates(["claim", "part"])
    texts = [f"Claim {row.claim} ({row.title}): {row.reason}" for row in rows.itertuples()]
    items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return _section("What is open", f"<ul>{items}</ul>") if items else ""


def _reading(row: pd.Series, short: bool = False) -> str:
    comparator = {
        "static": "one V for all rounds",
        "each_round": "a V for each round",
        "each_epoch": "a V for each epoch",
    }[row["comparator"]]
    reduction = {"batch_mean": "one mean G a round", "per_example": "one G an example"}[
        row["reduction"]
    ]
    domain = "in the ball" if row["ball"] else "V free"
    if short:
        return f"{comparator}, {reduction}, {domain}"
    network = row["experiment"] or "the autoencoder"
    return f"{comparator}, {reduction}, {domain}, {row['scope']} of {network}"


def _has_autoencoder(found: pd.DataFrame) -> bool:
    return bool((found["task"] == "autoencoder").any())


def _shown(root: str | Path) -> str:
    return str(Path(root).name) if Path(root).name == "traces" else str(root)


def _section(title: str, content: str) -> str:
    return f"<h2>{html.escape(title)}</h2>{content}"


def _table(frame: pd.DataFrame) -> str:
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in frame.columns)
    body = "".join(_row(frame.columns, row) for row in frame.itertuples(index=False))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _row(columns: Sequence, row: Iterable) -> str:
    return f"<tr>{''.join(_cell(value) for _, value in zip(columns, row))}</tr>"


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f'<td class="number">{value:.4g}</td>'
    text = str(value)
    kind = next((name for verdict, name in _CLASSES.items() if text.startswith(verdict.value)), "")
    kind = kind or ("words" if len(text) > 24 else "")
    return f'<td class="{kind}">{html.escape(text)}</td>'


def _page(content: str) -> str:
    title = "Neural Taylor Approximations, reproduced"
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        '<p class="small">Balduzzi, McWilliams, Butler-Yeoman: Neural Taylor Approximations: '
        "Convergence and Exploration in Rectifier Networks, ICML 2017. Every number below is made "
        "from saved tables by <code>python -m reproduce report</code>.</p>"
        f"{content}</body></html>\n"
    )
