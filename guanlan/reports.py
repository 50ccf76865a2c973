"""What a backtest prints: a table, JSON Lines, or one HTML file with plots that needs nothing else."""

from __future__ import annotations

import io
import json
import math
import textwrap
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import jinja2
from rich.console import Console
from rich.table import Table

from guanlan.backtests import Run
from rules.backtest import Chart, as_dict
from rules.calendar import format_instant
from rules.transitions import SEVERITIES

TEMPLATES = Path(__file__).parent / "templates"
LEVEL_COLOURS = {"watch": "#f2c14e", "warning": "#e8743b", "critical": "#c0392b"}
MARKERS = {
    "firing": "^",
    "escalated": "^",
    "eased": "v",
    "resolved": "o",
    "released": "^",
    "suppressed": "x",
    "stale": "D",
    "worsened": "^",
}


def write(text: str, out: Path | None) -> None:
    """Write the text to a file, or to standard output."""
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
        Console(stderr=True).print(f"wrote {out}", highlight=False)


def as_jsonl(run: Run, language: str = "en") -> str:
    """Return one transition a line."""
    return "".join(json.dumps(as_dict(t, language), ensure_ascii=False) + "\n" for t in run.transitions)


def summary(run: Run) -> str:
    """Return the one sentence that says what was run."""
    judged = f"{run.count:,} filings of {len(run.institutions):,} institutions, {len(run.program.rules)} rules"
    rejected = f"; {len(run.rejected) + len(run.refused)} filings rejected" if run.rejected or run.refused else ""
    alerts = len({t.alert_id for t in run.transitions if t.alert_id})
    return f"{judged}: {alerts:,} alerts, {len(run.episodes):,} at {run.severity} or above{rejected}"


def as_table(run: Run, language: str = "en") -> str:
    """Return the scores by rule, and what the known events would have shown, as text for a terminal."""
    buffer = io.StringIO()
    terminal = Console()
    console = Console(file=buffer, width=terminal.width if terminal.is_terminal else 160, highlight=False)
    console.print(summary(run))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule", no_wrap=True)
    table.add_column("title")
    for heading in (f"alerts ≥ {run.severity}", "institutions", "hits", "missed", "median lead", "false alarms"):
        table.add_column(heading, justify="right")
    titles = {rule.id: rule.title for rule in run.program.rules}
    for s in run.scores:
        table.add_row(
            s.rule,
            titles[s.rule].get(language, ""),
            str(s.episodes),
            str(s.institutions),
            str(s.hits) if run.events else "",
            str(len(s.missed)) if run.events else "",
            _days(s.median_lead),
            _share(s.false_share) if run.events else "",
        )
    console.print(table)
    for event in run.events:
        console.print(f"\n[bold]{event.institution}[/bold] {format_instant(event.at)}: {_event_line(run, event)}")
    for refused in run.rejected[:20]:
        console.print(f"rejected, {refused.file}:{refused.row}: {refused.reason}: {refused.detail}", style="yellow")
    return buffer.getvalue()


def _event_line(run: Run, event: object) -> str:
    institution, at = event.institution, event.at  # type: ignore[attr-defined]
    found = [
        e for e in run.episodes if e.institution == institution and e.seen <= at and (e.until is None or e.until >= at)
    ]
    if not found:
        return "no alert was open"
    parts = (f"{e.rule} for {(at - e.seen) / 86_400:.0f} days" for e in sorted(found, key=lambda e: e.seen))
    return "open then: " + ", ".join(parts)


def _days(days: float | None) -> str:
    return "" if days is None else f"{days:.0f} d"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def as_html(run: Run, language: str = "en") -> str:
    """Return the report as one HTML page, plots inside."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    names = run.names(language)
    titles = {rule.id: rule.title.get(language, rule.id) for rule in run.program.rules}
    plots = [
        {
            "rule": chart.rule,
            "title": titles[chart.rule],
            "institution": names.get(chart.institution, chart.institution),
            "code": chart.institution,
            "svg": plot(chart, run),
        }
        for chart in run.charts()
    ]
    by_severity = Counter(
        t.severity for t in run.transitions if t.state in ("firing", "escalated") and not t.suppressed_by
    )
    return environment.get_template("backtest.html").render(
        language=language,
        summary=summary(run),
        packs=sorted({rule.pack for rule in run.program.rules}),
        scores=run.scores,
        titles=titles,
        names=names,
        events=[(e, names.get(e.institution, e.institution), _event_line(run, e)) for e in run.events],
        date=format_instant,
        days=_days,
        share=_share,
        severity=run.severity,
        by_severity=[(s, by_severity.get(s, 0)) for s in SEVERITIES[1:]],
        colours=LEVEL_COLOURS,
        plots=plots,
        transitions=[as_dict(t, language) for t in run.transitions if t.state != "pending"],
    )


def plot(chart: Chart, run: Run) -> str:
    """Return an SVG: the value over time, bands where levels hold, marks where the rule changed state."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import PercentFormatter

    indicator = run.program.catalogue.indicators.get(chart.value)
    label = indicator.title.get("en", chart.value) if indicator else chart.value
    dates = [datetime.fromtimestamp(int(t), UTC) for t in chart.at]
    with plt.rc_context({"svg.fonttype": "path", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
        axes.plot(dates, chart.values, color="#1f4e79", linewidth=1.4, marker=".", markersize=4)
        low, high = axes.get_ylim()
        limits = [limit for band in chart.bands for limit in band.limits.tolist() if not math.isnan(limit)]
        low, high = min([low, *limits]), max([high, *limits])
        pad = (high - low) * 0.05
        axes.set_ylim(low - pad, high + pad)
        for band in chart.bands:
            edge = low - pad if band.op.startswith("<") else high + pad
            colour = LEVEL_COLOURS[SEVERITIES[band.level]]
            axes.fill_between(dates, band.limits, edge, step="post", color=colour, alpha=0.16, linewidth=0)
        for event in run.events:
            if event.institution == chart.institution:
                axes.axvline(datetime.fromtimestamp(event.at, UTC), color="black", linewidth=1, linestyle=":")
        _marks(axes, chart, run)
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        if chart.is_ratio:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylabel(textwrap.fill(label, 34))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _marks(axes: object, chart: Chart, run: Run) -> None:
    value = dict(zip(chart.at.tolist(), chart.values.tolist(), strict=True))
    for t in run.transitions:
        if t.rule != chart.rule or t.subject != chart.institution or t.state == "pending" or not t.alert_id:
            continue
        at = datetime.fromisoformat(t.as_of).replace(tzinfo=UTC)
        known = int(at.timestamp())
        if t.state == "stale":  # as of a deadline, where it has the value that was filed last
            known = max((date for date in value if date <= known), default=known)
        y = value.get(known)
        if y is None:
            continue
        colour = LEVEL_COLOURS.get(t.severity, "#2e8b57")
        marker = MARKERS[t.state]
        axes.plot([at], [y], marker=marker, color=colour, markersize=8, markeredgecolor="black")  # type: ignore[attr-defined]
