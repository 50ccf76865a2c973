"""A small vocabulary of panels: title in two languages, unit, queries. The rest is the house's look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
COLOURS = {"watch": "yellow", "warning": "orange", "critical": "red"}
GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"

Panel = TypeVar("Panel", stat.Panel, timeseries.Panel, bargauge.Panel)
Steps = Sequence[tuple[float | None, str]]
Panels = list[stat.Panel | timeseries.Panel | bargauge.Panel]


@dataclass(frozen=True)
class Query:
    """One PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


def both(en: str, zh: str) -> str:
    """Return a title in both languages.

    >>> both("Liquidity", "流动性")
    'Liquidity · 流动性'
    """
    return f"{en} · {zh}"


def number(
    title: str, *queries: Query, unit: str = "short", steps: Steps = (), width: int = 3, note: str = ""
) -> stat.Panel:
    """A number, or one for each query, of now; `steps` are (from, colour)."""
    panel = _dressed(stat.Panel(), title, queries, unit, width, 4, note, instant=True)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(look.BigValueGraphMode.NONE).color_mode(
        look.BigValueColorMode.VALUE if steps else look.BigValueColorMode.NONE
    )
    return panel.thresholds(_thresholds(steps))


def lines(
    title: str, *queries: Query, unit: str = "short", width: int = 8, stacked: bool = False, note: str = ""
) -> timeseries.Panel:
    """Series over time."""
    panel = _dressed(timeseries.Panel(), title, queries, unit, width, 8, note, instant=False)
    panel.line_width(1).show_points(look.VisibilityMode.NEVER).fill_opacity(30 if stacked else 0)
    if stacked:
        panel.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL))
    panel.legend(
        common.VizLegendOptions()
        .display_mode(look.LegendDisplayMode.LIST)
        .placement(look.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel.tooltip(common.VizTooltipOptions().mode(look.TooltipDisplayMode.MULTI).sort(look.SortOrder.DESCENDING))
    for name, colour in COLOURS.items():
        panel.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    return panel


def bars(
    title: str, *queries: Query, unit: str = "short", steps: Steps = (), width: int = 8, note: str = ""
) -> bargauge.Panel:
    """A bar for each series, of now."""
    panel = _dressed(bargauge.Panel(), title, queries, unit, width, 8, note, instant=True)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.display_mode(look.BarGaugeDisplayMode.BASIC).orientation(look.VizOrientation.HORIZONTAL)
    return panel.thresholds(_thresholds(steps))


def _dressed(
    panel: Panel, title: str, queries: Sequence[Query], unit: str, width: int, height: int, note: str, instant: bool
) -> Panel:
    panel.title(title).datasource(DATASOURCE).unit(unit).span(width).height(height)
    if note:
        panel.description(note)
    for number_, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number_)).datasource(DATASOURCE)
        if query.legend:
            target.legend_format(query.legend)
        panel.with_target(target.instant() if instant else target.range())
    return panel


def _thresholds(steps: Steps) -> Any:
    marks = [Threshold(value=value, color=colour) for value, colour in (steps or ((None, GREEN),))]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(marks)
