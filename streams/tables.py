"""What a table is, whatever file it stands in: columns, rows of cells, and cells that know more than their value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rules.problems import InputError
from streams.limits import Limits, over


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number as a person finds it in the file, and its cells by column; `problem` if it is broken.

    `raw` is the line that a row of JSON Lines came from.
    """

    number: int
    cells: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Table:
    """An open table. `columns` is empty where rows name their own columns (JSON Lines).

    `point` says that the decimal mark can't be a comma, because commas part the cells. `hidden` are columns that a
    person who looks at the sheet does not see.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Iterator[Row]
    point: bool = False
    hidden: frozenset[str] = frozenset()


class Shown(float):
    """A number of a sheet that is shown 10^`places` times as large as it is: percent formats 2, thousands -3."""

    __slots__ = ("places",)
    places: int

    def __new__(cls, value: float, places: int) -> Shown:
        made = super().__new__(cls, value)
        made.places = places
        return made


@dataclass(frozen=True, slots=True)
class Uncalculated:
    """A cell whose formula was never calculated: it has no value, which is not the same as being empty."""

    path: Path
    cell: str

    def refuse(self) -> InputError:
        """Return the error for whoever needs the value."""
        cure = "open the workbook in a spreadsheet program and save it"
        return InputError(f"{self.path}: the formula in {self.cell} was never calculated; {cure}")


def repeated(names: Iterable[str]) -> str:
    """Return the first name that stands twice; blank ones may.

    >>> repeated(["a", "", "b", "", "a"])
    'a'
    """
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            return name
        seen.add(name)
    return ""


def bounded(path: Path, columns: tuple[str, ...], rows: Iterator[Row], limits: Limits) -> Iterator[Row]:
    """Yield the rows; more rows or cells than the limits is InputError."""
    cells = 0
    for count, row in enumerate(rows, start=1):
        cells += len(columns) or len(row.cells)
        if count > limits.rows:
            over(path, "rows", limits.rows)
        if cells > limits.cells:
            over(path, "cells", limits.cells)
        yield row
