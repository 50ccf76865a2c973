"""What a scenario prints: rows, JSON Lines, a table for the terminal, or one HTML page that needs nothing else."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from rich.console import Console
from rich.table import Table

from guanlan.market_tables import Row
from guanlan.whatif_files import Scenario
from guanlan.whatif_rules import Fired
from guanlan.whatif_words import words
from systemic.arrays import Vector
from systemic.whatif import CHANNELS, Outcome

TEMPLATES = Path(__file__).parent / "templates"
DRAWN = 36
SHOWN = 40


@dataclass(frozen=True, slots=True)
class Run:
    """One severity of a scenario: how it ended, and the rules that would fire."""

    severity: float
    outcome: Outcome
    fired: Sequence[Fired]


Cells = Sequence[Sequence[Outcome]]


def rows(scenario: Scenario, runs: Sequence[Run]) -> Iterator[Row]:
    """Yield a row for each severity and institution."""
    for run in runs:
        end = run.outcome
        when = {int(i): number for number, found in enumerate(end.rounds) for i in found.defaults}
        for i, name in enumerate(scenario.names):
            yield {
                "severity": run.severity,
                "institution": name,
                "equity_before": float(end.equity_before[i]),
                **{f"{_key(c)}_loss": float(end.losses[k, i]) for k, c in enumerate(CHANNELS)},
                "equity_after": float(end.equity[i]),
                "ratio_before": float(end.ratio_before[i]),
                "ratio_after": float(end.ratio[i]),
                "default": int(end.default[i]),
                "default_round": when.get(i),
                "illiquid": int(end.illiquid[i]),
            }


def as_jsonl(scenario: Scenario, runs: Sequence[Run], cells: Cells = ()) -> str:
    """Return one severity a line (losses by round and channel, defaults, prices, rules), then one cell a line."""
    records = [_record(scenario, run) for run in runs]
    if scenario.grid is not None:
        (first, second), columns = scenario.grid.kinds, scenario.grid.columns
        for a, found in zip(scenario.grid.rows, cells, strict=True):
            for b, end in zip(columns, found, strict=True):
                records.append(
                    {
                        "scenario": scenario.title,
                        "grid": {first: a, second: b},
                        "losses": {_key(channel): value for channel, value in end.by_channel.items()},
                        "defaults": [scenario.names[i] for i in np.flatnonzero(end.default)],
                    }
                )
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _record(scenario: Scenario, run: Run) -> dict[str, Any]:
    end = run.outcome
    return {
        "scenario": scenario.title,
        "severity": run.severity,
        "losses": {_key(channel): value for channel, value in end.by_channel.items()},
        "defaults": [scenario.names[i] for i in np.flatnonzero(end.default)],
        "illiquid": [scenario.names[i] for i in np.flatnonzero(end.illiquid)],
        "prices": dict(zip(scenario.classes, end.prices.tolist(), strict=True)),
        "rounds": [
            {
                "round": number,
                **{_key(c): float(found.losses[k].sum()) for k, c in enumerate(CHANNELS)},
                "sold": float(found.sold.sum()),
                "recalled": found.recalled,
                "defaults": [scenario.names[i] for i in found.defaults],
            }
            for number, found in enumerate(end.rounds)
        ],
        "institutions": {
            name: {"equity": float(end.equity[i]), "ratio": _finite(end.ratio[i])}
            for i, name in enumerate(scenario.names)
        },
        "rules": [
            {"rule": f.rule, "institution": f.institution, "state": f.state, "severity": f.severity} for f in run.fired
        ],
    }


def as_table(scenario: Scenario, runs: Sequence[Run], cells: Cells = ()) -> str:
    """Return a summary by severity, who defaults in the hardest, and the grid, as text for a terminal."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=120, highlight=False)
    console.print(f"[bold]{scenario.title}[/bold]: {len(scenario.names)} institutions", markup=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("severity", *CHANNELS, "loss of equity", "defaults", "illiquid", "rounds", "rules"):
        table.add_column(heading, justify="right")
    for run in runs:
        end = run.outcome
        table.add_row(
            f"{run.severity:g}",
            *(f"{value:,.4g}" for value in end.by_channel.values()),
            f"{_lost(end):.1%}",
            str(int(end.default.sum())),
            str(int(end.illiquid.sum())),
            str(len(end.rounds)),
            str(len(run.fired)),
        )
    console.print(table)
    last = runs[-1].outcome
    fallen = [scenario.names[i] for i in np.flatnonzero(last.default)]
    if fallen:
        console.print(f"in default at severity {runs[-1].severity:g}: {', '.join(fallen[:SHOWN])}")
    for f in runs[-1].fired[:SHOWN]:
        console.print(f"{f.state} ({f.severity}): {f.institution}: {f.title.get('en', f.rule)}", markup=False)
    if scenario.grid is not None:
        first, second = scenario.grid.kinds
        console.print(f"\nequity lost and defaults, by severity of {first} (down) and {second} (across)")
        grid = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("", *map("{:g}".format, scenario.grid.columns)):
            grid.add_column(heading, justify="right")
        for severity, found in zip(scenario.grid.rows, cells, strict=True):
            grid.add_row(f"{severity:g}", *(f"{_lost(end):.1%}, {int(end.default.sum())}" for end in found))
        console.print(grid)
    return buffer.getvalue()


def as_html(scenario: Scenario, runs: Sequence[Run], language: str = "en", cells: Cells = ()) -> str:
    """Return the report as one HTML page: summary, waterfall, network, heat map, rounds, institutions, rules."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    main = next((run for run in runs if run.severity == 1.0), runs[-1])
    bars, zero = _waterfall(main.outcome)
    worst = np.argsort(-runs[-1].outcome.losses.sum(axis=0), kind="stable")[:SHOWN]
    return environment.get_template("whatif.html").render(
        language=language,
        say=words(language),
        scenario=scenario,
        runs=runs,
        main=main,
        channels=CHANNELS,
        lost=_lost,
        waterfall=bars,
        zero=zero,
        network=_drawing(scenario, main.outcome),
        heat=[(scenario.names[i], [_cell(run.outcome, i) for run in runs]) for i in worst],
        grid=[[_sector_cell(end) for end in found] for found in cells],
        worst=worst.tolist(),
        names=scenario.names,
        title=lambda f: f.title.get(language) or f.rule,
    )


def _key(channel: str) -> str:
    return channel.replace(" ", "_")


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _lost(end: Outcome) -> float:
    before = float(end.equity_before.sum())
    return float(end.losses.sum()) / before if before > 0 else math.nan


def _share_lost(end: Outcome) -> Vector:
    """Loss of each over its equity before, from 0 to 1; 1 in default."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(end.equity_before > 0.0, end.losses.sum(axis=0) / end.equity_before, 0.0)
    return np.where(end.default, 1.0, np.clip(share, 0.0, 1.0))


def _colour(share: float) -> str:
    """From pale to deep red."""
    low, high = (236, 241, 245), (178, 24, 43)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(low, high, strict=True))


def _cell(end: Outcome, i: int) -> dict[str, Any]:
    share = float(_share_lost(end)[i])
    text = "default" if end.default[i] else f"{share:.0%}"
    return {"colour": _colour(share), "text": text, "dark": share > 0.55}


def _sector_cell(end: Outcome) -> dict[str, Any]:
    lost = _lost(end)
    share = min(max(lost, 0.0), 1.0) if math.isfinite(lost) else 0.0
    return {"colour": _colour(share), "text": f"{lost:.0%}", "defaults": int(end.default.sum()), "dark": share > 0.55}


def _waterfall(end: Outcome) -> tuple[list[dict[str, Any]], float]:
    """Bars from equity before to equity after, and where zero is, in a box 200 high.

    A bar has a label, a value, its top and its height.
    """
    before, after = float(end.equity_before.sum()), float(end.equity.sum())
    steps = [("equity before", before, before)]
    level = before
    for channel, loss in end.by_channel.items():
        steps.append((channel, level, level - loss))
        level -= loss
    steps.append(("equity after", after, after))
    ends = [0.0, *(v for _, a, b in steps for v in (a, b))]
    low, high = min(ends), max(ends)
    scale = 200.0 / ((high - low) or 1.0)
    bars = []
    for number, (label, start, end_) in enumerate(steps):
        base = 0.0 if number in (0, len(steps) - 1) else start
        top, bottom = max(base, end_), min(base, end_)
        value = end_ if number in (0, len(steps) - 1) else end_ - start
        bars.append(
            {
                "label": label,
                "value": f"{value:,.4g}",
                "y": (high - top) * scale,
                "height": max((top - bottom) * scale, 0.5),
                "total": number in (0, len(steps) - 1),
            }
        )
    return bars, high * scale


def _label(angle: float, radius: float) -> dict[str, Any]:
    """Where a name stands: outside the circle, away from it, clear of a node of this radius."""
    reach = 250 + radius + 8
    side = math.sin(angle)
    anchor = "middle" if abs(side) < 0.2 else "start" if side > 0 else "end"
    return {"lx": 320 + reach * side, "ly": 320 - reach * math.cos(angle) + 4, "anchor": anchor}


def _drawing(scenario: Scenario, end: Outcome) -> dict[str, Any]:
    """The largest institutions on a circle, the exposures among them as lines; coordinates in a 640 × 640 box."""
    assets = scenario.before.assets
    chosen = np.argsort(-assets, kind="stable")[:DRAWN]
    angle = 2 * np.pi * np.arange(chosen.size) / max(chosen.size, 1)
    x, y = 320 + 250 * np.sin(angle), 320 - 250 * np.cos(angle)
    share = _share_lost(end)
    biggest = float(assets.max(initial=0.0)) or 1.0
    place = {int(i): k for k, i in enumerate(chosen)}
    edges = scenario.before.exposures.tocoo()
    most = float(edges.data.max(initial=0.0)) or 1.0
    lines = [
        {
            "x1": x[place[i]], "y1": y[place[i]], "x2": x[place[j]], "y2": y[place[j]],
            "width": 0.4 + 4 * float(amount) / most, "hit": bool(end.default[j]),
        }
        for i, j, amount in zip(edges.row.tolist(), edges.col.tolist(), edges.data, strict=True)
        if i in place and j in place
    ]  # fmt: skip
    nodes = [
        {
            "x": x[k], "y": y[k], "r": 6 + 16 * math.sqrt(float(assets[i]) / biggest), "name": scenario.names[i],
            "colour": _colour(float(share[i])), "default": bool(end.default[i]),
            **_label(float(angle[k]), 6 + 16 * math.sqrt(float(assets[i]) / biggest)),
        }
        for k, i in enumerate(chosen.tolist())
    ]  # fmt: skip
    return {"lines": lines, "nodes": nodes, "left_out": len(scenario.names) - chosen.size}
