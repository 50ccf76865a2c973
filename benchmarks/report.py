"""The rows on a screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

SCALES = ((1e9, " G"), (1e6, " M"), (1e3, " k"))


def table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return one table, a section a part."""
    made = Table(pad_edge=False, title="Guanlan, measured", title_justify="left")
    made.add_column("what")
    for heading in ("min", "median", "max"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("unit", no_wrap=True)
    made.add_column("CPU s", justify="right", no_wrap=True)
    made.add_column("reach", justify="right", no_wrap=True)
    for part, found in groupby(rows, key=lambda row: row["part"]):
        made.add_section()
        made.add_row(Text(part, style="bold"))
        for row in found:
            made.add_row(*_cells(row))
    return Group(made)


def _cells(row: Mapping[str, Any]) -> Iterable[str | Text]:
    name = Text(f"  {row['name']}")
    if row["note"]:
        name.append(f"  {row['note']}", style="dim")
    yield name
    for column in ("min", "median", "max"):
        yield figure(row[column])
    yield row["unit"]
    yield figure(sorted(row["cpu"])[len(row["cpu"]) // 2]) if row["cpu"] else ""
    if row["reach"] is None:
        yield ""
    else:
        sign, mark = "≥" if row["better"] == "more" else "≤", "✓" if row["reached"] else "✗"
        yield Text(f"{sign} {figure(row['reach'])} {mark}", style="green" if row["reached"] else "red")


def figure(number: float) -> str:
    """Return three figures and a prefix.

    >>> figure(12_345_678), figure(0.75), figure(12)
    ('12.3 M', '0.75', '12')
    """
    for scale, suffix in SCALES:
        if abs(number) >= scale:
            return f"{number / scale:.3g}{suffix}"
    return f"{number:.3g}"
