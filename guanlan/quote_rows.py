"""Quotes from files: tables of prices and JSON Lines of the wire become records of the topic `market.quotes`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guanlan.market_tables import Table, read_table
from rules.problems import InputError, nearest
from streams.readers import is_json_lines, read_lines
from streams.spool import Frame, Spool
from streams.tape import MARKET
from streams.wire import Quote, encode


@dataclass(frozen=True, slots=True)
class Row:
    """One record and where it stands: the file, and the row of a table or the line of a text."""

    file: str
    row: int
    value: bytes


def read_whole(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows only after all were read: a file that can't be read to its end gives none. They wait on disk."""
    with closing(Spool()) as spool:
        for position, row in enumerate(rows):
            spool.write(Frame(position, spool.file_number(row.file), row.row, "", None, row.value))
        for frame in spool.frames():
            yield Row(spool.files[frame.file], frame.row, frame.record)


def quotes_from(path: Path, caps: Path | None, market: str, at: str, revision: int) -> Iterator[Row]:
    """Yield the quotes of a file, in its order: JSON Lines of the wire, or a table of a date and prices by series.

    `caps` is a like table of market values, `market` the column that is the market index, `at` when the quotes of a
    table count as submitted. An empty cell is no quote. Raises InputError for a table that does not fit.
    """
    if is_json_lines(path):
        for number, line in read_lines(path):
            yield Row(str(path), number, line)
        return
    prices = read_table(path)
    worth = _worth(read_table(caps)) if caps is not None else {}
    if market and market not in prices.columns:
        raise InputError(f"{path} has no column {market!r}. {nearest(market, prices.columns)}".strip())
    for t, day in enumerate(prices.days):
        for series, value in zip(prices.columns, prices.values[t].tolist(), strict=True):
            if np.isnan(value):
                continue
            name = MARKET if series == market else series
            cap = worth.get((series, str(day)))
            yield Row(str(path), t + 2, encode(Quote(name, str(day), at, value, cap, revision)))


def _worth(table: Table | None) -> dict[tuple[str, str], float]:
    """Return the market values by series and day, those that are known and above zero."""
    if table is None:
        return {}
    rows = ((str(day), series, value) for day, line in zip(table.days, table.values.tolist(), strict=True)
            for series, value in zip(table.columns, line, strict=True))  # fmt: skip
    return {(series, day): value for day, series, value in rows if value > 0}
