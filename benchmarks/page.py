"""`python -m benchmarks.page build/benchmarks.json`: put the numbers of a run into the pages in docs.

They are benchmarks.md and scale.md; build/benchmarks-systemic.json goes to systemic-network.md. What stands between
`<!-- name -->` and `<!-- /name -->` is written anew.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.report import figure
from benchmarks.scale import Answer, answer, costs

DOCS = Path(__file__).parents[1] / "docs"
SECTORS = ((5_000, 1), (5_000, 4), (50_000, 100))


def main(file: Path) -> None:
    """Rewrite the numbers of both pages."""
    run = json.loads(file.read_text(encoding="utf-8"))
    if "results" in run:
        write(DOCS / "systemic-network.md", {"networks": networks(run)})
        return
    write(DOCS / "benchmarks.md", {"run": said(run), "table": table(run)})
    try:
        measured = costs(run["rows"])
    except KeyError as err:
        raise SystemExit(f"scale.md stays as it is: the run has no row {err}") from None
    answers = [answer(measured, *sector) for sector in SECTORS]
    write(DOCS / "scale.md", {"run": said(run), "model": model(answers)})


def networks(run: Mapping[str, Any]) -> str:
    """Return what `benchmarks.systemic` measured, as a table and a sentence on the machine."""
    lines = ["| what | median s | best s | CPU s | limit s | times ours |", "|---|--:|--:|--:|--:|--:|"]
    for row in run["results"]:
        note = f" ({row['note']})" if row["note"] else ""
        limit = "" if row["limit"] is None else figure(row["limit"])
        times = "" if row["times_ours"] is None else figure(row["times_ours"])
        numbers = " | ".join(figure(row[name]) for name in ("seconds", "best", "cpu"))
        lines.append(f"| {row['name']}{note} | {numbers} | {limit} | {times} |")
    told = run["machine"]
    lines.append(
        f"\n{run['institutions']:,} institutions, {run['exposures']:,} exposures, spectral radius 0.97. "
        f"{told['processor']}, {told['cores']} cores; load average {run['load']:g}; Python {told['python']}. "
        f"{'. '.join(run['not_measured'])}".rstrip()
    )
    return "\n".join(lines)


def write(page: Path, parts: Mapping[str, str]) -> None:
    """Replace the named parts of a page."""
    text = page.read_text(encoding="utf-8")
    for name, part in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, part=part: found[1] + part + "\n" + found[2], text)
        if count != 1:
            raise SystemExit(f"{page.name} has {count} places for {name!r}")
    page.write_text(text, encoding="utf-8")


def said(run: Mapping[str, Any]) -> str:
    """Say which run it was, and on what."""
    told, brokers = run["machine"], "; ".join(run["brokers"].values())
    versions = ", ".join(f"{name} {version}" for name, version in told["packages"].items() if name != "guanlan")
    parts = run["parts"].values()
    first, last = min(part["at"] for part in parts), max(part["at"] for part in parts)
    loads = sorted(part["load"] for part in parts)
    kinds = {"a fifth of the size, once" if part["quick"] else f"{part['runs']} runs of each" for part in parts}
    return (
        f"Run of {first} to {last}; {' / '.join(sorted(kinds))}; load average {loads[0]:g} to {loads[-1]:g}."
        f" {told['processor']}, {told['cores']} cores, {told['memory_gib']} GiB; {told['system']}; {brokers};"
        f" Python {told['python']}; {versions}."
    )


def table(run: Mapping[str, Any]) -> str:
    """Return the rows as a table."""
    lines = ["| what | min | median | max | unit | CPU s | reach | |", "|---|--:|--:|--:|---|--:|--:|---|"]
    for part, rows in groupby(run["rows"], key=lambda row: row["part"]):
        lines.append(f"| **{part}** | | | | | | | |")
        for row in rows:
            cpu = figure(sorted(row["cpu"])[len(row["cpu"]) // 2]) if row["cpu"] else ""
            sign = "≥" if row["better"] == "more" else "≤"
            reach = "" if row["reach"] is None else f"{sign} {figure(row['reach'])}"
            mark = {None: "", True: "✓", False: "✗"}[row["reached"]]
            numbers = " | ".join(figure(row[name]) for name in ("min", "median", "max"))
            note = f" ({row['note']})" if row["note"] else ""
            lines.append(f"| {row['name']}{note} | {numbers} | {row['unit']} | {cpu} | {reach} | {mark} |")
    failed = {name: part["failed"] for name, part in run["parts"].items() if part["failed"]}
    lines += [f"\n{part} was not measured: {why.splitlines()[0]}" for part, why in failed.items()]
    return "\n".join(lines)


MODEL: tuple[tuple[str, Callable[[Answer], float], str], ...] = (
    ("values filed on one date", lambda a: a.institutions * 2_000.0, ""),
    ("filings topic, JSON by name", lambda a: a.topic_bytes["json"], "B"),
    ("filings topic, Arrow", lambda a: a.topic_bytes["arrow"], "B"),
    ("judged after, JSON by name", lambda a: a.judge_seconds["json"], "s"),
    ("judged after, array", lambda a: a.judge_seconds["array"], "s"),
    ("judged after, Arrow", lambda a: a.judge_seconds["arrow"], "s"),
    ("state of one worker", lambda a: a.worker_bytes, "B"),
    ("changes of alerts", lambda a: a.alerts, ""),
    ("alerts topic", lambda a: a.alert_bytes, "B"),
    ("cross-section topic", lambda a: a.section_bytes, "B"),
    ("system agent: taking the cross-section in", lambda a: a.section_seconds, "s"),
    ("system agent: 20 rules among peers", lambda a: a.peers_seconds, "s"),
    ("system agent: DebtRank of all single defaults", lambda a: a.network_seconds, "s"),
)


def model(answers: list[Answer]) -> str:
    """Return the model's answers as a table, a column a sector."""
    heads = [f"{a.institutions:,} institutions, {a.workers} worker{'s' * (a.workers > 1)}" for a in answers]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'--:|' * len(answers)}"]
    for name, get, unit in MODEL:
        cells = (f"{figure(get(a))}{'' if figure(get(a))[-1].isalpha() or not unit else ' '}{unit}" for a in answers)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
